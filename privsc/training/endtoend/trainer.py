"""Algorithm 3, the training (`privsc train endtoend`): jointly, and for comparison each part by its own loss.

A step of the joint training:

    batch ──M_chi──► M ──► Â, Âe ──► Bob, Eve (frozen) ──► L_a + lambda f + the parts' own losses, lightly ──► ours
                           (Âe, M), detached ──► Eve ──► her squared error + perceptual distance to S ──► U_e

A step of the separate training takes the same batch and the same rates: M_chi learns the silhouette, the codec its
messages, U_theta to denoise. Whatever is drawn in a step comes from (seed, step), so that a resumed training ends in
the weights of an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sionna.phy import config as sionna_config

from phy.training import autoencoder
from privsc.compute import autocast
from privsc.errors import ConfigError
from privsc.networks.backbone import Lite0
from privsc.networks.diffusion import Condition
from privsc.networks.perceptual import perceptual_distance
from privsc.training.diffusion import RecoveryTraining, example_loss
from privsc.training.endtoend.chain import (
    Batch,
    Heard,
    Painter,
    Parts,
    authorised_loss,
    crop_mask,
    hear,
    mask_logits,
    terms,
)
from privsc.training.endtoend.data import Batches, Case
from privsc.training.endtoend.soft_identity import SoftIdentity
from privsc.training.mask_decoder import mask_losses
from privsc.training.state import load_state, save_state

MODES = ("joint", "separate", "eve")
Progress = Callable[..., None]


@dataclass(frozen=True)
class Anchors:
    """What each part's own loss weighs beside L_total: enough that M stays a silhouette and messages stay messages."""

    mask: float = 0.02
    codec: float = 0.0005
    perceptual: float = 0.005


@dataclass(frozen=True)
class EndToEndTraining:
    """Numbers of one training. ``weight`` is lambda, ``snr_db`` the range of Es/N0 [dB] of Bob's and of Eve's channel,
    ``painting`` the steps of the reverse process; all learning rates are divided by ``gentleness``."""

    steps: int = 100
    batch: int = 3
    weight: float = 0.1
    snr_db: tuple[float, float] = (5.0, 20.0)
    painting: int = 4
    masker_rate: float = 5e-5
    codec_rate: float = 3e-4
    bob_rate: float = 1e-4
    eve_rate: float = 1e-4
    gentleness: float = 1.0
    warmup: int = 10
    messages: int = 8192
    anchors: Anchors = field(default_factory=Anchors)
    seed: int = 0
    save_every: int = 25

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "painting", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: must be at least 1; got {getattr(self, name)}")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ConfigError(f"weight: lambda must be 0 or more; got {self.weight}")
        if not 0.01 <= self.gentleness <= 100:
            raise ConfigError(f"gentleness: must be 0.01 to 100; got {self.gentleness}")
        low, high = self.snr_db
        if not (math.isfinite(low) and math.isfinite(high) and -20 <= low <= high <= 60):
            raise ConfigError(f"snr: must be a range within -20 to 60 dB, the lower end first; got {low:g} to {high:g}")

    def factor(self, step: int) -> float:
        """Share of the learning rates at ``step``: a short rise, a plateau, a fall to zero over the last half."""
        return min(1.0, (step + 1) / self.warmup, 2 * (self.steps - step) / self.steps) / self.gentleness


@dataclass(frozen=True)
class Surroundings:
    """What a training works with and does not change: the cases, how batches are made, backbone, schedule, f."""

    cases: Sequence[Case]
    batches: Batches
    backbone: Lite0
    scheduler: object
    identity: SoftIdentity


