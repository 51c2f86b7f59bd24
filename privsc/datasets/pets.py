"""The Oxford-IIIT Pet dataset: photographs with an outline for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from privsc.errors import PhotoError


@dataclass(frozen=True)
class Pet:
    """One pet: HWC uint8 photograph, [H, W] bool mask of the animal, [H, W] bool unsure border, breed and number."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    breed: str
    number: int


def read_pets(folder: Path, *, held_out: bool = False) -> Iterator[Pet]:
    """Pets of ``folder/pets``; those whose number ends in 7 only with ``held_out`` (they are for evaluation)."""
    paths = sorted((folder / "pets" / "images").glob("[!.]*.jpg"))  # not the companions that macOS adds
    if not paths:
        raise PhotoError(f"no pets/images/*.jpg in {folder}: training needs the pet photographs with their trimaps")
    for path in paths:
        match = re.fullmatch(r"(.+)_(\d+)", path.stem)
        if match is None or (int(match[2]) % 10 == 7) != held_out:
            continue
        image = np.asarray(Image.open(path).convert("RGB"))
        trimap = np.asarray(Image.open(folder / "pets" / "trimaps" / f"{path.stem}.png"))
        if trimap.shape != image.shape[:2]:
            raise PhotoError(f"{path.name}: trimap is {trimap.shape}, photograph is {image.shape[:2]}; they must agree")
        yield Pet(image, trimap == 1, trimap == 3, match[1], int(match[2]))
