"""Numbers for GNU Radio's channel model, in the project's units."""

from __future__ import annotations

import math

import numpy as np

from phy.channel.impairments import multipath


def noise_voltage(snr_db: float) -> float:
    """Noise amplitude of ``channels.channel_model`` for Es/N0 = snr_db [dB] with unit-energy symbols, as the frame
    encoder sends them: the amplitude is the square root of the variance per complex sample."""
    if not math.isfinite(snr_db):
        raise ValueError(f"snr_db must be finite, got {snr_db}")
    return 10 ** (-snr_db / 20)


def frequency_offset(cfo: float) -> float:
    """cfo [rad/sample] in the channel model's unit [cycles/sample]."""
    return cfo / (2 * math.pi)


def epsilon(clock_ppm: float) -> float:
    """Ratio of the sample clocks in the channel model, 1 + clock_ppm parts in a million."""
    return 1 + clock_ppm * 1e-6


def random_delay(seed: int) -> float:
    """A delay in [0, 1) sample, the same for the same seed."""
    return float(np.random.default_rng(seed).random())


def taps(delay: float, echoes: tuple[tuple[complex, float], ...] = ()) -> list[complex]:
    """Taps of a path of unit gain and ``delay`` samples (may be fractional) and echoes (gain, delay [samples]) behind
    it, 16 samples of filter before the first path included; scaled to unit energy."""
    gains = np.array([1.0, *(gain for gain, _ in echoes)], complex)
    delays = np.array([delay, *(delay + after for _, after in echoes)]) + 16
    impulse = multipath(np.array([1.0]), gains, delays)
    return [complex(tap) for tap in impulse / np.sqrt(np.sum(np.abs(impulse) ** 2))]
