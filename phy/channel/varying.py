"""A filter whose taps change with every sample: y[n] = sum over j of h[n, j] x[n - j], as Sionna's ApplyTimeChannel.

Segment: taps at knots ──linear in between──► h[n, L]
x, in pieces of any length ──windows [n, L]──► two products a sample, one for the knot before, one after ──► y
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from phy.channel.impulses import MAX_TAPS, ImpulseError, Segment


class VaryingFilter:
    """Applies segments one after the other to a stream, however it is cut: ``load`` one, then filter at most ``left``
    samples with it. ``hold`` goes on with the last response there was (silence where there was none)."""

    def __init__(self) -> None:
        self._history = np.zeros(MAX_TAPS - 1, np.complex64)  # the last input samples
        self._segment: Segment | None = None
        self._at = 0

    @property
    def left(self) -> int:
        """Samples for which the present segment still holds."""
        return 0 if self._segment is None else self._segment.samples - self._at

    @property
    def loaded(self) -> bool:
        """Has there ever been a segment."""
        return self._segment is not None

    def load(self, segment: Segment) -> None:
        """The segment for the samples that follow; the one before must have ended, or is cut short."""
        self._segment, self._at = segment, 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x [n <= left] complex64 to y [n] complex64."""
        if len(x) > self.left:
            raise ImpulseError(f"the segment holds for {self.left} more samples, got {len(x)}")
        assert self._segment is not None
        y = self._filter(self._windows(x), self._segment)
        self._at += len(x)
        return y

    def hold(self, x: np.ndarray) -> np.ndarray:
        """x [n] complex64 through the response that the last segment ended with, [n] complex64."""
        if self._segment is None:
            self._remember(x)
            return np.zeros(len(x), np.complex64)
        segment = self._segment
        return (self._windows(x) @ self._between(segment, min(self._at, segment.samples))).astype(np.complex64)

    def _windows(self, x: np.ndarray) -> np.ndarray:
        """[n, L]: x[n], x[n - 1], ... reversed, latest last; x becomes history."""
        assert self._segment is not None
        length = self._segment.taps.shape[1]
        whole = np.concatenate([self._history[len(self._history) - (length - 1) :], x])
        self._remember(x)
        return sliding_window_view(whole, length)

    def _remember(self, x: np.ndarray) -> None:
        keep = len(self._history)
        self._history = np.concatenate([self._history, x[-keep:]])[-keep:]

    @staticmethod
    def _between(segment: Segment, place: int) -> np.ndarray:
        """The response at a sample of the segment, reversed, [L] complex64."""
        taps = segment.taps
        if len(taps) == 1:
            return taps[0, ::-1]
        knot = min(place // segment.spacing, len(taps) - 2)
        share = np.float32(place / segment.spacing - knot)
        return (taps[knot] * (1 - share) + taps[knot + 1] * share)[::-1]

    def _filter(self, windows: np.ndarray, segment: Segment) -> np.ndarray:
        if len(segment.taps) == 1:
            return np.ascontiguousarray(windows) @ segment.taps[0, ::-1]
        spacing, count = segment.spacing, len(windows)
        first = min(-self._at % spacing, count)  # up to the next knot, whole intervals, the rest
        whole = (count - first) // spacing
        y = np.empty(count, np.complex64)
        for begin, intervals, size in (
            (0, 1, first),
            (first, whole, spacing),
            (first + whole * spacing, 1, count - first - whole * spacing),
        ):
            if intervals * size:
                part = windows[begin : begin + intervals * size].reshape(intervals, size, -1)
                y[begin : begin + intervals * size] = self._intervals(part, segment, self._at + begin)
        return y

    @staticmethod
    def _intervals(windows: np.ndarray, segment: Segment, place: int) -> np.ndarray:
        """windows [I, size, L], I intervals from ``place`` on, each between two knots: [I * size] complex64."""
        knot, inside = divmod(place, segment.spacing)
        taps = segment.taps[knot : knot + len(windows) + 1, ::-1]
        pairs = np.stack([taps[:-1], taps[1:]], axis=2)  # [I, L, 2]
        before, after = np.moveaxis(np.matmul(np.ascontiguousarray(windows), pairs), 2, 0)
        share = ((inside + np.arange(windows.shape[1])) / segment.spacing).astype(np.float32)
        return (before + share * (after - before)).reshape(-1)
