"""Pulse shaping: complex symbols to samples, and what the shaped signal occupies (bandwidth, peak power).

    symbols [..., N] ──zero stuffing, root-raised-cosine──► samples [..., (N - 1) sps + 2 span sps + 1]

Symbols of mean energy 1 give samples of mean power 1, so Es/N0 = sps * P / var(noise sample), with white noise over the
whole sampled band; symbol i of a shaped frame peaks at sample ``span * sps + i * sps``.
Source of the pulse: Proakis, Digital Communications, 4th ed., sec. 9.2-1, eq. (9.2-26) and its square root.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.fft
import scipy.signal

from phy.errors import PhyError


class PulseError(PhyError):
    """A pulse that cannot be built: oversampling, roll-off or span out of range."""


@dataclass(frozen=True)
class Pulse:
    """Root-raised-cosine pulse.

    sps: samples per symbol, 2 to 16. rolloff: excess bandwidth beta in (0, 1]. span: symbols on either side, 3 to 32.
    """

    sps: int = 2
    rolloff: float = 0.3
    span: int = 6
    taps: np.ndarray = field(init=False, repr=False, compare=False)  # [2 span sps + 1] float32, sum of squares = sps

    def __post_init__(self) -> None:
        if not (isinstance(self.sps, int) and 2 <= self.sps <= 16):
            raise PulseError(f"sps must be an integer from 2 to 16, got {self.sps!r}")
        if not 0.05 <= self.rolloff <= 1.0:
            raise PulseError(f"rolloff must be 0.05 to 1, got {self.rolloff!r}")
        if not (isinstance(self.span, int) and 3 <= self.span <= 32):
            raise PulseError(f"span must be an integer from 3 to 32 symbols, got {self.span!r}")
        taps = root_raised_cosine(np.arange(-self.span * self.sps, self.span * self.sps + 1) / self.sps, self.rolloff)
        taps *= np.sqrt(self.sps / np.sum(taps**2))
        taps = taps.astype(np.float32)
        taps.flags.writeable = False
        object.__setattr__(self, "taps", taps)

    @property
    def delay(self) -> int:
        """Samples from a shaped frame's first sample to the peak of its first symbol."""
        return self.span * self.sps

    def num_samples(self, num_symbols: int) -> int:
        """Samples of a frame of num_symbols symbols, both tails included."""
        return (num_symbols - 1) * self.sps + len(self.taps)

    def shape(self, symbols: np.ndarray) -> np.ndarray:
        """symbols [..., N] complex to samples [..., num_samples(N)] complex64."""
        symbols = np.asarray(symbols, np.complex64)
        if symbols.ndim < 1 or symbols.shape[-1] == 0:
            raise PulseError(f"symbols must be [..., N] with N >= 1, got shape {list(symbols.shape)}")
        # upfirdn on real and imaginary parts: a real filter on complex64 would be done in complex128
        flat = np.moveaxis(symbols.reshape(-1, symbols.shape[-1]), 0, 1)
        parts = np.concatenate([flat.real, flat.imag], axis=1)
        shaped = scipy.signal.upfirdn(self.taps, parts, up=self.sps, axis=0)[: self.num_samples(symbols.shape[-1])]
        half = flat.shape[1]
        out = np.empty((half, shaped.shape[0]), np.complex64)
        out.real, out.imag = shaped[:, :half].T, shaped[:, half:].T
        return out.reshape(*symbols.shape[:-1], -1)

    def spectrum(self, size: int) -> np.ndarray:
        """[size] complex64: DFT of the pulse with its peak at index 0 (zero phase, so real up to rounding)."""
        if size < len(self.taps):
            raise PulseError(f"size must be at least the pulse's {len(self.taps)} taps, got {size}")
        padded = np.zeros(size)
        padded[: len(self.taps)] = self.taps
        return scipy.fft.fft(np.roll(padded, -self.delay)).astype(np.complex64)


def root_raised_cosine(t: np.ndarray, rolloff: float) -> np.ndarray:
    """Unit-energy root-raised-cosine at times t [symbol periods], any shape, float64."""
    t = np.asarray(t, float)
    b = rolloff
    with np.errstate(divide="ignore", invalid="ignore"):
        g = (np.sin(np.pi * t * (1 - b)) + 4 * b * t * np.cos(np.pi * t * (1 + b))) / (
            np.pi * t * (1 - (4 * b * t) ** 2)
        )
    g = np.where(np.abs(t) < 1e-9, 1 - b + 4 * b / np.pi, g)
    edge = b / np.sqrt(2) * ((1 + 2 / np.pi) * np.sin(np.pi / (4 * b)) + (1 - 2 / np.pi) * np.cos(np.pi / (4 * b)))
    return np.where(np.abs(np.abs(t) - 1 / (4 * b)) < 1e-9, edge, g)


def occupied_bandwidth(samples: np.ndarray, fraction: float = 0.99, nfft: int = 1024) -> float:
    """Bandwidth that holds ``fraction`` of the power [cycles/sample, 0 to 1], equal shares cut off at both edges.

    samples: [N] complex, N >= nfft (Welch periodogram, Hann window).
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or len(samples) < nfft:
        raise PulseError(f"samples must be [N] with N >= {nfft}, got shape {list(samples.shape)}")
    if not 0 < fraction < 1:
        raise PulseError(f"fraction must be in (0, 1), got {fraction}")
    _, psd = scipy.signal.welch(samples, nperseg=nfft, return_onesided=False, detrend=False)
    share = np.cumsum(np.fft.fftshift(psd))
    share /= share[-1]
    low, high = (1 - fraction) / 2, (1 + fraction) / 2
    edges = np.interp([low, high], share, np.arange(1, nfft + 1))
    return float((edges[1] - edges[0]) / nfft)


def papr_db(samples: np.ndarray) -> float:
    """Peak to mean power ratio of samples, any shape [dB]."""
    power = np.abs(np.asarray(samples)) ** 2
    mean = float(power.mean()) if power.size else 0.0
    if mean <= 0:
        raise PulseError("samples must hold some power, got none")
    return float(10 * np.log10(power.max() / mean))
