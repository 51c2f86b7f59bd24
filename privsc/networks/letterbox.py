"""A picture of any size in the square that a network sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from privsc.images.regions import resize

SIDE = 384
"""Side of the square that a picture is fitted into [pixels]."""
STRIDE = 16


@dataclass(frozen=True)
class Letterbox:
    """A picture fitted into the top left of a square, as segment-anything does.

    Attributes:
        pixels: [1, 3, 384, 384] float32 in [0, 1], zero where there is no picture.
        scale: square pixels per picture pixel.
        size: (width, height) of the picture inside the square.
    """

    pixels: torch.Tensor
    scale: float
    size: tuple[int, int]


def letterbox(image: NDArray[np.uint8], side: int = SIDE, fill: float = 1.0) -> Letterbox:
    """Fit HWC uint8 into ``fill`` of a square of ``side`` pixels."""
    height, width = image.shape[:2]
    scale = fill * side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = torch.zeros(1, 3, side, side)
    square[0, :, : size[1], : size[0]] = torch.from_numpy(resize(image, size).copy()).permute(2, 0, 1) / 255
    return Letterbox(square, scale, size)
