"""Bob's side of a pose hint: the sample of S_k, turned, bent and lit as the hint says, over the region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from privsc.errors import PayloadError
from privsc.hints.pose_hint import PoseHint
from privsc.images.regions import Box, WarpedSample, crop_box, region_box, resize, resize_mask

MARGIN = 0.1


def sample_frame(silhouette: NDArray[np.bool_]) -> Box:
    """The frame of a sample [H, W]: what (-1, -1) to (1, 1) of its own coordinates is."""
    return crop_box(region_box(silhouette), silhouette.shape[1], silhouette.shape[0], MARGIN)


def frame_in_photo(silhouette: NDArray[np.bool_], mirrored: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale [2] and shift [2], x and y, from coordinates of a sample's frame to those of its (mirrored) photograph.

    Both run from -1 to 1. A hint speaks of the photograph as a whole: where the entity lies in it is known to K only,
    so that a hint's map alone does not say where in the removed region the entity was.
    """
    height, width = silhouette.shape
    x0, y0, x1, y1 = sample_frame(silhouette)
    scale = np.array([(x1 - x0) / width, (y1 - y0) / height], np.float32)
    shift = np.array([(x0 + x1) / width - 1, (y0 + y1) / height - 1], np.float32)
    return scale, shift * np.array([-1 if mirrored else 1, 1], np.float32)


def _grid(matrix: torch.Tensor, flow: torch.Tensor | None, height: int, width: int) -> torch.Tensor:
    grid = F.affine_grid(matrix, [matrix.shape[0], 1, height, width], align_corners=False)
    if flow is not None:
        fine = F.interpolate(flow, (height, width), mode="bicubic", align_corners=True)
        grid = grid + fine.permute(0, 2, 3, 1)
    return grid


def lay(
    hint: PoseHint, samples: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]], region: NDArray[np.bool_]
) -> WarpedSample:
    """The sample over a region [H, W], lit as the hint says.

    Raises:
        PayloadError: where S_k has no such sample, or the frame lies outside the picture.
    """
    height, width = region.shape
    x0, y0, x1, y1 = hint.box
    if hint.sample >= len(samples) or not samples[hint.sample][1].any():
        raise PayloadError(f"a pose hint names sample {hint.sample}; this K has {len(samples)}: copy the sender's K")
    if x1 > width or y1 > height:
        raise PayloadError(f"a pose hint's box is {hint.box}; the picture has {width} x {height} pixels")
    photo, silhouette = samples[hint.sample]
    frame = sample_frame(silhouette)
    scaling, shift = frame_in_photo(silhouette, hint.mirrored)
    matrix = (hint.matrix - np.array([[0, 0, shift[0]], [0, 0, shift[1]]], np.float32)) / scaling[:, None]
    flow = hint.flow / scaling[:, None, None]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))) or 1.0
    sides = (frame[2] - frame[0], frame[3] - frame[1])
    shrink = min(1.0, (x1 - x0) / (sides[0] * scale), (y1 - y0) / (sides[1] * scale))
    size = (max(8, round(sides[0] * shrink)), max(8, round(sides[1] * shrink)))  # as fine as the picture, no finer
    colours, shape = resize(photo, size, frame), resize_mask(silhouette, size, frame)
    if hint.mirrored:
        colours, shape = colours[:, ::-1], shape[:, ::-1]
    planes = torch.from_numpy(np.concatenate([colours / np.float32(127.5) - 1, shape[..., None]], axis=2).copy())
    grid = _grid(torch.from_numpy(matrix)[None], torch.from_numpy(flow)[None], y1 - y0, x1 - x0)
    seen = F.grid_sample(
        planes.permute(2, 0, 1)[None].float(), grid, mode="bicubic", padding_mode="zeros", align_corners=False
    )[0].numpy()
    lit = np.clip(seen[:3] * hint.gain[:, None, None] + hint.offset[:, None, None], -1, 1)
    image = np.zeros((height, width, 3), np.uint8)
    image[y0:y1, x0:x1] = np.rint((lit.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
    valid = np.zeros(region.shape, bool)
    valid[y0:y1, x0:x1] = seen[3] > 0.5
    joint = valid & region
    union = (valid | region).sum()
    return WarpedSample(image, joint, float(joint.sum() / union))
