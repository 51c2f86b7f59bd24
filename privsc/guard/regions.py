"""From matched patches to a region of pixels: points P, the mask decoder M_chi, a safety margin.

candidate ──where to look──► crop, turned upright ──S_alpha──► maps ──P, M_chi──► mask ──turned back──► M
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from privsc.guard.finding import Candidate
from privsc.guard.matching import grown, similarities, spread_points
from privsc.guard.naming import Region
from privsc.images.regions import Box, dilate, region_box, resize_mask
from privsc.networks.image_encoder import Encoder, ImageFeatures
from privsc.networks.mask_decoder import Segmenter

MARGIN = 0.012
"""Safety margin around a mask, as a share of the picture's longer side: an uncovered private pixel is a leak."""
COVER = 0.35
"""Probability from which a pixel is taken as private; under one half, since a miss costs more than a false pixel."""
AGREEMENT = 0.6
"""Share of the matched patches' area that a mask must hold; below, M_chi has missed and the patches themselves join."""
WEAK = 0.6
"""Share of the weakest match's similarity from which a connected patch joins then."""
ROOM = 1.5
"""Sides of the crop that M_chi sees of an enlarged look, at least these times those of the matched patches."""


def _without_islands(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask [H, W] with holes and small uncovered spots (under 1 % of its area) covered, also at the picture's edge."""
    labels, count = ndimage.label(~mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    small = sizes < 0.01 * mask.sum()
    small[0] = False
    return ndimage.binary_fill_holes(mask | small[labels])


def keep_prompted(mask: NDArray[np.bool_], points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Components that a point lies on, and those that all but touch them; another animal elsewhere is not meant."""
    reach = max(2, round(0.02 * max(mask.shape)))
    labels, count = ndimage.label(ndimage.binary_dilation(mask, iterations=reach))
    on_mask = labels * mask
    prompted = np.zeros(count + 1, bool)
    prompted[on_mask[points[:, 1].astype(int), points[:, 0].astype(int)]] = True
    prompted[0] = False
    return prompted[on_mask]


def segment(
    segmenter: Segmenter,
    image_size: tuple[int, int],
    features: ImageFeatures,
    similarity: NDArray[np.float32],
    matched: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """M [H, W] for matched patches [h, w], grown by the safety margin, and the points P that prompted it."""
    points = spread_points(similarity, matched, features.centres)
    probability, _ = segmenter.probability(image_size, features.fitted, features.maps, points)
    mask = keep_prompted(probability > COVER, points)
    cells = features.patch_cells(matched, image_size)
    if (mask & cells).sum() < AGREEMENT * cells.sum():  # M_chi missed: all that resembles the entity at all joins
        alike = similarity >= WEAK * similarity[matched].min()
        mask = mask | features.patch_cells(grown(matched, alike), image_size)
    return _without_islands(dilate(mask, round(MARGIN * max(image_size)))), points


class Focus:
    """Looks closer at a candidate and outlines it.

    Args:
        image: HWC uint8.
        encoder: S_alpha.
        plain: features of the whole picture.
    """

    def __init__(self, image: NDArray[np.uint8], encoder: Encoder, plain: ImageFeatures) -> None:
        self._image, self._encoder, self._size = image, encoder, (image.shape[0], image.shape[1])
        self._seen: dict[tuple[Box, int], ImageFeatures] = {((0, 0, image.shape[1], image.shape[0]), 0): plain}

    def region(self, candidate: Candidate, segmenter: Segmenter | None, sure: bool) -> Region:
        """The pixels of a candidate; without a segmenter those of its patches, with the margin."""
        mask = self._pixels(candidate.cells)
        points = np.zeros((0, 2), np.float32)
        if segmenter is not None:
            box = self._box(candidate)
            outlined, points = self._outlined(candidate, box, segmenter)
            mask = np.zeros(self._size, bool)
            mask[box[1] : box[3], box[0] : box[2]] = outlined
            mask |= self._pixels(candidate.cells)
        else:
            mask = dilate(mask, round(MARGIN * max(self._size)))
        cells = resize_mask(mask, candidate.cells.shape[::-1])
        return Region(candidate, mask, cells | candidate.cells, points, sure)

    def joined(self, region: Region, cells: NDArray[np.bool_]) -> Region:
        """A region and the patches of another look at it that it lacks."""
        if not cells.any():
            return region
        return replace(region, mask=region.mask | self._pixels(cells), cells=region.cells | cells)

    def _outlined(
        self, candidate: Candidate, box: Box, segmenter: Segmenter
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Mask of the crop ``box``, and the points x, y in the picture."""
        features, turn = self._features(box, candidate.turn), candidate.turn
        crop = self._pixels(candidate.cells)[box[1] : box[3], box[0] : box[2]]
        turned = np.ascontiguousarray(np.rot90(crop, turn))
        weights = features.region_weights(turned)
        matched = weights >= min(0.5, float(weights.max()))
        similarity = similarities(features.patches, [candidate.entity])[0]
        mask, points = segment(segmenter, turned.shape, features, similarity, matched)
        return np.rot90(mask, -turn), _turned_back(points, turn, crop.shape) + np.float32(box[:2])

    def _features(self, box: Box, turn: int) -> ImageFeatures:
        if (box, turn) not in self._seen:
            crop = self._image[box[1] : box[3], box[0] : box[2]]
            self._seen[box, turn] = self._encoder(np.ascontiguousarray(np.rot90(crop, turn)))
        return self._seen[box, turn]

    def _pixels(self, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Pixels [H, W] of coarse cells."""
        rows = np.arange(self._size[0]) * cells.shape[0] // self._size[0]
        columns = np.arange(self._size[1]) * cells.shape[1] // self._size[1]
        return cells[rows[:, None], columns]

    def _box(self, candidate: Candidate) -> Box:
        """The part of the picture that the look at this zoom would show, with room around the patches."""
        height, width = self._size
        if candidate.zoom <= 1:
            return 0, 0, width, height
        x0, y0, x1, y1 = region_box(candidate.cells)
        rows, columns = candidate.cells.shape
        top, bottom = _span(y0 / rows, y1 / rows, candidate.zoom, height)
        left, right = _span(x0 / columns, x1 / columns, candidate.zoom, width)
        return left, top, right, bottom


def _span(low: float, high: float, zoom: float, side: int) -> tuple[int, int]:
    """Pixels of a side that hold its part from ``low`` to ``high``, with room, or as much as the look would show."""
    length = min(side, round(side * max(ROOM * (high - low), 1 / zoom)))
    start = round(side * (low + high) / 2 - length / 2)
    start = min(max(start, 0), side - length)
    return start, start + length


def _turned_back(points: NDArray[np.float32], turn: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Points x, y [n, 2] of a picture that was turned by quarter turns, in the picture of ``shape`` (H, W) itself."""
    height, width = shape
    x, y = points.T
    back = {0: (x, y), 1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[turn % 4]
    return np.stack(back, axis=-1).astype(np.float32)
