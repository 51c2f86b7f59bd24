"""`privsc train endtoend` from K to results: both trainings, the adapted Eves, the comparison, the files."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import torch
from safetensors.torch import save

from phy.codec.codec import shipped
from phy.training.autoencoder import export
from privsc.datasets.subjects import photos_folder, subject_photos
from privsc.errors import ConfigError, EntityError
from privsc.evaluation.endtoend.compare import Judge, Judged, figures, gains
from privsc.evaluation.endtoend.report import as_bytes, curves, pictures
from privsc.files import ResultFolder, output_folder, to_json
from privsc.guard.guard import Guard
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import check_test
from privsc.networks.backbone import load_lite0
from privsc.networks.diffusion import load_model
from privsc.networks.image_encoder import load_encoder
from privsc.networks.mask_decoder import WEIGHTS, load_segmenter, read_weights
from privsc.provenance import revision
from privsc.stats import Figure
from privsc.training.endtoend.chain import Parts
from privsc.training.endtoend.data import Batches, held_out_cases, training_cases
from privsc.training.endtoend.soft_codec import SoftCodec
from privsc.training.endtoend.soft_identity import SoftIdentity
from privsc.training.endtoend.trainer import EndToEndTraining, Progress, Surroundings, Trainer

CODEC = "image8x4"
CODEC_ID = 101
Stage = Callable[[str], Progress]


@dataclass(frozen=True)
class Comparison:
    """How the arms are judged: Es/N0 [dB], noise seeds, and steps for which Eve is adapted to each transmitter."""

    snr_db: float = 10.0
    seeds: int = 3
    eve_steps: int = 40

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.eve_steps < 1:
            raise ConfigError(f"noise seeds and Eve's steps must be at least 1; got {self.seeds} and {self.eve_steps}")
        if not -20 <= self.snr_db <= 60:
            raise ConfigError(f"at: must be -20 to 60 dB; got {self.snr_db:g}")


@dataclass(frozen=True)
class Outcome:
    """Figures of each arm by Eve, and the paired differences of joint less another arm, by (arm, Eve)."""

    arms: dict[str, dict[str, list[Figure]]]
    gains: dict[tuple[str, str], list[Figure]]


def fresh_parts() -> Parts:
    """The shipped networks, copied; Eve has the generic U_theta."""
    unet = load_model().unet
    return Parts(read_weights(WEIGHTS), SoftCodec(shipped(CODEC)), copy.deepcopy(unet), copy.deepcopy(unet))


def check_k(entities: tuple[Entity, ...], folder: Path) -> None:
    """Refuse a K that is too small, or that holds a photograph that is to judge.

    Raises:
        EntityError: naming the entity.
    """
    if len(entities) < 2:
        raise EntityError(f"K must hold two entities or more, to tell one from another; got {len(entities)}")
    for entity in entities:
        if (folder / "subjects" / entity.name).is_dir():
            check_test(entity, subject_photos(folder, entity.name)[1])


def read_inputs(database: Path, photos: Path | None) -> tuple[Path, tuple[Entity, ...]]:
    """Folder of photographs and the entities of K, refused before anything long begins."""
    folder = photos_folder(photos)
    with Database.open(database, load_encoder().identity) as k:
        entities = k.entities()
    check_k(entities, folder)
    return folder, entities


def run(
    database: Path,
    photos: Path | None,
    state: Path,
    out: Path,
    config: EndToEndTraining,
    comparison: Comparison,
    stage: Stage,
) -> Outcome:
    """Train, compare, write ``out``; a run that was stopped goes on from ``state``."""
    folder, entities = read_inputs(database, photos)
    encoder, backbone = load_encoder(), load_lite0()
    output_folder(out)
    batches, identity, scheduler = Batches(entities), SoftIdentity.of(entities, backbone), load_model().scheduler
    cases = training_cases(entities, backbone, stage("samples of K"))
    held = held_out_cases(entities, folder, Guard(encoder, load_segmenter()), backbone, stage("held-out photographs"))
    around = Surroundings(cases, batches, backbone, scheduler, identity)
    adapting = replace(config, steps=comparison.eve_steps)
    arms: dict[str, tuple[Parts, dict[str, torch.nn.Module]]] = {}
    generic, histories = load_model().unet, {}
    for mode in ("separate", "joint"):
        trainer = Trainer(state / mode, config, fresh_parts(), around, mode)
        parts = trainer.run(stage(f"{mode} training"))
        histories[mode] = trainer.history
        against = Parts(parts.masker, parts.codec, parts.bob, copy.deepcopy(generic))
        eve = Trainer(state / f"eve-{mode}", adapting, against, around, "eve").run(stage(f"Eve adapts to {mode}"))
        arms[mode] = parts, {"generic": generic, "adapted": eve.eve}
    batch = batches.held_out(held)
    judge = Judge(batch, entities, identity, scheduler, config.painting, comparison.snr_db, comparison.seeds)
    judged = {"shipped": judge(fresh_parts(), {"generic": generic}, stage("judging shipped"))}
    judged |= {name: judge(parts, eves, stage(f"judging {name}")) for name, (parts, eves) in arms.items()}
    outcome = _outcome(judged, config.weight)
    settings = {"training": asdict(config), "comparison": asdict(comparison)}
    with ResultFolder(out) as results:
        results.add(
            "log.json",
            to_json(
                {
                    "settings": settings,
                    "date": date.today().isoformat(),
                    "revision": revision(),
                    "cases": len(cases),
                    "held_out": len(held),
                    "arms": {
                        name: {eve: [asdict(f) for f in found] for eve, found in by_eve.items()}
                        for name, by_eve in outcome.arms.items()
                    },
                    "joint_less": [
                        {"arm": arm, "eve": eve, "figures": [asdict(f) for f in found]}
                        for (arm, eve), found in outcome.gains.items()
                    ],
                    "history": histories,
                }
            ),
        )
        trained = {name: judged[name] for name in ("separate", "joint")}
        drawn = curves(histories["joint"], trained, config.weight, "adapted", outcome.gains["separate", "adapted"][0])
        for kind in ("png", "svg"):
            results.add(f"curves.{kind}", as_bytes(drawn, kind))
        clean = ((batch.clean + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        results.add("pictures.png", pictures(clean, trained))
        results.add(
            "sam-lite.safetensors",
            save({name: value.half().contiguous() for name, value in arms["joint"][0].masker.state_dict().items()}),
        )
    _export(arms["joint"][0], scheduler, out, config)
    return outcome


def _outcome(judged: dict[str, Judged], weight: float) -> Outcome:
    arms = {name: {eve: figures(found, weight, eve) for eve in found.leakage} for name, found in judged.items()}
    pairs = {
        (other, eve): gains(judged["joint"], judged[other], weight, eve)
        for other in ("separate", "shipped")
        for eve in judged[other].leakage
    }
    return Outcome(arms, pairs)


def _export(parts: Parts, scheduler: object, out: Path, config: EndToEndTraining) -> None:
    """Codec and recovery in the forms that `--codec` and `--model` take."""
    facts = {"steps": config.steps, "seed": config.seed, "snr_db": config.snr_db, "begun_from": CODEC,
             "learning_rate": config.codec_rate, "trained_by": "privsc train endtoend"}  # fmt: skip
    export(parts.codec, name="endtoend", codec_id=CODEC_ID, extra=facts).save(out / "codec.npz")  # type: ignore[arg-type]
    target = out / "privsc-mini"
    with tempfile.TemporaryDirectory(dir=out, prefix=".privsc-mini.") as temporary:
        made, old = Path(temporary) / "new", Path(temporary) / "old"
        copy.deepcopy(parts.bob).half().save_pretrained(made / "unet", safe_serialization=True)
        scheduler.save_pretrained(made / "scheduler")  # type: ignore[attr-defined]
        if target.exists():
            target.rename(old)
        made.rename(target)
