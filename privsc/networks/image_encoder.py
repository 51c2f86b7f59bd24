"""S_alpha, the image encoder: patch features for matching, and the maps that the mask decoder shares.

One pass of the backbone at 384 pixels serves both the guard's matching and its segmentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from privsc.errors import ConfigError
from privsc.images.regions import resize_mask
from privsc.networks.backbone import STAGES, Lite0, load_lite0, weights_digest
from privsc.networks.letterbox import SIDE, STRIDE, Letterbox, letterbox


@dataclass(frozen=True)
class ImageFeatures:
    """What S_alpha says of one picture.

    Attributes:
        patches: [h, w, dim] float32, unit norm; patch (r, c) is centred at ``centres[r, c]``.
        centres: [h, w, 2] float32, x, y in pixels of the picture.
        maps: the backbone's maps by stride, for the mask decoder.
        fitted: the letterboxed picture that the maps were made of.
    """

    patches: NDArray[np.float32]
    centres: NDArray[np.float32]
    maps: dict[int, torch.Tensor]
    fitted: Letterbox

    def region_weights(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Share of each patch [h, w] that lies in ``mask`` [H, W]."""
        height, width = self.patches.shape[:2]
        fitted_width, fitted_height = self.fitted.size
        fine = np.zeros((height * STRIDE, width * STRIDE), np.float32)
        fine[:fitted_height, :fitted_width] = resize_mask(mask, self.fitted.size)
        return fine.reshape(height, STRIDE, width, STRIDE).mean((1, 3))

    def patch_cells(self, chosen: NDArray[np.bool_], image_size: tuple[int, int]) -> NDArray[np.bool_]:
        """Pixels [H, W] of the chosen patches [h, w]."""
        fine = np.kron(chosen, np.ones((STRIDE, STRIDE), bool)).astype(bool)
        width, height = self.fitted.size
        return resize_mask(fine[:height, :width], (image_size[1], image_size[0]))


class Encoder(Protocol):
    """Any image encoder that can stand for S_alpha. K remembers ``identity``: features of two encoders do not mix."""

    identity: str
    dim: int
    gamma_range: tuple[float, float]  # limits of a Gamma that enrolment calibrates

    def __call__(self, image: NDArray[np.uint8], fill: float = 1.0) -> ImageFeatures:
        """Features of HWC uint8, seen at ``fill`` of the usual size."""
        ...


class Lite0Encoder:
    """Patch features of EfficientNet-Lite0: the last blocks at strides 16 and 32, joined.

    The coarse map says who (22 of 22 subjects by it alone), the fine one sharpens where; ``FINE`` weighs it.
    """

    FINE = 0.3
    gamma_range = (0.45, 0.66)  # below, chance resemblance; above, another light would hide the entity

    def __init__(self, backbone: Lite0) -> None:
        self._backbone = backbone
        self.identity = f"efficientnet-lite0@{SIDE}:{weights_digest()}"
        self.dim = STAGES[16][1] + STAGES[32][1]

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8], fill: float = 1.0) -> ImageFeatures:
        fitted = letterbox(image, fill=fill)
        maps = self._backbone(fitted.pixels)
        coarse = F.interpolate(maps[32], size=maps[16].shape[-2:], mode="bilinear", align_corners=False)
        joined = torch.cat([F.normalize(maps[16], dim=1) * self.FINE, F.normalize(coarse, dim=1)], dim=1)
        width, height = (-(-side // STRIDE) for side in fitted.size)
        patches = F.normalize(joined, dim=1)[0, :, :height, :width].permute(1, 2, 0).contiguous().numpy()
        return ImageFeatures(patches, patch_centres(height, width, fitted.scale, image.shape[:2]), maps, fitted)


def patch_centres(rows: int, columns: int, scale: float, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """Centres [rows, columns, 2] of the patches, x, y in pixels of a picture of ``image_size`` (H, W)."""
    row, column = np.mgrid[:rows, :columns].astype(np.float32)
    centres = (np.stack([column, row], axis=-1) + 0.5) * STRIDE / scale
    return np.minimum(centres, np.array([image_size[1] - 1, image_size[0] - 1], np.float32))


def pool(patches: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted global average of patches [h, w, d] over a region, scaled to unit norm: the f_k of one sample."""
    total = np.tensordot(weights, patches, axes=([0, 1], [0, 1]))
    norm = np.linalg.norm(total)
    if norm == 0:
        raise ValueError("`weights` must have a positive entry; got an empty region")
    return (total / norm).astype(np.float32)


@lru_cache(maxsize=2)
def load_encoder(name: str = "lite0") -> Encoder:
    """S_alpha by name; read once per process.

    Raises:
        ConfigError: for a name that is not known.
    """
    if name != "lite0":
        raise ConfigError(f"no encoder {name!r}: use 'lite0'")
    return Lite0Encoder(load_lite0())
