"""Pulse: Nyquist, unit power, bandwidth."""

import numpy as np
import pytest

from phy.modem.pulse import Pulse, PulseError, occupied_bandwidth, papr_db, root_raised_cosine


@pytest.mark.parametrize("sps", [2, 3, 4])
def test_matched_filter_output_is_free_of_interference(sps):
    pulse = Pulse(sps, 0.3, 8)
    symbols = np.exp(1j * np.pi / 2 * np.random.default_rng(1).integers(0, 4, (2, 600)))
    samples = pulse.shape(symbols)
    assert samples.shape == (2, pulse.num_samples(600)) and samples.dtype == np.complex64
    for row, sent in zip(samples, symbols, strict=True):
        matched = np.convolve(row, pulse.taps) / sps
        received = matched[2 * pulse.delay :: sps][:600]
        assert np.mean(np.abs(received - sent) ** 2) < 1e-4  # -40 dB: what cutting the pulse at 8 symbols leaves


def test_shaped_symbols_have_unit_power():
    symbols = np.exp(1j * np.pi / 2 * np.random.default_rng(2).integers(0, 4, 20000))
    assert np.mean(np.abs(Pulse().shape(symbols)) ** 2) == pytest.approx(1, abs=0.01)


def test_the_pulse_where_its_formula_divides_by_zero():
    rolloff = 0.25
    near = root_raised_cosine(np.array([1e-6, 1.0 + 1e-6]), rolloff)
    assert root_raised_cosine(np.array([0.0, 1.0]), rolloff) == pytest.approx(near, abs=1e-5)


def test_spectrum_is_that_of_the_taps():
    pulse = Pulse(2, 0.3, 6)
    direct = np.exp(-2j * np.pi * np.outer(np.arange(64) / 64, np.arange(-12, 13))) @ pulse.taps
    assert pulse.spectrum(64) == pytest.approx(direct, abs=1e-4)


def test_occupied_bandwidth_of_known_signals():
    rng = np.random.default_rng(3)
    white = rng.standard_normal(1 << 16) + 1j * rng.standard_normal(1 << 16)
    assert occupied_bandwidth(white) == pytest.approx(0.99, abs=0.005)
    shaped = Pulse(2, 0.3, 8).shape(np.exp(1j * np.pi / 2 * rng.integers(0, 4, 20000)))
    assert 0.5 < occupied_bandwidth(shaped) < 0.65  # between 1/T and (1 + beta)/T


def test_papr_of_known_signals():
    assert papr_db(np.exp(1j * np.arange(100))) == pytest.approx(0, abs=1e-9)
    assert papr_db(np.array([1.0, 0, 0, 0])) == pytest.approx(10 * np.log10(4))


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((1,), "sps must be"),
        ((2.5,), "sps must be"),
        ((2, 0.0), "rolloff must be"),
        ((2, 0.3, 2), "span must be"),
    ],
)
def test_impossible_pulses(arguments, said):
    with pytest.raises(PulseError, match=said):
        Pulse(*arguments)


def test_impossible_arguments():
    with pytest.raises(PulseError, match="symbols must be"):
        Pulse().shape(np.empty(0))
    with pytest.raises(PulseError, match="size must be at least"):
        Pulse().spectrum(8)
    with pytest.raises(PulseError, match="samples must be"):
        occupied_bandwidth(np.ones(10))
    with pytest.raises(PulseError, match="fraction must be"):
        occupied_bandwidth(np.ones(2000), 1.0)
    with pytest.raises(PulseError, match="some power"):
        papr_db(np.zeros(4))
