"""Training examples for the recovery model: a photograph, a removed region, and perhaps a sample of its entity.

The region is the animal's own silhouette, another animal's, or a random shape. The sample is the same animal seen
through a random warp and another light, or another animal of the breed, so that the model learns how far to trust a
reference of which pose and light differ; often there is none, which is the eavesdropper's case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from privsc.datasets.pets import Pet
from privsc.images.augment import random_shape, relight, warp_batch
from privsc.images.regions import bounding_box, crop_box, dilate, resize, resize_mask
from privsc.networks.diffusion import CROP, Condition
from privsc.networks.text_encoder import TextEncoder

SPECIES = {"Abyssinian": "cat", "american_bulldog": "dog"}
TEMPLATES = ("a photo of a {}", "a {}", "a photo of the {}", "a close-up photo of a {}")


class TextTable:
    """Embeddings of the prompts that training draws from, computed once."""

    def __init__(self, encoder: TextEncoder, pets: Sequence[Pet]) -> None:
        self._by_word: dict[str, NDArray[np.float32]] = {}
        for breed in {pet.breed for pet in pets}:
            for word in (breed.replace("_", " "), SPECIES.get(breed, "animal"), "pet"):
                self._by_word[word] = np.stack([encoder.embed(template.format(word)) for template in TEMPLATES])
        self._by_word["background"] = np.stack([encoder.embed("a photo of the background")])

    def draw(self, words: Sequence[str], rng: np.random.Generator) -> NDArray[np.float32]:
        """[384] float32, a random template of a random one of ``words``."""
        rows = self._by_word[words[int(rng.integers(len(words)))]]
        return rows[int(rng.integers(len(rows)))]


class RecoveryExamples:
    """Draws batches of (clean crops, condition) from pets.

    Args:
        pets: photographs with masks.
        text: prompt embeddings.
        reference_rate: share of examples that carry a reference; the rest is the eavesdropper's case.
    """

    def __init__(self, pets: Sequence[Pet], text: TextTable, reference_rate: float = 0.7) -> None:
        self._pets, self._text, self._reference_rate = pets, text, reference_rate
        self._by_breed: dict[str, list[Pet]] = {}
        for pet in pets:
            self._by_breed.setdefault(pet.breed, []).append(pet)

    def _region(self, pet: Pet, rng: np.random.Generator) -> tuple[NDArray[np.bool_], bool]:
        """Removed region [H, W] and whether it is (about) the animal itself."""
        height, width = pet.mask.shape
        draw = rng.random()
        animal = pet.mask | pet.unsure
        if draw < 0.7 and 0.02 < animal.mean() < 0.8:
            return dilate(animal, int(rng.integers(0, 1 + max(height, width) // 40))), True
        if draw < 0.85:
            other = self._pets[int(rng.integers(len(self._pets)))]
            shape = resize_mask(other.mask | other.unsure, (width, height))
            if 0.02 < shape.mean() < 0.7:
                return shape, False
        return random_shape(height, width, rng), False

    def _example(self, rng: np.random.Generator) -> dict[str, NDArray]:
        pet = self._pets[int(rng.integers(len(self._pets)))]
        region, is_animal = self._region(pet, rng)
        height, width = region.shape
        box = bounding_box(region)
        if box is None:
            region, box = np.ones_like(region), (0, 0, width, height)
        box = crop_box(box, width, height, margin=float(rng.uniform(0.1, 0.35)))
        size = (CROP, CROP)
        clean, mask = resize(pet.image, size, box), resize_mask(region, size, box)
        shape = resize_mask(pet.mask, size, box) if is_animal else mask
        source, source_shape, spread = clean, shape & mask, rng.uniform(0.15, 1.0)
        if is_animal and rng.random() < 0.3:
            other = self._by_breed[pet.breed][rng.integers(len(self._by_breed[pet.breed]))]
            other_box, inner = bounding_box(other.mask), bounding_box(mask)
            if other_box is not None and inner is not None:
                x0, y0, x1, y1 = inner
                source, source_shape = np.zeros_like(clean), np.zeros_like(mask)
                source[y0:y1, x0:x1] = resize(other.image, (x1 - x0, y1 - y0), other_box)
                source_shape[y0:y1, x0:x1] = resize_mask(other.mask, (x1 - x0, y1 - y0), other_box)
                spread = 0.2
        words = (pet.breed.replace("_", " "), SPECIES.get(pet.breed, "animal"), "pet") if is_animal else ("background",)
        if rng.random() < 0.5:
            clean, mask = clean[:, ::-1], mask[:, ::-1]
            if rng.random() < 0.8:
                source, source_shape = source[:, ::-1], source_shape[:, ::-1]
        with_reference = rng.random() < self._reference_rate
        return {
            "clean": clean,
            "mask": mask,
            "source": source,
            "shape": source_shape & with_reference,
            "spread": np.array(spread),
            "text": self._text.draw(words, rng),
        }

    def batch(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, Condition]:
        """Clean crops [B, 3, 96, 96] float32 in [-1, 1] and what the model is told about them."""
        rows = [self._example(rng) for _ in range(count)]
        stack = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
        clean = relight(stack["clean"].permute(0, 3, 1, 2).float() / 127.5 - 1, 0.7, rng)
        mask = stack["mask"][:, None].float()
        source = relight(stack["source"].permute(0, 3, 1, 2).float() / 127.5 - 1, 0.7, rng)
        planes = torch.cat([source, stack["shape"][:, None].float()], dim=1)
        planes = warp_batch(planes, stack["spread"].numpy(), rng)
        covered = (planes[:, 3:] > 0.5).float() * mask
        text = stack["text"].float()
        text = torch.where(torch.from_numpy(rng.random((count, 1)) < 0.1), torch.zeros_like(text), text)
        return clean, Condition(clean * (1 - mask), mask, planes[:, :3] * covered, text[:, None])
