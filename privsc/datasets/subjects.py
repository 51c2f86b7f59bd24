"""Photographs for training: the Oxford-IIIT pets with their trimaps, from a folder laid out as the README says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from privsc.errors import PhotoError

ENVIRONMENT = "PRIVSC_PHOTOS"


@dataclass(frozen=True)
class Pet:
    """One pet: HWC uint8 photograph, [H, W] bool mask of the animal, [H, W] bool unsure border, breed and number."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    breed: str
    number: int


def photos_folder(folder: Path | None = None) -> Path:
    """The folder given, or that of the environment variable PRIVSC_PHOTOS.

    Raises:
        PhotoError: where neither names a folder.
    """
    if folder is None and ENVIRONMENT in os.environ:
        folder = Path(os.environ[ENVIRONMENT])
    if folder is None or not folder.is_dir():
        raise PhotoError(f"no folder of photographs at {folder}: give --photos DIR or set {ENVIRONMENT}")
    return folder


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


def subject_photos(folder: Path, subject: str) -> tuple[list[Path], Path]:
    """Photographs of one subject: those to enrol, and the last one, which is for testing only."""
    paths = sorted((folder / "subjects" / subject).glob("[!.]*.jpg"))
    if len(paths) < 2:
        raise PhotoError(f"subjects/{subject} in {folder} has {len(paths)} photographs; at least 2 are needed")
    return paths[:-1], paths[-1]
