"""What every channel can do, simulated or real."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Channel(Protocol):
    """One realisation of whatever lies between two antennas."""

    def __call__(self, x: np.ndarray, block_starts: np.ndarray | None = None, /) -> np.ndarray:
        """x [N] complex64 to y [N'] or, of several antennas, [A, N'] complex64.

        block_starts: samples at which a channel that fades in blocks may draw anew; others ignore it.
        """
        ...
