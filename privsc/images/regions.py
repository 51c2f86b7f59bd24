"""Geometry of regions: bounding boxes, crops around a mask, and warping one silhouette onto another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, x1 and y1 exclusive."""


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """Smallest box that holds every True pixel of ``mask`` [H, W], or None where there is none."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def region_box(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of a mask [H, W] that must not be empty.

    Raises:
        ValueError: where no pixel is True.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("`mask` must have at least one True pixel; got an empty mask")
    return box


def crop_box(box: Box, width: int, height: int, margin: float = 0.25) -> Box:
    """Box with ``margin`` of its longer side added all round, as square as the picture's borders allow.

    The surroundings in the crop are what tells a generative model about light and background.
    """
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0) * (1 + 2 * margin)
    spans = []
    for low, high, limit in ((x0, x1, width), (y0, y1, height)):
        length = min(max(round(side), high - low), limit)
        start = round((low + high - length) / 2)
        start = min(max(start, 0), limit - length)
        spans.append((start, start + length))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def resize(image: NDArray[np.uint8], size: tuple[int, int], box: Box | None = None) -> NDArray[np.uint8]:
    """Antialiased bicubic resize of HWC (or HW) uint8 to ``size`` (width, height), optionally of a box only."""
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, box=box))


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int], box: Box | None = None) -> NDArray[np.bool_]:
    """Area-like resize of a mask [H, W]; a pixel is True where at least half of its area was."""
    source = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(source.resize(size, Image.Resampling.BILINEAR, box=box)) >= 128


def intersection_over_union(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """IoU of two masks of one shape; 1.0 where both are empty."""
    union = np.logical_or(a, b).sum()
    return float(np.logical_and(a, b).sum() / union) if union else 1.0


def dilate(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Mask grown by ``pixels`` in Euclidean distance; a safety margin around a private region."""
    if pixels <= 0 or not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask) <= pixels


@dataclass(frozen=True)
class WarpedSample:
    """A sample of K carried onto a target region.

    Attributes:
        image: HWC uint8, the sample's entity in the target's frame; meaningful where ``valid``.
        valid: [H, W] bool, target pixels that the sample's silhouette covers.
        overlap: IoU of the warped silhouette with the target region.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    overlap: float


def warp_silhouette(
    photo: NDArray[np.uint8],
    silhouette: NDArray[np.bool_],
    target: NDArray[np.bool_],
    *,
    mirrored: bool = False,
    keep_aspect: bool = False,
) -> WarpedSample:
    """Carry the entity in ``photo`` (HWC uint8, silhouette [h, w]) onto the region ``target`` [H, W].

    The map takes one bounding box onto the other, mirrored or not. Pose is left as it is: a map with more freedom
    would have to guess correspondences inside a region that the receiver cannot see. With ``keep_aspect`` the entity is
    made as large as the target's box allows, without stretching, and stands in the middle of its lower edge.

    Raises:
        ValueError: if either mask is empty.
    """
    source_box, target_box = region_box(silhouette), region_box(target)
    x0, y0, x1, y1 = target_box
    if keep_aspect:
        wide, high = source_box[2] - source_box[0], source_box[3] - source_box[1]
        scale = min((x1 - x0) / wide, (y1 - y0) / high)
        wide, high = max(1, round(wide * scale)), max(1, round(high * scale))
        x0, y0 = x0 + (x1 - x0 - wide) // 2, y1 - high
        x1 = x0 + wide
    size = (x1 - x0, y1 - y0)
    patch, shape = resize(photo, size, source_box), resize_mask(silhouette, size, source_box)
    if mirrored:
        patch, shape = patch[:, ::-1], shape[:, ::-1]
    image = np.zeros((*target.shape, 3), np.uint8)
    valid = np.zeros(target.shape, bool)
    image[y0:y1, x0:x1] = patch
    valid[y0:y1, x0:x1] = shape
    return WarpedSample(image, valid & target, intersection_over_union(valid, target))


def extend_into(image: NDArray[np.uint8], valid: NDArray[np.bool_], region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give every pixel of ``region`` that is not ``valid`` the colour of its nearest valid pixel (HWC uint8)."""
    if not valid.any():
        return image
    missing = region & ~valid
    if not missing.any():
        return image
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    out = image.copy()
    out[missing] = image[nearest[0][missing], nearest[1][missing]]
    return out
