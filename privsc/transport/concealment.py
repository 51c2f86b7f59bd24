"""Samples that did not arrive, filled from their neighbours."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

GREY = 128  # what stands for an image of which nothing arrived
# Concealment: neighbours (row, column in a 3x3 window), the second four opposite the first; what a pair counts for by
# its distance; and the difference of levels up to which two samples pass for alike.
_AROUND = ((0, 1), (1, 0), (0, 0), (0, 2), (2, 1), (1, 2), (2, 2), (2, 0))
_PAIR_WEIGHT = np.array([1, 1, 0.25, 0.25], np.float32)[:, None]
_LIKE = 8.0
_AT_ONCE = 1 << 18  # places that are filled at once, some 30 MB of working memory


def conceal(image: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Fill lost samples, each colour on its own, from the known samples around them.

    A sample is the mean of the opposite neighbours on its left and right, above and below, and on the diagonals, each
    pair weighing the less the more its two samples differ: across an edge, and so across the border of a removed
    region, hardly at all. Where no pair is whole, it is the lower median of the neighbours. Holes are filled inwards
    over a few passes; what is deeper takes the nearest known sample.

    Args:
        image: [H, W, 3] uint8; values under `lost` are ignored.
        lost: [H, W, 3] bool.
    """
    filled = np.array(image, np.uint8)
    for c in range(filled.shape[2]):
        plane, known = filled[:, :, c], ~lost[:, :, c]
        if not known.any():
            plane[:] = GREY
            continue
        for _ in range(3):
            if known.all():
                break
            known = _fill_rim(plane, known)
        if not known.all():
            rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
            plane[:] = plane[rows, columns]
    return filled


def _fill_rim(plane: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill, in place, each unknown sample that has a known one among its eight neighbours; [H, W] bool known now."""
    rim = ndimage.binary_dilation(known, np.ones((3, 3), bool)) & ~known
    rows, columns = np.nonzero(rim)
    padded, inside = np.pad(plane, 1), np.pad(known, 1)
    for first in range(0, len(rows), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        plane[rows[part], columns[part]] = _filled(padded, inside, rows[part], columns[part])
    return known | rim


def _filled(padded: np.ndarray, inside: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values [n] uint8 at n places that each have a known neighbour; padded [H + 2, W + 2] uint8, inside bool."""
    values = np.stack([padded[rows + dy, columns + dx] for dy, dx in _AROUND]).astype(np.float32)  # [8, n]
    there = np.stack([inside[rows + dy, columns + dx] for dy, dx in _AROUND])  # [8, n]
    a, b = values[:4], values[4:]  # opposite neighbours
    weight = _PAIR_WEIGHT * (there[:4] & there[4:]) / (np.abs(a - b) + _LIKE) ** 2  # [4, n]
    total = weight.sum(axis=0)  # [n]
    mean = (weight * (a + b) / 2).sum(axis=0) / np.maximum(total, 1e-12)
    count = there.sum(axis=0)  # [n]
    ranked = np.sort(np.where(there, values, 256), axis=0)
    median = ranked[np.maximum(count - 1, 0) // 2, np.arange(len(rows))]
    return np.rint(np.where(total > 0, mean, median)).astype(np.uint8)
