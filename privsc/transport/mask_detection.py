"""M̂ from the received picture: the region at the level that only removed pixels have.

Wrong messages are salt and pepper in a `pixels` payload, so each channel goes through a median first; a region is
what then lies below half of the lowest kept level in all channels and is too large to be chance. Its border is
brought back to where the levels step, since a median rounds corners.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from privsc.transport.levels import LOWEST

SMALLEST = 0.0008
"""Share of the picture's pixels below which a dark spot is no region."""


def _median(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Median of each channel of HWC uint8 over side x side pixels."""
    return np.asarray(cv2.medianBlur(np.ascontiguousarray(picture), side), np.uint8)


def detect_region(received: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """M̂ [H, W] bool of received levels HWC uint8 (before `levels.restore_black`), all False for an unmasked image."""
    threshold = LOWEST // 2
    smooth = _median(received, 7).max(axis=2)
    core = smooth < threshold
    labels, count = ndimage.label(core)
    if count == 0:
        return core
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(SMALLEST * core.size, 16)
    keep[0] = False
    core = ndimage.binary_fill_holes(keep[labels])
    near = ndimage.binary_dilation(core, iterations=4)
    fine = _median(received, 3).max(axis=2) < threshold  # sharper, but speckled where messages are wrong
    alone = np.count_nonzero(received < threshold, axis=2) >= 2  # a kept pixel has two such samples only by two errors
    region = core | ((fine | alone) & near)
    return ndimage.binary_fill_holes(region | (ndimage.binary_closing(region, iterations=2) & near))
