"""The guard: Algorithm 1 of the paper. A photograph in, the masked photograph A and the indices i out.

S ──S_alpha──► patches ──cosine ≥ Gamma, per f_k──► i, P ──M_chi──► M ──(1 - M) ⊙ S──► A

A match must be open-set proof: not only like f_k, but more like f_k than like anything that strangers look like (the
nearest-neighbour ratio of Mendes Júnior et al., "Nearest neighbors distance ratio open-set classifier", 2017, as a
difference of similarities).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from privsc.errors import EntityError
from privsc.guard.strangers import load_strangers
from privsc.images.regions import bounding_box, dilate, intersection_over_union
from privsc.knowledge.detection import Detection, GuardResult, Identity
from privsc.knowledge.entity import Entity
from privsc.networks.image_encoder import Encoder, ImageFeatures
from privsc.networks.mask_decoder import Segmenter

MATCHES = 4
"""Patches that must match before an entity counts as found; the score is the similarity of the weakest of them."""
GAMMA = 0.5
"""Threshold where an entity has none of its own [cosine similarity]."""
NEARER = 0.05
"""By how much a patch that matches must be nearer to f_k than to any stranger's patch [cosine similarity]. An entity's
own patches are by 0.14 at least (each photograph held out in turn), strangers' that reach Gamma by 0.01 at most."""
POINTS = 8
MARGIN = 0.012
"""Safety margin around a mask, as a share of the picture's longer side: an uncovered private pixel is a leak."""
COVER = 0.35
"""Probability from which a pixel is taken as private; under one half, since a miss costs more than a false pixel."""

AGREEMENT = 0.6
"""Share of the matched patches' area that a mask must hold; below, M_chi has missed and the patches themselves join."""
WEAK = 0.6
"""Share of the weakest match's similarity from which a connected patch joins then."""


def similarities(features: ImageFeatures, entities: Sequence[Entity]) -> NDArray[np.float32]:
    """Cosine similarity of each patch with each f_k (and its other prototypes, the best counts): [K, h, w]."""
    maps = []
    for entity in entities:
        prototypes = np.concatenate([entity.f_k[None], entity.prototypes])  # [1 + m, d]
        maps.append((features.patches @ prototypes.T).max(axis=-1))
    return np.stack(maps) if maps else np.zeros((0, *features.patches.shape[:2]), np.float32)