class Trainer:
    """One training in ``folder``, found again after a stop.

    Args:
        parts: changed in place.
        mode: "joint" (Algorithm 3), "separate" (own losses), "eve" (U_e alone, against parts that stand still).
    """

    def __init__(self, folder: Path, config: EndToEndTraining, parts: Parts, around: Surroundings, mode: str) -> None:
        if mode not in MODES:
            raise ConfigError(f"mode: must be one of {', '.join(MODES)}; got {mode!r}")
        self.folder, self.config, self.parts, self.around, self.mode = folder, config, parts, around, mode
        self._channel = autoencoder.awgn_channel()
        self._bob = Painter(around.scheduler, config.painting, with_k=True)
        self._eve = Painter(around.scheduler, config.painting, with_k=False)
        rates = (config.masker_rate, config.codec_rate, config.bob_rate)
        groups = {
            "ours": list(zip((parts.masker, parts.codec, parts.bob), rates, strict=True)),
            "eve": [(parts.eve, config.eve_rate)],
        }
        if mode != "joint":
            groups = {key: value for key, value in groups.items() if (key == "eve") == (mode == "eve")}
        parts.requires_grad_(False)
        self._optimisers = {
            key: torch.optim.AdamW(
                [{"params": list(p.parameters()), "lr": rate, "base": rate} for p, rate in value], weight_decay=0.0
            )
            for key, value in groups.items()
        }
        self._settings = {"mode": mode, "cases": len(around.cases), **asdict(config)}
        self._settings.pop("save_every")
        self.step, self.history = load_state(folder, parts, self._optimisers, self._settings)

    def run(self, progress: Progress, stop_after: int | None = None) -> Parts:
        """Train to ``config.steps`` (or ``stop_after`` steps from now); ``progress(step, steps, loss)`` after each."""
        config, noise_source = self.config, sionna_config.torch_rng("cpu")
        last = config.steps if stop_after is None else min(config.steps, self.step + stop_after)
        outer = noise_source.get_state()
        try:
            while self.step < last:
                rng = np.random.default_rng((config.seed, self.step))
                noise_source.manual_seed((config.seed << 32) + self.step)
                batch = self.around.batches.training(self.around.cases, config.batch, rng)
                row = getattr(self, f"_{self.mode}_step")(batch, rng)
                self.step += 1
                self.history.append({"step": self.step, **row})
                progress(self.step, config.steps, row["loss"])
                if self.step % config.save_every == 0 and self.step < last:
                    self.save()
        finally:
            noise_source.set_state(outer)
        self.save()
        return self.parts

    def save(self) -> None:
        """Write the state down."""
        save_state(self.folder, self.step, self.parts, self._optimisers, self._settings, self.history)

    def _joint_step(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        config, parts, anchors = self.config, self.parts, self.config.anchors
        self._train_only("ours")
        with autocast():
            logits, scores = mask_logits(parts.masker, batch)
            mask = crop_mask(logits, scores, batch.boxes, hard=False)
            bob_heard = hear(parts.codec, batch.clean, mask, self._snr(batch, rng), self._channel)
            eve_heard = hear(parts.codec, batch.clean, mask, self._snr(batch, rng), self._channel)
            bob_noise, eve_noise = _noise(batch, rng), _noise(batch, rng)
            at = int(rng.integers(config.painting))
            bob_x = self._bob.approach(parts.bob, batch, bob_heard, bob_noise, at)
            bob = self._bob.finish(parts.bob, batch, bob_heard, bob_x, bob_noise, at)
            eve_x = self._eve.approach(parts.eve, batch, eve_heard, eve_noise, at)
            eve = self._eve.finish(parts.eve, batch, eve_heard, eve_x, eve_noise, at)
            found = terms(self.around.identity, batch, bob, eve)
            perceptual = perceptual_distance(self.around.backbone, bob, batch.clean).mean()
        total = found.total(config.weight).mean()
        own_mask, own_codec = self._mask_loss(logits, scores, batch), self._codec_loss(rng)
        own = anchors.mask * own_mask + anchors.codec * own_codec + anchors.perceptual * perceptual
        self._update("ours", total + own)
        eve_loss = self._eve_update(batch, eve_heard.detach(), eve_x, eve_noise, at)
        return {
            "loss": float(total.detach()),
            "L_a": float(found.authorised.detach().mean()),
            "f": float(found.leakage.detach().mean()),
            "mask": float(own_mask.detach()),
            "codec": float(own_codec.detach()),
            "recovery": float(perceptual.detach()),
            "eve": eve_loss,
        }

    def _separate_step(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        self._train_only("ours")
        with autocast():
            logits, scores = mask_logits(self.parts.masker, batch)
        mask, codec = self._mask_loss(logits, scores, batch), self._codec_loss(rng)
        hole = F.max_pool2d(batch.region, 5, stride=1, padding=2)
        told = Condition(batch.clean * (1 - hole), hole, batch.reference * batch.covered * hole, batch.text)
        recovery = example_loss(
            self.parts.bob, self.around.backbone, self.around.scheduler, batch.clean, told, RecoveryTraining(), rng
        )
        self._update("ours", mask + codec + recovery)  # no parameter is in two of them
        return {
            "loss": float((mask + codec + recovery).detach()),
            "mask": float(mask.detach()),
            "codec": float(codec.detach()),
            "recovery": float(recovery.detach()),
        }

    def _eve_step(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """Against the transmitter as it will be used: hard masks."""
        parts = self.parts
        with torch.no_grad(), autocast():
            mask = crop_mask(*mask_logits(parts.masker, batch), batch.boxes, hard=True)
            heard = hear(parts.codec, batch.clean, mask, self._snr(batch, rng), self._channel)
            noise = _noise(batch, rng)
            at = int(rng.integers(self.config.painting))
            x = self._eve.approach(parts.eve, batch, heard, noise, at)
        return {"loss": self._eve_update(batch, heard, x, noise, at)}

    def _eve_update(self, batch: Batch, heard: Heard, x: torch.Tensor, noise: torch.Tensor, at: int) -> float:
        """One step of Eve's: she is given photographs with what she hears of them, and learns to restore them."""
        self._train_only("eve")
        with autocast():
            eve = self._eve.finish(self.parts.eve, batch, heard, x, noise, at)
            perceptual = perceptual_distance(self.around.backbone, eve, batch.clean).mean()
        loss = authorised_loss(batch.clean, eve).mean() + self.config.anchors.perceptual * perceptual
        self._update("eve", loss)
        return float(loss.detach())

    def _mask_loss(self, logits: torch.Tensor, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Of `privsc train guard`."""
        loss, overlap = mask_losses(logits, batch.labels)
        return (loss[:, 0] + loss[:, 1:].min(1).values + F.mse_loss(scores, overlap)).mean()

    def _codec_loss(self, rng: np.random.Generator) -> torch.Tensor:
        """Of `privsc train codec`, on uniform messages."""
        sent = torch.arange(256).repeat(self.config.messages // 256)
        snr_db = torch.from_numpy(rng.uniform(*self.config.snr_db, len(sent))).float()
        return autoencoder.losses(self.parts.codec, self._channel, sent, 10 ** (-snr_db / 10))  # type: ignore[arg-type]

    def _snr(self, batch: Batch, rng: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(*self.config.snr_db, len(batch.who))).float()

    def _train_only(self, key: str) -> None:
        """Gradients to one side only: Eve stands still while we learn, we while she does."""
        for part in (self.parts.masker, self.parts.codec, self.parts.bob):
            part.requires_grad_(key == "ours")
        self.parts.eve.requires_grad_(key == "eve")

    def _update(self, key: str, loss: torch.Tensor) -> None:
        optimiser = self._optimisers[key]
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * self.config.factor(self.step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimiser.param_groups:  # each part on its own: one part's large gradient must not hold up another
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
        optimiser.step()


def _noise(batch: Batch, rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(batch.clean.shape), dtype=np.float32))
