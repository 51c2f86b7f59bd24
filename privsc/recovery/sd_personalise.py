"""Algorithm 2 for Stable Diffusion: DreamBooth (Ruiz et al. 2023) on low-rank adapters of the U-Net's attention.

Eq. (15): the entity's prompt must explain its samples. Eq. (16), prior preservation: with the class word alone the
network must go on as before. The generic network's own prediction on the same noisy latent stands for it, instead of
pictures that it would have to paint first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from privsc.compute import initial_values
from privsc.errors import EnrolmentError
from privsc.images.regions import crop_box, dilate, region_box, resize, resize_mask
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks import adapters
from privsc.networks.stable_diffusion import StableDiffusion
from privsc.recovery.sd_recovery import class_prompt

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
OUTSIDE = 0.1
"""Weight of the loss off the entity, against 1 on it."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class DreamBooth:
    """Numbers of Algorithm 2 for Stable Diffusion; ``prior`` weighs eq. (16)."""

    steps: int = 400
    rate: float = 1e-4
    rank: int = 8
    prior: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise EnrolmentError(f"steps of personalisation must be at least 1; got {self.steps}")


class Crops:
    """Draws training crops of one entity as latents."""

    def __init__(self, entity: Entity, model: StableDiffusion) -> None:
        pairs = sample_pairs(entity)
        self._samples = [(photo, mask) for photo, mask in pairs if mask.any()]
        if not self._samples:
            raise EnrolmentError(f"{entity.name}: no sample in K has a silhouette; enrol it again")
        self._model = model

    @torch.no_grad()
    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latent [1, 4, h, w] of a crop, mask [1, 1, h, w] of the entity, latent of the crop with the entity grey."""
        photo, mask = self._samples[rng.integers(len(self._samples))]
        height, width = mask.shape
        region = dilate(mask, int(rng.integers(0, 1 + max(height, width) // 50)))
        box = crop_box(region_box(region), width, height, margin=float(rng.uniform(0.05, 0.35)))
        size = (self._model.side, self._model.side)
        picture, inside = resize(photo, size, box), resize_mask(region, size, box)
        if rng.random() < 0.5:
            picture, inside = picture[:, ::-1], inside[:, ::-1]
        vae = self._model.pipeline.vae
        like = {"device": vae.device, "dtype": vae.dtype}
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].to(**like) / 127.5 - 1
        hole = torch.from_numpy(inside.copy())[None, None].to(**like)
        latent = vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor
        around = vae.encode(pixels * (1 - hole)).latent_dist.mean * vae.config.scaling_factor
        return latent, F.interpolate(hole, size=latent.shape[-2:]), around


def dream_booth(
    entity: Entity,
    model: StableDiffusion,
    config: DreamBooth | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> bytes:
    """Adapter of the U-Net for one entity, as safetensors bytes for K. Meant for a GPU; hours without."""
    config = config or DreamBooth()
    pipeline, crops, rng = model.pipeline, Crops(entity, model), np.random.default_rng(seed)
    unet, scheduler = pipeline.unet, pipeline.scheduler
    with torch.no_grad():
        texts = [
            pipeline.encode_prompt(prompt, unet.device, 1, False)[0]  # [1, 77, d]
            for prompt in (entity.prompt, class_prompt(entity.class_word))
        ]
    with initial_values(seed):
        parameters = adapters.attach(unet, config.rank, TARGETS)
    try:
        for parameter in parameters:
            parameter.data = parameter.data.float()
        optimiser = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=1e-2)
        for step in range(config.steps):
            latent, mask, around = crops.draw(rng)
            noise = torch.from_numpy(rng.standard_normal(latent.shape, dtype=np.float32)).to(latent)
            t = torch.from_numpy(rng.integers(0, scheduler.config.num_train_timesteps, 1)).to(latent.device)
            seen = scheduler.add_noise(latent, noise, t)
            if model.inpaints:
                seen = torch.cat([seen, mask, around], dim=1)  # [1, 9, h, w]
            velocity = scheduler.config.prediction_type == "v_prediction"
            wanted = scheduler.get_velocity(latent, noise, t) if velocity else noise
            weight = mask + OUTSIDE * (1 - mask)
            with torch.autocast(latent.device.type, enabled=latent.device.type != "cpu"):
                found = unet(seen, t, encoder_hidden_states=texts[0]).sample
                loss = _weighted(found, wanted, weight)
                if config.prior > 0:
                    unet.disable_adapters()
                    with torch.no_grad():
                        before = unet(seen, t, encoder_hidden_states=texts[1]).sample
                    unet.enable_adapters()
                    now = unet(seen, t, encoder_hidden_states=texts[1]).sample
                    loss = loss + config.prior * _weighted(now, before, weight)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            if progress is not None:
                progress(step + 1, config.steps, "personalising")
        return adapters.to_bytes(unet, config.rank, model.identity, TARGETS)
    finally:
        adapters.detach(unet)


def _weighted(found: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of [1, 4, h, w], weighted by [1, 1, h, w]."""
    return ((found.float() - wanted.float()).square() * weight).mean() / weight.mean()