def nearest_stranger(features: ImageFeatures, strangers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine similarity of each patch with the likest patch of ``strangers`` [n, 20, d]: [h, w]; -1 where n is 0."""
    if not len(strangers):
        return np.full(features.patches.shape[:2], -1, np.float32)
    return (features.patches @ strangers.reshape(-1, strangers.shape[-1]).T).max(axis=-1)


def weakest_match(similarity: NDArray[np.float32], allowed: NDArray[np.bool_] | None = None) -> float:
    """Similarity of the fourth-best patch among ``allowed`` [h, w]; fewer patches count with the weakest there is."""
    values = similarity[allowed] if allowed is not None else similarity.ravel()
    if values.size == 0:
        return -1.0
    count = min(MATCHES, values.size)
    return float(np.partition(values, -count)[-count])


def spread_points(
    similarity: NDArray[np.float32], matched: NDArray[np.bool_], centres: NDArray[np.float32], count: int = POINTS
) -> NDArray[np.float32]:
    """At most ``count`` of the matched patches' centres [n, 2]: the best first, then those farthest from the chosen."""
    where = np.argwhere(matched)
    scores = similarity[matched]
    keep = where[scores >= np.quantile(scores, 0.3)] if len(where) > count else where
    best = np.array(np.unravel_index(np.where(matched, similarity, -2).argmax(), matched.shape))
    chosen = [best]
    distance = np.linalg.norm(keep - best, axis=1)
    while len(chosen) < min(count, len(keep)) and distance.max() > 0:
        chosen.append(keep[distance.argmax()])
        distance = np.minimum(distance, np.linalg.norm(keep - chosen[-1], axis=1))
    rows, columns = np.array(chosen).T
    return centres[rows, columns]


def _without_islands(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask [H, W] with holes and small uncovered spots (under 1 % of its area) covered, also at the picture's edge."""
    labels, count = ndimage.label(~mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    small = sizes < 0.01 * mask.sum()
    small[0] = False
    return ndimage.binary_fill_holes(mask | small[labels])


def _grown(seeds: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of ``allowed`` [h, w] that are connected to ``seeds``, and the seeds."""
    return ndimage.binary_propagation(seeds, mask=allowed | seeds, structure=np.ones((3, 3)))


class Guard:
    """Finds entities of K and removes them.

    Args:
        encoder: S_alpha.
        segmenter: M_chi.
        gamma: threshold for every entity; None uses the one that enrolment calibrated for each.
    """

    def __init__(
        self, encoder: Encoder, segmenter: Segmenter, gamma: float | None = None, fit: Callable[..., Any] | None = None
    ) -> None:
        self._encoder, self.segmenter, self._gamma, self._fit = encoder, segmenter, gamma, fit

    @property
    def identity(self) -> str:
        """Of S_alpha; K must have been made with the same."""
        return self._encoder.identity

    @property
    def encoder(self) -> Encoder:
        """S_alpha."""
        return self._encoder

    def threshold(self, entity: Entity) -> float:
        """Gamma for one entity.

        Raises:
            EntityError: where K names one that no calibration gives; a high one would hide nobody.
        """
        if self._gamma is not None:
            return self._gamma
        if entity.gamma is None:
            return GAMMA
        low, high = self._encoder.gamma_range
        if not low - 1e-6 <= entity.gamma <= high + 1e-6:
            raise EntityError(
                f"{entity.name}: gamma in K must be {low:g} to {high:g}, as enrolment with this encoder sets it; got "
                f"{entity.gamma:g}: this K was edited or made by another version, enrol the entity again"
            )
        return entity.gamma

    def __call__(self, image: NDArray[np.uint8], entities: Sequence[Entity]) -> GuardResult:
        """Algorithm 1 on HWC uint8: every entity of K that is in the picture is masked and listed, best first."""
        features = self._encoder(image)
        strangers = nearest_stranger(features, load_strangers(self.identity))
        found = []
        for entity, similarity in zip(entities, similarities(features, entities), strict=True):
            own = similarity >= strangers + NEARER
            score = weakest_match(similarity, own) if np.count_nonzero(own) >= MATCHES else -1.0
            gamma = self.threshold(entity)
            if score < gamma:
                continue
            matched = self._main_group(similarity, similarity >= gamma)
            mask, points = self.segment(image.shape[:2], features, similarity, matched)
            box = bounding_box(mask)
            if box is not None:
                found.append((score - gamma, Detection(entity.index, entity.name, score, box, points, mask)))
        detections = self._one_name_a_region(found)
        joint = np.zeros(image.shape[:2], bool)
        for detection in detections:
            joint |= detection.mask
        return GuardResult(np.where(joint[..., None], np.uint8(0), image), joint, detections)

    @staticmethod
    def _main_group(similarity: NDArray[np.float32], matched: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Matched patches connected (with gaps of one patch) to the best one; a stray match elsewhere is no prompt."""
        joined, _ = ndimage.label(ndimage.binary_dilation(matched, np.ones((3, 3))), np.ones((3, 3)))
        best = np.unravel_index(np.where(matched, similarity, -2).argmax(), matched.shape)
        return matched & (joined == joined[best])

    def segment(
        self,
        image_size: tuple[int, int],
        features: ImageFeatures,
        similarity: NDArray[np.float32],
        matched: NDArray[np.bool_],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """M [H, W] for matched patches [h, w], grown by the safety margin, and the points P that prompted it."""
        points = spread_points(similarity, matched, features.centres)
        probability, _ = self.segmenter.probability(image_size, features.fitted, features.maps, points)
        mask = self.keep_prompted(probability > COVER, points)
        cells = features.patch_cells(matched, image_size)
        if (mask & cells).sum() < AGREEMENT * cells.sum():  # M_chi missed: all that resembles the entity at all joins
            alike = similarity >= WEAK * similarity[matched].min()
            mask = mask | features.patch_cells(_grown(matched, alike), image_size)
        return _without_islands(dilate(mask, round(MARGIN * max(image_size)))), points

    @staticmethod
    def keep_prompted(mask: NDArray[np.bool_], points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Components that a point lies on, and those that all but touch them; another animal elsewhere is not meant."""
        reach = max(2, round(0.02 * max(mask.shape)))
        labels, count = ndimage.label(ndimage.binary_dilation(mask, iterations=reach))
        on_mask = labels * mask
        prompted = np.zeros(count + 1, bool)
        prompted[on_mask[points[:, 1].astype(int), points[:, 0].astype(int)]] = True
        prompted[0] = False
        return prompted[on_mask]

    @staticmethod
    def _one_name_a_region(found: list[tuple[float, Detection]]) -> tuple[Detection, ...]:
        """Where several entities claim one region, the one farthest above its threshold has it."""
        kept: list[Detection] = []
        for _, detection in sorted(found, key=lambda pair: -pair[0]):
            if all(intersection_over_union(detection.mask, other.mask) < 0.5 for other in kept):
                kept.append(detection)
        return tuple(kept)

    def hint(
        self,
        image: NDArray[np.uint8],
        region: NDArray[np.bool_],
        entity: Entity,
        removed: NDArray[np.bool_] | None = None,
    ) -> Any:
        """How a sample of S_k lies over an entity in HWC uint8, as ``fit`` says; None without it.

        Args:
            region: [H, W] bool, its silhouette.
            removed: [H, W] bool, what is taken out for it, None where that is the silhouette.
        """
        return None if self._fit is None else self._fit(image, region, entity, removed)

    def rank(
        self, image: NDArray[np.uint8], entities: Sequence[Entity], mask: NDArray[np.bool_] | None = None
    ) -> list[Identity]:
        """Entities with their scores within ``mask`` [H, W] (or the whole picture), the likeliest first."""
        allowed = None
        features = self._encoder(image)
        if mask is not None:
            weights = features.region_weights(mask)
            if not weights.any():
                return []
            allowed = weights >= min(0.5, float(weights.max()))
        scored = [
            Identity(entity.index, entity.name, weakest_match(similarity, allowed), self.threshold(entity))
            for entity, similarity in zip(entities, similarities(features, entities), strict=True)
        ]
        return sorted(scored, key=lambda identity: -identity.score)

    def identify(
        self, image: NDArray[np.uint8], entities: Sequence[Entity], mask: NDArray[np.bool_] | None = None
    ) -> Identity | None:
        """f of eq. (8): whom a picture shows within ``mask``; None where the likeliest is below its Gamma."""
        ranked = self.rank(image, entities, mask)
        return ranked[0] if ranked and ranked[0].score >= ranked[0].gamma else None
