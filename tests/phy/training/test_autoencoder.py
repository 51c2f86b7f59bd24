"""The training itself, in small: it learns, respects power, resumes exactly, and the message cost orders confusions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from phy.codec.codec import Codec
from phy.errors import TrainingError
from phy.training.autoencoder import Autoencoder, TrainingPlan, export, train
from privsc.errors import OutputError
from privsc.training.codec import train_codec

SMALL = TrainingPlan(4, 2, snr_db=(6.0, 12.0), steps=150, batch=256, growth=2, hidden=32, seed=3)


def message_errors(codec: Codec, snr_db: float, demap, count: int = 40_000) -> tuple[float, float]:
    """(message error rate, mean squared message difference) at Es/N0 [dB]."""
    rng = np.random.default_rng(1)
    sent = rng.integers(0, 1 << codec.k, count)
    noise = rng.standard_normal((count, codec.n, 2)) @ np.array([1, 1j]) * math.sqrt(10 ** (-snr_db / 10) / 2)
    got = demap((codec.encode(sent) + noise).astype(np.complex64)).astype(int)
    return float(np.mean(got != sent)), float(np.mean((got - sent) ** 2))


def test_training_beats_where_it_started():
    before = export(Autoencoder(SMALL), name="before", codec_id=100)
    model, curve = train(SMALL)
    after = export(model, name="after", codec_id=100)
    assert len(curve) == SMALL.steps
    assert np.mean(curve[-10:]) < 0.3 * np.mean(curve[:10])
    rate = message_errors(after, 8.0, after.demap)[0]
    assert rate < 0.5 * message_errors(before, 8.0, before.demap)[0]
    assert message_errors(after, 8.0, after.demap_neural)[0] < 1.3 * rate + 0.002


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("power", ["codeword", "average"])
def test_power_constraint(power, real):
    model, _ = train(replace(SMALL, power=power, real=real, steps=20))
    codec = export(model, name="x", codec_id=100)
    energy = np.mean(np.abs(codec.codebook) ** 2, axis=1)
    assert energy.mean() == pytest.approx(1.0, abs=1e-5)
    assert (np.ptp(energy) < 1e-5) == (power == "codeword")
    assert codec.real == real and bool(np.any(codec.codebook.imag)) != real


def test_exported_demapper_is_the_trained_network():
    model, _ = train(replace(SMALL, steps=20))
    codec = export(model, name="x", codec_id=100)
    y = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    decided = model.decoder(y).argmax(dim=1).numpy()
    assert np.array_equal(codec.demap_neural(y.numpy().view(np.complex64)), decided)


def test_interrupted_and_resumed_is_the_same_training(tmp_path):
    whole, curve = train(SMALL)
    checkpoint = tmp_path / "state"

    def interrupt(step: int, steps: int, loss: float) -> None:
        if step == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, checkpoint=checkpoint, progress=interrupt)
    resumed, resumed_curve = train(SMALL, checkpoint=checkpoint, resume=True)
    assert resumed_curve == curve
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_message_cost_makes_confusions_near():
    plain, _ = train(replace(SMALL, k=5))
    careful, _ = train(replace(SMALL, k=5, message_cost=100.0))
    for_plain, for_careful = (export(m, name="x", codec_id=100) for m in (plain, careful))
    errors = message_errors(for_plain, 6.0, for_plain.demap), message_errors(for_careful, 6.0, for_careful.demap)
    assert errors[1][1] < 0.5 * errors[0][1]  # at least 3 dB less squared error


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(replace(SMALL, steps=3))
    assert torch.equal(torch.rand(3), expected)


def test_train_codec_writes_a_codec_and_nothing_else(tmp_path):
    seen = []
    path = train_codec(3, 2, out=tmp_path / "mine.npz", snr_db=(4, 10), steps=30, progress=lambda *a: seen.append(a))
    codec = Codec.load(path)
    assert (codec.name, codec.k, codec.n, codec.codec_id) == ("mine", 3, 2, 100)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.npz"]
    assert seen[-1][:2] == (30, 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 13}, "k must be 1 to 12, got 13"),
        ({"n": 0}, "n must be 1 to 64, got 0"),
        ({"power": "peak"}, "power must be 'codeword' or 'average', got 'peak'"),
        ({"snr_db": (9.0, 3.0)}, "snr_db must be a finite"),
        ({"snr_db": (float("nan"), 3.0)}, "snr_db must be a finite"),
        ({"message_cost": -1.0}, "message_cost must be 0 or more"),
        ({"channel": "string"}, "channel must be one of awgn, rayleigh, got 'string'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
    ],
)
def test_impossible_plans_are_refused(change, message):
    with pytest.raises(TrainingError, match=message):
        replace(SMALL, **change)


def test_rayleigh_training_spreads_each_message_over_its_uses():
    """With one gain a codeword there is no diversity to win, but the training must run and still learn."""
    model, curve = train(replace(SMALL, channel="rayleigh"))
    assert np.mean(curve[-10:]) < 0.6 * np.mean(curve[:10])
    codec = export(model, name="x", codec_id=100)
    assert message_errors(codec, 8.0, codec.demap)[0] < 0.1


def test_twelve_bits_can_be_trained():
    model, _ = train(replace(SMALL, k=12, n=8, steps=3))
    codec = export(model, name="x", codec_id=100)
    assert codec.codebook.shape == (4096, 8)
    assert np.array_equal(codec.demap(codec.encode(np.arange(4096))), np.arange(4096))


def test_a_trained_file_goes_straight_into_a_link(tmp_path):
    from phy.errors import CodecError
    from phy.link import Link

    path = train_codec(4, 4, out=tmp_path / "mine.npz", snr_db=(4, 10), steps=60, codec_id=101)
    link = Link(codec=str(path))
    sent = link.transmitter().send(b"head", b"body" * 50, k_digest=bytes(8))
    samples = sent.through(link.channel_at(20, 1))
    stranger = Link().receiver().receive(samples)  # sending taught it nothing
    assert stranger.best().bodies == () and stranger.refusals["unknown_codec"] > 0
    assert link.receiver().receive(samples).best().body == b"body" * 50
    clash = train_codec(4, 4, out=tmp_path / "clash.npz", steps=1, codec_id=18)
    with pytest.raises(CodecError, match="id 18 belongs to the shipped 'image8x4'"):
        Link(codec=str(clash))


def test_foreign_checkpoints_and_places_are_refused(tmp_path):
    checkpoint = tmp_path / "state"
    train(replace(SMALL, steps=5), checkpoint=checkpoint)
    with pytest.raises(TrainingError, match="belongs to other settings"):
        train(replace(SMALL, steps=6), checkpoint=checkpoint, resume=True)
    checkpoint.write_bytes(b"not a checkpoint at all")
    with pytest.raises(TrainingError, match="cannot be read"):
        train(replace(SMALL, steps=5), checkpoint=checkpoint, resume=True)
    with pytest.raises(OutputError, match=r"ends in \.npz"):
        train_codec(3, 2, out=tmp_path / "mine.bin")
    with pytest.raises(OutputError, match="create it first"):
        train_codec(3, 2, out=tmp_path / "nowhere" / "mine.npz")
