"""The 256 points of the picture code's messages, learned from features of training pictures (Lloyd's algorithm)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from phy.codec.codec import Codec
from privsc.networks.picture_code import BLOCK, PictureCode, energies_of, energy_levels
from privsc.networks.picture_mixing import GRAIN, Placement, Points, mix, nearest
from privsc.training.picture_code_data import read_rgb

CODEC_ID = 49
RATES = (1 / 48, 1 / 24, 1 / 12, 1 / 6)


@torch.no_grad()
def mixed_symbols(model: PictureCode, photos: Sequence[Path], rates: Sequence[float] = RATES) -> np.ndarray:
    """Unrounded symbols [N] complex64 of the photographs, each at one of the rates in turn."""
    parts = []
    for number, path in enumerate(photos):
        rgb = read_rgb(path)
        height, width = (size // BLOCK * BLOCK for size in rgb.shape[:2])
        picture = torch.from_numpy(rgb[None, :height, :width].astype(np.float32) / 255 - 0.5)
        features = model.encode(picture).flatten(1, 2)[0]
        symbols = int(len(features) * 192 * rates[number % len(rates)]) // GRAIN * GRAIN
        placement = Placement(len(features), symbols, features.shape[1])
        energies = energies_of(energy_levels(features.square().mean(0)))
        parts.append(mix(features.numpy(), energies.numpy(), placement))
    return np.concatenate(parts)


def learn_points(symbols: np.ndarray, rng: np.random.Generator, rounds: int = 80) -> Points:
    """Points that leave the least mean squared error, of energy 1 as they are used.

    Args:
        symbols: [N] complex64 with energy near 1.
        rng: where the first points come from.
        rounds: of Lloyd's algorithm.
    """
    points = rng.choice(symbols, 256, replace=False) * np.float32(1.3)
    count: np.ndarray
    for _ in range(rounds):
        cell = nearest(symbols, points)
        count = np.bincount(cell, minlength=256)
        sums = np.bincount(cell, symbols.real, 256) + 1j * np.bincount(cell, symbols.imag, 256)
        empty = np.flatnonzero(count == 0)
        sums[empty], count[empty] = rng.choice(symbols, len(empty)), 1
        points = (sums / count).astype(np.complex64)
    cell = nearest(symbols, points)
    rounding = float(np.mean(np.abs(symbols - points[cell]) ** 2) / np.mean(np.abs(symbols) ** 2))
    prior = np.bincount(cell, minlength=256) / len(cell)
    unit = points / np.sqrt(np.abs(points) ** 2 @ prior)
    return Points(unit.astype(np.complex64), prior.astype(np.float32), rounding)


def points_codec(points: Points, steps: int) -> Codec:
    """The points as a codec of ``phy``, by which a radio sends and receives messages without networks."""
    about = {"steps": steps, "rounding": points.rounding, "made_by": "privsc.training.picture_code_run"}
    return Codec("picture8x1", CODEC_ID, 8, points.codebook[:, None], prior=points.prior, training=about)
