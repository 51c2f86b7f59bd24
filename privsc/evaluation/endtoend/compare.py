"""What Algorithm 3 gained, on photographs that no part was trained on: L_total of the parts as they are used.

Hard masks, decided messages, the whole reverse process; Bob's and Eve's noise from fixed seeds, the same for all arms.
Eve is judged twice: as everybody has her (*generic*), and *adapted*, trained anew against the very transmitter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from sionna.phy import config as sionna_config

from phy.training.autoencoder import awgn_channel
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks.lite2 import Lite2, close_up, load_lite2
from privsc.stats import Figure, mean
from privsc.training.endtoend.chain import Batch, Painter, Parts, authorised_loss, crop_mask, hear, mask_logits
from privsc.training.endtoend.soft_identity import SoftIdentity

CHUNK = 6
Progress = Callable[..., None]
Pictures = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Judged:
    """Figures of one arm, [pictures, noise seeds] each.

    Attributes:
        authorised: L_a.
        leakage: f by Eve ("generic", "adapted").
        recognised: whether the recogniser names the true entity, by receiver ("Bob", "generic", "adapted").
        independent: whether the likeliest entity by EfficientNet-Lite2 is the true one, by receiver.
        covered: share of the entity's pixels that M covers; hidden: share of the crop; both [pictures].
        wrong: share of wrong messages on Bob's channel, [pictures, seeds].
        pictures: of the first seed: "A", "Bob", "Eve" [pictures, 96, 96, 3] uint8.
    """

    authorised: NDArray[np.float64]
    leakage: dict[str, NDArray[np.float64]]
    recognised: dict[str, NDArray[np.bool_]]
    independent: dict[str, NDArray[np.bool_]]
    covered: NDArray[np.float64]
    hidden: NDArray[np.float64]
    wrong: NDArray[np.float64]
    pictures: Pictures

    def total(self, weight: float, eve: str) -> NDArray[np.float64]:
        """L_total of each picture, mean over the seeds."""
        return (self.authorised + weight * self.leakage[eve]).mean(axis=1)


class Judge:
    """Judges arms on one batch of held-out photographs.

    Args:
        batch: all of them.
        painting: steps of the reverse process.
        snr_db: Es/N0 of both channels [dB].
        seeds: noise seeds.
    """

    def __init__(
        self,
        batch: Batch,
        entities: Sequence[Entity],
        identity: SoftIdentity,
        scheduler: object,
        painting: int,
        snr_db: float,
        seeds: int,
    ) -> None:
        self._parts_of_batch = [_part(batch, start) for start in range(0, len(batch.who), CHUNK)]
        self._batch, self._identity, self._snr_db, self._seeds = batch, identity, snr_db, seeds
        self._bob = Painter(scheduler, painting, with_k=True)
        self._eve = Painter(scheduler, painting, with_k=False)
        self._independent, self._gallery = load_lite2(), _gallery(entities, load_lite2())
        self._channel = awgn_channel()

    @torch.no_grad()
    def __call__(
        self, parts: Parts, eves: Mapping[str, UNet2DConditionModel], progress: Progress | None = None
    ) -> Judged:
        """Figures of the parts with each of the Eves."""
        rows: list[dict[str, NDArray]] = []
        steps = self._seeds * len(self._parts_of_batch)
        for seed in range(self._seeds):
            found = []
            for number, batch in enumerate(self._parts_of_batch):
                found.append(self._one(parts, eves, batch, 1000 * seed + number))
                if progress is not None:
                    progress(seed * len(self._parts_of_batch) + number + 1, steps)
            rows.append({key: np.concatenate([row[key] for row in found]) for key in found[0]})
        figures = {key: np.stack([row[key] for row in rows], axis=1) for key in rows[0] if key[0] != "~"}
        named = {
            kind: {who: figures[f"{kind} {who}"] for who in ("Bob", *eves) if f"{kind} {who}" in figures}
            for kind in ("f", "recognised", "independent")
        }
        return Judged(
            figures["L_a"],
            named["f"],
            named["recognised"],
            named["independent"],
            figures["covered"][:, 0],
            figures["hidden"][:, 0],
            figures["wrong"],
            {key[1:]: rows[0][key] for key in rows[0] if key[0] == "~"},
        )

    def _one(
        self, parts: Parts, eves: Mapping[str, UNet2DConditionModel], batch: Batch, seed: int
    ) -> dict[str, NDArray]:
        mask = crop_mask(*mask_logits(parts.masker, batch), batch.boxes, hard=True)
        noise_source, snr_db = sionna_config.torch_rng("cpu"), torch.full((len(batch.who),), self._snr_db)
        before = noise_source.get_state()
        noise_source.manual_seed(seed)
        try:
            at_bob = hear(parts.codec, batch.clean, mask, snr_db, self._channel)
            at_eve = hear(parts.codec, batch.clean, mask, snr_db, self._channel)
        finally:
            noise_source.set_state(before)
        seen = {"Bob": self._bob.sample(parts.bob, batch, at_bob, seed)}
        seen |= {name: self._eve.sample(network, batch, at_eve, seed) for name, network in eves.items()}
        kept = (1 - mask).expand_as(batch.clean)
        wrong = ((at_bob.surroundings - batch.clean).abs() > 0.6 / 127.5).float() * kept
        row = {
            "L_a": authorised_loss(batch.clean, seen["Bob"]).double().numpy(),
            "covered": ((mask * batch.region).sum((1, 2, 3)) / batch.region.sum((1, 2, 3))).double().numpy(),
            "hidden": mask.mean((1, 2, 3)).double().numpy(),
            "wrong": (wrong.sum((1, 2, 3)) / kept.sum((1, 2, 3)).clamp_min(1)).double().numpy(),
            "~A": _to_uint8((batch.clean + 1) * (1 - mask) - 1),
            "~Bob": _to_uint8(seen["Bob"]),
            "~Eve": _to_uint8(seen[list(eves)[-1]]),
        }
        for name, picture in seen.items():
            probable = self._identity.probabilities(picture, batch.region)
            row[f"recognised {name}"] = (probable.argmax(1) == batch.who).numpy()
            row[f"independent {name}"] = self._named(picture, batch)
            if name != "Bob":
                row[f"f {name}"] = probable.gather(1, batch.who[:, None])[:, 0].double().numpy()
        return row

    def _named(self, picture: torch.Tensor, batch: Batch) -> NDArray[np.bool_]:
        regions = batch.region[:, 0].numpy() > 0
        looks = [close_up(p, m) for p, m in zip(_to_uint8(picture), regions, strict=True)]
        return (self._independent.vectors(looks) @ self._gallery.T).argmax(1) == batch.who.numpy()


def _gallery(entities: Sequence[Entity], network: Lite2) -> NDArray[np.float32]:
    """[K, d], mean vector of each entity's samples close up."""
    return np.stack(
        [
            network.vectors([close_up(photo, mask) for photo, mask in sample_pairs(entity) if mask.any()]).mean(0)
            for entity in entities
        ]
    )


