"""The entities of the demo: photographs that scikit-image carries, and views of them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from skimage import data, transform

NAME = "Chelsea"
VIEWS = 4  # enrolled of each entity
ENTITIES: tuple[tuple[str, Callable[[], np.ndarray], str, str], ...] = (
    (NAME, data.chelsea, "cat", "a photo of the cat Chelsea"),
    ("Astronaut", data.astronaut, "person", "a photo of an astronaut in an orange suit"),
    ("Coffee", data.coffee, "cup", "a photo of a cup of coffee on a wooden table"),
)


def view(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another view of a photograph, [H, W, 3] uint8: cropped, perhaps mirrored, tilted, in other light.

    The corners of the new picture are drawn within the photograph, so that nothing has to be made up.
    """
    height, width = photo.shape[:2]
    share = rng.uniform(0.85, 0.95)
    left, top = rng.uniform(0, 1 - share, 2) * (width, height)
    right, bottom = left + share * width, top + share * height
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    corners += rng.uniform(-0.04, 0.04, (4, 2)) * (width, height)
    corners = np.clip(corners, 0, (width - 1, height - 1))
    if rng.random() < 0.5:
        corners = corners[[1, 0, 3, 2]]
    size = np.array([round(share * width), round(share * height)])
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (size - 1)
    to_photo = transform.ProjectiveTransform.from_estimate(square, corners)
    seen = transform.warp(photo, to_photo, output_shape=size[::-1], order=3, mode="edge")  # [H, W, 3] in [0, 1]
    light = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    seen = np.clip(seen * light, 0, 1) ** rng.uniform(0.85, 1.2)
    return np.rint(255 * seen).astype(np.uint8)


def views(photo: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """`count` views of a photograph, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [view(photo, rng) for _ in range(count)]


def _encoded(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()
