"""Codec inference against theory, bit packing against a slow reference, damaged files against CodecError."""

import math

import numpy as np
import pytest

from phy.codec.codec import CODEC_FOLDER, Codec, available, codec_with_id, shipped
from phy.codec.packing import bytes_to_messages, messages_to_bytes
from phy.errors import CodecError


def antipodal(k: int) -> Codec:
    """Uncoded BPSK as a codec: its message error rate is known in closed form."""
    bits = (np.arange(1 << k)[:, None] >> np.arange(k)) & 1
    return Codec("bpsk", 125, k, (1.0 - 2.0 * bits).astype(np.complex64), real=True)


def noisy(x: np.ndarray, noise_power: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((*x.shape, 2)) @ np.array([1, 1j])
    return (x + noise * math.sqrt(noise_power / 2)).astype(np.complex64)


@pytest.mark.parametrize("k", range(1, 13))
def test_bytes_and_messages_for_every_k(k):
    data = np.random.default_rng(k).integers(0, 256, (3, 29)).astype(np.uint8)
    messages = bytes_to_messages(data, k)
    bits = "".join(f"{byte:08b}" for byte in data[0])
    bits += "0" * (-len(bits) % k)
    assert messages[0].tolist() == [int(bits[i : i + k], 2) for i in range(0, len(bits), k)]
    assert np.array_equal(messages_to_bytes(messages, k, 29), data)


def test_byte_packing_refuses_nonsense():
    with pytest.raises(CodecError, match="k must be 1 to 12, got 13"):
        bytes_to_messages(np.zeros(4, np.uint8), 13)
    with pytest.raises(CodecError, match="4 bytes are 11 messages, got 10"):
        messages_to_bytes(np.zeros(10, np.uint16), 3, 4)


def test_maximum_likelihood_error_rate_is_bpsk_theory():
    codec, count, snr = antipodal(4), 200_000, 10 ** (4.0 / 10)
    sent = np.random.default_rng(3).integers(0, 16, count)
    wrong = codec.demap(noisy(codec.encode(sent), 1 / snr, 4)) != sent
    theory = 1 - (1 - 0.5 * math.erfc(math.sqrt(snr))) ** 4
    assert abs(wrong.mean() - theory) < 4 * math.sqrt(theory / count)


@pytest.mark.parametrize("name", available())
def test_shipped_codecs(name):
    codec = shipped(name)
    assert codec.name == name
    assert codec_with_id(codec.codec_id) is codec
    assert np.mean(np.abs(codec.codebook) ** 2) == pytest.approx(1.0, abs=1e-3)
    every = np.arange(1 << codec.k)
    assert np.array_equal(codec.demap(codec.encode(every)), every)
    assert (CODEC_FOLDER / f"{name}.npz").stat().st_size < 400_000


def test_neural_demapper_is_close_to_maximum_likelihood():
    codec = shipped("image8x4")
    sent = np.random.default_rng(5).integers(0, 256, 60_000)
    y = noisy(codec.encode(sent), 10 ** (-8.0 / 10), 6)
    best, neural = (codec.demap(y) != sent).mean(), (codec.demap_neural(y) != sent).mean()
    assert 0.005 < best <= neural < 1.25 * best


def test_posteriors_are_calibrated():
    codec, noise_power = shipped("image8x4"), 10 ** (-6.0 / 10)
    sent = np.random.default_rng(7).integers(0, 256, 20_000)
    y = noisy(codec.encode(sent), noise_power, 8)
    posterior = codec.posteriors(y, noise_power)
    assert posterior.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    assert np.array_equal(posterior.argmax(axis=1), codec.demap(y))
    # the mean probability given to the decision is the rate at which it is right
    assert posterior.max(axis=1).mean() == pytest.approx((codec.demap(y) == sent).mean(), abs=0.01)
    with pytest.raises(CodecError, match="noise_power must be finite and positive"):
        codec.posteriors(y, 0.0)


def test_unequal_energies_are_decided_by_distance():
    rng = np.random.default_rng(9)
    book = rng.standard_normal((8, 2)) + 1j * rng.standard_normal((8, 2))
    codec = Codec("unequal", 126, 3, (book / np.sqrt(np.mean(np.abs(book) ** 2))).astype(np.complex64))
    y = (rng.standard_normal((500, 2)) + 1j * rng.standard_normal((500, 2))).astype(np.complex64)
    nearest = (np.abs(y[:, None] - codec.codebook) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(codec.demap(y), nearest)


def test_file_round_trip_keeps_everything(tmp_path):
    codec = shipped("image8x4")
    again = Codec.load(codec.save(tmp_path / "copy.npz"))
    assert np.array_equal(again.codebook, codec.codebook)
    assert again.training == codec.training
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(again.demapper, codec.demapper, strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["copy.npz"]


@pytest.mark.parametrize("keep", [0, 10, 1000, 0.5, 0.99])
def test_truncated_file_is_one_clear_error(tmp_path, keep):
    whole = (CODEC_FOLDER / "image8x4.npz").read_bytes()
    path = tmp_path / "short.npz"
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(CodecError, match=r"short\.npz is (truncated|damaged)"):
        Codec.load(path)


def test_foreign_and_damaged_files_are_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", weights=np.zeros(3))
    with pytest.raises(CodecError, match="not a codec file"):
        Codec.load(tmp_path / "foreign.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(CodecError, match="not a codec file"):
        Codec.load(tmp_path / "text.npz")
    damaged = bytearray((CODEC_FOLDER / "image8x4.npz").read_bytes())
    damaged[400:5000] = bytes(4600)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    with pytest.raises(CodecError, match=r"damaged\.npz"):
        Codec.load(tmp_path / "damaged.npz")
    with pytest.raises(CodecError, match="no codec named 'nothing': choose one of"):
        Codec.load("nothing")
    with pytest.raises(CodecError, match="no codec file"):
        Codec.load(tmp_path / "absent.npz")


def test_impossible_codecs_and_symbols_are_refused():
    book = antipodal(2).codebook
    with pytest.raises(CodecError, match=r"codebook must be \[8, n\], got \[4, 2\]"):
        Codec("x", 0, 3, book)
    with pytest.raises(CodecError, match="mean energy per symbol must be 1, got 4"):
        Codec("x", 0, 2, 2 * book)
    with pytest.raises(CodecError, match="NaN or Inf"):
        Codec("x", 0, 2, book * np.nan)
    with pytest.raises(CodecError, match="codec_id must be 0 to 127, got 128"):
        Codec("x", 128, 2, book)
    with pytest.raises(CodecError, match="layer of shape"):
        Codec("x", 0, 2, book, True, ((np.zeros((5, 4)), np.zeros(4)),))
    codec = antipodal(2)
    with pytest.raises(CodecError, match=r"messages must be in \[0, 4\), got 0 to 4"):
        codec.encode(np.array([0, 4]))
    with pytest.raises(CodecError, match="messages must be integers"):
        codec.encode(np.array([0.5]))
    with pytest.raises(CodecError, match=r"symbols must be \[..., 2\], got \[3\]"):
        codec.demap(np.zeros(3, np.complex64))
    with pytest.raises(CodecError, match="no neural demapper"):
        codec.demap_neural(np.zeros((1, 2), np.complex64))


def test_empty_input_is_empty_output():
    codec = antipodal(3)
    assert codec.encode(np.zeros(0, np.int64)).shape == (0, 3)
    assert codec.demap(np.zeros((0, 3), np.complex64)).shape == (0,)


def test_a_prior_weighs_energy_and_posteriors_and_survives_the_file(tmp_path):
    rng = np.random.default_rng(11)
    book = (rng.standard_normal((16, 1)) + 1j * rng.standard_normal((16, 1))).astype(np.complex64)
    prior = rng.dirichlet(np.ones(16)).astype(np.float32)
    book /= np.sqrt(np.sum(np.abs(book[:, 0]) ** 2 * prior))
    codec = Codec("uneven", 127, 4, book, prior=prior)
    sent = rng.choice(16, 40_000, p=prior / prior.sum())
    posterior = codec.posteriors(noisy(codec.encode(sent), 0.5, 12), 0.5)
    assert posterior.mean(axis=0) == pytest.approx(prior, abs=0.01)  # on average what is believed is what was sent
    loaded = Codec.load(codec.save(tmp_path / "uneven.npz"))
    assert np.array_equal(loaded.prior, codec.prior) and np.array_equal(loaded.codebook, codec.codebook)
    with pytest.raises(CodecError, match="mean energy per symbol must be 1"):
        Codec("uneven", 127, 4, book * 2, prior=prior)
    with pytest.raises(CodecError, match="the prior must be 16 probabilities of sum 1"):
        Codec("uneven", 127, 4, book, prior=prior * 2)
