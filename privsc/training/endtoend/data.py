"""Examples for Algorithm 3: the samples S_k of K to train on, the last photograph of each subject to be judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from privsc.datasets.subjects import last_photo
from privsc.errors import PhotoError
from privsc.guard.guard import Guard
from privsc.images.regions import WarpedSample, crop_box, dilate, region_box, resize, resize_mask, warp_silhouette
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks.backbone import Lite0
from privsc.networks.diffusion import CROP
from privsc.networks.letterbox import SIDE, letterbox
from privsc.networks.text_encoder import load_text_encoder
from privsc.recovery.painting import FADE
from privsc.recovery.reference import best_sample
from privsc.training.endtoend.chain import Batch
from privsc.training.mask_decoder import POINTS, draw_prompt
from privsc.training.mask_decoder_data import IN

Progress = Callable[..., None]
MARGIN = 0.25
"""Of the crop around the entity, as recovery takes it."""


@dataclass(frozen=True, eq=False)
class Case:
    """One photograph with an entity of K in it.

    Attributes:
        image: HWC uint8, longest side 384.
        silhouette: [H, W] bool, the entity.
        who: place of the entity in K; number: of the photograph among its samples, -1 where it is none.
        maps: S_alpha's maps of the letterboxed photograph [1, ...] bfloat16, by stride.
        scale: pixels of the square per pixel of the photograph.
        points: [N, 2] float32 that the guard prompts with, in pixels of the square; None: drawn anew each time.
    """

    image: NDArray[np.uint8]
    silhouette: NDArray[np.bool_]
    who: int
    number: int
    maps: dict[int, torch.Tensor]
    scale: float
    points: NDArray[np.float32] | None = None


@torch.no_grad()
def _case(
    backbone: Lite0,
    image: NDArray[np.uint8],
    silhouette: NDArray[np.bool_],
    who: int,
    number: int,
    points: NDArray[np.float32] | None = None,
) -> Case:
    before = max(silhouette.shape)
    size = tuple(max(1, round(side * SIDE / before)) for side in (silhouette.shape[1], silhouette.shape[0]))
    image, silhouette = resize(image, size), resize_mask(silhouette, size)
    fitted = letterbox(image)
    maps = {stride: found.bfloat16() for stride, found in backbone(fitted.pixels).items()}
    moved = None if points is None else points[:POINTS] * (SIDE / before)
    return Case(image, silhouette, who, number, maps, fitted.scale, moved)


def training_cases(entities: Sequence[Entity], backbone: Lite0, progress: Progress | None = None) -> list[Case]:
    """Every sample of S_k and its mirror image."""
    pairs = [(who, n, *pair) for who, e in enumerate(entities) for n, pair in enumerate(sample_pairs(e))]
    cases = []
    for done, (who, number, photo, mask) in enumerate(pairs):
        if mask.any():
            cases.append(_case(backbone, photo, mask, who, number))
            cases.append(_case(backbone, photo[:, ::-1].copy(), mask[:, ::-1].copy(), who, number))
        if progress is not None:
            progress(done + 1, len(pairs))
    return cases


def held_out_cases(
    entities: Sequence[Entity], folder: Path, guard: Guard, backbone: Lite0, progress: Progress | None = None
) -> list[Case]:
    """The last photograph of each entity in ``folder/subjects/NAME``; the shipped guard says where the entity is.

    Raises:
        PhotoError: where no entity of K has such a folder, or is found by the guard.
    """
    cases = []
    for who, entity in enumerate(entities):
        if (folder / "subjects" / entity.name).is_dir():
            image = last_photo(folder, entity.name)
            found = guard(image, [entity]).detections
            if found:
                cases.append(_case(backbone, image, found[0].mask, who, -1, found[0].points))
        if progress is not None:
            progress(who + 1, len(entities), entity.name)
    if not cases:
        raise PhotoError(f"no subjects/NAME in {folder} for the entities of K: the last photograph of each is judged")
    return cases


class Batches:
    """Makes batches of cases; everything random comes in as a generator."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self._entities = entities
        encoder = load_text_encoder()
        self._class_texts = [torch.from_numpy(encoder.embed(f"a photo of a {e.class_word}")) for e in entities]

    def training(self, cases: Sequence[Case], count: int, rng: np.random.Generator) -> Batch:
        """``count`` cases drawn with repetition, in random crops, with another sample of the entity as reference."""
        rows = []
        for case in (cases[int(rng.integers(len(cases)))] for _ in range(count)):
            region = dilate(case.silhouette, int(rng.integers(0, 1 + SIDE // 50)))
            warped = self._another_sample(case, region, rng)
            points, kinds, _ = draw_prompt(_label(case), rng)
            rows.append(self._row(case, region, warped, points, kinds, float(rng.uniform(0.15, 0.35))))
        return _stack(rows)

    def held_out(self, cases: Sequence[Case]) -> Batch:
        """All cases as the chain itself would see them."""
        rows = []
        for case in cases:
            entity, region = self._entities[case.who], case.silhouette
            masked = np.where(region[..., None], np.uint8(0), case.image)
            found = np.zeros((0, 2), np.float32) if case.points is None else case.points
            points, kinds = np.zeros((POINTS, 2), np.float32), np.full(POINTS, -1, np.int64)
            points[: len(found)], kinds[: len(found)] = found, 1
            rows.append(self._row(case, region, best_sample(entity, masked, region), points, kinds, MARGIN))
        return _stack(rows)

    def _another_sample(self, case: Case, region: NDArray[np.bool_], rng: np.random.Generator) -> WarpedSample:
        pairs = [pair for pair in sample_pairs(self._entities[case.who]) if pair[1].any()]
        others = [pair for n, pair in enumerate(pairs) if n != case.number] or pairs
        photo, mask = others[int(rng.integers(len(others)))]
        return warp_silhouette(photo, mask, region, mirrored=bool(rng.random() < 0.5))

    def _row(
        self,
        case: Case,
        region: NDArray[np.bool_],
        warped: WarpedSample,
        points: NDArray,
        kinds: NDArray,
        margin: float,
    ) -> dict[str, torch.Tensor]:
        height, width = region.shape
        box, size = crop_box(region_box(region), width, height, margin), (CROP, CROP)
        covered = torch.from_numpy(resize_mask(warped.valid, size, box).copy())[None].float()
        return {
            "points": torch.from_numpy(points),
            "kinds": torch.from_numpy(kinds),
            "labels": torch.from_numpy(_label(case)),
            "boxes": torch.tensor(box, dtype=torch.float32) * case.scale,
            "clean": _plane(resize(case.image, size, box)),
            "region": torch.from_numpy(resize_mask(case.silhouette, size, box).copy())[None].float(),
            "reference": _plane(resize(warped.image, size, box)) * covered,
            "covered": covered,
            "fade": _fade(covered),
            "text": torch.from_numpy(self._entities[case.who].text_embedding)[None],
            "class_text": self._class_texts[case.who][None],
            "who": torch.tensor(case.who),
            **{f"map {stride}": found[0].float() for stride, found in case.maps.items()},
        }


def _plane(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 127.5 - 1


def _fade(covered: torch.Tensor) -> torch.Tensor:
    distance = ndimage.distance_transform_edt(covered[0].numpy() > 0)
    return torch.from_numpy(np.clip(distance / (FADE * CROP), 0, 1).astype(np.float32))[None]


def _label(case: Case) -> NDArray[np.uint8]:
    label = np.zeros((SIDE, SIDE), np.uint8)
    height, width = case.silhouette.shape
    label[:height, :width] = np.where(case.silhouette, IN, 0)
    return label


def _stack(rows: Sequence[dict[str, torch.Tensor]]) -> Batch:
    found = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    maps = {int(key.split()[1]): found.pop(key) for key in list(found) if key.startswith("map ")}
    return Batch(maps, **found)
