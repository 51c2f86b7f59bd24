"""Resampler: tones keep their frequency and size, images go, cuts do not matter."""

import numpy as np
import pytest

from hardware.errors import RecordingError
from hardware.frontend.resampler import Resampler, checked_ratio


def through(samples, ratio, cuts=(65536,)):
    resampler, out, at, turn = Resampler(checked_ratio(ratio * 1e6, 1e6)), [], 0, 0
    while at < len(samples):
        step = cuts[turn % len(cuts)]
        out += list(resampler.push(samples[at : at + step]))
        at, turn = at + step, turn + 1
    return np.concatenate([*out, *resampler.finish()])


def tone(frequency, ratio, count=60_000):
    """frequency: in cycles per sample of the output."""
    return np.exp(2j * np.pi * frequency / ratio * np.arange(round(count * ratio))).astype(np.complex64)


@pytest.mark.parametrize("ratio", [0.8, 0.9, 1.024, 1.25, 2.0, 2.4, 3.2, 10.0])
@pytest.mark.parametrize("frequency", [0.0, 0.21, -0.373])
def test_a_tone_of_the_signals_band_passes_in_its_place(ratio, frequency):
    got = through(tone(frequency, ratio), ratio)
    assert 60_000 <= len(got) < 60_300
    wanted = np.exp(2j * np.pi * frequency * np.arange(len(got)))
    assert np.abs(got - wanted)[1000:59_000].max() < 1e-3


@pytest.mark.parametrize(("ratio", "frequency"), [(2.0, 0.65), (2.4, -0.9), (10.0, 3.7), (1.25, 0.61)])
def test_what_would_fall_into_the_band_is_80_db_down(ratio, frequency):
    assert np.abs(through(tone(frequency, ratio), ratio)[1000:59_000]).max() < 2e-4


def test_cuts_do_not_matter():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(400_000, np.float32).view(np.complex64)
    first = through(samples, 2.4)
    assert np.array_equal(first, through(samples, 2.4, (1, 70_000, 333)))


def test_the_end_comes_out():
    got = through(np.concatenate([np.zeros(9999, np.complex64), np.full(1, 1, np.complex64)]), 2.0)
    assert np.abs(got).argmax() in (4999, 5000)


@pytest.mark.parametrize("recorded", [0.79e6, 65e6, 1e3])
def test_a_rate_that_cannot_be_is_refused(recorded):
    with pytest.raises(RecordingError, match=r"their ratio must be 0.8 to 64; got"):
        checked_ratio(recorded, 1e6)


@pytest.mark.parametrize("ratio", [1.0, 1.00003, 1.0007, 2.048, np.pi, 63.99])
def test_fractions_are_near_enough(ratio):
    assert float(checked_ratio(ratio * 1e6, 1e6)) == pytest.approx(ratio, rel=3e-5)
