"""Removed pixels get a level of their own: 0, which no other pixel of a transmitted picture comes near.

A = (1 - M) ⊙ S is black where M is, and so are the dark parts of a photograph; after a noisy channel nobody could tell
them apart. The transmitter therefore squeezes the kept pixels into [32, 255], and the receiver, which finds M̂ as the
region at level 0, undoes it. The mapping costs half a level of rounding (a PSNR of 58 dB).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST = 32
"""Lowest level of a kept pixel on the air, of 255."""


def reserve_black(masked: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A as it is sent: kept pixels in [32, 255], removed ones 0. HWC uint8 and [H, W] bool."""
    squeezed = np.rint(LOWEST + masked.astype(np.float32) * (255 - LOWEST) / 255).astype(np.uint8)
    squeezed[mask] = 0
    return squeezed


def restore_black(sent: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Â from the received levels and M̂: the inverse mapping, 0 in the region. HWC uint8 and [H, W] bool."""
    stretched = (sent.astype(np.float32) - LOWEST) * 255 / (255 - LOWEST)
    restored = np.clip(np.rint(stretched), 0, 255).astype(np.uint8)
    restored[mask] = 0
    return restored
