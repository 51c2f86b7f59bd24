"""Preamble and pilots: the known symbols of a burst.

    preamble = [ up-chirp, half symbols | down-chirp, half symbols ]      then body with one pilot every ``spacing``
    symbols

Each half is a Zadoff-Chu sequence of root +1 and -1 (Chu, IEEE Trans. Inf. Theory 18 (1972) 531): constant modulus,
flat spectrum, low peak power after shaping. A frequency offset moves the correlation peak of a chirp instead of
destroying it: w rad/symbol moves the up-chirp's peak by -w half / 2 pi symbols and the down-chirp's by the opposite.
One correlator therefore detects over the whole range of frequency offsets, and the distance between the two peaks is
the offset.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from phy.errors import PhyError
from phy.modem.pulse import Pulse


class PreambleError(PhyError):
    """A preamble or pilot pattern that cannot be built."""


@dataclass(frozen=True)
class Preamble:
    """half: symbols of each chirp, even, 16 to 256."""

    half: int = 32
    symbols: np.ndarray = field(init=False, repr=False, compare=False)  # [2 half] complex64, modulus 1

    def __post_init__(self) -> None:
        if not (isinstance(self.half, int) and 16 <= self.half <= 256 and self.half % 2 == 0):
            raise PreambleError(f"half must be an even number of symbols from 16 to 256, got {self.half!r}")
        up = chirp(self.half)
        symbols = np.concatenate([up, up.conj()]).astype(np.complex64)
        symbols.flags.writeable = False
        object.__setattr__(self, "symbols", symbols)

    def __len__(self) -> int:
        return 2 * self.half

    def chirp_template(self, pulse: Pulse, down: bool = False) -> np.ndarray:
        """Shaped chirp, peak of its first symbol at index ``pulse.delay``: [num_samples(half)] complex64."""
        return pulse.shape(self.symbols[self.half :] if down else self.symbols[: self.half])

    def template(self, pulse: Pulse) -> np.ndarray:
        """Shaped preamble, peak of its first symbol at index ``pulse.delay``: [num_samples(2 half)] complex64."""
        return pulse.shape(self.symbols)


def chirp(length: int) -> np.ndarray:
    """Zadoff-Chu sequence of even length and root 1, frequency rising from -pi to pi rad/symbol: [length]
    complex128."""
    n = np.arange(length) - length / 2 + 0.5
    return np.exp(1j * np.pi * n**2 / length)


@functools.lru_cache(maxsize=64)
def pilot_symbols(count: int) -> np.ndarray:
    """The first ``count`` pilots: QPSK from a multiplicative hash of the position, [count] complex64, modulus 1."""
    if count < 0:
        raise PreambleError(f"count must not be negative, got {count}")
    state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(29))) * np.uint64(0xD6E8FEB86659FD93)
    quadrant = ((state ^ (state >> np.uint64(32))) & np.uint64(3)).astype(np.int64)
    pilots = np.exp(1j * (np.pi / 4 + np.pi / 2 * quadrant)).astype(np.complex64)
    pilots.flags.writeable = False  # shared by all callers
    return pilots
