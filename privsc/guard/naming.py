"""Whose region is whose: regions of several entities, copies and suspects become detections.

Nothing that was found is dropped: a region that goes by another's name joins it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privsc.guard.finding import Candidate
from privsc.images.regions import intersection_over_union, region_box
from privsc.knowledge.detection import UNKNOWN, Detection

SAME = 0.5
"""Intersection over union from which two regions are one."""
WITHIN = 0.5
"""Share of a region that lies in another of the same entity, or of a suspect in any other, from which it joins it."""
MAX_REGIONS = 24
"""Detections at most; further ones join the nearest."""


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels of one candidate.

    Attributes:
        candidate: what matched.
        mask: [H, W] bool.
        cells: [h, w] bool, the same as a coarse map.
        points: [N, 2] float32, x, y [pixels], that prompted the mask decoder.
        sure: whether it may have the candidate's name.
    """

    candidate: Candidate
    mask: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    points: NDArray[np.float32]
    sure: bool


def named(regions: Iterable[Region]) -> tuple[Detection, ...]:
    """Detections, the surest first; their masks together hold every region.

    Where several entities claim one region, the one farthest above its Gamma has it. Suspects are `unknown`.
    """
    kept: list[Detection] = []
    for region in sorted(regions, key=lambda r: (not r.sure, -r.candidate.excess)):
        if not region.mask.any():
            continue
        other = _host(region, kept)
        if other is None:
            kept.append(_detection(region))
        else:
            mask = kept[other].mask | region.mask
            kept[other] = replace(kept[other], mask=mask, box=region_box(mask))
    return tuple(kept)


def _detection(region: Region) -> Detection:
    candidate = region.candidate
    index, name = (candidate.entity.index, candidate.entity.name) if region.sure else (0, UNKNOWN)
    return Detection(index, name, candidate.score, region_box(region.mask), region.points, region.mask)


def _host(region: Region, kept: list[Detection]) -> int | None:
    """Which of the detections a region belongs to, None where it is one of its own."""
    sure, area = region.sure, region.mask.sum()
    for number, detection in enumerate(kept):
        shared = (detection.mask & region.mask).sum()
        same = not sure or detection.index == region.candidate.entity.index
        if same and shared >= WITHIN * min(area, detection.mask.sum()):
            return number
        if intersection_over_union(detection.mask, region.mask) >= SAME:
            return number
    if len(kept) < MAX_REGIONS:
        return None
    centre = np.array(region.mask.nonzero()).mean(axis=1)
    far = [np.linalg.norm(np.array(d.mask.nonzero()).mean(axis=1) - centre) for d in kept]
    return int(np.argmin(far))
