"""Which patches of a picture are an entity's: similarity with f_k, and groups of patches that hang together.

A match must be open-set proof: not only like f_k, but more like f_k than like anything that strangers look like (the
nearest-neighbour ratio of Mendes Júnior et al., "Nearest neighbors distance ratio open-set classifier", 2017, as a
difference of similarities).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from privsc.knowledge.entity import Entity

MATCHES = 4
"""Patches that must match before an entity counts as found; the score is the similarity of the weakest of them."""
NEARER = 0.05
"""By how much a patch that matches must be nearer to f_k than to any stranger's patch [cosine similarity]. An entity's
own patches are by 0.14 at least (each photograph held out in turn), strangers' that reach Gamma by 0.01 at most."""
POINTS = 8

_AROUND = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Group:
    """Patches of one picture that match one entity and hang together.

    Attributes:
        score: similarity of the fourth-best patch [cosine similarity].
        matched: [h, w] bool, the patches.
    """

    score: float
    matched: NDArray[np.bool_]


def similarities(
    patches: NDArray[np.float32], entities: Sequence[Entity], first: int | None = None
) -> NDArray[np.float32]:
    """Cosine similarity of each patch [h, w, d] with each entity: [K, h, w].

    Of f_k and the prototypes (the ``first`` of them, all where None) the best counts.
    """
    if not entities:
        return np.zeros((0, *patches.shape[:2]), np.float32)
    rows = [np.concatenate([entity.f_k[None], entity.prototypes[:first]]) for entity in entities]  # each [1 + m, d]
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
    every = patches.reshape(-1, patches.shape[-1]) @ np.concatenate(rows).T  # [h w, prototypes of all]
    best = np.maximum.reduceat(every, starts, axis=1)
    return np.ascontiguousarray(best.T.reshape(len(entities), *patches.shape[:2]))


def nearest_stranger(
    patches: NDArray[np.float32], strangers: NDArray[np.float32], asked: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Cosine similarity of each patch [h, w, d] with the likest patch of ``strangers`` [n, 20, d]: [h, w].

    -1 where n is 0, and for patches that are not ``asked`` for.
    """
    out = np.full(patches.shape[:2], -1, np.float32)
    if not len(strangers):
        return out
    asked = np.ones(out.shape, bool) if asked is None else asked
    if asked.any():
        out[asked] = (patches[asked] @ strangers.reshape(-1, strangers.shape[-1]).T).max(axis=-1)
    return out


def weakest_match(similarity: NDArray[np.float32], allowed: NDArray[np.bool_] | None = None) -> float:
    """Similarity of the fourth-best patch among ``allowed`` [h, w]; fewer patches count with the weakest there is."""
    values = similarity[allowed] if allowed is not None else similarity.ravel()
    if values.size == 0:
        return -1.0
    count = min(MATCHES, values.size)
    return float(np.partition(values, -count)[-count])


def groups(
    similarity: NDArray[np.float32], own: NDArray[np.bool_], level: float, fewest: int = MATCHES
) -> Iterator[Group]:
    """Groups of patches [h, w] that reach ``level``, connected with gaps of one patch.

    Args:
        own: patches that are nearer to the entity than to strangers; ``fewest`` of a group must be.
    """
    reached = similarity >= level
    if np.count_nonzero(reached & own) < fewest:
        return
    labels, count = ndimage.label(ndimage.binary_dilation(reached, _AROUND), _AROUND)
    for number in range(1, count + 1):
        here = reached & (labels == number)
        mine = here & own
        if np.count_nonzero(mine) >= fewest:
            yield Group(weakest_match(similarity, mine), here)


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


def grown(seeds: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of ``allowed`` [h, w] that are connected to ``seeds``, and the seeds."""
    return ndimage.binary_propagation(seeds, mask=allowed | seeds, structure=_AROUND)
