"""The guard measured on photographs that nobody trained on: `privsc eval guard`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privsc.datasets.pets import Pet, read_pets
from privsc.datasets.subjects import last_photo, photos_folder, subjects_in
from privsc.evaluation.guard_cases import CASES, Made, overlapping
from privsc.evaluation.protocol import Progress, k_of_subjects
from privsc.guard.config import GuardConfig
from privsc.guard.guard import Guard
from privsc.guard.matching import spread_points
from privsc.guard.regions import COVER, MARGIN
from privsc.images.regions import dilate, intersection_over_union
from privsc.knowledge.detection import UNKNOWN
from privsc.knowledge.entity import Entity
from privsc.stats import Figure, mean, share
from privsc.system.build import DEFAULT, Choice

FIGURES = 6 + 2 * (len(CASES) + 1) + 4 + 3
THIRD = 2
"""Of three training pets the first is a stranger of `privsc train strangers` and the second helped to choose how much
nearer a match must be (matching.NEARER); this one chose how far below Gamma is suspect (config.SUSPECT)."""


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
    pets: int | None = None,
    progress: Progress | None = None,
    choice: Choice = DEFAULT,
    config: GuardConfig | None = None,
) -> Iterator[Figure]:
    """Identity, what is hidden in altered photographs, false alarms, masks and latency; a figure when it is known.

    Args:
        pets: how many of the pets outside training, and of those that chose the margin; all where None.
    """
    folder, guard = photos_folder(photos), choice.guard(config)
    names = subjects_in(folder, only)
    with k_of_subjects(database, folder, names, personalise=False, progress=progress, choice=choice) as db:
        entities = db.entities()
        yield from _plain(guard, entities, folder, names)
        yield from _altered(guard, entities, folder, names)
        held_out = list(read_pets(folder, held_out=True))[:pets]
        yield from _strangers(guard, entities, held_out, list(read_pets(folder))[THIRD::3][:pets])
        yield from _masks(guard, held_out)


def _plain(guard: Guard, entities: Sequence[Entity], folder: Path, names: Sequence[str]) -> Iterator[Figure]:
    """The last photograph of each subject, as it is."""
    first, found, extra, named, hidden, seconds = [], [], [], [], [], []
    for name in names:
        image = last_photo(folder, name)
        start = time.process_time()
        result = guard(image, entities)
        seconds.append(time.process_time() - start)
        first.append(guard.rank(image, entities)[0].name == name)
        found.append(any(detection.name == name for detection in result.detections))
        extra.append(any(detection.name not in (name, UNKNOWN) for detection in result.detections))
        without = guard(image, [entity for entity in entities if entity.name != name])
        named.append(any(not detection.suspect for detection in without.detections))
        hidden.append(bool(without.detections))
    yield share("identity, top-1", first)
    yield share("entity found and masked", found)
    yield share("someone else masked as well", extra)
    yield share("look-alike named, the right one not in K", named)
    yield share("look-alike hidden, the right one not in K", hidden)
    yield mean("guard latency, processor time", seconds, "s")


def _altered(guard: Guard, entities: Sequence[Entity], folder: Path, names: Sequence[str]) -> Iterator[Figure]:
    """How often at least 95 % of an entity is hidden (of copies and overlaps: of each), and how often anything is."""
    cut = {}
    for name in names:
        image = last_photo(folder, name)
        masks = [d.mask for d in guard(image, entities).detections if d.name == name]
        if masks:
            cut[name] = (image, masks[0])
    for case, make in CASES.items():
        yield from _covered(guard, entities, case, [make(*one) for one in cut.values()])
    pairs = [(a, b) for a in cut for b in cut if a != b]
    np.random.default_rng(0).shuffle(pairs)
    made = [overlapping(cut[a], cut[b]) for a, b in pairs[: 2 * len(names)]]
    yield from _covered(guard, entities, "overlaps", made)


def _covered(guard: Guard, entities: Sequence[Entity], case: str, pictures: Sequence[Made]) -> Iterator[Figure]:
    whole, half = [], []
    for image, masks in pictures:
        hidden = guard(image, entities).mask
        least = min(float(hidden[mask].mean()) for mask in masks if mask.any())
        whole.append(least >= 0.95)
        half.append(least >= 0.5)
    if whole:
        yield share(f"{case}: at least 95 % hidden", whole)
        yield share(f"{case}: at least half hidden", half)


def _strangers(
    guard: Guard, entities: Sequence[Entity], held_out: Sequence[Pet], third: Sequence[Pet]
) -> Iterator[Figure]:
    """False alarms on pets: something hidden, and somebody named."""
    masked, named = [], []
    for number, pet in enumerate([*held_out, *third]):
        detections = guard(pet.image, entities).detections
        masked.append(bool(detections))
        named.append(any(not detection.suspect for detection in detections))
        if number + 1 == len(held_out):
            yield share("strangers masked (pets outside training)", masked)
            yield share("strangers named (pets outside training)", named)
    yield share("strangers masked, with pets that chose the margin", masked)
    yield share("strangers named, all of these", named)


def _masks(guard: Guard, pets: Sequence[Pet]) -> Iterator[Figure]:
    """The mask decoder alone, on pets with outlines."""
    overlaps, covered, rng = [], [], np.random.default_rng(0)
    for pet in pets:
        mask, covering = pet_mask(guard, pet, rng)
        overlaps.append(intersection_over_union(mask & ~pet.unsure, pet.mask))
        covered.append(100 * float(covering[pet.mask].mean()))
    yield mean("mask IoU, pets outside training", overlaps)
    yield mean("private pixels covered", covered, "%")
    yield Figure("private pixels covered, worst", min(covered), None, None, len(covered), "%")
