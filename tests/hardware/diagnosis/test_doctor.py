"""The doctor names the right stage for each fault, on samples that are made here."""

import numpy as np
import pytest

from hardware.diagnosis import doctor, sight
from hardware.diagnosis.train import FAULTS, known_train
from phy.channel.impairments import Impairments, clip, noise_variance, white_noise

RATE, FREQUENCY = 1e6, 433.92e6
_NOISE = noise_variance(20.0, 2, 0.5)
_RNG = np.random.default_rng(7)


def heard(train, *, gain=0.25, snr_db=20.0, **impairments):
    """(capture, background): the train behind silence, impaired, at a level that fits full scale."""
    rng = np.random.default_rng(3)
    iq = np.concatenate([np.zeros(5000, np.complex64), train.iq, np.zeros(5000, np.complex64)])
    noise = noise_variance(snr_db, 2, 0.5)
    capture = Impairments(noise=noise, **impairments).apply(iq, rng)
    background = white_noise(np.zeros(100_000, np.complex64), noise, rng)
    return gain * capture, gain * background


def diagnose(train, capture, background, **more):
    return doctor.diagnose(capture, background, train, sample_rate=RATE, frequency=FREQUENCY, **more)


@pytest.fixture(scope="module")
def train():
    return known_train()


def test_a_healthy_link_passes_every_stage(train):
    told = diagnose(train, *heard(train, cfo=0.1, clock_ppm=20.0))
    assert told.verdict == "healthy"
    assert [stage.name for stage in told.stages] == list(doctor.STAGES)
    assert all(stage.ok for stage in told.stages)
    measures = told.measures
    assert measures["frames_good"] == measures["frames_sent"] == train.frames
    assert measures["snr_db"] == pytest.approx(20, abs=1)
    assert measures["cfo"] == pytest.approx(0.1, abs=1e-3)
    assert measures["clock_ppm"] == pytest.approx(20, abs=3)
    assert measures["carrier_ppm"] == pytest.approx(0.1 * RATE / (2 * np.pi) / FREQUENCY * 1e6, rel=0.02)


def faulty(name, train):
    """(capture, background, what the radio counted) with one thing wrong."""
    if name in FAULTS:
        return (*heard(known_train(fault=name)), {})
    if name == "nothing arrives":
        _, background = heard(train)
        return white_noise(np.zeros_like(heard(train)[0]), 0.0625 * _NOISE, _RNG), background, {}
    if name == "far beside the carrier":
        return (*heard(train, cfo=0.9), {})
    if name == "clocks apart":
        return (*heard(train, clock_ppm=600.0), {})
    if name == "overdriven":
        capture, background = heard(train, gain=3.0)
        return clip(capture, 1.0), background, {}
    if name == "clipped before the converter":
        capture, background = heard(train, gain=0.5)
        return clip(capture, 0.3), background, {}
    if name == "silent loss":
        capture, background = heard(train)
        return np.delete(capture, slice(100_000, 101_500)), background, {}
    if name == "weak":
        return (*heard(train, snr_db=1.0), {})
    capture, background = heard(train)
    more = {"overflow": {"gaps": [{"at": 9000, "lost": 400}]}, "underflow": {"counts": {"underflow": 3}},
            "late": {"counts": {"late": 1}}}  # fmt: skip
    return capture, background, more[name]


@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        ("nothing arrives", "energy"),
        ("preamble", "preamble"),
        ("far beside the carrier", "frequency"),
        ("clocks apart", "clock"),
        ("overdriven", "clipping"),
        ("clipped before the converter", "clipping"),
        ("silent loss", "continuity"),
        ("header", "header"),
        ("payload", "payload"),
        ("crc", "crc"),
        ("weak", "payload"),
        ("overflow", "overflow"),
        ("underflow", "transmitter"),
        ("late", "transmitter"),
    ],
)
def test_the_doctor_names_the_stage(train, fault, stage):
    capture, background, more = faulty(fault, train)
    told = diagnose(train, capture, background, **more)
    assert told.verdict == stage, [(one.name, one.ok, one.found) for one in told.stages]
    assert told.failed.advice
    later = told.stages[doctor.STAGES.index(stage) + 1 :]
    assert all(one.ok is None for one in later)


def test_a_gain_that_does_not_follow_is_said_to_be_stuck(train):
    capture, background, _ = faulty("overdriven", train)
    told = diagnose(train, capture, background, gain_follows=False)
    assert told.verdict == "clipping" and "stuck" in told.failed.found
    assert "stuck" not in diagnose(train, capture, background, gain_follows=True).failed.found


def test_noise_alone_never_looks_like_a_signal():
    noise = white_noise(np.zeros(400_000, np.complex64), 1e-3, np.random.default_rng(5))
    told = diagnose(known_train(), noise[:300_000], noise[300_000:])
    assert told.verdict == "energy"
    assert told.measures["preambles"] <= 1


def test_jumps_and_clocks_are_measured():
    starts = np.arange(20) * 10_000
    assert sight.clock_ppm(starts, 10_000) == 0
    assert sight.clock_ppm(np.round(starts * (1 + 150e-6)), 10_000) == pytest.approx(150, abs=6)
    starts[10:] -= 700
    assert sight.jumped(starts, 10_000) == [-700]
    assert sight.clock_ppm(starts[:3], 10_000) is None
