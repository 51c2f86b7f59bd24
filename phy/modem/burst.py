"""Burst modem, transmit side and the layout of a burst: frame symbols to IQ samples.

    header, payload symbols [F, B] ──a pilot after every 31──► body ──preamble in front──► burst symbols [F, L]
        ──root-raised-cosine──► samples [F, (L - 1) sps + 2 span sps + 1] ──power limit──► IQ

Channel uses count everything: preamble, header, pilots, payload. SNR is Es/N0 at the matched filter's output.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phy.errors import PhyError
from phy.modem.preamble import Preamble, pilot_symbols
from phy.modem.pulse import Pulse


class BurstError(PhyError):
    """A burst that cannot be laid out or sent."""


class PowerExceeded(BurstError):
    """Transmit power above P_max, peak or mean, in a transmitter that refuses instead of limiting."""


@dataclass(frozen=True)
class Layout:
    """Where the symbols of a burst are. spacing: symbols from pilot to pilot, 4 to 256."""

    preamble: Preamble = field(default_factory=Preamble)
    pulse: Pulse = field(default_factory=Pulse)
    spacing: int = 32

    def __post_init__(self) -> None:
        if not (isinstance(self.spacing, int) and 4 <= self.spacing <= 256):
            raise BurstError(f"spacing must be an integer from 4 to 256 symbols, got {self.spacing!r}")

    def data_positions(self, count: int) -> np.ndarray:
        """Places of ``count`` header and payload symbols in the burst, [count] int64."""
        index = np.arange(count, dtype=np.int64)
        return len(self.preamble) + index + index // (self.spacing - 1)

    def num_pilots(self, count: int) -> int:
        """Pilots among ``count`` header and payload symbols; the burst ends with one."""
        return -(-count // (self.spacing - 1))

    def pilot_positions(self, count: int) -> np.ndarray:
        """[num_pilots] int64: after every spacing - 1 data symbols, and at the end."""
        full = np.arange(1, self.num_pilots(count) + 1, dtype=np.int64) * self.spacing - 1
        return len(self.preamble) + np.minimum(full, count + self.num_pilots(count) - 1)

    def num_symbols(self, count: int) -> int:
        """Channel uses of a burst that carries ``count`` header and payload symbols."""
        return len(self.preamble) + count + self.num_pilots(count)

    def num_samples(self, count: int) -> int:
        """Samples of that burst, both tails included."""
        return self.pulse.num_samples(self.num_symbols(count))

    def assemble(self, data: np.ndarray) -> np.ndarray:
        """Header and payload symbols [F, B] to burst symbols [F, num_symbols(B)] complex64."""
        data = np.asarray(data, np.complex64)
        if data.ndim != 2 or data.shape[1] < 1:
            raise BurstError(f"data must be [F, B] with B >= 1, got shape {list(data.shape)}")
        count = data.shape[1]
        out = np.empty((len(data), self.num_symbols(count)), np.complex64)
        out[:, : len(self.preamble)] = self.preamble.symbols
        out[:, self.data_positions(count)] = data
        out[:, self.pilot_positions(count)] = pilot_symbols(self.num_pilots(count))
        return out


@dataclass(frozen=True)
class PowerLimit:
    """Constraint (9) of the paper, |x|^2 <= P_max, on samples: peak and mean power, both linear.

    action: ``refuse`` raises PowerExceeded; ``scale`` turns a burst down until both limits hold (its SNR falls with
    it); ``clip`` limits only the peaks (which adds distortion) and then scales to the mean.
    """

    peak: float = np.inf
    mean: float = np.inf
    action: str = "refuse"

    def __post_init__(self) -> None:
        if not (self.peak > 0 and self.mean > 0):
            raise BurstError(f"power limits must be positive, got peak {self.peak} and mean {self.mean}")
        if self.action not in ("refuse", "scale", "clip"):
            raise BurstError(f"action must be refuse, scale or clip, got {self.action!r}")

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """samples [F, S] complex64 to the same shape within the limits, each burst by itself."""
        power = samples.real**2 + samples.imag**2
        peak, mean = power.max(axis=1), power.mean(axis=1)
        slack = 1 + 1e-5  # rounding of float32
        over = (peak > self.peak * slack) | (mean > self.mean * slack)
        if not over.any():
            return samples
        worst = int(np.argmax(np.maximum(peak / self.peak, mean / self.mean)))
        if self.action == "refuse":
            raise PowerExceeded(
                f"burst {worst} has peak power {peak[worst]:.4g} and mean {mean[worst]:.4g}, "
                f"allowed are {self.peak:.4g} and {self.mean:.4g}: lower the amplitude or raise P_max"
            )
        if self.action == "clip":
            samples = samples * np.minimum(1, np.sqrt(self.peak / np.maximum(power, 1e-30))).astype(np.float32)
            peak, mean = np.minimum(peak, self.peak), np.mean(samples.real**2 + samples.imag**2, axis=1)
        room = np.minimum(self.peak / np.maximum(peak, 1e-30), self.mean / np.maximum(mean, 1e-30))
        scale = np.sqrt(np.minimum(1, room))
        return samples * scale[:, None].astype(np.float32)


@dataclass(frozen=True)
class BurstTransmitter:
    """Header and payload symbols of frames to IQ. gap: zeros after every burst [samples]; amplitude: of unit-energy
    symbols."""

    layout: Layout = field(default_factory=Layout)
    gap: int = 0
    amplitude: float = 1.0
    limit: PowerLimit = field(default_factory=PowerLimit)

    def __post_init__(self) -> None:
        if self.gap < 0 or not 0 < self.amplitude < np.inf:
            raise BurstError(f"gap must be >= 0 and amplitude positive, got {self.gap} and {self.amplitude}")

    def bursts(self, data: np.ndarray) -> np.ndarray:
        """data [F, B] complex64 to bursts [F, num_samples(B) + gap] complex64; silence is not counted in the mean
        power."""
        shaped = self.layout.pulse.shape(self.layout.assemble(data)) * np.float32(self.amplitude)
        limited = self.limit.apply(shaped)
        if self.gap == 0:
            return limited
        return np.concatenate([limited, np.zeros((len(limited), self.gap), np.complex64)], axis=1)

    def stream(self, data: np.ndarray) -> np.ndarray:
        """data [F, B] to one stretch of samples [F (num_samples(B) + gap)] complex64, frames back to back."""
        return self.bursts(data).reshape(-1)
