"""Impairments: an impulse, a sine or a statistic for each."""

import numpy as np
import pytest

from phy.channel import impairments as im
from phy.errors import ChannelError


def sine(frequency, count):
    return np.exp(2j * np.pi * frequency * np.arange(count)).astype(np.complex64)


def test_frequency_offset_moves_a_sine_and_keeps_its_phase_for_long():
    x = im.frequency_offset(np.ones(3_000_000), 0.3, 0.5)
    assert x[0] == pytest.approx(np.exp(0.5j), abs=1e-6)
    assert x[-1] == pytest.approx(np.exp(1j * (0.5 + 0.3 * 2_999_999)), abs=1e-5)


@pytest.mark.parametrize("delay", [0.0, 0.25, 3.5, 7.0])
def test_delay_of_an_impulse_and_of_a_sine(delay):
    x = np.zeros(64, np.complex64)
    x[20] = 1
    assert np.abs(im.clock_offset(x, 0.0, delay)).argmax() in (int(20 + delay), int(20 + delay + 0.5))
    y = im.clock_offset(sine(0.11, 400), 0.0, delay)
    expected = np.exp(2j * np.pi * 0.11 * (np.arange(len(y)) - delay))
    assert np.abs(y - expected)[40:380].max() < 1e-3


@pytest.mark.parametrize("ppm", [200.0, -200.0, 20.0])
def test_clock_offset_stretches_time(ppm):
    x = sine(0.2, 100_000)
    y = im.clock_offset(x, ppm)
    expected = np.exp(2j * np.pi * 0.2 * np.arange(len(y)) * (1 - ppm * 1e-6))
    assert np.abs(y - expected)[50:-80].max() < 2e-3
    assert abs(len(y) - 100_000 * (1 + ppm * 1e-6)) <= 2


def test_phase_noise_walks_as_fast_as_its_linewidth_says():
    linewidth, count = 1e-5, 400_000
    y = im.phase_noise(np.ones(count), linewidth, np.random.default_rng(1))
    steps = np.diff(np.unwrap(np.angle(y)))
    assert np.var(steps) == pytest.approx(2 * np.pi * linewidth, rel=0.02)
    assert np.abs(y) == pytest.approx(np.ones(count), abs=1e-5)


def test_iq_imbalance_makes_the_image_that_it_should():
    y = im.iq_imbalance(sine(1 / 16, 1600), 1.0, 5.0)
    line, image = np.fft.fft(y)[[100, -100]] / 1600
    skew = 10 ** (1 / 20) * np.exp(1j * np.deg2rad(5))
    assert abs(line) == pytest.approx(abs(1 + skew) / 2, rel=1e-4)
    assert abs(image) == pytest.approx(abs(1 - skew) / 2, rel=1e-3)


def test_dc_offset_adds_its_constant():
    assert im.dc_offset(np.zeros(3), 0.1 - 0.2j) == pytest.approx(np.full(3, 0.1 - 0.2j))


def test_gain_steps_take_effect_at_their_sample():
    y = im.gain_steps(np.ones(10), np.array([3, 7]), np.array([6.0206, -20.0]))
    assert np.abs(y) == pytest.approx([1, 1, 1, 2, 2, 2, 2, 0.1, 0.1, 0.1], rel=1e-4)


def test_clip_saturates_each_branch():
    assert im.clip(np.array([2 - 3j, 0.5j]), 1.0) == pytest.approx([1 - 1j, 0.5j])


def test_dropped_and_repeated_samples():
    x = np.arange(10)
    assert im.drop_samples(x, 3, 4).real.tolist() == [0, 1, 2, 7, 8, 9]
    assert im.repeat_samples(x, 5, 2).real.tolist() == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8, 9]


def test_multipath_impulse_response():
    x = np.zeros(40, np.complex64)
    x[5] = 1
    y = im.multipath(x, np.array([1.0, 0.5j]), np.array([0.0, 3.0]))
    assert y[5] == pytest.approx(1, abs=1e-5) and y[8] == pytest.approx(0.5j, abs=1e-5)
    assert np.sum(np.abs(y) ** 2) == pytest.approx(1.25, abs=1e-4)
    late = im.multipath(sine(0.1, 300), np.array([1.0]), np.array([2.5]))
    assert np.abs(late - np.exp(2j * np.pi * 0.1 * (np.arange(len(late)) - 2.5)))[40:280].max() < 2e-3


def test_white_noise_is_white_circular_and_of_its_variance():
    y = im.white_noise(np.zeros(400_000), 0.7, np.random.default_rng(2))
    assert np.mean(np.abs(y) ** 2) == pytest.approx(0.7, rel=0.01)
    assert abs(np.mean(y**2)) < 0.01 and abs(np.mean(y[1:] * y[:-1].conj())) < 0.01
    assert np.mean(np.abs(y) ** 4) == pytest.approx(2 * 0.7**2, rel=0.02)  # Gaussian
    assert im.noise_variance(10.0, 2) == pytest.approx(0.2)


def test_all_together_in_their_order():
    path = im.Impairments(dc=0.5, cfo=np.pi, drops=((2, 1),), repeats=((2, 1),))
    y = path.apply(np.ones(6), np.random.default_rng(0))
    assert y.real == pytest.approx([1.5, -1.5, -1.5, -1.5, 1.5, -1.5], abs=1e-5)
    x = sine(0.05, 50)
    assert np.array_equal(im.Impairments().apply(x, np.random.default_rng(0)), x)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: im.frequency_offset(np.ones((2, 2)), 0.1), r"samples must be \[N\]"),
        (lambda: im.clock_offset(np.ones(4), 2e5), "ppm must be below"),
        (lambda: im.phase_noise(np.ones(4), -1, np.random.default_rng()), "linewidth must be"),
        (lambda: im.gain_steps(np.ones(4), np.array([2, 1]), np.array([0.0, 0.0])), "ascending"),
        (lambda: im.clip(np.ones(4), 0), "level must be positive"),
        (lambda: im.drop_samples(np.ones(4), 5, 1), "position must be"),
        (lambda: im.repeat_samples(np.ones(4), 2, 3), "count <= position"),
        (lambda: im.multipath(np.ones(4), np.ones(1), np.array([-1.0])), "delays not negative"),
        (lambda: im.white_noise(np.ones(4), np.nan, np.random.default_rng()), "variance must be finite"),
        (lambda: im.noise_variance(np.nan, 2), "snr_db must be finite"),
    ],
)
def test_impossible_arguments(call, said):
    with pytest.raises(ChannelError, match=said):
        call()
