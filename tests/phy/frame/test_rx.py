"""Transmitter and receiver at symbol rate: clean, noisy, faded, damaged."""

from collections import Counter

import numpy as np
import pytest

from phy.codec.codec import shipped
from phy.frame import frame, rx, tx
from phy.frame.frame import Kind
from phy.frame.received import combine_repetitions

CODEC = "image8x4"


def burst(num_bytes: int = 6000, payload_bytes: int = 300, kind: Kind = Kind.BODY, codec_id: int | None = None):
    """(payloads [F, P], iq [N], starts [F]) of random bytes."""
    codec = shipped(CODEC)
    data = np.random.default_rng(num_bytes).integers(0, 256, num_bytes).astype(np.uint8).tobytes()
    payloads = frame.split(data, payload_bytes)
    headers = frame.headers_for(
        payloads,
        num_bytes,
        kind=kind,
        image_id=5,
        k_digest=b"8 bytes.",
        codec_id=codec.codec_id if codec_id is None else codec_id,
    )
    symbols = tx.modulate(headers, payloads, codec)
    return payloads, symbols.reshape(-1), np.arange(len(symbols)) * symbols.shape[1]


def noise(shape, power: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((*shape, 2)) @ np.array([1, 1j])) * np.sqrt(power / 2)


def test_clean_frames_come_back_exactly():
    payloads, iq, starts = burst()
    frames = list(rx.receive(iq, starts))
    assert len(frames) == len(payloads)
    for received in frames:
        assert received.crc_ok
        assert np.array_equal(received.payload, payloads[received.header.sequence])


def test_transmit_power_and_training():
    _, iq, starts = burst()
    assert np.mean(np.abs(iq) ** 2) == pytest.approx(1.0, abs=0.02)
    assert np.allclose(np.abs(tx.training_sequence()), 1.0)
    assert np.array_equal(iq[starts[3] : starts[3] + 64], tx.training_sequence())


def test_scrambling_whitens_a_run_of_equal_bytes():
    codec = shipped(CODEC)
    symbols = tx.modulate_payloads(np.zeros((1, 2004), np.uint8), codec)[0]
    plain = codec.encode(np.zeros(2004, np.int64)).reshape(-1)

    def peak_to_mean(x: np.ndarray) -> float:
        spectrum = np.abs(np.fft.fft(x)) ** 2
        return float(spectrum.max() / spectrum.mean())

    assert peak_to_mean(symbols) < 20 < 500 < peak_to_mean(plain)
    quarters = np.angle(tx.scrambling(4096)) / (np.pi / 2)
    assert np.bincount(np.round(quarters).astype(int) % 4, minlength=4).min() > 900


@pytest.mark.parametrize("antennas", [1, 2, 4])
def test_gain_phase_and_antennas_are_estimated_and_combined(antennas):
    payloads, iq, starts = burst()
    gain = noise((antennas,), 1.0, seed=antennas) * 37.0
    power = float(np.sum(np.abs(gain) ** 2))
    y = gain[:, None] * iq + noise((antennas, len(iq)), power / 10**1.5, seed=9)
    frames = list(rx.receive(y, starts))
    assert len(frames) == len(payloads)
    assert all(received.crc_ok for received in frames)
    assert np.mean([received.snr_db for received in frames]) == pytest.approx(15.0, abs=0.4)


@pytest.mark.parametrize(("snr_db", "most_lost"), [(0.0, 0.08), (3.0, 0.0)])
def test_headers_survive_where_payloads_do_not(snr_db, most_lost):
    payloads, iq, starts = burst(40_000, 100)
    frames = list(rx.receive(iq + noise(iq.shape, 10 ** (-snr_db / 10), 3), starts))
    assert len(frames) >= (1 - most_lost) * len(payloads)
    assert np.mean([received.crc_ok for received in frames]) < 0.05


def test_unknown_codec_is_counted():
    _, iq, starts = burst(codec_id=99)
    refusals = Counter()
    assert list(rx.receive(iq, starts, refusals)) == []
    assert refusals == Counter(unknown_codec=len(starts))


def test_damaged_samples_are_counted_and_the_rest_arrives():
    payloads, iq, starts = burst()
    iq = iq.astype(np.complex64)
    iq[starts[2] + 100] = np.nan  # in a header
    iq[starts[4] + 600] = np.inf  # in a payload
    iq[starts[6] : starts[7]] = 0
    refusals = Counter()
    wrong_starts = np.concatenate([starts, [-5, len(iq) - 10, len(iq) + 10**6]])
    frames = list(rx.receive(iq[:-50], wrong_starts, refusals))
    assert sorted(f.header.sequence for f in frames) == [s for s in range(len(payloads) - 1) if s not in (2, 4, 6)]
    assert refusals == Counter(non_finite=2, no_signal=1, cut_off=4)


def test_noise_and_random_symbols_give_no_frame():
    y = noise((460 * 400,), 1.0, seed=4)
    refusals = Counter()
    assert list(rx.receive(y, np.arange(400) * 460, refusals)) == []
    assert refusals == Counter(header_crc=400)
    assert list(rx.receive(np.zeros(0, np.complex64), np.zeros(0, np.int64))) == []
    assert list(rx.receive(np.zeros(100, np.complex64), np.array([0]))) == []


@pytest.mark.slow
def test_a_hundred_thousand_random_frames_are_all_refused_and_counted():
    """Random symbols and random headers of good frames: nothing raises, nothing is taken for an image."""
    rng = np.random.default_rng(12)
    refusals = Counter()
    for _ in range(50):
        starts = np.arange(2000) * 460
        y = rng.standard_normal((2000 * 460, 2), np.float32).view(np.complex64)[:, 0]
        y.reshape(2000, 460)[::2, :64] = tx.training_sequence()
        packed = rng.integers(0, 256, (1000, 24)).astype(np.uint8)
        y.reshape(2000, 460)[::2, 64:] = tx.modulate_headers(packed)
        assert list(rx.receive(y, starts, refusals)) == []
    assert refusals == Counter(header_crc=100_000)


def test_mutated_frames_are_never_taken_for_good():
    payloads, iq, starts = burst(3000, 100)
    rng = np.random.default_rng(11)
    for trial in range(40):
        y = iq.copy()
        hit = rng.integers(0, len(y), 3000)
        y[hit] *= np.exp(2j * np.pi * rng.random(len(hit)))
        for received in rx.receive(y, starts):
            if received.crc_ok:
                assert np.array_equal(received.payload, payloads[received.header.sequence]), trial


def test_repetitions_combine_to_more_than_each():
    _, iq, starts = burst(100, 100, kind=Kind.HEAD)
    copies = [next(rx.receive(iq + noise(iq.shape, 10**-0.4, seed), starts)) for seed in range(8)]
    assert not any(copy.crc_ok for copy in copies)
    together = combine_repetitions(copies)
    assert together.crc_ok
    assert together.snr_db == pytest.approx(4 + 9, abs=0.7)
