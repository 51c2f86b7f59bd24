"""Altered photographs that a guard must not miss: copies, small, turned, cut off, blurred, in blocks, overlapping.

Each case takes a photograph and the mask of its entity and gives a picture with the masks of what must be hidden. The
mask of the untouched photograph is the guard's own: there is no other; the cases ask whether it finds it again.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from skimage import data

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Made = tuple[Pixels, list[Mask]]
"""A picture [H, W, 3] uint8 and masks [H, W] of what must be hidden in it."""


def turned(image: Pixels, mask: Mask) -> Made:
    """By 90°, anticlockwise."""
    return np.ascontiguousarray(np.rot90(image)), [np.rot90(mask)]


def sized(share: float) -> Callable[[Pixels, Mask], Made]:
    """The whole photograph as a print on a scene of 640 x 480 px, its longer side this share of the height."""

    def make(image: Pixels, mask: Mask) -> Made:
        scene = _scene(640, 480)
        small, shape = _scaled(image, mask, share * 480)
        at = (320 - small.width // 2, 240 - small.height // 2)
        scene.paste(small, at)
        return np.asarray(scene), [_at(shape, at, scene.size)]

    return make


def half_out(image: Pixels, mask: Mask) -> Made:
    """Cut through the middle of the entity: the right half is left, and at least 40 px."""
    columns = np.flatnonzero(mask.any(axis=0))
    cut = min(int(columns[0] + columns[-1]) // 2, image.shape[1] - 40)
    return image[:, cut:].copy(), [mask[:, cut:]]


def blurred(image: Pixels, mask: Mask) -> Made:
    """Gaussian blur, standard deviation 5 px."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(5))), [mask]


def blocky(image: Pixels, mask: Mask) -> Made:
    """JPEG of quality 5."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=5)
    return np.asarray(Image.open(buffer).convert("RGB")), [mask]


def twice(image: Pixels, mask: Mask) -> Made:
    """Cut out, and mirrored in the opposite corner of a scene of 640 x 640 px."""
    scene = _scene(640, 640)
    one, shape = _scaled(image, mask, 310)
    masks = []
    for copy, sil, at in ((one, shape, (5, 5)), (ImageOps.mirror(one), ImageOps.mirror(shape), (325, 325))):
        scene.paste(copy, at, sil)
        masks.append(_at(sil, at, scene.size))
    return np.asarray(scene), masks


def overlapping(first: tuple[Pixels, Mask], second: tuple[Pixels, Mask]) -> Made:
    """The second entity, cut out, in front of the first on a scene of 480 x 480 px."""
    scene, masks = _scene(480, 480), []
    for (image, mask), side, at in ((first, 420, (10, 40)), (second, 260, (150, 200))):
        one, shape = _scaled(image, mask, side)
        scene.paste(one, at, shape)
        masks.append(_at(shape, at, scene.size))
    return np.asarray(scene), [masks[0] & ~masks[1], masks[1]]


CASES: dict[str, Callable[[Pixels, Mask], Made]] = {
    "second copy": twice,
    "half size": sized(0.5),
    "quarter size": sized(0.25),
    "turned 90°": turned,
    "half out": half_out,
    "blur 5": blurred,
    "JPEG 5": blocky,
}


def _scene(width: int, height: int) -> Image.Image:
    return Image.fromarray(data.rocket()).resize((width, height))


def _scaled(image: Pixels, mask: Mask, side: float) -> tuple[Image.Image, Image.Image]:
    scale = side / max(image.shape[:2])
    size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
    small = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    return small, Image.fromarray(np.uint8(mask) * 255).resize(size)


def _at(shape: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> Mask:
    canvas = Image.new("L", size)
    canvas.paste(shape, at)
    return np.asarray(canvas) > 127
