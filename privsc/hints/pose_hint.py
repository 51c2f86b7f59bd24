"""Pose hints as bytes: how a sample of S_k lies over the gap.

All of a hint is relative to a photograph in K: it says where parts of that photograph belong, not what they look like.
`privsc.hints.fit` finds hints and lays samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsc.errors import PayloadError
from privsc.images.regions import Box

GRID = 4
"""Displacements along each side of the hint's coarse field."""
_LAYOUT = struct.Struct(f">B4H6h{2 * GRID * GRID}b6b")
SIZE = _LAYOUT.size
_MATRIX, _FLOW, _GAIN, _OFFSET = 8192.0, 254.0, 64.0, 127.0  # steps per unit: matrix, displacement, octave, level


@dataclass(frozen=True)
class PoseHint:
    """How a sample of S_k lies over a region.

    Attributes:
        sample: number of the sample in S_k, below 128.
        mirrored: whether it is mirrored first.
        box: the square-ish frame around the removed region, whatever its shape, x0, y0, x1, y1 [pixels].
        matrix: [2, 3] float32, from the box's coordinates in [-1, 1] to those of the sample's whole photograph.
        flow: [2, GRID, GRID] float32, displacements added to that, interpolated bicubically; |flow| < 0.5.
        gain, offset: [3] float32, light: colour * gain + offset, colours in [-1, 1].
    """

    sample: int
    mirrored: bool
    box: Box
    matrix: NDArray[np.float32]
    flow: NDArray[np.float32]
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]

    def fits(self) -> bool:
        """Whether the map lies in the format's range; one that does not would be cut to another map."""
        return bool(np.abs(self.matrix).max() * _MATRIX <= 32767 and np.abs(self.flow).max() * _FLOW <= 127)

    def to_bytes(self) -> bytes:
        """SIZE bytes; values are rounded to the format's steps."""
        matrix = np.clip(np.rint(self.matrix.ravel() * _MATRIX), -32768, 32767).astype(int)
        flow = np.clip(np.rint(self.flow.ravel() * _FLOW), -127, 127).astype(int)
        gain = np.clip(np.rint(np.log2(self.gain) * _GAIN), -127, 127).astype(int)
        offset = np.clip(np.rint(self.offset * _OFFSET), -127, 127).astype(int)
        first = self.sample | (0x80 if self.mirrored else 0)
        return _LAYOUT.pack(first, *self.box, *matrix.tolist(), *flow.tolist(), *gain.tolist(), *offset.tolist())

    @classmethod
    def from_bytes(cls, data: bytes) -> PoseHint:
        """Raises PayloadError where ``data`` is no hint."""
        if len(data) != SIZE:
            raise PayloadError(
                f"a pose hint has {SIZE} bytes; got {len(data)}: sender and receiver must be one version"
            )
        first, *values = _LAYOUT.unpack(data)
        x0, y0, x1, y1 = values[:4]
        if x0 >= x1 or y0 >= y1:
            raise PayloadError(f"a pose hint's box must not be empty; got {(x0, y0, x1, y1)}: the sender is at fault")
        rest = np.array(values[4:], np.float32)
        end = 6 + 2 * GRID * GRID
        return cls(
            first & 0x7F,
            bool(first & 0x80),
            (x0, y0, x1, y1),
            rest[:6].reshape(2, 3) / _MATRIX,
            rest[6:end].reshape(2, GRID, GRID) / _FLOW,
            np.exp2(rest[end : end + 3] / _GAIN),
            rest[end + 3 :] / _OFFSET,
        )
