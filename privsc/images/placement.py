"""Which part of the removed region belongs to which entity.

Regions that lie apart need no word: they are read from left to right. Where they touch or overlap, as boxes do, the
payload's head names a box for each, and every pixel goes to one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from privsc.images.regions import Box, region_box

Masks = list[NDArray[np.bool_]]

FILL = 0.87
"""Share of its bounding box from which a region counts as a box; outlines of animals and people fill 0.5 to 0.8."""


def is_boxed(part: NDArray[np.bool_]) -> bool:
    """Whether a region [H, W] is (nearly) a box, so that its outline says nothing about a silhouette."""
    x0, y0, x1, y1 = region_box(part)
    return float(part[y0:y1, x0:x1].mean()) >= FILL


def parts_of(region: NDArray[np.bool_], count: int, boxes: Sequence[Box] = ()) -> Masks:
    """The parts of a region [H, W] in the order of the entities; with ``boxes`` a part may be empty."""
    return split_by_boxes(region, boxes) if boxes else split_region(region, max(1, count))


def boxes_needed(masks: Sequence[NDArray[np.bool_]]) -> bool:
    """Whether a receiver that sees only the union of ``masks`` [H, W], in their order, would take it apart wrongly."""
    if len(masks) < 2:
        return False
    parts = split_region(np.logical_or.reduce(masks), len(masks))
    return len(parts) != len(masks) or any(not (part == mask).all() for part, mask in zip(parts, masks, strict=True))


def split_by_boxes(region: NDArray[np.bool_], boxes: Sequence[Box]) -> Masks:
    """Each pixel of ``region`` [H, W] to one of the boxes that hold it, or to the nearest.

    Of several that hold it, to the one whose centre it is nearest to as a share of the box's size, small boxes first:
    what lies wholly within another keeps its pixels.
    """
    y, x = np.mgrid[: region.shape[0], : region.shape[1]] + 0.5
    cost = np.empty((len(boxes), *region.shape))
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        width, height = x1 - x0, y1 - y0
        far = np.maximum(abs(x - (x0 + x1) / 2) / width, abs(y - (y0 + y1) / 2) / height)  # 0.5 at the border
        cost[number] = np.where(far <= 0.5, far * width * height, 1e12 * (1 + far))
    owner = cost.argmin(axis=0)
    return [region & (owner == number) for number in range(len(boxes))]


def split_region(region: NDArray[np.bool_], count: int) -> Masks:
    """The ``count`` largest components of a region from left to right; smaller ones join the nearest of them."""
    labels, found = ndimage.label(ndimage.binary_dilation(region, iterations=2))
    labels = labels * region
    if found <= 1 or count <= 1:
        return [region]
    sizes = np.bincount(labels.ravel(), minlength=found + 1)
    sizes[0] = 0
    large = np.argsort(-sizes)[: min(count, found)]
    seeds = np.where(np.isin(labels, large), labels, 0)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    owner = seeds[nearest[0], nearest[1]] * region
    parts = [owner == label for label in large]
    return sorted(parts, key=lambda part: region_box(part)[0])
