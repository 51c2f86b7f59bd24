"""Training pictures for the mask decoder: photographs as they are, and things pasted in front of one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy import ndimage

from privsc.datasets.pets import Pet
from privsc.images.augment import random_shape
from privsc.images.regions import bounding_box
from privsc.networks.letterbox import SIDE

OUT, IN, UNSURE = 0, 1, 2


def _jitter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    for enhance, spread in ((ImageEnhance.Brightness, 0.25), (ImageEnhance.Contrast, 0.25), (ImageEnhance.Color, 0.35)):
        image = enhance(image).enhance(float(np.clip(rng.normal(1, spread), 0.3, 1.9)))
    return image


def _view(pet: Pet, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Random crop, aspect, flip and light of one pet, and its label picture (OUT, IN, UNSURE)."""
    height, width = pet.mask.shape
    label = Image.fromarray(np.where(pet.unsure, UNSURE, pet.mask).astype(np.uint8))
    image = Image.fromarray(pet.image)
    if rng.random() < 0.7:
        w, h = (rng.uniform(0.55, 1.0, 2) * (width, height)).astype(int)
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        if np.count_nonzero(pet.mask[y : y + h, x : x + w]) > 0.25 * np.count_nonzero(pet.mask):
            image, label = image.crop((x, y, x + w, y + h)), label.crop((x, y, x + w, y + h))
    long = SIDE * float(rng.uniform(0.65, 1.0)) if rng.random() < 0.3 else SIDE
    aspect = np.exp(rng.normal(0, 0.12))
    w, h = image.width * aspect, image.height / aspect
    size = tuple(max(32, round(side * long / max(w, h))) for side in (w, h))
    image, label = image.resize(size, Image.Resampling.BICUBIC), label.resize(size, Image.Resampling.NEAREST)
    if rng.random() < 0.5:
        image, label = (item.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for item in (image, label))
    if rng.random() < 0.2:
        angle = float(rng.normal(0, 15))
        image = image.rotate(angle, Image.Resampling.BILINEAR)
        label = label.rotate(angle, Image.Resampling.NEAREST)
    return _jitter(image, rng), label


@dataclass(frozen=True)
class Scene:
    """A training picture: [3, 384, 384] float32 in [0, 1], and the label map [384, 384] of each animal in it."""

    pixels: torch.Tensor
    labels: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class Things:
    """What scenes are made of: pets with trimaps, and objects with outlines (or none)."""

    pets: Sequence[Pet]
    objects: Sequence[Pet] = ()

    def draw(self, rng: np.random.Generator) -> Pet:
        """A pet or an object, each kind equally often."""
        kind = self.objects if self.objects and rng.random() < 0.5 else self.pets
        return kind[int(rng.integers(len(kind)))]


def patchwork(things: Things, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A thing that does not exist: a random outline of one to three parts, filled from photographs; image and label.

    It keeps the decoder from taking "private" for "furry": what points lie on is a thing if it has an outline.
    """
    side = 160
    canvas, label = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        shape = random_shape(side, side, rng)
        source = things.draw(rng).image
        w, h = (rng.uniform(0.1, 0.5, 2) * (source.shape[1], source.shape[0])).astype(int) + 8
        x, y = int(rng.integers(0, source.shape[1] - w + 1)), int(rng.integers(0, source.shape[0] - h + 1))
        crop = Image.fromarray(source[y : y + h, x : x + w]).resize((side, side), Image.Resampling.BICUBIC)
        if label.any() and not (shape & (label == IN)).any():
            continue
        canvas[shape] = np.asarray(_jitter(crop, rng))[shape]
        label[shape] = IN
    return canvas, label


def _cut_out(things: Things, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if things.objects and rng.random() < 0.25:
        return patchwork(things, rng)
    image, label = _view(things.draw(rng), rng)
    return np.asarray(image), np.asarray(label)


def scene(things: Things, rng: np.random.Generator) -> Scene:
    """One thing as photographed, or two: a second one cut out and pasted in front, so that points must decide."""
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    first = np.zeros((SIDE, SIDE), np.uint8)
    image, label = _view(things.draw(rng), rng)
    width, height = image.size
    canvas[:height, :width], first[:height, :width] = np.asarray(image), np.asarray(label)
    labels = [first]
    if rng.random() < (0.5 if things.objects else 0.35):
        pasted, shape = _cut_out(things, rng)
        box = bounding_box(shape == IN)
        if box is not None:
            x0, y0, x1, y1 = box
            factor = rng.uniform(0.25, 0.75) * max(width, height) / max(x1 - x0, y1 - y0)
            size = tuple(max(8, round(side * factor)) for side in (x1 - x0, y1 - y0))
            size = (min(size[0], width), min(size[1], height))
            pasted = np.asarray(Image.fromarray(pasted[y0:y1, x0:x1]).resize(size, Image.Resampling.BICUBIC))
            shape = np.asarray(Image.fromarray(shape[y0:y1, x0:x1]).resize(size, Image.Resampling.NEAREST))
            x, y = int(rng.integers(0, width - size[0] + 1)), int(rng.integers(0, height - size[1] + 1))
            here = np.s_[y : y + size[1], x : x + size[0]]
            soft = ndimage.gaussian_filter((shape == IN).astype(np.float32), rng.uniform(0.3, 1.2))[..., None]
            canvas[here] = np.rint(soft * pasted + (1 - soft) * canvas[here]).astype(np.uint8)
            second = np.zeros_like(first)
            second[here] = shape
            first[here] = np.where(shape == IN, OUT, np.where(shape == UNSURE, UNSURE, first[here]))
            labels.append(second)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 12), canvas.shape)
        canvas = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    return Scene(torch.from_numpy(canvas).permute(2, 0, 1).float() / 255, tuple(labels))
