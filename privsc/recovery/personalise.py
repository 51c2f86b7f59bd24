"""Algorithm 2: fine-tune U_theta on the samples of one entity, with prior preservation (eqs. (15) and (16))."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from privsc.compute import autocast, initial_values
from privsc.images.augment import relight, warp_batch
from privsc.images.regions import crop_box, dilate, region_box, resize, resize_mask, warp_silhouette
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks import adapters
from privsc.networks.backbone import load_lite0
from privsc.networks.diffusion import CROP, Condition, Model, load_model, loss_weight, predict_x0, signal_to_noise
from privsc.networks.perceptual import perceptual_distance
from privsc.networks.text_encoder import load_text_encoder

Progress = Callable[[int, int, str], None]
EVALUATIONS = 4.0
"""Time of one step of Algorithm 2 over that of one evaluation of U_theta without gradients, measured."""


@dataclass(frozen=True)
class Personalisation:
    """Numbers of Algorithm 2. ``prior`` weighs prior preservation: with the class word and no sample, U_theta must go
    on predicting what the generic one does. It is computed every ``prior_every`` steps, with as many times the weight.
    """

    steps: int = 60
    batch: int = 8
    rate: float = 2e-3
    rank: int = 8
    prior: float = 0.3
    prior_every: int = 2
    perceptual: float = 0.03
    with_reference: float = 0.8


class SubjectExamples:
    """Draws training crops of one entity: one sample is the target, another (or itself, warped) the reference."""

    def __init__(self, entity: Entity) -> None:
        pairs = sample_pairs(entity)
        self._samples = [(photo, mask) for photo, mask in pairs if mask.any()]
        self._text = torch.from_numpy(entity.text_embedding)[None, None]

    def _row(self, rng: np.random.Generator) -> dict[str, NDArray]:
        photo, mask = self._samples[rng.integers(len(self._samples))]
        height, width = mask.shape
        region = dilate(mask, int(rng.integers(0, 1 + max(height, width) // 50)))
        box = crop_box(region_box(region), width, height, margin=float(rng.uniform(0.12, 0.35)))
        size = (CROP, CROP)
        same = len(self._samples) == 1 or rng.random() < 0.3
        source, shape = (photo, mask) if same else self._samples[rng.integers(len(self._samples))]
        warped = warp_silhouette(source, shape, region, mirrored=bool(rng.random() < 0.3))
        clean, inside = resize(photo, size, box), resize_mask(region, size, box)
        reference, valid = resize(warped.image, size, box), resize_mask(warped.valid, size, box)
        if rng.random() < 0.5:
            clean, reference = clean[:, ::-1], reference[:, ::-1]
            inside, valid = inside[:, ::-1], valid[:, ::-1]
        return {
            "clean": clean,
            "mask": inside,
            "reference": reference,
            "valid": valid,
            "spread": np.array(0.6 if same else 0.25),
        }

    def batch(self, count: int, with_reference: float, rng: np.random.Generator) -> tuple[torch.Tensor, Condition]:
        """Clean crops [B, 3, 96, 96] in [-1, 1] and their condition."""
        rows = [self._row(rng) for _ in range(count)]
        stack = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
        clean = relight(stack["clean"].permute(0, 3, 1, 2).float() / 127.5 - 1, 0.5, rng)
        reference = relight(stack["reference"].permute(0, 3, 1, 2).float() / 127.5 - 1, 0.5, rng)
        mask = stack["mask"][:, None].float()
        planes = torch.cat([reference, stack["valid"][:, None].float()], dim=1)
        planes = warp_batch(planes, stack["spread"].numpy() * rng.uniform(0, 1, count), rng)
        there = torch.from_numpy(rng.random((count, 1, 1, 1)) < with_reference).float()
        covered = (planes[:, 3:] > 0.5).float() * mask * there
        text = self._text.expand(count, -1, -1)
        return clean, Condition(clean * (1 - mask), mask, planes[:, :3] * covered, text)


def personalise(
    entity: Entity,
    *,
    model: Model | None = None,
    config: Personalisation | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> bytes:
    """Adapter of U_theta for one entity, as safetensors bytes for K. Takes a minute or two on two CPU cores."""
    config, model = config or Personalisation(), model or load_model()
    unet, scheduler, backbone = model.unet, model.scheduler, load_lite0()
    examples, rng = SubjectExamples(entity), np.random.default_rng(seed)
    class_text = torch.from_numpy(load_text_encoder().embed(f"a photo of a {entity.class_word}"))[None, None]
    length = scheduler.config.num_train_timesteps
    with initial_values(seed):
        parameters = adapters.attach(unet, config.rank)
    try:
        optimiser = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=0.0)
        for step in range(config.steps):
            clean, condition = examples.batch(config.batch, config.with_reference, rng)
            t = torch.from_numpy(rng.integers(0, length, config.batch))
            noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
            x_t = scheduler.add_noise(clean, noise, t)
            weight = loss_weight(signal_to_noise(scheduler, t))
            with autocast():
                x0 = predict_x0(unet, x_t, t, condition)
                pasted = x0.clamp(-1.2, 1.2) * condition.mask + clean * (1 - condition.mask)
                perceptual = perceptual_distance(backbone, pasted, clean)
            pixel = ((x0 - clean).square() * condition.mask).sum((1, 2, 3)) / condition.mask.sum((1, 2, 3)).clamp(1) / 3
            loss = (weight * (pixel + config.perceptual * perceptual)).mean()
            if config.prior > 0 and step % config.prior_every == 0:
                prior = _prior_loss(unet, x_t, t, condition, class_text, weight, config.batch // 2)
                loss = loss + config.prior * config.prior_every * prior
            for group in optimiser.param_groups:
                group["lr"] = config.rate * min(1.0, (step + 1) / 10, 2 * (config.steps - step) / config.steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            if progress is not None:
                progress(step + 1, config.steps, "personalising")
        return adapters.to_bytes(unet, config.rank, model.identity)
    finally:
        adapters.detach(unet)


@torch.no_grad()
def estimated_seconds(model: Model | None = None, config: Personalisation | None = None) -> float:
    """Estimate of how long Algorithm 2 takes here and now for one entity [s], from one evaluation of U_theta."""
    config, model = config or Personalisation(), model or load_model()
    blank = torch.zeros(config.batch, 3, CROP, CROP)
    text = torch.zeros(config.batch, 1, model.unet.config.cross_attention_dim)
    condition, t = Condition(blank, blank[:, :1], blank, text), torch.zeros(config.batch, dtype=torch.long)
    with autocast():
        predict_x0(model.unet, blank, t, condition)  # prepares the kernels
        start = time.perf_counter()
        predict_x0(model.unet, blank, t, condition)
    return config.steps * EVALUATIONS * (time.perf_counter() - start)


def _prior_loss(unet, x_t, t, condition: Condition, class_text, weight, count: int) -> torch.Tensor:
    """Squared distance to the generic network's prediction on ``count`` examples with the class word and no sample."""
    part = slice(0, max(1, count))
    generic = Condition(
        condition.surroundings[part],
        condition.mask[part],
        torch.zeros_like(condition.reference[part]),
        class_text.expand(x_t[part].shape[0], -1, -1),
    )
    with autocast():
        with torch.no_grad():
            unet.disable_adapters()
            wanted = predict_x0(unet, x_t[part], t[part], generic)
            unet.enable_adapters()
        found = predict_x0(unet, x_t[part], t[part], generic)
    return (weight[part] * (found - wanted).square().mean((1, 2, 3))).mean()
