"""Who exactly: a region held against S_k, patch by patch, so that a look-alike does not get an entity's name.

    patches that matched ──likest patch of the samples of S_k, less the likest of strangers──► likeness ──≥ own──► named

What is enough is what the entity's own photographs reach, each held out in turn and held against the others. A region
that reaches less is still hidden: it becomes a suspect, and no receiver paints it as somebody.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsc.guard.matching import nearest_stranger
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks.image_encoder import Encoder

SLACK = 0.045
"""How much less like S_k than the least like of its own photographs an entity may look. Of eleven subjects' photographs
held out the least like was 0.002 over its own, of four look-alikes the likest 0.091 below."""
ALWAYS = 1.1
"""Likeness that is enough for anybody: photographs that are all but one resemble one another more than the entity
in any other picture. Of four look-alikes that were named the likest reached 1.04."""
FAR = 0.5
"""S_k is held against a region as it looks at this share of its size too."""
REMEMBERED = 256
"""Entities whose samples stay encoded."""


@dataclass(frozen=True, eq=False)
class _Known:
    """Patches [n, d] of each sample, and the likeness that is enough; None where S_k is one photograph."""

    samples: list[NDArray[np.float32]]
    enough: float | None


class Verifier:
    """Holds regions against S_k.

    Args:
        encoder: S_alpha.
        strangers: [n, 20, d] float32.
    """

    def __init__(self, encoder: Encoder, strangers: NDArray[np.float32]) -> None:
        self._encoder, self._strangers = encoder, strangers
        self._known: OrderedDict[tuple[int, str, bytes], _Known] = OrderedDict()

    def doubtful(self, entity: Entity, patches: NDArray[np.float32]) -> bool:
        """Whether patches [n, d] that match f_k look less like S_k than the entity's own photographs do."""
        known = self._of(entity)
        return known.enough is not None and self._likeness(patches, entity, known.samples) < known.enough - SLACK

    def _of(self, entity: Entity) -> _Known:
        key = (entity.index, entity.name, entity.f_k.tobytes())
        if key not in self._known:
            pairs = sample_pairs(entity)
            near = [self._patches(*pair, 1.0) for pair in pairs]
            samples = [np.concatenate([n, self._patches(*pair, FAR)]) for n, pair in zip(near, pairs, strict=True)]
            own = [
                self._likeness(near[n], entity, samples[:n] + samples[n + 1 :])
                for n in range(len(samples))
                if len(samples) > 1
            ]
            self._known[key] = _Known(samples, min([*own, ALWAYS]) if own else None)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _patches(self, photo: NDArray[np.uint8], silhouette: NDArray[np.bool_], fill: float) -> NDArray[np.float32]:
        features = self._encoder(photo, fill)
        weights = features.region_weights(silhouette)
        return features.patches[weights >= min(0.5, float(weights.max()))]

    def _likeness(self, patches: NDArray[np.float32], entity: Entity, samples: list[NDArray[np.float32]]) -> float:
        """Mean over the half that is likest to f_k, and mean over all of the distance to strangers [cosine]."""
        likest = np.max([(patches @ sample.T).max(axis=1) for sample in samples], axis=0)
        best = np.argsort(-(patches @ entity.f_k))[: max(4, len(patches) // 2)]
        strange = nearest_stranger(patches[None], self._strangers)[0]
        return float(likest[best].mean() + (likest - np.maximum(strange, 0)).mean())
