"""Bob's reference: the sample of S_k that goes over the region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from privsc.errors import RecoveryError
from privsc.hints.apply import lay
from privsc.hints.pose_hint import PoseHint
from privsc.images.placement import is_boxed
from privsc.images.regions import WarpedSample, bounding_box, warp_silhouette
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs


def border_colour(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean colour [3] of the pixels just outside a region; grey where the region fills the picture."""
    ring = ndimage.binary_dilation(mask, iterations=max(2, round(0.03 * max(mask.shape)))) & ~mask
    return image[ring].mean(axis=0).astype(np.float32) if ring.any() else np.full(3, 128, np.float32)


def best_sample(entity: Entity, image: NDArray[np.uint8], region: NDArray[np.bool_]) -> WarpedSample:
    """The sample of S_k, mirrored or not, whose silhouette fits the region best; like light breaks ties.

    Fit is the IoU of the silhouettes after their boxes are aligned, less a penalty for an aspect ratio that would have
    to be stretched and for a background of another colour. Into a box the sample goes unstretched.
    """
    x0, y0, x1, y1 = bounding_box(region) or (0, 0, region.shape[1], region.shape[0])
    aspect, around, boxed = (x1 - x0) / (y1 - y0), border_colour(image, region), is_boxed(region)
    best, best_fit = None, -np.inf
    for photo, silhouette in sample_pairs(entity):
        box = bounding_box(silhouette)
        if box is None:
            continue
        stretch = abs(np.log((box[2] - box[0]) / (box[3] - box[1]) / aspect))
        contrast = np.abs(border_colour(photo, silhouette) - around).mean() / 255
        for mirrored in (False, True):
            warped = warp_silhouette(photo, silhouette, region, mirrored=mirrored, keep_aspect=boxed)
            fit = (0.0 if boxed else warped.overlap) - 0.3 * stretch - 0.3 * contrast - 0.01 * mirrored
            if fit > best_fit:
                best, best_fit = warped, fit
    if best is None:
        raise RecoveryError(f"{entity.name}: no sample in K has a silhouette; enrol it again")
    return best


def place(entity: Entity, image: NDArray[np.uint8], region: NDArray[np.bool_], pose: PoseHint | None) -> WarpedSample:
    """The sample of S_k over the region: as the transmitter's hint says, or as the silhouette suggests."""
    if pose is None:
        return best_sample(entity, image, region)
    return lay(pose, sample_pairs(entity), region)