def _part(batch: Batch, start: int) -> Batch:
    """``CHUNK`` pictures of a batch."""
    here = slice(start, start + CHUNK)
    cut = {name: value[here] for name, value in vars(batch).items() if name != "maps"}
    return replace(batch, maps={stride: found[here] for stride, found in batch.maps.items()}, **cut)


def _to_uint8(planes: torch.Tensor) -> NDArray[np.uint8]:
    return ((planes + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def figures(judged: Judged, weight: float, eve: str) -> list[Figure]:
    """Means over the pictures with bootstrap intervals (seeds averaged first)."""

    def share(name: str, hits: NDArray[np.bool_]) -> Figure:
        return mean(name, 100.0 * hits.mean(axis=1), "%")

    psnr = -10 * np.log10(np.maximum(judged.authorised, 1e-9)).mean(axis=1)
    return [
        mean("L_total", judged.total(weight, eve).tolist()),
        mean("L_a, eq. (7)", judged.authorised.mean(axis=1).tolist()),
        mean("f, eq. (8), smooth", judged.leakage[eve].mean(axis=1).tolist()),
        mean("PSNR of the crop, Bob", psnr.tolist(), "dB"),
        share("Bob recognised", judged.recognised["Bob"]),
        share("Eve recognised", judged.recognised[eve]),
        share("Bob, rank 1 by Lite2", judged.independent["Bob"]),
        share("Eve, rank 1 by Lite2", judged.independent[eve]),
        mean("entity covered by M", (100 * judged.covered).tolist(), "%"),
        mean("share of the crop hidden", (100 * judged.hidden).tolist(), "%"),
        mean("samples received wrong", (100 * judged.wrong).mean(axis=1).tolist(), "%"),
    ]


def gains(joint: Judged, other: Judged, weight: float, eve: str) -> list[Figure]:
    """Paired differences joint less another arm, below 0 where joint training is better; interval over the pictures."""
    leak = joint.leakage[eve] - other.leakage[eve]
    return [
        mean("L_total", (joint.total(weight, eve) - other.total(weight, eve)).tolist()),
        mean("L_a, eq. (7)", (joint.authorised - other.authorised).mean(axis=1).tolist()),
        mean("f, eq. (8), smooth", leak.mean(axis=1).tolist()),
    ]
