"""Where entities of K are, or may be, over all looks at a picture.

looks ──cosine, per f_k──► groups of patches ──score - Gamma──► candidates: found from 0, suspect from -margin
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsc.guard.config import SHOWN
from privsc.guard.looks import Look
from privsc.guard.matching import NEARER, Group, groups, grown, nearest_stranger, similarities
from privsc.knowledge.detection import Evidence, Near
from privsc.knowledge.entity import Entity

COARSE = 144
"""Longer side of the maps in which candidates are compared [cells]."""
AROUND = 0.15
"""How far below Gamma patches are hidden that hang together with an entity that was found [cosine similarity]."""
PLAINER = 0.1
"""By how much another look must be surer than the plain one to come first [cosine similarity]."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Patches that hang together and match one entity, or nearly do.

    Attributes:
        entity: which one.
        score: similarity of the fourth-best patch that is no stranger's [cosine similarity].
        excess: by how much that is over the entity's Gamma; negative where it is only suspect.
        zoom, turn: of the look.
        cells: [h, w] bool, the patches as a coarse map of the picture.
        patches: [n, d] float32, the patches themselves.
    """

    entity: Entity
    score: float
    excess: float
    zoom: float
    turn: int
    cells: NDArray[np.bool_]
    patches: NDArray[np.float32]

    @property
    def plain(self) -> bool:
        """Whether the picture was looked at as it is."""
        return self.zoom == 1 and self.turn == 0


def coarse_shape(image_size: tuple[int, int]) -> tuple[int, int]:
    """Shape (h, w) of coarse maps of a picture (H, W)."""
    longest = max(image_size)
    return max(1, round(COARSE * image_size[0] / longest)), max(1, round(COARSE * image_size[1] / longest))


def find(
    seen: Iterable[Look],
    entities: Sequence[Entity],
    gammas: Sequence[float],
    strangers: NDArray[np.float32],
    shape: tuple[int, int],
    margin: float,
) -> tuple[list[Candidate], Evidence]:
    """Candidates of all looks, the plain look's first, then by excess; and what an operator may want to see.

    Args:
        gammas: of each entity.
        shape: (h, w) of the coarse maps.
        margin: how far below Gamma a group is still a candidate.
    """
    candidates, heat = [], np.full(shape, -1, np.float32)
    near: dict[int, Near] = {}
    limits = np.array(gammas, np.float32)[:, None, None]
    turned = False
    for look in seen if entities else ():
        turned |= look.zoom >= 1 and look.turn != 0
        similarity = similarities(look.map.patches, entities)  # [K, h, w]
        asked = (similarity >= limits - max(margin, SHOWN)).any(axis=0)
        own = similarity >= nearest_stranger(look.map.patches, strangers, asked) + NEARER
        heat = np.maximum(heat, look.cells(np.where(own & asked, similarity - limits, -1).max(axis=0), shape))
        for number, entity in enumerate(entities):
            gamma = gammas[number]
            for group in groups(similarity[number], own[number], gamma - max(margin, SHOWN)):
                if entity.index not in near or near[entity.index].score < group.score:
                    near[entity.index] = Near(entity.index, entity.name, group.score, gamma, look.zoom, look.turn)
            for group in _at_two_levels(similarity[number], own[number], gamma, 0 if look.vague else margin):
                around = grown(group.matched, similarity[number] >= gamma - AROUND)
                matched = look.cells(around if group.score >= gamma and look.zoom >= 1 else group.matched, shape)
                patches, excess = look.map.patches[group.matched], group.score - gamma
                candidates.append(Candidate(entity, group.score, excess, look.zoom, look.turn, matched, patches))
    if turned:
        candidates = _confirmed(candidates)
    candidates.sort(key=lambda c: (c.excess < 0, -c.excess - PLAINER * c.plain))
    return candidates, Evidence(tuple(sorted(near.values(), key=lambda n: n.gamma - n.score)), heat)


def _confirmed(candidates: list[Candidate]) -> list[Candidate]:
    """Without those of small turned looks whose entity was not found at its usual size, turned or not."""
    looked = {c.entity.index for c in candidates if c.zoom >= 1 and c.excess >= 0}
    return [c for c in candidates if c.zoom >= 1 or not c.turn or c.entity.index in looked]


def _at_two_levels(
    similarity: NDArray[np.float32], own: NDArray[np.bool_], gamma: float, margin: float
) -> Iterator[Group]:
    """Groups at Gamma, and those at Gamma - margin that hold none of them."""
    taken = np.zeros(similarity.shape, bool)
    for group in groups(similarity, own, gamma):
        taken |= group.matched
        yield group
    for group in groups(similarity, own, gamma - margin):
        if not (group.matched & taken).any():
            yield group
