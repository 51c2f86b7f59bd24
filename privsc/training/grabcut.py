"""Masks of things nobody has outlined: photographs of one object, several of it, and OpenCV's GrabCut.

Enrolment knows roughly where the object is (what its photographs have in common); GrabCut (Rother, Kolmogorov and Blake
2004) sharpens that to an outline. Good enough to train a mask decoder on, once the bad ones are sorted out by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from privsc.datasets.pets import Pet
from privsc.datasets.subjects import subject_photos
from privsc.errors import PhotoError
from privsc.guard.guard import Guard
from privsc.images.photo_io import decode_photo
from privsc.images.regions import dilate
from privsc.networks.image_encoder import load_encoder
from privsc.networks.mask_decoder import load_segmenter
from privsc.system.enrol import find_subject

SIDE = 384
REJECTED = frozenset(
    [
        "backpack_00",
        "berry_bowl_00",
        "berry_bowl_01",
        "berry_bowl_04",
        "cat_00",
        "dog_00",
        "dog3_00",
        "dog3_01",
        "dog3_02",
        "dog3_03",
        "dog3_04",
        "monster_toy_01",
        "pink_sunglasses_00",
        "pink_sunglasses_03",
        "shiny_sneaker_01",
        "vase_00",
        "vase_01",
        "vase_02",
        "vase_03",
        "vase_04",
    ]
)
"""Photographs of the DreamBooth dataset whose outline looked wrong."""
HELD_OUT = ("can", "candle", "grey_sloth_plushie", "rc_car")
"""Objects that training does not see, for the figure on objects."""


def outline(image: NDArray[np.uint8], rough: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """GrabCut from a rough region that holds the object and some of what is around it.

    Args:
        image: [H, W, 3] uint8.
        rough: [H, W] bool.

    Returns:
        [H, W] bool: the object without holes or crumbs.
    """
    depth, far = ndimage.distance_transform_edt(rough), ndimage.distance_transform_edt(~rough)
    scale = max(rough.shape) / SIDE
    state = np.full(rough.shape, cv2.GC_PR_BGD, np.uint8)
    state[rough & (depth >= 6 * scale)] = cv2.GC_PR_FGD  # the rim of a rough region is background more often than not
    state[depth > 0.75 * depth.max()] = cv2.GC_FGD
    state[far > 14 * scale] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), state, None, *models, 8, cv2.GC_INIT_WITH_MASK)
    mask = ndimage.binary_opening((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD))
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=2)))


def make_objects(folder: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Outline the subjects of ``folder/subjects`` in all photographs but the last of each; how many were kept.

    Writes ``out/NAME_NN.jpg`` and ``out/NAME_NN.png`` (255 on the object), longest side 384 pixels.
    """
    out.mkdir(parents=True, exist_ok=True)
    guard, kept = Guard(load_encoder(), load_segmenter()), 0
    names = sorted(path.name for path in (folder / "subjects").glob("*") if path.is_dir())
    for number, name in enumerate(names):
        paths = subject_photos(folder, name)[0]
        images = [decode_photo(path.read_bytes(), str(path)) for path in paths]
        for path, view in zip(paths, find_subject(guard, images, load_encoder()), strict=True):
            stem = f"{name}_{path.stem}"
            factor = SIDE / max(view.mask.shape)
            size = (round(view.mask.shape[1] * factor), round(view.mask.shape[0] * factor))
            small = np.asarray(Image.fromarray(view.image).resize(size, Image.Resampling.LANCZOS))
            rough = np.asarray(Image.fromarray(view.mask).resize(size, Image.Resampling.NEAREST))
            mask = outline(small, rough)
            if stem in REJECTED or not 0.01 < mask.mean() < 0.9:
                continue
            Image.fromarray(small).save(out / f"{stem}.jpg", quality=95)
            Image.fromarray(mask.astype(np.uint8) * 255).save(out / f"{stem}.png")
            kept += 1
        if progress is not None:
            progress(number + 1, len(names))
    return kept


def read_objects(folder: Path, *, held_out: bool = False) -> list[Pet]:
    """What ``make_objects`` wrote, in the pets' form; two pixels on either side of an outline count as unsure.

    With ``held_out`` those of ``HELD_OUT`` only, else all others.
    """
    found = []
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        if (path.stem.rpartition("_")[0] in HELD_OUT) != held_out:
            continue
        mask = np.asarray(Image.open(path).convert("L")) > 127
        image = np.asarray(Image.open(path.with_suffix(".jpg")).convert("RGB"))
        if mask.shape != image.shape[:2]:
            raise PhotoError(f"{path.name}: mask is {mask.shape}, photograph is {image.shape[:2]}; they must agree")
        inner = ~dilate(~mask, 2)
        found.append(Pet(image, inner, dilate(mask, 2) & ~inner, "object", number))
    if not found:
        raise PhotoError(f"no *.png in {folder}: make them with `privsc train outlines`")
    return found
