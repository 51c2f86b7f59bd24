"""f of eq. (8) made smooth: how surely a recogniser names the entity in a picture, as a number with a gradient.

    Ŝe [B, 3, 96, 96] ──enlarged──► Lite0 ──► patches [B, d, 12, 12] ──cosine with f_k, best of the region──► s_k
    softmax((s_1, …, s_K, Gamma) / T) ──► probability of each entity, and of nobody ──► f = that of the true one

The paper's f counts pictures whose best-matching entity is the true one and reaches its threshold; with T towards 0
this is the same count. The f_k are made anew from the samples S_k at the scale of the crops that are judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from privsc.guard.guard import GAMMA
from privsc.images.regions import crop_box, region_box, resize, resize_mask
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks.backbone import Lite0
from privsc.networks.diffusion import CROP
from privsc.networks.image_encoder import Lite0Encoder

SIDE = 192
"""Side that a crop is enlarged to before it is judged [pixels]; with it the clean last photographs are all named."""
TEMPERATURE = 0.05
"""T [cosine similarity]; also how sharply the best patches of a region are preferred to the rest."""


class SoftIdentity:
    """The recogniser; it is not trained.

    Args:
        backbone: of S_alpha.
        f_k: [K, d] float32 of unit norm.
        gamma: score from which somebody is recognised.
    """

    def __init__(
        self, backbone: Lite0, f_k: torch.Tensor, gamma: float = GAMMA, temperature: float = TEMPERATURE
    ) -> None:
        self._backbone, self.f_k, self._gamma, self._temperature = backbone, f_k, gamma, temperature

    @classmethod
    def of(cls, entities: Sequence[Entity], backbone: Lite0) -> SoftIdentity:
        """With the f_k of the entities' samples: patches pooled over the silhouette, then over the samples."""
        f_k = []
        for entity in entities:
            crops = [crop_of(photo, mask) for photo, mask in sample_pairs(entity) if mask.any()]
            pictures, masks = (torch.stack(column) for column in zip(*crops, strict=True))
            with torch.no_grad():
                patches = _patches(backbone, pictures)
            weights = F.adaptive_avg_pool2d(masks, patches.shape[-1])
            pooled = F.normalize((patches * weights).sum((2, 3)), dim=1)
            f_k.append(F.normalize(pooled.mean(0), dim=0))
        return cls(backbone, torch.stack(f_k))

    def scores(self, pictures: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Similarity of each entity [B, K] within ``region`` [B, 1, 96, 96]; pictures [B, 3, 96, 96] in [-1, 1]."""
        patches = _patches(self._backbone, pictures)
        cosine = torch.einsum("bdhw,kd->bkhw", patches, self.f_k).flatten(2)
        weights = F.adaptive_avg_pool2d(region, patches.shape[-1]).flatten(1)[:, None] + 1e-6
        logits = cosine / self._temperature + (weights / weights.sum(2, keepdim=True)).log()
        return self._temperature * torch.logsumexp(logits, dim=2)

    def probabilities(self, pictures: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """[B, K + 1], the last one is nobody."""
        scores = self.scores(pictures, region)
        nobody = torch.full_like(scores[:, :1], self._gamma)
        return torch.softmax(torch.cat([scores, nobody], dim=1) / self._temperature, dim=1)

    def __call__(self, pictures: torch.Tensor, region: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
        """f of each picture [B], in [0, 1]; ``who`` [B] int64 is the entity's place among those of K."""
        return self.probabilities(pictures, region).gather(1, who[:, None])[:, 0]


def crop_of(photo: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The crop around a mask [H, W] of HWC uint8: [3, 96, 96] in [-1, 1], and the mask there [1, 96, 96]."""
    box, size = crop_box(region_box(mask), mask.shape[1], mask.shape[0]), (CROP, CROP)
    picture = torch.from_numpy(resize(photo, size, box).copy()).permute(2, 0, 1).float() / 127.5 - 1
    return picture, torch.from_numpy(resize_mask(mask, size, box).copy())[None].float()


def _patches(backbone: Lite0, pictures: torch.Tensor) -> torch.Tensor:
    """Unit-norm patch features [B, d, 12, 12], joined as the guard's encoder joins them."""
    large = F.interpolate(pictures / 2 + 0.5, (SIDE, SIDE), mode="bilinear", align_corners=False)
    maps = {stride: found.float() for stride, found in backbone(large).items()}
    coarse = F.interpolate(maps[32], size=maps[16].shape[-2:], mode="bilinear", align_corners=False)
    joined = [F.normalize(maps[16], dim=1) * Lite0Encoder.FINE, F.normalize(coarse, dim=1)]
    return F.normalize(torch.cat(joined, dim=1), dim=1)
