"""What the guard finds: detections, the masked picture, identities with their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsc.images.regions import Box

UNKNOWN = "unknown"
"""Name of a region that is hidden though nobody of K was surely found in it; its index is 0."""


@dataclass(frozen=True)
class Detection:
    """One region of a picture that is hidden: an entity of K, or what may be one.

    Attributes:
        index, name: which entity; 0 and `unknown` where it is only suspect.
        score: cosine similarity of its fourth-best patch, among those that are no stranger's.
        box: x0, y0, x1, y1 [pixels], exclusive, of the mask.
        points: [N, 2] float32, the patch centres P that prompted the mask decoder, x, y [pixels].
        mask: [H, W] bool.
        silhouette: [H, W] bool, the mask before another shape took its place; None where it is that mask.
    """

    index: int
    name: str
    score: float
    box: Box
    points: NDArray[np.float32]
    mask: NDArray[np.bool_]
    silhouette: NDArray[np.bool_] | None = None

    @property
    def suspect(self) -> bool:
        """Whether it is hidden as nobody in particular."""
        return self.index == 0


@dataclass(frozen=True)
class Identity:
    """Who a picture might show: an entity, its score and the Gamma that the score must reach."""

    index: int
    name: str
    score: float
    gamma: float


@dataclass(frozen=True)
class Near:
    """How near an entity of K came in a picture, at its best.

    Attributes:
        index, name: which entity.
        score, gamma: what was reached and what is needed [cosine similarity].
        zoom, turn: how the picture was looked at: times the usual size, and quarter turns anticlockwise.
    """

    index: int
    name: str
    score: float
    gamma: float
    zoom: float
    turn: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """What an operator sees of how near a miss was; it is never sent.

    Attributes:
        near: entities of K that came near, the nearest to its Gamma first.
        heat: [h, w] float32, at each place of the picture by how much the likeliest entity is over its Gamma; -1 where
            none is within sight of it.
    """

    near: tuple[Near, ...]
    heat: NDArray[np.float32]


@dataclass(frozen=True)
class GuardResult:
    """A [H, W, 3] uint8 with private pixels set to 0, the joint mask M [H, W] bool, and what was found.

    ``evidence`` is what led there, where the guard says so.
    """

    masked: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    detections: tuple[Detection, ...]
    evidence: Evidence | None = None
