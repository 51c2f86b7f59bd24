"""Random changes of light, shape and place, for training."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def random_shape(height: int, width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Ellipse, box or smooth blob over 4 to 45 % of the picture's sides, [height, width] bool."""
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    w, h = rng.uniform(0.25, 0.75, 2) * (width, height)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    kind = rng.integers(3)
    if kind == 0:
        draw.rectangle([x, y, x + w, y + h], fill=1)
    elif kind == 1:
        draw.ellipse([x, y, x + w, y + h], fill=1)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        radii = rng.uniform(0.5, 1.0, 12)
        points = np.stack([x + w / 2 * (1 + radii * np.cos(angles)), y + h / 2 * (1 + radii * np.sin(angles))], 1)
        draw.polygon([tuple(point) for point in points.tolist()], fill=1)
    return np.asarray(canvas, bool)


def _affine(rng: np.random.Generator, spread: float) -> NDArray[np.float32]:
    """Random 2 x 3 matrix for grid_sample: rotation, scale, shear, shift; ``spread`` 0 to 1."""
    angle = rng.normal(0, 0.25 * spread)
    scale = np.exp(rng.normal(0, 0.18 * spread, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, rng.normal(0, 0.12 * spread)], [0, 1]])
    matrix = turn @ shear @ np.diag(scale)
    return np.concatenate([matrix, rng.normal(0, 0.1 * spread, (2, 1))], axis=1).astype(np.float32)


def warp_batch(planes: torch.Tensor, spreads: NDArray[np.float64], rng: np.random.Generator) -> torch.Tensor:
    """Random affine plus smooth elastic warp of each plane stack [B, C, H, W], zero outside."""
    matrices = torch.from_numpy(np.stack([_affine(rng, spread) for spread in spreads]))
    grid = F.affine_grid(matrices, list(planes.shape), align_corners=False)
    coarse = rng.normal(0, 1, (len(spreads), 2, 4, 4)) * 0.12 * spreads[:, None, None, None]
    field = F.interpolate(torch.from_numpy(coarse).float(), planes.shape[-2:], mode="bicubic", align_corners=True)
    return F.grid_sample(planes, grid + field.permute(0, 2, 3, 1), align_corners=False)


def relight(rgb: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Random gain per channel, contrast and brightness on [B, 3, H, W] in [-1, 1]."""
    count = rgb.shape[0]
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.10 * strength, (count, 3, 1, 1)))).float()
    level = torch.from_numpy(rng.normal(0, 0.15 * strength, (count, 1, 1, 1))).float()
    contrast = torch.from_numpy(np.exp(rng.normal(0, 0.2 * strength, (count, 1, 1, 1)))).float()
    return (rgb * gain * contrast + level).clamp(-1, 1)
