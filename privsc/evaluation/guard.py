"""The guard measured on photographs that nobody trained on: `privsc eval guard`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privsc.datasets.pets import Pet, read_pets
from privsc.datasets.subjects import last_photo, photos_folder, subjects_in
from privsc.evaluation.protocol import Progress, k_of_subjects
from privsc.guard.guard import COVER, MARGIN, Guard, spread_points
from privsc.images.regions import dilate, intersection_over_union
from privsc.stats import Figure, mean, share
from privsc.system.build import DEFAULT, Choice

UNUSED = 2
"""Of three training pets the first is a stranger of `privsc train strangers` and the second helped to choose how much
nearer a match must be (guard.NEARER); this one has set nothing of that, though the mask decoder has learnt from it."""


def pet_mask(guard: Guard, pet: Pet, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Decoder's mask [H, W] and the covering mask with its margin, prompted by random patches on the animal."""
    features = guard.encoder(pet.image)
    on_animal = features.region_weights(pet.mask) >= 0.5
    if not on_animal.any():
        on_animal = features.region_weights(pet.mask) >= features.region_weights(pet.mask).max()
    points = spread_points(rng.random(on_animal.shape).astype(np.float32), on_animal, features.centres)
    probability, _ = guard.segmenter.probability(pet.image.shape[:2], features.fitted, features.maps, points)
    covering = dilate(guard.keep_prompted(probability > COVER, points), round(MARGIN * max(pet.mask.shape)))
    return probability > 0.5, covering


def evaluate_guard(
    photos: Path | None,
    *,
    database: Path | None = None,
    only: Sequence[str] = (),
    progress: Progress | None = None,
    choice: Choice = DEFAULT,
) -> Iterator[Figure]:
    """Identity, false alarms, masks and latency."""
    folder, guard = photos_folder(photos), choice.guard()
    names = subjects_in(folder, only)
    with k_of_subjects(database, folder, names, personalise=False, progress=progress, choice=choice) as db:
        entities = db.entities()
        first, found, extra, alike, seconds = [], [], [], [], []
        for name in names:
            image = last_photo(folder, name)
            start = time.perf_counter()
            result = guard(image, entities)
            seconds.append(time.perf_counter() - start)
            first.append(guard.rank(image, entities)[0].name == name)
            found.append(any(detection.name == name for detection in result.detections))
            extra.append(any(detection.name != name for detection in result.detections))
            others = [entity for entity in entities if entity.name != name]
            alike.append(bool(guard(image, others).detections))
        yield share("identity, top-1", first)
        yield share("entity found and masked", found)
        yield share("someone else masked as well", extra)
        yield share("false alarms, the right one not in K", alike)
        pets = list(read_pets(folder, held_out=True))
        alarms = [bool(guard(pet.image, entities).detections) for pet in pets]
        yield share("false alarms on strangers (pets)", alarms)
        alarms += [bool(guard(pet.image, entities).detections) for pet in list(read_pets(folder))[UNUSED::3]]
        yield share("the same with pets that set no threshold", alarms)
        overlaps, covered, rng = [], [], np.random.default_rng(0)
        for pet in pets:
            mask, covering = pet_mask(guard, pet, rng)
            overlaps.append(intersection_over_union(mask & ~pet.unsure, pet.mask))
            covered.append(100 * float(covering[pet.mask].mean()))
        yield mean("mask IoU, pets outside training", overlaps)
        yield mean("private pixels covered", covered, "%")
        yield Figure("private pixels covered, worst", min(covered), None, None, len(covered), "%")
        yield mean("guard latency", seconds, "s")
