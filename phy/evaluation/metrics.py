"""What a codec is judged by: message error rate, pixel PSNR, required SNR, peak power (numpy and scipy)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from phy.codec.codec import Codec
from phy.errors import CodecError


@dataclass(frozen=True)
class Measured:
    """One simulated point. psnr_db: of messages taken as samples with full scale 2^k - 1, inf where none was wrong."""

    snr_db: float
    messages: int
    errors: int
    psnr_db: float

    @property
    def error_rate(self) -> float:
        """Message error rate."""
        return self.errors / self.messages


def interval95(errors: int, trials: int) -> tuple[float, float]:
    """95 % interval of an error rate (Clopper and Pearson 1934)."""
    low = stats.beta.ppf(0.025, errors, trials - errors + 1) if errors else 0.0
    high = stats.beta.ppf(0.975, errors + 1, trials - errors) if errors < trials else 1.0
    return float(low), float(high)


def awgn(x: np.ndarray, noise_power: float, real: bool, rng: np.random.Generator) -> np.ndarray:
    """x complex64 plus noise of N0 per complex dimension (N0 / 2, on the real axis alone where ``real``)."""
    scale = np.float32(np.sqrt(noise_power / 2))
    if real:
        return (x.real + scale * rng.standard_normal(x.shape, np.float32)).astype(np.complex64)
    noise = rng.standard_normal((*x.shape, 2), np.float32).view(np.complex64)[..., 0]
    return x + scale * noise


def measure(
    codec: Codec, snr_db: float, messages: int, seed: int, demap: Callable[[np.ndarray], np.ndarray] | None = None
) -> Measured:
    """Uniform messages through AWGN at Es/N0 [dB] per channel use, with the ML demapper or another one."""
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 1 << codec.k, messages)
    got = (demap or codec.demap)(awgn(codec.encode(sent), 10 ** (-snr_db / 10), codec.real, rng))
    squared = float(np.mean((got.astype(np.int64) - sent) ** 2))
    scale = (1 << codec.k) - 1
    psnr = 10 * math.log10(scale**2 / squared) if squared else math.inf
    return Measured(snr_db, messages, int(np.count_nonzero(got != sent)), psnr)


def snr_at_error_rate(codec: Codec, rate: float, *, messages: int = 100_000, seed: int = 1) -> float:
    """Es/N0 [dB] at which the message error rate is ``rate``; the same noise at every SNR."""
    if not 0 < rate < 1 - 2.0**-codec.k:
        raise CodecError(f"rate must be between 0 and {1 - 2.0**-codec.k:.4f}, got {rate}")
    return float(optimize.brentq(lambda e: measure(codec, e, messages, seed).error_rate - rate, -20, 40, xtol=0.01))


def papr_db(samples: np.ndarray) -> float:
    """Peak over mean power [dB] of complex samples."""
    power = np.abs(samples) ** 2
    return float(10 * np.log10(power.max() / power.mean()))
