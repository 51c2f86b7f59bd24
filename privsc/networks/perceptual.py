"""Perceptual distance on our own backbone, for training (the form of Zhang et al. 2018, eq. 1, unit weights)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from privsc.networks.backbone import Lite0


def perceptual_distance(
    backbone: Lite0, a: torch.Tensor, b: torch.Tensor, strides: tuple[int, ...] = (4, 8, 16, 32)
) -> torch.Tensor:
    """Mean squared distance of channel-normalised features, summed over ``strides``. a, b [B, 3, H, W] in [-1, 1].

    Returns [B]; gradients flow into ``a`` only.
    """
    with torch.no_grad():
        wanted = backbone(b / 2 + 0.5)
    found = backbone(a / 2 + 0.5)
    total = torch.zeros(a.shape[0], dtype=torch.float32)
    for stride in strides:
        difference = F.normalize(found[stride].float(), dim=1) - F.normalize(wanted[stride].float(), dim=1)
        total = total + difference.square().sum(1).mean((1, 2))
    return total
