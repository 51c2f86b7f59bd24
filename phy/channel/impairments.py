"""What radios and cables do to a signal, on samples (numpy): used in memory, in GNU Radio and by the virtual radio.

Every function takes samples [N] complex and returns complex64; nothing is changed in place, randomness comes in as a
generator. ``Impairments`` applies several in the order in which a signal meets them:

    x ──IQ imbalance──DC──clip── (transmitter) ──delay, clock──frequency──phase noise──gain steps──noise──drops,
    repeats──► y
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phy.errors import ChannelError

_SIDE = 16  # samples on either side of the resampling kernel
_PHASES = 1024  # tabulated fractional positions, linear interpolation between them
_CHUNK = 1 << 16


def _samples(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 1:
        raise ChannelError(f"samples must be [N], got shape {list(x.shape)}")
    return x.astype(np.complex64, copy=False)


def frequency_offset(x: np.ndarray, cfo: float, phase: float = 0.0) -> np.ndarray:
    """x[n] exp(j (cfo n + phase)); cfo: [rad/sample], phase: [rad]. The phase is kept in double precision."""
    x = _samples(x)
    return x * np.exp(1j * np.mod(cfo * np.arange(len(x)) + phase, 2 * np.pi)).astype(np.complex64)


def _kernel_table() -> np.ndarray:
    """[_PHASES + 1, 2 _SIDE] float32: Kaiser-windowed sinc (beta 9, pass band to 0.42 cycles/sample) per fractional
    delay."""
    taps = np.arange(2 * _SIDE) - _SIDE + 1
    apart = np.arange(_PHASES + 1)[:, None] / _PHASES - taps[None, :]
    window = np.i0(9 * np.sqrt(np.clip(1 - (apart / _SIDE) ** 2, 0, 1))) / np.i0(9)
    kernel = np.sinc(apart) * window
    return (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)


_KERNEL = _kernel_table()


def interpolate(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values of the band-limited signal x [N] at positions ``at`` [M] (in samples, ascending, float64): [M]
    complex64."""
    x = _samples(x)
    padded = np.concatenate([np.zeros(2 * _SIDE, np.complex64), x, np.zeros(2 * _SIDE, np.complex64)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SIDE)
    out = np.zeros(len(at), np.complex64)
    for begin in range(0, len(at), _CHUNK):
        place = np.asarray(at[begin : begin + _CHUNK], np.float64)
        whole = np.floor(place).astype(np.int64)
        phase, share = np.divmod((place - whole) * _PHASES, 1.0)
        row = phase.astype(np.int64)
        share = share.astype(np.float32)[:, None]
        kernel = _KERNEL[row] * (1 - share) + _KERNEL[np.minimum(row + 1, _PHASES)] * share
        start = whole + _SIDE + 1
        inside = (start >= 0) & (start < len(windows))
        value = np.einsum("mk,mk->m", windows[np.clip(start, 0, len(windows) - 1)], kernel)
        out[begin : begin + _CHUNK] = np.where(inside, value, 0)
    return out


def clock_offset(x: np.ndarray, ppm: float, delay: float = 0.0) -> np.ndarray:
    """Resample as a receiver does whose sample period is shorter by ppm parts in a million: y[m] = x(m (1 - ppm 1e-6) -
    delay).

    delay: [samples], may be fractional. A transmitter whose period is longer by ppm gives the same samples. The output
    holds as many samples as fit, about N (1 + ppm 1e-6) + delay.
    """
    x = _samples(x)
    if not (abs(ppm) < 1e5 and np.isfinite(delay)):
        raise ChannelError(f"ppm must be below 100000 in magnitude and delay finite, got {ppm} and {delay}")
    step = 1 - ppm * 1e-6
    count = max(0, int(np.ceil((len(x) + delay) / step)))
    return interpolate(x, np.arange(count) * step - delay)


def phase_noise(x: np.ndarray, linewidth: float, rng: np.random.Generator) -> np.ndarray:
    """Random-walk phase of an oscillator; linewidth: full width at half power of its line [cycles/sample].

    The phase's increments have variance 2 pi linewidth (Demir, Mehrotra, Roychowdhury, IEEE Trans. CAS-I 47 (2000)
    655).
    """
    x = _samples(x)
    if not 0 <= linewidth < 0.1:
        raise ChannelError(f"linewidth must be 0 to 0.1 cycles/sample, got {linewidth}")
    walk = np.cumsum(rng.standard_normal(len(x)) * np.sqrt(2 * np.pi * linewidth))
    return x * np.exp(1j * walk).astype(np.complex64)


def iq_imbalance(x: np.ndarray, gain_db: float, phase_deg: float) -> np.ndarray:
    """y = mu x + nu x*, mu = (1 + g e^{j p}) / 2, nu = (1 - g e^{j p}) / 2: the Q branch has gain g and is p out of
    square."""
    x = _samples(x)
    skew = 10 ** (gain_db / 20) * np.exp(1j * np.deg2rad(phase_deg))
    return ((1 + skew) / 2 * x + (1 - skew) / 2 * x.conj()).astype(np.complex64)


def dc_offset(x: np.ndarray, offset: complex) -> np.ndarray:
    """Add a constant."""
    return _samples(x) + np.complex64(offset)


def gain_steps(x: np.ndarray, positions: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """Gain ``gains_db[i]`` in dB from sample ``positions[i]`` on (ascending), 0 dB before: an AGC that steps."""
    x = _samples(x)
    positions, gains_db = np.asarray(positions, np.int64), np.asarray(gains_db, float)
    if positions.shape != gains_db.shape or positions.ndim != 1 or np.any(np.diff(positions) < 0):
        raise ChannelError("positions and gains_db must be [S] each, positions ascending")
    gain = np.concatenate([[1.0], 10 ** (gains_db / 20)])
    return x * gain[np.searchsorted(positions, np.arange(len(x)), side="right")].astype(np.float32)


def clip(x: np.ndarray, level: float) -> np.ndarray:
    """Saturate real and imaginary part at +-level, as a converter does."""
    if not level > 0:
        raise ChannelError(f"level must be positive, got {level}")
    x = _samples(x)
    return (np.clip(x.real, -level, level) + 1j * np.clip(x.imag, -level, level)).astype(np.complex64)


def drop_samples(x: np.ndarray, position: int, count: int) -> np.ndarray:
    """Remove ``count`` samples from ``position`` on: an overflow."""
    x = _samples(x)
    if not (0 <= position <= len(x) and count >= 0):
        raise ChannelError(f"position must be 0 to {len(x)} and count >= 0, got {position} and {count}")
    return np.concatenate([x[:position], x[position + count :]])


def repeat_samples(x: np.ndarray, position: int, count: int) -> np.ndarray:
    """Send the ``count`` samples before ``position`` twice: a buffer handed over again."""
    x = _samples(x)
    if not (0 <= count <= position <= len(x)):
        raise ChannelError(f"need 0 <= count <= position <= {len(x)}, got {count} and {position}")
    return np.concatenate([x[:position], x[position - count : position], x[position:]])


def multipath(x: np.ndarray, gains: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """Static paths: sum of gains[l] (complex) times x delayed by delays[l] >= 0 [samples, may be fractional].

    The output is longer than x by the largest delay (rounded up) plus 16, where it has died away.
    """
    x = _samples(x)
    gains, delays = np.asarray(gains, np.complex128), np.asarray(delays, float)
    if gains.shape != delays.shape or gains.ndim != 1 or np.any(delays < 0):
        raise ChannelError("gains and delays must be [P] each, delays not negative")
    span = np.arange(-_SIDE, int(np.ceil(delays.max(initial=0))) + _SIDE + 1)
    apart = span[None, :] - delays[:, None]
    window = np.i0(9 * np.sqrt(np.clip(1 - (apart / _SIDE) ** 2, 0, 1))) / np.i0(9)
    taps = (gains[:, None] * np.sinc(apart) * window * (np.abs(apart) <= _SIDE)).sum(axis=0)
    full = np.convolve(x, taps.astype(np.complex64))
    return full[_SIDE:].astype(np.complex64)


def white_noise(x: np.ndarray, variance: float, rng: np.random.Generator) -> np.ndarray:
    """Add circular Gaussian noise of this variance per complex sample; Es/N0 = sps * P / variance for shaped
    symbols."""
    x = _samples(x)
    if not (np.isfinite(variance) and variance >= 0):
        raise ChannelError(f"variance must be finite and not negative, got {variance}")
    noise = rng.standard_normal(2 * len(x), dtype=np.float32) * np.float32(np.sqrt(variance / 2))
    return x + noise.view(np.complex64)


def noise_variance(snr_db: float, sps: int, power: float = 1.0) -> float:
    """Variance per complex sample that gives Es/N0 = snr_db [dB] at sps samples a symbol and this mean signal power."""
    if not np.isfinite(snr_db):
        raise ChannelError(f"snr_db must be finite, got {snr_db}")
    return float(sps * power / 10 ** (snr_db / 10))


@dataclass(frozen=True)
class Impairments:
    """Settings of a whole radio path; the defaults change nothing. Units as in the functions of the same names."""

    iq_gain_db: float = 0.0
    iq_phase_deg: float = 0.0
    dc: complex = 0.0
    clip_level: float = np.inf
    delay: float = 0.0
    clock_ppm: float = 0.0
    cfo: float = 0.0
    phase: float = 0.0
    linewidth: float = 0.0
    gain_steps: tuple[tuple[int, float], ...] = ()
    noise: float = 0.0
    drops: tuple[tuple[int, int], ...] = ()
    repeats: tuple[tuple[int, int], ...] = ()

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """x [N] complex to [M] complex64; drops and repeats are (position, count) in the samples received."""
        y = _samples(x)
        if self.iq_gain_db or self.iq_phase_deg:
            y = iq_imbalance(y, self.iq_gain_db, self.iq_phase_deg)
        if self.dc:
            y = dc_offset(y, self.dc)
        if self.clip_level < np.inf:
            y = clip(y, self.clip_level)
        if self.delay or self.clock_ppm:
            y = clock_offset(y, self.clock_ppm, self.delay)
        if self.cfo or self.phase:
            y = frequency_offset(y, self.cfo, self.phase)
        if self.linewidth:
            y = phase_noise(y, self.linewidth, rng)
        if self.gain_steps:
            y = gain_steps(y, *(np.array(column) for column in zip(*self.gain_steps, strict=True)))
        if self.noise:
            y = white_noise(y, self.noise, rng)
        for position, count in sorted(self.drops, reverse=True):
            y = drop_samples(y, min(position, len(y)), count)
        for position, count in sorted(self.repeats, reverse=True):
            y = repeat_samples(y, min(position, len(y)), count)
        return y
