"""What the guard finds: detections, the masked picture, identities with their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsc.images.regions import Box


@dataclass(frozen=True)
class Detection:
    """One entity of K found in a picture.

    Attributes:
        index, name: which entity.
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


@dataclass(frozen=True)
class Identity:
    """Who a picture might show: an entity, its score and the Gamma that the score must reach."""

    index: int
    name: str
    score: float
    gamma: float


@dataclass(frozen=True)
class GuardResult:
    """A [H, W, 3] uint8 with private pixels set to 0, the joint mask M [H, W] bool, and what was found."""

    masked: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    detections: tuple[Detection, ...]
