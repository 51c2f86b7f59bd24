"""What of the guard's findings is hidden, and in which shape: `--mask` and `--remove`.

    GuardResult ──only──► the entities that were asked for ──shaped──► their silhouettes, with a margin, or their boxes

An outline tells: a cat from a cup, and sometimes one person from another. A box tells a size and a place.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from privsc.errors import ConfigError
from privsc.images.regions import Box, bounding_box, dilate

if TYPE_CHECKING:  # the guard loads torch
    from privsc.knowledge.detection import Detection, GuardResult

MAX_MARGIN = 999  # [px]
_FORM = re.compile(r"(box|silhouette)(?:\+(\d{1,3}))?")


@dataclass(frozen=True)
class MaskShape:
    """Shape of a removed region.

    Attributes:
        box: the bounding box instead of the silhouette.
        margin: [px] added all round.
    """

    box: bool = False
    margin: int = 0

    @classmethod
    def parse(cls, text: str) -> MaskShape:
        """`box`, `silhouette`, or either with `+N` pixels of margin."""
        form = _FORM.fullmatch(text.strip().lower())
        if form is None:
            raise ConfigError(f"mask: must be box, silhouette or silhouette+N, N of 0 to {MAX_MARGIN} px; got {text!r}")
        return cls(form[1] == "box", int(form[2] or 0))

    def __str__(self) -> str:
        return ("box" if self.box else "silhouette") + (f"+{self.margin}" if self.margin else "")

    def of(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A guard's mask [H, W] in this shape; never smaller than the mask itself."""
        if not self.box:
            return dilate(mask, self.margin)
        box = bounding_box(mask)
        if box is None:
            return mask.copy()
        height, width = mask.shape
        x0, y0, x1, y1 = box
        left, top = max(0, x0 - self.margin), max(0, y0 - self.margin)
        right, bottom = min(width, x1 + self.margin), min(height, y1 + self.margin)
        return filled_box((left, top, right, bottom), mask.shape)


def filled_box(box: Box, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """[H, W] bool, True inside the box."""
    mask = np.zeros(shape[:2], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def shaped(image: NDArray[np.uint8], guarded: GuardResult, shape: MaskShape) -> GuardResult:
    """The guard's result with every entity's mask in another shape; S is [H, W, 3] uint8."""
    if shape == MaskShape():
        return guarded
    return _rebuilt(image, guarded, [replace(d, mask=shape.of(d.mask), silhouette=d.mask) for d in guarded.detections])


def only(image: NDArray[np.uint8], guarded: GuardResult, indices: Collection[int]) -> GuardResult:
    """The guard's result with the entities of these indices only: all others of K are left in the picture.

    The guard looks for all of K first, so that a chosen entity does not answer for a similar one that was not chosen.
    """
    return _rebuilt(image, guarded, [d for d in guarded.detections if d.index in indices])


def _rebuilt(image: NDArray[np.uint8], guarded: GuardResult, detections: list[Detection]) -> GuardResult:
    joint = np.zeros(image.shape[:2], bool)
    for detection in detections:
        joint |= detection.mask
    boxed = tuple(replace(d, box=bounding_box(d.mask) or d.box) for d in detections)
    return replace(guarded, masked=np.where(joint[..., None], np.uint8(0), image), mask=joint, detections=boxed)
