"""The picture code's channel in training: what is sent, through how much noise, and what a linear code makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from privsc.networks.picture_code import PictureCode, powers, quantised_energies

ROUNDING_NOISE = 0.008  # of 256 points for a complex Gaussian of unit energy (Zador's bound: 0.0079)


@dataclass(frozen=True)
class Transmission:
    """What is drawn for one batch: ``sent`` [B, h, w, features], ``noise`` like it, ``visible`` [B, h, w], float32."""

    sent: torch.Tensor
    noise: torch.Tensor
    visible: torch.Tensor


def sent_features(order: torch.Tensor, symbols: torch.Tensor, visible: torch.Tensor, features: int) -> torch.Tensor:
    """Which features are sent: in a part of the blocks one symbol more than in the others.

    Args:
        order: [B, h, w] from 0 to 1, place of a block within one symbol's turn.
        symbols: [B] float32, symbols a block on average.
        visible: [B, h, w] float32.
        features: number of real features.

    Returns:
        [B, h, w, features] float32, 0 or 1.
    """
    pair = torch.arange(features, device=order.device) // 2
    return ((pair + order[..., None]) < symbols[:, None, None, None]).float() * visible[..., None]


def transmit(
    model: PictureCode, features: torch.Tensor, way: Transmission, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features through the channel: linear estimates and reliability [B, h, w, features], power [B, features]."""
    energies = quantised_energies(features, way.visible)
    share = way.sent.sum((1, 2)) / way.visible.sum((1, 2))[:, None].clamp_min(1)
    power = powers(energies, share)
    gain = (power / energies).sqrt()[:, None, None]
    received = features * gain + torch.randn(features.shape, generator=generator) * way.noise.sqrt()
    reliability = way.sent * (power[:, None, None] / (power[:, None, None] + way.noise))
    return reliability * received / gain, reliability, power


def linear_error(energies: torch.Tensor, way: Transmission, count: int) -> torch.Tensor:
    """Mean squared error a pixel [B] that the linear code expects for energies [B, 192] of the coefficients."""
    share = way.sent.sum((1, 2)) / way.visible.sum((1, 2))[:, None].clamp_min(1)
    noise = way.noise.mean((1, 2, 3))[:, None]
    leading = energies[:, :count] + 1e-9
    power = powers(leading, share)
    left = leading * (1 - share * power / (power + noise))
    return (left.sum(1) + energies[:, count:].sum(1)) / energies.shape[1]
