"""Training of the picture code: one model for every rate and every signal-to-noise ratio, resumable at any step.

Some crops of one photograph stand for all of it: they share energies, number of symbols and noise, as the blocks of a
picture do, so that plain and busy places compete for the power. The channel is that between
features and their estimates: the mixing of ``privsc.transport.semantic`` spreads every feature over many symbols, so
that the rounding to 256 points, fading and erasures reach the features as noise of nearly equal power. The loss is the
squared error over the linear code's expected one at the same rate and noise, so that 20 dB weighs as much as 0 dB.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from privsc.compute import initial_values
from privsc.errors import ConfigError
from privsc.images.fill import fill_hidden
from privsc.networks.picture_code import BLOCK, PictureCode, PictureCodeConfig
from privsc.training.picture_code_channel import (
    ROUNDING_NOISE,
    Transmission,
    linear_error,
    sent_features,
    transmit,
)
from privsc.training.picture_code_data import Crops, hidden_shapes, pet_photos, principal_components, read_rgb
from privsc.training.state import load_state, save_state

VALIDATION_RATES = (1 / 24, 1 / 12, 1 / 6)
VALIDATION_SNR_DB = (0.0, 10.0, 20.0)


@dataclass(frozen=True)
class PictureCodeTraining:
    """Numbers of one training. The learning rate falls over the last part of the time that is given to ``train``."""

    photographs: int = 4
    crops: int = 3
    side: int = 80
    rate: float = 1.5e-3
    warmup: int = 300
    constant_part: float = 0.4
    weight_decay: float = 0.01
    average: float = 0.999
    hidden_share: float = 0.15
    uneven_share: float = 0.25
    snr_db: tuple[float, float] = (-2.0, 22.0)
    symbols: tuple[float, float] = (3.0, 32.0)
    seed: int = 15

    def __post_init__(self) -> None:
        if min(self.photographs, self.crops) < 1 or self.side < BLOCK or self.side % BLOCK:
            raise ConfigError(
                f"picture code: {self.crops} crops of {self.side} px from each of {self.photographs} photographs are "
                f"none to train on; the side is a multiple of {BLOCK}"
            )
        if not 0 < self.rate <= 0.1 or not 0 <= self.average < 1 or not 0 <= self.constant_part < 1:
            raise ConfigError(
                "picture code: rate must be 0 to 0.1, average and constant_part 0 to below 1, got "
                f"{self.rate}, {self.average}, {self.constant_part}"
            )
        if self.snr_db[0] > self.snr_db[1] or not 0 < self.symbols[0] <= self.symbols[1]:
            raise ConfigError(f"picture code: empty range of SNR {self.snr_db} or symbols {self.symbols}")

    def rate_at(self, step: int, progress: float) -> float:
        """Learning rate at ``step`` when ``progress`` (0 to 1) of the time has passed: warm-up, plateau, fall."""
        fall = min(1.0, (1 - progress) / (1 - self.constant_part))
        return self.rate * min(1.0, (step + 1) / self.warmup) * max(fall, 0.02)


class PictureCodeTrainer:
    """State of a training in ``folder``: networks, moving average, optimiser; found again by name."""

    def __init__(self, folder: Path, root: Path, model: PictureCodeConfig, training: PictureCodeTraining) -> None:
        self.folder, self.root, self.training = folder, root, training
        self.crops = Crops(root, training.side)
        rng = np.random.default_rng(training.seed)
        with initial_values(training.seed):
            components = map(torch.from_numpy, principal_components(self.crops, rng))
            self.model = PictureCode(model, *components)
            self.average = PictureCode(
                model, self.model.mean.clone(), self.model.basis.clone(), self.model.energies.clone()
            )
        self.average.load_state_dict(self.model.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=training.rate, betas=(0.9, 0.98), weight_decay=training.weight_decay, fused=True
        )
        self.settings = {"model": asdict(model), "training": asdict(training)}
        self.both = nn.ModuleDict({"model": self.model, "average": self.average})
        self.step, self.history = load_state(folder, self.both, {"adamw": self.optimiser}, self.settings)
        self.seconds = float(self.history[-1]["seconds"]) if self.history else 0.0

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, Transmission]:
        """Crops [P C, S, S, 3], their hidden pixels [P C, S, S, 1], and P transmissions of pictures of C crops."""
        config = self.training
        crops = self.crops.batch(rng, config.photographs, config.crops)
        hidden = hidden_shapes(rng, len(crops), config.side, config.hidden_share)
        for index in np.flatnonzero(hidden.any((1, 2, 3))):
            crops[index] = fill_hidden(crops[index], hidden[index, ..., 0] > 0)
        edge = config.side // BLOCK
        grid = (config.photographs, config.crops * edge, edge)
        visible = hidden.reshape(len(crops), edge, BLOCK, edge, BLOCK).min((2, 4)).reshape(grid) < 1
        low, high = np.log(config.symbols)
        symbols = np.exp(rng.uniform(low, high, grid[0])).astype(np.float32)
        order = torch.from_numpy(rng.random(grid, dtype=np.float32))
        shown = torch.from_numpy(visible.astype(np.float32))
        count = self.model.config.features
        sent = sent_features(order, torch.from_numpy(symbols), shown, count)
        noise = 10 ** (-rng.uniform(*config.snr_db, grid[0]).astype(np.float32) / 10) + np.float32(ROUNDING_NOISE)
        spread = 0.5 * (rng.random(grid[0]) < config.uneven_share)
        uneven = np.exp(spread[:, None, None, None] * rng.standard_normal((*grid, count))).astype(np.float32)
        noises = torch.from_numpy(noise[:, None, None, None] * uneven)
        return torch.from_numpy(crops), torch.from_numpy(hidden), Transmission(sent, noises, shown)

    def losses(
        self, crops: torch.Tensor, hidden: torch.Tensor, way: Transmission, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and each photograph's gain over the linear code [P] dB."""
        features = self.model.encode(crops, hidden)
        together = features.reshape(way.sent.shape)  # the crops of a photograph below one another
        estimate, reliability, _ = transmit(self.model, together, way, generator)
        decoded = self.model.decode(estimate.reshape(features.shape), reliability.reshape(features.shape))
        photographs, shown = len(way.sent), 1 - hidden
        squares = ((decoded - crops).square() * shown).reshape(photographs, -1).sum(1)
        error = squares / (3 * shown.reshape(photographs, -1).sum(1).clamp_min(1))
        with torch.no_grad():
            seen = self.model.coefficients(crops).square().reshape(*way.visible.shape, -1) * way.visible[..., None]
            energies = seen.sum((1, 2)) / way.visible.sum((1, 2))[:, None].clamp_min(1)
            count = self.model.config.features
            own = linear_error(energies, way, count) + 1e-5
            usual = linear_error(self.model.energies.expand_as(energies), way, count)
        return (error / (own * usual).sqrt()).mean(), 10 * torch.log10(own / error.detach().clamp_min(1e-9))

    def train(
        self, seconds: float, log: Callable[[str], object], save_every: float = 180, validate_every: float = 600
    ) -> None:
        """Go on until ``seconds`` of training have passed in all, earlier runs included.

        Args:
            seconds: all the time that this training is given; the learning rate falls towards its end.
            log: receives one line at a time.
            save_every: [s] between two states on disk.
            validate_every: [s] between two validations, which are not counted as training time.
        """
        validation = Validation(self.root, self.model)
        saved = validated = self.seconds
        seen: list[tuple[float, float]] = []
        while self.seconds < seconds:
            begun = time.monotonic()
            seen.append(self.advance(self.seconds / seconds))
            self.seconds += time.monotonic() - begun
            last = self.seconds >= seconds
            if not last and self.seconds - saved < save_every:
                continue
            pace, saved = (self.seconds - saved) / len(seen), self.seconds
            loss, gain = np.mean(seen, axis=0)
            entry: dict[str, Any] = {
                "step": self.step,
                "seconds": round(self.seconds, 1),
                "loss": float(loss),
                "gain_db": float(gain),
            }
            if last or self.seconds - validated >= validate_every:
                validated = self.seconds
                entry["validation"] = validation.measure(self.average)
            self.history.append(entry)
            self.save()
            seen = []
            log(f"{json.dumps(entry)} {pace:.3f} s/step, {max(seconds - self.seconds, 0) / 60:.0f} min left")

    def begin_from(self, model: PictureCode) -> None:
        """Take the weights of a trained model, the linear code that it corrects included."""
        if model.config != self.model.config:
            raise ConfigError(
                f"picture code: the weights are of sizes {model.config}, the training's {self.model.config}"
            )
        for network in (self.model, self.average):
            network.load_state_dict(model.state_dict())

    def save(self) -> None:
        """Write the state to the folder; half a state is never left behind."""
        save_state(self.folder, self.step, self.both, {"adamw": self.optimiser}, self.settings, self.history)

    def advance(self, progress: float) -> tuple[float, float]:
        """One step at ``progress`` (0 to 1) of the time: loss, and mean gain over the linear code [dB].

        What is drawn depends on the seed and the step alone, so that a resumed training goes on as if never stopped.
        """
        rng = np.random.default_rng([self.training.seed, self.step])
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.training.rate_at(self.step, progress)
        loss, gain = self.losses(*self.draw(rng), generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(self.training.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)
        return float(loss.detach()), float(gain.mean())


def faster_precision(trainer: PictureCodeTrainer, steps: int = 5) -> tuple[bool, dict[str, float]]:
    """Measure forward and backward passes in float32 and with networks in bfloat16; nothing is learned from them.

    Returns:
        Whether bfloat16 is the faster, and the processor time of the quickest step of each [s].
    """
    found = {}
    for name, low in (("float32", False), ("bfloat16", True)):
        trainer.model.low_precision = low
        times = []
        for number in range(steps):
            batch = trainer.draw(np.random.default_rng(number))
            begun = time.process_time()
            trainer.losses(*batch, torch.Generator().manual_seed(number))[0].backward()
            times.append(time.process_time() - begun)
        found[name] = min(times)
    trainer.model.zero_grad(set_to_none=True)
    trainer.model.low_precision = found["bfloat16"] < found["float32"]
    return trainer.model.low_precision, found


class Validation:
    """PSNR of some validation pets over the training's channel, beside the linear code's."""

    def __init__(self, root: Path, model: PictureCode, pictures: Sequence[Path] | None = None) -> None:
        paths = pet_photos(root, validation=True)[::5] if pictures is None else pictures
        self.pictures = []
        for path in paths:
            rgb = read_rgb(path)
            height, width = (size // BLOCK * BLOCK for size in rgb.shape[:2])
            self.pictures.append(torch.from_numpy(rgb[None, :height, :width].astype(np.float32) / 255 - 0.5))
        self.linear = self._figures(model, linear=True)

    def measure(self, model: PictureCode) -> dict[str, list[float]]:
        """Rows by rate, then SNR: PSNR [dB] of the model and its gain over the linear code [dB]."""
        found = self._figures(model, linear=False)
        gains = {rate: [a - b for a, b in zip(row, self.linear[rate], strict=True)] for rate, row in found.items()}
        return {rate: [round(value, 2) for value in row + gains[rate]] for rate, row in found.items()}

    @torch.no_grad()
    def _figures(self, model: PictureCode, linear: bool) -> dict[str, list[float]]:
        sums = {f"1/{round(1 / rate)}": [0.0] * len(VALIDATION_SNR_DB) for rate in VALIDATION_RATES}
        for number, picture in enumerate(self.pictures):
            generator = torch.Generator().manual_seed(number)
            features = model.encode(picture, linear=linear)
            visible = torch.ones(features.shape[:3])
            for rate, row in zip(VALIDATION_RATES, sums.values(), strict=True):
                sent = sent_features(torch.zeros_like(visible), torch.tensor([192 * rate]), visible, features.shape[3])
                for column, snr_db in enumerate(VALIDATION_SNR_DB):
                    noise = torch.full_like(features, 10 ** (-snr_db / 10) + ROUNDING_NOISE)
                    estimate, reliability, _ = transmit(model, features, Transmission(sent, noise, visible), generator)
                    decoded = model.decode(estimate, reliability, linear=linear).clamp(-0.5, 0.5)
                    row[column] += float(-10 * torch.log10((decoded - picture).square().mean()))
        return {rate: [value / len(self.pictures) for value in row] for rate, row in sums.items()}
