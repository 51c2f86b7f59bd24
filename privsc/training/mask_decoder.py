"""Training of sam-lite, the guard's mask decoder (`privsc train guard`): resumable, made for one or two CPU cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.training_utils import EMAModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from privsc.compute import autocast, initial_values
from privsc.datasets.pets import read_pets
from privsc.datasets.subjects import photos_folder
from privsc.images.regions import region_box
from privsc.networks.backbone import load_lite0
from privsc.networks.letterbox import SIDE, STRIDE
from privsc.networks.mask_decoder import SamLite
from privsc.training.grabcut import read_objects
from privsc.training.mask_decoder_data import IN, OUT, UNSURE, Scene, Things, scene
from privsc.training.state import load_state, save_state

POINTS = 8


@dataclass(frozen=True)
class GuardTraining:
    """Numbers of one training; the learning rate falls to zero over the last half."""

    steps: int = 2000
    batch: int = 4
    prompts: int = 3
    rate: float = 4e-4
    warmup: int = 100
    ema: float = 0.998
    seed: int = 0
    save_every: int = 200

    def rate_at(self, step: int) -> float:
        """Learning rate at ``step``."""
        return self.rate * min(1.0, (step + 1) / self.warmup, 2 * (self.steps - step) / self.steps)


def draw_prompt(label: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
    """Points [8, 2], their labels [8] (1 on, 0 off, -1 unused) and a jittered box [4] for one animal.

    Most points are centres of patches on the animal, as the guard's matches are; a few are off it.
    """
    inside = np.argwhere(label == IN)
    points, kinds = np.zeros((POINTS, 2), np.float32), np.full(POINTS, -1, np.int64)
    count = int(rng.integers(1, POINTS + 1)) if rng.random() < 0.8 else 1
    chosen = inside[rng.integers(len(inside), size=count)][:, ::-1].astype(np.float32)
    centred = (chosen // STRIDE + 0.5) * STRIDE
    on_animal = label[tuple(np.clip(centred, 0, SIDE - 1).astype(int)[:, ::-1].T)] == IN
    chosen[on_animal] = centred[on_animal]
    points[:count], kinds[:count] = chosen, 1
    if count < POINTS and rng.random() < 0.2:
        outside = np.argwhere(label == OUT)
        if len(outside):
            points[count], kinds[count] = outside[rng.integers(len(outside))][::-1], 0
    box = region_box(label == IN)
    spread = 0.08 * np.array([box[2] - box[0], box[3] - box[1]] * 2)
    return points, kinds, (np.array(box) + rng.normal(0, 1, 4) * spread).astype(np.float32)


def mask_losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and IoU of each mask. logits [N, 4, 96, 96]; labels [N, 384, 384] of OUT, IN, UNSURE. Both [N, 4].

    Cross-entropy plus dice; a missed pixel costs twice a false one, since it is a leak.
    """
    logits = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
    wanted, known = (labels == IN).float()[:, None], (labels != UNSURE).float()[:, None]
    wanted = wanted.expand_as(logits)
    cross = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known * (1 + wanted)
    cross = cross.sum((2, 3)) / known.sum((2, 3))
    soft = logits.sigmoid() * known
    dice = 1 - (2 * (soft * wanted).sum((2, 3)) + 1) / (soft.sum((2, 3)) + wanted.sum((2, 3)) + 1)
    with torch.no_grad():
        hard = (logits > 0) & (known > 0)
        overlap = (hard & (wanted > 0)).sum((2, 3)) / (hard | (wanted > 0)).sum((2, 3)).clamp(min=1)
    return cross + dice, overlap


class GuardTrainer:
    """State of a training in ``folder``, found again after a stop."""

    def __init__(self, folder: Path, config: GuardTraining, start: Path | None = None) -> None:
        self.folder, self.config, self.step = folder, config, 0
        with initial_values(config.seed):
            self.network, self.backbone = SamLite(), load_lite0()
        if start is not None:
            self.network.load_state_dict({name: value.float() for name, value in load_file(start).items()})
        self.average = EMAModel(self.network.parameters(), decay=config.ema, use_ema_warmup=True, power=0.75)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=config.rate, weight_decay=0.01)
        self.step, _ = load_state(folder, self.network, {"adamw": self.optimiser}, self._settings(), self.average)

    def _settings(self) -> dict:
        """What a resumed training must not change; it may be given more steps."""
        return {key: value for key, value in asdict(self.config).items() if key not in ("steps", "save_every")}

    def save(self) -> None:
        """Everything needed to go on."""
        optimisers = {"adamw": self.optimiser}
        save_state(self.folder, self.step, self.network, optimisers, self._settings(), [], self.average)

    def export(self, path: Path) -> None:
        """The moving average in fp16."""
        network = SamLite()
        network.load_state_dict(self.network.state_dict())
        self.average.copy_to(network.parameters())
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, path)

    def batch_loss(self, scenes: Sequence[Scene], rng: np.random.Generator) -> tuple[torch.Tensor, float]:
        """Loss of a batch and the mean IoU of the single-mask output."""
        with autocast():
            with torch.no_grad():
                maps = self.backbone(torch.stack([item.pixels for item in scenes]))
            embeddings = self.network.neck(maps)
        losses, overlaps = [], []
        for number, item in enumerate(scenes):
            usable = [label for label in item.labels if np.count_nonzero(label == IN) >= 64]
            if not usable:
                continue
            chosen = [usable[rng.integers(len(usable))] for _ in range(self.config.prompts)]
            points, kinds, boxes = (
                torch.from_numpy(np.stack(column))
                for column in zip(*(draw_prompt(label, rng) for label in chosen), strict=True)
            )
            with autocast():
                logits, scores = self.network.decode(
                    embeddings[number : number + 1], points, kinds, boxes if rng.random() < 0.3 else None
                )
            loss, overlap = mask_losses(logits.float(), torch.from_numpy(np.stack(chosen)))
            losses.append((loss[:, 0] + loss[:, 1:].min(1).values + F.mse_loss(scores.float(), overlap)).mean())
            overlaps.append(float(overlap[:, 0].mean()))
        return torch.stack(losses).mean(), float(np.mean(overlaps))

    def run(
        self, photos: Path | None, progress: Callable[[int, int, float, float], None], objects: Path | None = None
    ) -> None:
        """Train to ``config.steps``; ``progress(step, steps, loss, iou)`` after each step.

        ``objects`` is a folder of outlined objects (privsc.training.grabcut); without it pets are all that is learnt.
        """
        things = Things(list(read_pets(photos_folder(photos))), read_objects(objects) if objects else ())
        while self.step < self.config.steps:
            rng = np.random.default_rng((self.config.seed, self.step))
            loss, overlap = self.batch_loss([scene(things, rng) for _ in range(self.config.batch)], rng)
            for group in self.optimiser.param_groups:
                group["lr"] = self.config.rate_at(self.step)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step()
            self.average.step(self.network.parameters())
            self.step += 1
            progress(self.step, self.config.steps, float(loss.detach()), overlap)
            if self.step % self.config.save_every == 0:
                self.save()
        self.save()
