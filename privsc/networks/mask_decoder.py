"""M_chi: segment-anything's prompt encoder and mask decoder on the features of S_alpha ("sam-lite").

    S ──letterbox──► [3, 384, 384] ──Lite0──► maps at strides 4, 8, 16, 32 ──neck──► [256, 24, 24] ┐
    P [N, 2] points ──PromptEncoder────────────────────────────────────────────────────────────────┴─► MaskDecoder ──► M

The decoder's architecture is Kirillov et al. 2023 (arXiv 2304.02643, appendix A), taken from the package
`segment_anything`; only the image encoder is another and the weights are ours.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import nn

from privsc.errors import WeightsError
from privsc.networks.backbone import STAGES
from privsc.networks.letterbox import SIDE, STRIDE, Letterbox

DIM = 256
WEIGHTS = Path(__file__).parents[1] / "weights" / "sam-lite.safetensors"


class Neck(nn.Module):
    """Brings the maps of four strides together at stride 16: finer ones folded into channels, the coarse enlarged."""

    def __init__(self) -> None:
        super().__init__()
        folded = {stride: channels * (STRIDE // stride) ** 2 for stride, (_, channels) in STAGES.items() if stride < 16}
        self.reduce4 = nn.Conv2d(folded[4], 128, 1)
        self.reduce8 = nn.Conv2d(folded[8], 128, 1)
        joined = 128 + 128 + STAGES[16][1] + STAGES[32][1]
        self.project = nn.Conv2d(joined, DIM, 1)
        self.mix = nn.Sequential(
            nn.GroupNorm(1, DIM),
            nn.GELU(),
            nn.Conv2d(DIM, DIM, 3, padding=1),
            nn.GroupNorm(1, DIM),
            nn.GELU(),
            nn.Conv2d(DIM, DIM, 3, padding=1),
        )
        self.norm = nn.GroupNorm(1, DIM)

    def forward(self, maps: dict[int, torch.Tensor]) -> torch.Tensor:
        """[B, 256, H / 16, W / 16]."""
        fine = self.reduce4(F.pixel_unshuffle(maps[4], 4))
        middle = self.reduce8(F.pixel_unshuffle(maps[8], 2))
        coarse = F.interpolate(maps[32], size=maps[16].shape[-2:], mode="bilinear", align_corners=False)
        x = self.project(torch.cat([fine, middle, maps[16], coarse], dim=1))
        return self.norm(x + self.mix(x))


class SamLite(nn.Module):
    """Neck, prompt encoder and mask decoder; the backbone is shared with the guard and is not part of the weights."""

    side = SIDE

    def __init__(self) -> None:
        super().__init__()
        grid = SIDE // STRIDE
        self.neck = Neck()
        self.prompt_encoder = PromptEncoder(
            embed_dim=DIM, image_embedding_size=(grid, grid), input_image_size=(SIDE, SIDE), mask_in_chans=16
        )
        self.mask_decoder = MaskDecoder(
            transformer_dim=DIM,
            transformer=TwoWayTransformer(depth=2, embedding_dim=DIM, num_heads=8, mlp_dim=1024),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=DIM,
        )

    def decode(
        self, embedding: torch.Tensor, points: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks for several prompts on one picture.

        Args:
            embedding: [1, 256, 24, 24].
            points: [N, K, 2] x, y in pixels of the square.
            labels: [N, K], 1 on the entity, 0 off it, -1 unused.
            boxes: [N, 4] x0, y0, x1, y1, or None.

        Returns:
            Logits [N, 4, 96, 96] (first the single-mask output, then three alternatives) and predicted IoU [N, 4].
        """
        sparse, dense = self.prompt_encoder(points=(points, labels), boxes=boxes, masks=None)
        return self.mask_decoder.predict_masks(
            image_embeddings=embedding,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )


class PromptedNetwork(Protocol):
    """What can stand for M_chi: sam-lite, or the decoder of a full SAM (privsc.networks.sam).

    ``side`` is that of the square that pictures are fitted into [pixels].
    """

    side: int

    def eval(self) -> Any:
        """The network, without what only training needs."""
        ...

    def neck(self, maps: dict[int, torch.Tensor]) -> torch.Tensor:
        """Image embedding [1, 256, side / 16, side / 16] from S_alpha's maps."""
        ...

    def decode(
        self, embedding: torch.Tensor, points: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [N, alternatives, side / 4, side / 4] and predicted IoU [N, alternatives]; see ``SamLite.decode``."""
        ...


class Segmenter:
    """M_chi ready to use: S_alpha's maps of a picture and points in, a mask of the picture's size out."""

    def __init__(self, network: PromptedNetwork) -> None:
        self._network = network.eval()

    @torch.no_grad()
    def probability(
        self,
        image_size: tuple[int, int],
        fitted: Letterbox,
        maps: dict[int, torch.Tensor],
        points: NDArray[np.float32],
        *,
        labels: NDArray[np.int64] | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> tuple[NDArray[np.float32], float]:
        """Probability map [H, W] float32 of what the points lie on, and the decoder's own estimate of its IoU.

        Args:
            image_size: (H, W) of the picture.
            fitted: the letterboxed picture.
            maps: the backbone's maps of ``fitted``, by stride.
            points: [K, 2] x, y in pixels of the picture.
            labels: [K], 1 on the entity, 0 off it; default all 1.
            box: x0, y0, x1, y1 in pixels of the picture.
        """
        embedding = self._network.neck(maps)
        where = torch.from_numpy(np.asarray(points, np.float32))[None] * fitted.scale
        kind = torch.ones(where.shape[:2], dtype=torch.long) if labels is None else torch.from_numpy(labels)[None]
        boxes = None if box is None else torch.tensor([box], dtype=torch.float32) * fitted.scale
        logits, scores = self._network.decode(embedding, where, kind, boxes)
        best = int(scores[0].argmax())
        side = self._network.side
        square = F.interpolate(logits[:, best : best + 1], (side, side), mode="bilinear", align_corners=False)
        width, height = fitted.size
        full = F.interpolate(square[:, :, :height, :width], image_size, mode="bilinear", align_corners=False)
        return full[0, 0].sigmoid().numpy(), float(scores[0, best])


def read_weights(path: Path) -> SamLite:
    """sam-lite with the weights of ``path`` (safetensors).

    Raises:
        WeightsError: if the file is missing, truncated, or of another network.
    """
    network = SamLite()
    try:
        tensors = load_file(path)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except FileNotFoundError as error:
        raise WeightsError(f"no weights at {path}: reinstall privsc or train them with `privsc train guard`") from error
    except (SafetensorError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise WeightsError(f"{path} is truncated or not sam-lite's ({first}): restore the file") from error
    return network


@lru_cache(maxsize=2)
def load_segmenter(path: Path = WEIGHTS) -> Segmenter:
    """The shipped segmenter, read once per process."""
    return Segmenter(read_weights(path))
