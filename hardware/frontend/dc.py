"""DC blocker: takes off what a receiver's own mixer puts in the middle of its band.

    x[n] ──► y[n] = x[n] - m[n],   m[n + 1] = m[n] + a (x[n] - m[n])

A first-order notch (Lyons, Understanding Digital Signal Processing, 3rd ed., sec. 13.23), 3 dB wide at a / 2π of the
sample rate: of a signal that fills 0.65 of it, it takes 10 log10(a / 2) = -45 dB.
"""

from __future__ import annotations

import numpy as np
import scipy.signal

MODES = ("auto", "yes", "no")
_STEP = 1 / 16384
_LOUD = 10 ** (-15 / 10)  # share of the rest's power from which on "auto" removes it; below, a frame does not feel it
_SURE = 60  # times the power that the mean of a block of white noise has


class DcBlocker:
    """mode: "yes", "no", or "auto": from the first block on whose mean is loud."""

    def __init__(self, mode: str = "auto") -> None:
        self.mode = mode
        self.level: complex | None = None  # what is taken off; None: nothing is
        self._state: np.ndarray | None = None
        self.loudest_db: float | None = None  # [dB] of the DC against the rest of its block, where it was loudest
        self.loudest_dbfs: float | None = None

    @property
    def removing(self) -> bool:
        return self._state is not None

    def push(self, samples: np.ndarray) -> np.ndarray:
        """[N] complex64 to [N] complex64; the input itself where nothing is to be taken off."""
        if self.mode == "no" or len(samples) == 0:
            return samples
        mean = complex(samples.mean(dtype=np.complex128))
        dc = abs(mean) ** 2
        rest = max(float(np.vdot(samples, samples).real) / len(samples) - dc, 1e-30)
        sure = dc > max(_LOUD, _SURE / len(samples)) * rest and dc > 1e-12
        if self._state is None:
            if not sure and self.mode == "auto":
                return samples
            self._state = np.array([-mean * (1 - _STEP)], np.complex128)
        if sure and (self.loudest_db is None or 10 * np.log10(dc / rest) > self.loudest_db):
            self.loudest_db = round(float(10 * np.log10(dc / rest)), 1)
            self.loudest_dbfs = round(float(10 * np.log10(dc)), 1)
        # the same filter as above in one piece: y[n] = (1 - a) y[n - 1] + x[n] - x[n - 1]
        out, self._state = scipy.signal.lfilter(_NUMERATOR, _DENOMINATOR, samples.astype(np.complex128), zi=self._state)
        return out.astype(np.complex64)


_NUMERATOR = np.array([1.0, -1.0])
_DENOMINATOR = np.array([1.0, -(1.0 - _STEP)])
