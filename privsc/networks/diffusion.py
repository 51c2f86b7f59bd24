"""privsc-mini, the embedded U_theta: a small inpainting diffusion model in diffusers' own format.

It works on a 96 x 96 crop around the removed region, pixel-unshuffled by 4 to a 24 x 24 grid. The network sees the
noisy crop, the surroundings, the mask and (with K) a sample of the entity warped onto the region; the text embedding
``i`` enters by cross-attention. It predicts the clean crop (x0), which at this size learns several times faster than
noise or velocity prediction.

    x_t       [B, 48, 24, 24] ─┐
    (1-M)⊙S   [B, 48, 24, 24] ─┤
    M         [B, 16, 24, 24] ─┼─► U-Net ──► x0 [B, 48, 24, 24] ──shuffle──► [B, 3, 96, 96]
    reference [B, 48, 24, 24] ─┘      ▲
    i         [B, 1, 384] ────────────┘
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel

from privsc.errors import WeightsError

WEIGHTS = Path(__file__).parents[1] / "weights" / "privsc-mini"

CROP = 96
"""Side of the crop that the model paints [pixels]."""
SHUFFLE = 4
TEXT_DIM = 384


def build_unet() -> UNet2DConditionModel:
    """The network with all its numbers; 21.7 M parameters."""
    grid, cells = CROP // SHUFFLE, SHUFFLE**2
    return UNet2DConditionModel(
        sample_size=grid,
        in_channels=3 * 3 * cells + cells,
        out_channels=3 * cells,
        block_out_channels=(96, 192, 256),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        cross_attention_dim=TEXT_DIM,
        attention_head_dim=32,
        norm_num_groups=32,
    )


def build_scheduler() -> DDIMScheduler:
    """Cosine noise schedule, x0 prediction, 1000 training steps (Nichol and Dhariwal 2021, eq. 17)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=True,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )


@dataclass(frozen=True)
class Condition:
    """What the network knows besides the noisy crop. All float32 in [-1, 1], B crops of one size.

    Attributes:
        surroundings: [B, 3, 96, 96], the crop with the region set to 0.
        mask: [B, 1, 96, 96], 1 inside the region.
        reference: [B, 3, 96, 96], the warped sample inside the region, 0 elsewhere and everywhere without K.
        text: [B, 1, 384], text embedding.
    """

    surroundings: torch.Tensor
    mask: torch.Tensor
    reference: torch.Tensor
    text: torch.Tensor

    def without_reference(self) -> Condition:
        """The same condition as someone without K has it."""
        return Condition(self.surroundings, self.mask, torch.zeros_like(self.reference), self.text)


def predict_x0(unet: UNet2DConditionModel, x_t: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
    """One evaluation of U_theta. ``x_t`` [B, 3, 96, 96] and ``t`` [B] integer; returns x0 [B, 3, 96, 96]."""
    planes = [x_t, condition.surroundings, condition.mask * 2 - 1, condition.reference]
    stacked = torch.cat([F.pixel_unshuffle(plane, SHUFFLE) for plane in planes], dim=1)  # [B, 160, 24, 24]
    stacked = stacked.contiguous(memory_format=torch.channels_last)
    predicted = unet(stacked, t, condition.text).sample  # [B, 48, 24, 24]
    return F.pixel_shuffle(predicted.float(), SHUFFLE)


def signal_to_noise(scheduler: DDIMScheduler, t: torch.Tensor) -> torch.Tensor:
    """Diffusion SNR alpha_bar / (1 - alpha_bar) at integer steps ``t`` [B]."""
    alpha_bar = scheduler.alphas_cumprod.to(t.device)[t]
    return alpha_bar / (1 - alpha_bar)


def loss_weight(snr: torch.Tensor, gamma: float = 5.0, floor: float = 0.5) -> torch.Tensor:
    """min-SNR-gamma weight of the x0 loss (Hang et al. 2023, eq. 10), with a floor so that pure noise counts too."""
    return (snr.clamp(max=gamma) + floor) / (gamma + floor)


@dataclass(frozen=True)
class Model:
    """U_theta and its noise schedule."""

    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    identity: str = "privsc-mini"


@lru_cache(maxsize=2)
def load_model(folder: Path = WEIGHTS) -> Model:
    """privsc-mini from a folder in diffusers' layout (``unet``, ``scheduler``).

    Raises:
        WeightsError: where the folder is missing or its files are not whole.
    """
    if not (folder / "unet" / "config.json").is_file():
        raise WeightsError(f"no diffusion model in {folder}: reinstall privsc or run `privsc train recovery`")
    try:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True).float().eval()
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    except Exception as error:  # diffusers raises many kinds for one truncated file
        kind = type(error).__name__
        raise WeightsError(f"{folder} is truncated or not a diffusion model ({kind}): restore it") from error
    identity = f"privsc-mini:{weights_digest(folder / 'unet')}"
    return Model(unet.to(memory_format=torch.channels_last), scheduler, identity)


def weights_digest(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 over the safetensors files of a network's folder, by name."""
    hasher = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest()[:12]
