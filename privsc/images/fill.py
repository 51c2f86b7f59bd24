"""Pixels under a mask, replaced by a smooth continuation of what surrounds them (numpy)."""

from __future__ import annotations

import numpy as np


def fill_hidden(picture: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Fill hidden pixels from visible ones alone, by a pyramid of normalised means (pull and push).

    Args:
        picture: [H, W, C] float32; what it holds under the mask has no influence on the result.
        hidden: [H, W] bool, True where the picture is not to be seen.

    Returns:
        [H, W, C] float32; zeros where all of the picture is hidden.
    """
    if not hidden.any():
        return picture
    known = ~hidden
    return _fill(np.where(known[..., None], picture, np.float32(0)), known.astype(np.float32))


def _fill(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """One level of the pyramid; ``picture`` is zero where ``weight`` [H, W] is."""
    if weight.all() or max(weight.shape) == 1:
        return picture
    height, width = weight.shape
    padding = ((0, height % 2), (0, width % 2))
    mass = np.pad(weight, padding)
    mass = mass.reshape(mass.shape[0] // 2, 2, -1, 2).sum((1, 3))
    total = np.pad(picture * weight[..., None], (*padding, (0, 0)))
    total = total.reshape(total.shape[0] // 2, 2, -1, 2, total.shape[2]).sum((1, 3))
    coarse = _fill(total / np.maximum(mass, 1)[..., None], (mass > 0).astype(np.float32))
    wide = coarse.repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.where((weight > 0)[..., None], picture, wide).astype(np.float32)
