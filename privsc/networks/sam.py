"""The full Segment Anything models (Kirillov et al. 2023) as S_alpha and M_chi, from the user's checkpoint.

    S ──letterbox──► [3, 1024, 1024] ──ViT──► [256, 64, 64] ─┬─► unit norm ──► patches for matching
    P [N, 2] points ──PromptEncoder──────────────────────────┴─► MaskDecoder ──► M

The architecture is the one that `segment_anything.sam_model_registry` builds; nothing of it is repeated here. Patches
are compared on the output of the image encoder (its neck), as PerSAM does to find one person's cat (Zhang et al. 2023,
arXiv 2305.03048, section 3.1): it is the layer that the mask decoder reads, so one pass serves both.
"""

from __future__ import annotations

import hashlib
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from segment_anything import sam_model_registry
from torch import nn

from privsc.errors import WeightsError
from privsc.networks.device import torch_device
from privsc.networks.image_encoder import ImageFeatures, patch_centres
from privsc.networks.letterbox import STRIDE, letterbox
from privsc.networks.mask_decoder import Segmenter

SIDE = 1024
"""Side of the square that a picture is fitted into [pixels]; SAM's position embeddings are made for it."""


class SamEncoder:
    """S_alpha from SAM's ViT.

    Args:
        image_encoder: of the registry's Sam.
        mean, std: [3, 1, 1], of the pixels that it was trained on (0 to 255).
        identity: kind and digest of the checkpoint.
    """

    gamma_range = (0.5, 0.95)
    """Limits of a calibrated Gamma: neighbouring patches of a ViT resemble one another more than those of Lite0."""

    def __init__(self, image_encoder: Any, mean: torch.Tensor, std: torch.Tensor, identity: str) -> None:
        self._network, self._mean, self._std = image_encoder, mean, std
        self.identity = identity
        self.dim = 256

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8], fill: float = 1.0) -> ImageFeatures:
        """Features of HWC uint8, seen at ``fill`` of the usual size; the only map is the neck's, at stride 16."""
        fitted = letterbox(image, SIDE, fill)
        width, height = fitted.size
        pixels = torch.zeros_like(fitted.pixels)  # SAM pads after it has normalised
        pixels[:, :, :height, :width] = (fitted.pixels[:, :, :height, :width] * 255 - self._mean) / self._std
        device = next(self._network.parameters()).device
        embedding = self._network(pixels.to(device)).float().cpu()  # [1, 256, 64, 64]
        columns, rows = (-(-side // STRIDE) for side in fitted.size)
        patches = F.normalize(embedding, dim=1)[0, :, :rows, :columns].permute(1, 2, 0).contiguous().numpy()
        centres = patch_centres(rows, columns, fitted.scale, image.shape[:2])
        return ImageFeatures(patches, centres, {STRIDE: embedding}, fitted)


class SamDecoder(nn.Module):
    """SAM's own prompt encoder and mask decoder, with the interface of sam-lite."""

    side = SIDE

    def __init__(self, prompt_encoder: Any, mask_decoder: Any) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = prompt_encoder, mask_decoder

    def neck(self, maps: dict[int, torch.Tensor]) -> torch.Tensor:
        """[1, 256, 64, 64]: the neck is part of SAM's image encoder already."""
        return maps[STRIDE]

    def decode(
        self, embedding: torch.Tensor, points: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [N, 3, 256, 256] of the three alternatives (multimask output) and their predicted IoU [N, 3].

        Args:
            embedding: [1, 256, 64, 64].
            points: [N, K, 2] x, y in pixels of the square.
            labels: [N, K], 1 on the entity, 0 off it, -1 unused.
            boxes: [N, 4] x0, y0, x1, y1, or None.
        """
        sparse, dense = self.prompt_encoder(points=(points, labels), boxes=boxes, masks=None)
        return self.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint file as the authors of SAM publish it; code in a pickle is never run.

    Raises:
        WeightsError: where the file is missing, cut short, or no checkpoint.
    """
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "no such file"
        raise WeightsError(f"{path}: {kind}; give the checkpoint of a SAM model with --checkpoint")
    try:
        tensors: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: not a checkpoint of tensors, or one that would run code; give the official file"
        ) from error
    except Exception as error:  # RuntimeError, EOFError, OSError, ValueError: whatever a damaged archive provokes
        detail = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise WeightsError(f"{path}: truncated or not a checkpoint ({detail}); fetch the file again") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise WeightsError(f"{path}: holds no table of tensors; give the official checkpoint of a SAM model")
    return tensors


def _check_shapes(name: str, path: Path, wanted: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]) -> None:
    """Refuse a checkpoint of another network, naming the SAM that it belongs to where it is one."""
    if {key: value.shape for key, value in tensors.items()} == {key: value.shape for key, value in wanted.items()}:
        return
    patch = tensors.get("image_encoder.patch_embed.proj.bias")
    kinds = {768: "sam_vit_b", 1024: "sam_vit_l", 1280: "sam_vit_h"}
    other = kinds.get(len(patch)) if patch is not None and patch.ndim == 1 else None
    if other is not None and other != name:
        raise WeightsError(f"{path}: is a checkpoint of {other}, not of {name}; use --encoder {other}")
    odd = sorted(set(wanted) ^ set(tensors)) or [key for key in wanted if wanted[key].shape != tensors[key].shape]
    raise WeightsError(f"{path}: is not a checkpoint of {name} ({len(odd)} tensors differ, first {odd[0]})")


def build_sam(name: str, path: Path) -> Any:
    """The registry's network with the tensors of a checkpoint; shapes are compared before memory is taken."""
    build = sam_model_registry[name.removeprefix("sam_")]
    tensors = read_checkpoint(path)
    with torch.device("meta"):
        _check_shapes(name, path, build().state_dict(), tensors)
    sam = build()
    sam.load_state_dict({key: value.float() for key, value in tensors.items()})
    return sam.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def load_sam(name: str, path: Path, device: str = "cpu") -> tuple[SamEncoder, Segmenter]:
    """S_alpha and M_chi from one checkpoint, read once per process. Only the ViT goes to ``device``.

    Raises:
        WeightsError: for a missing, truncated or foreign checkpoint.
        ConfigError: for a device that is not there.
    """
    target = torch_device(device)
    sam = build_sam(name, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    encoder = SamEncoder(
        sam.image_encoder.to(target), sam.pixel_mean.cpu(), sam.pixel_std.cpu(), f"{name}@{SIDE}:{digest}"
    )
    return encoder, Segmenter(SamDecoder(sam.prompt_encoder, sam.mask_decoder))
