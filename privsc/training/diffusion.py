"""Training of privsc-mini's base model (`privsc train recovery`): resumable, made for two CPU cores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file

from privsc.compute import autocast, initial_values
from privsc.datasets.pets import read_pets
from privsc.datasets.subjects import photos_folder
from privsc.networks.backbone import load_lite0
from privsc.networks.diffusion import build_scheduler, build_unet, loss_weight, predict_x0, signal_to_noise
from privsc.networks.perceptual import perceptual_distance
from privsc.networks.text_encoder import load_text_encoder
from privsc.training.diffusion_data import RecoveryExamples, TextTable


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


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a temporary name, then rename: a killed training never leaves half a file."""
    temporary = path.with_name(path.name + ".partial")
    write(temporary)
    temporary.replace(path)


class RecoveryTrainer:
    """State of a training in ``folder``: network, moving average, optimiser, step; saved and found again by name."""

    def __init__(self, folder: Path, config: RecoveryTraining, start: Path | None = None) -> None:
        self.folder, self.config, self.step = folder, config, 0
        self.history: list[list[float]] = []
        with initial_values(config.seed):
            self.unet = build_unet() if start is None else UNet2DConditionModel.from_pretrained(start).float()
        self.unet = self.unet.to(memory_format=torch.channels_last)
        self.average = EMAModel(self.unet.parameters(), decay=config.ema, use_ema_warmup=True, power=0.75)
        self.optimiser = torch.optim.AdamW(self.unet.parameters(), lr=config.rate, weight_decay=0.01)
        if (folder / "state.json").is_file():
            self._load()

    def _load(self) -> None:
        state = json.loads((self.folder / "state.json").read_text())
        self.step, self.history = state["step"], state["history"]
        tensors = load_file(self.folder / f"state-{self.step}.safetensors")
        names = [name for name, _ in self.unet.named_parameters()]
        self.unet.load_state_dict({name: tensors[f"net.{name}"] for name in self.unet.state_dict()})
        self.average.shadow_params = [tensors[f"ema.{name}"].clone() for name in names]
        self.average.optimization_step = self.step
        moments = {
            number: {
                "step": torch.tensor(float(self.step)),
                "exp_avg": tensors[f"m1.{name}"].clone(),
                "exp_avg_sq": tensors[f"m2.{name}"].clone(),
            }
            for number, name in enumerate(names)
        }
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})

    def save(self) -> None:
        """Everything needed to go on; the previous state is removed only when the new one is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = [name for name, _ in self.unet.named_parameters()]
        tensors = {f"net.{name}": value.contiguous() for name, value in self.unet.state_dict().items()}
        tensors |= {f"ema.{name}": p.contiguous() for name, p in zip(names, self.average.shadow_params, strict=True)}
        for name, parameter in self.unet.named_parameters():
            moments = self.optimiser.state[parameter]
            tensors[f"m1.{name}"] = moments["exp_avg"].contiguous()
            tensors[f"m2.{name}"] = moments["exp_avg_sq"].contiguous()
        path = self.folder / f"state-{self.step}.safetensors"
        _replace(path, lambda temporary: save_file(tensors, temporary))
        state = {"step": self.step, "config": asdict(self.config), "history": self.history}
        _replace(self.folder / "state.json", lambda temporary: temporary.write_text(json.dumps(state)))
        for old in self.folder.glob("state-*.safetensors"):
            if old != path:
                old.unlink()

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
