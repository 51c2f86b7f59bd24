"""Training of privsc-mini's base model (`privsc train recovery`): resumable, made for two CPU cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.training_utils import EMAModel

from privsc.compute import autocast, initial_values
from privsc.datasets.pets import read_pets
from privsc.datasets.subjects import photos_folder
from privsc.networks.backbone import load_lite0
from privsc.networks.diffusion import build_scheduler, build_unet, loss_weight, predict_x0, signal_to_noise
from privsc.networks.perceptual import perceptual_distance
from privsc.networks.text_encoder import load_text_encoder
from privsc.training.diffusion_data import RecoveryExamples, TextTable
from privsc.training.state import load_state, save_state


@dataclass(frozen=True)
class RecoveryTraining:
    """Numbers of one training. ``steps`` is the total; the learning rate falls to zero over the last 40 %."""

    steps: int = 2600
    batch: int = 16
    rate: float = 3e-4
    warmup: int = 200
    perceptual: float = 0.03
    outside: float = 0.05
    ema: float = 0.999
    seed: int = 0
    save_every: int = 200

    def rate_at(self, step: int) -> float:
        """Learning rate at ``step``: linear warm-up, plateau, linear decay."""
        decay = min(1.0, (self.steps - step) / (0.4 * self.steps))
        return self.rate * min(1.0, (step + 1) / self.warmup) * max(decay, 0.0)


def example_loss(unet, backbone, scheduler, clean, condition, config: RecoveryTraining, rng) -> torch.Tensor:
    """Weighted x0 loss plus perceptual distance of one batch (a scalar)."""
    count = clean.shape[0]
    t = torch.from_numpy(rng.integers(0, scheduler.config.num_train_timesteps, count))
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
    x_t = scheduler.add_noise(clean, noise, t)
    with autocast():
        x0 = predict_x0(unet, x_t, t, condition)
        pasted = x0.clamp(-1.2, 1.2) * condition.mask + clean * (1 - condition.mask)
        perceptual = perceptual_distance(backbone, pasted, clean)
    where = condition.mask + config.outside * (1 - condition.mask)
    pixel = ((x0 - clean).square() * where).sum((1, 2, 3)) / where.sum((1, 2, 3)) / 3
    return (loss_weight(signal_to_noise(scheduler, t)) * (pixel + config.perceptual * perceptual)).mean()


class RecoveryTrainer:
    """State of a training in ``folder``: network, moving average, optimiser, step; saved and found again by name."""

    def __init__(self, folder: Path, config: RecoveryTraining, start: Path | None = None) -> None:
        self.folder, self.config, self.step = folder, config, 0
        with initial_values(config.seed):
            self.unet = build_unet() if start is None else UNet2DConditionModel.from_pretrained(start).float()
        self.unet = self.unet.to(memory_format=torch.channels_last)
        self.average = EMAModel(self.unet.parameters(), decay=config.ema, use_ema_warmup=True, power=0.75)
        self.optimiser = torch.optim.AdamW(self.unet.parameters(), lr=config.rate, weight_decay=0.01)
        self.step, self.history = load_state(
            folder, self.unet, {"adamw": self.optimiser}, self._settings(), self.average
        )

    def _settings(self) -> dict:
        """What a resumed training must not change; it may be given more steps."""
        return {key: value for key, value in asdict(self.config).items() if key not in ("steps", "save_every")}

    def save(self) -> None:
        """Everything needed to go on."""
        optimisers = {"adamw": self.optimiser}
        save_state(self.folder, self.step, self.unet, optimisers, self._settings(), self.history, self.average)

    def export(self, target: Path) -> None:
        """The moving average in fp16, in diffusers' folder layout (config.json, safetensors, scheduler)."""
        network = build_unet()
        network.load_state_dict(self.unet.state_dict())
        self.average.copy_to(network.parameters())
        network.half().save_pretrained(target / "unet", safe_serialization=True)
        build_scheduler().save_pretrained(target / "scheduler")

    def run(
        self, photos: Path | None, progress: Callable[[int, int, float], None], stop_after: int | None = None
    ) -> None:
        """Train to ``config.steps`` (or ``stop_after`` steps from now); ``progress(step, steps, loss)`` each step."""
        pets = list(read_pets(photos_folder(photos)))
        examples = RecoveryExamples(pets, TextTable(load_text_encoder(), pets))
        backbone, scheduler = load_lite0(), build_scheduler()
        last = self.config.steps if stop_after is None else min(self.config.steps, self.step + stop_after)
        self.unet.train()
        while self.step < last:
            rng = np.random.default_rng((self.config.seed, self.step))
            clean, condition = examples.batch(self.config.batch, rng)
            for group in self.optimiser.param_groups:
                group["lr"] = self.config.rate_at(self.step)
            loss = example_loss(self.unet, backbone, scheduler, clean, condition, self.config, rng)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
            self.optimiser.step()
            self.average.step(self.unet.parameters())
            self.step += 1
            value = float(loss.detach())
            if self.step % 20 == 0:
                self.history.append([self.step, value])
            progress(self.step, self.config.steps, value)
            if self.step % self.config.save_every == 0:
                self.save()
        self.save()
