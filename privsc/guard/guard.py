"""The guard: Algorithm 1 of the paper. A photograph in, the masked photograph A and the indices i out.

S ──looks──► patches ──cosine, per f_k──► candidates ──P, M_chi──► regions ──names──► M, i ──(1 - M) ⊙ S──► A

Every group of patches that matches is hidden, not the best alone; what nearly matches is hidden as nobody in
particular; where regions overlap their union is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsc.errors import EntityError, SuspectError
from privsc.guard.config import GuardConfig
from privsc.guard.finding import Candidate, coarse_shape, find
from privsc.guard.looks import looks
from privsc.guard.matching import similarities, weakest_match
from privsc.guard.naming import Region, named
from privsc.guard.regions import Focus, keep_prompted, segment
from privsc.guard.strangers import load_strangers
from privsc.guard.verify import Verifier
from privsc.knowledge.detection import Detection, Evidence, GuardResult, Identity
from privsc.knowledge.entity import Entity
from privsc.networks.image_encoder import Encoder, ImageFeatures
from privsc.networks.mask_decoder import Segmenter

GAMMA = 0.5
"""Threshold where an entity has none of its own [cosine similarity]."""
SEGMENTED = 12
"""Regions that M_chi outlines; further ones are hidden as the patches that matched."""
NEW = 0.25
"""Share of a candidate's patches that must lie outside the regions before it, or it is one of those again."""
ITSELF = 2
"""Prototypes that judge a likeness, near and far; the farthest finds an entity but resembles too much for that."""


class Guard:
    """Finds entities of K and removes them.

    Args:
        encoder: S_alpha.
        segmenter: M_chi.
        gamma: threshold for every entity; None uses the one that enrolment calibrated for each.
        fit: makes the hint of a region (privsc.hints.fit).
        config: effort, and what becomes of suspects; the default looks at every turn and at twice the size.
    """

    def __init__(
        self,
        encoder: Encoder,
        segmenter: Segmenter,
        gamma: float | None = None,
        fit: Callable[..., Any] | None = None,
        config: GuardConfig | None = None,
    ) -> None:
        self._encoder, self.segmenter, self._fit = encoder, segmenter, fit
        self._verifier = Verifier(encoder, load_strangers(encoder.identity))
        config = config or GuardConfig()
        self.config = config if gamma is None else replace(config, gamma=gamma)

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
        if self.config.gamma is not None:
            return self.config.gamma
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
        """Algorithm 1 on HWC uint8: whatever of K is in the picture, or may be, is masked and listed, surest first.

        Raises:
            SuspectError: where something is only suspect and the configuration says to refuse.
        """
        plain = self._encoder(image)
        candidates, evidence = find(
            looks(image, self._encoder, self.config.effort, plain),
            entities,
            [self.threshold(entity) for entity in entities],
            load_strangers(self.identity),
            coarse_shape(image.shape[:2]),
            0.0 if self.config.suspect == "send" else self.config.margin,
        )
        detections = named(self._regions(image, plain, candidates))
        suspects = [detection for detection in detections if detection.suspect]
        if suspects and self.config.suspect == "refuse":
            raise SuspectError(_refusal(suspects, evidence))
        joint = np.zeros(image.shape[:2], bool)
        for detection in detections:
            joint |= detection.mask
        return GuardResult(np.where(joint[..., None], np.uint8(0), image), joint, detections, evidence)

    def _regions(self, image: NDArray[np.uint8], plain: ImageFeatures, candidates: Sequence[Candidate]) -> list[Region]:
        """A region for each candidate that is not one of those before it again."""
        regions: list[Region] = []
        focus = Focus(image, self._encoder, plain)
        for candidate in candidates:
            left = candidate.cells.copy()
            most, host = 0, -1
            for number, region in enumerate(regions):
                if candidate.excess < 0 or region.candidate.entity.index == candidate.entity.index:
                    left &= ~region.cells
                    shared = int((candidate.cells & region.cells).sum())
                    most, host = max((most, host), (shared, number))
            if left.sum() <= NEW * candidate.cells.sum():
                regions[host] = focus.joined(regions[host], left)
                continue
            outlined = self.segmenter if len(regions) < SEGMENTED else None
            sure = candidate.excess >= 0 and not self._verifier.doubtful(candidate.entity, candidate.patches)
            regions.append(focus.region(candidate, outlined, sure))
        return regions

    def segment(
        self,
        image_size: tuple[int, int],
        features: ImageFeatures,
        similarity: NDArray[np.float32],
        matched: NDArray[np.bool_],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """M [H, W] for matched patches [h, w], grown by the safety margin, and the points P that prompted it."""
        return segment(self.segmenter, image_size, features, similarity, matched)

    @staticmethod
    def keep_prompted(mask: NDArray[np.bool_], points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Components of a mask [H, W] that a point lies on, and those that all but touch them."""
        return keep_prompted(mask, points)

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
            for entity, similarity in zip(entities, similarities(features.patches, entities, ITSELF), strict=True)
        ]
        return sorted(scored, key=lambda identity: -identity.score)

    def identify(
        self, image: NDArray[np.uint8], entities: Sequence[Entity], mask: NDArray[np.bool_] | None = None
    ) -> Identity | None:
        """f of eq. (8): whom a picture shows within ``mask``; None where the likeliest is below its Gamma."""
        ranked = self.rank(image, entities, mask)
        return ranked[0] if ranked and ranked[0].score >= ranked[0].gamma else None


def _refusal(suspects: Sequence[Detection], evidence: Evidence) -> str:
    where = ", ".join(f"{tuple(int(v) for v in suspect.box)}" for suspect in suspects)
    near = ", ".join(f"{n.name} ({n.score:.2f} of {n.gamma:.2f})" for n in evidence.near[:3])
    return f"suspect regions at {where} px, nearest are {near}; hide them with suspect 'mask', or send them with 'send'"
