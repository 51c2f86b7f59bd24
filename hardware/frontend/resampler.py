"""Polyphase resampler for streams: from the rate that was recorded at to the signal's own.

    x at R·f ──(up by P, low-pass, down by Q)──► y at f,   R = Q / P

The filter passes the signal and its frequency offset (0.4 f) and is 80 dB down from where its images begin. Source:
Crochiere and Rabiner, Multirate Digital Signal Processing, ch. 3 (polyphase structures), Kaiser's design.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import scipy.signal

from hardware.errors import RecordingError

RATIOS = (0.8, 64.0)  # recorded rate / signal's rate
_OCCUPIED = 0.373  # of the signal's rate: half of 0.65, and a frequency offset of 0.3 rad/sample
_DOWN_DB = 80.0
_DENOMINATORS = (2048, 20000)  # the larger where the smaller is more than 10 ppm beside; a receiver takes 200
_AT_ONCE = 1 << 15  # [samples] put out at once


def checked_ratio(recorded: float, signal: float) -> Fraction:
    """recorded / signal as a fraction.

    Raises:
        RecordingError: The recording cannot hold the signal, or is absurdly wide.
    """
    ratio = recorded / signal
    if not RATIOS[0] <= ratio <= RATIOS[1]:
        raise RecordingError(
            f"a recording at {recorded:g} samples/s cannot be one of a signal at {signal:g}: their ratio must be "
            f"{RATIOS[0]:g} to {RATIOS[1]:g}; got {ratio:.4g} (--sample-rate and --signal-rate say them)"
        )
    near = [Fraction(ratio).limit_denominator(most) for most in _DENOMINATORS]
    return next((one for one in near if abs(float(one) / ratio - 1) < 1e-5), near[-1])


class Resampler:
    """ratio: input rate / output rate, as ``checked_ratio`` gives it. Outputs are aligned with the inputs: output n
    belongs to input n · ratio."""

    def __init__(self, ratio: Fraction) -> None:
        self.up, self.down = ratio.denominator, ratio.numerator
        wide = max(float(ratio), 1.0)
        passes = _OCCUPIED if ratio < 1 else 0.4
        stops = float(ratio) - _OCCUPIED if ratio < 1 else 0.6
        width = 2 * math.pi * (stops - passes) / float(ratio)  # [rad/input sample]
        taps = math.ceil((_DOWN_DB - 7.95) / (2.285 * width)) * self.up  # Kaiser's formula
        half = -(-taps // (2 * self.down)) * self.down  # whole outputs, so that they can be aligned
        self._filter = self.up * scipy.signal.firwin(
            2 * half + 1,
            (passes + stops) / float(ratio) / self.up,
            window=("kaiser", scipy.signal.kaiser_beta(_DOWN_DB)),
        ).astype(np.float32)
        self._late = half // self.down  # outputs by which the filter is behind
        self._skip = self._late
        reach = -(-(2 * half + 1) // self.up)
        self._past = np.zeros(-(-reach // self.down) * self.down, np.complex64)  # inputs that later outputs need
        self._chunk = max(1, round(_AT_ONCE * min(wide, 16.0)) // self.down) * self.down
        self._waiting = np.empty(0, np.complex64)

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """[N] complex64 to pieces of the output, [at most some 40,000] complex64 each."""
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= self._chunk:
            part, self._waiting = self._waiting[: self._chunk], self._waiting[self._chunk :]
            yield self._outputs(part)

    def finish(self) -> Iterator[np.ndarray]:
        """What the last inputs still have to give."""
        rest = len(self._waiting)
        outputs = -(-rest * self.up // self.down) + self._late  # the filter's tail included
        padded = np.zeros(-(-outputs // self.up) * self.down, np.complex64)
        padded[:rest] = self._waiting
        self._waiting = np.empty(0, np.complex64)
        for first in range(0, len(padded), self._chunk):
            yield self._outputs(padded[first : first + self._chunk])

    def _outputs(self, part: np.ndarray) -> np.ndarray:
        """Of inputs whose number is a multiple of ``down``: each such piece begins at the filter's first phase."""
        held = np.concatenate([self._past, part])
        parts = held.view(np.float32).reshape(-1, 2)
        made = scipy.signal.upfirdn(self._filter, parts, self.up, self.down, axis=0)
        first = len(self._past) // self.down * self.up
        out = (
            np.ascontiguousarray(made[first : first + len(part) // self.down * self.up]).view(np.complex64).reshape(-1)
        )
        self._past = held[len(held) - len(self._past) :]
        skip = min(self._skip, len(out))
        self._skip -= skip
        return out[skip:]
