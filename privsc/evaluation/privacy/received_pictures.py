"""The pictures that an attack is measured on: every photograph of every subject sent once and received by Bob and Eve.

    cache/KEY/SUBJECT-NN/   original.png mask.png region.png received.png bob.png eve-….png info.json

Photographs are done one by one and kept, so that an interrupted evaluation goes on where it was. KEY is a digest of all
that the pictures depend on: K, the networks, the modules on the way, the SNR, the size, the seed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from privsc.datasets.subjects import subject_photos
from privsc.evaluation.privacy.attacks import ATTACKS, Target
from privsc.evaluation.protocol import Progress, enrol_subjects
from privsc.files import ResultFolder, private_folder, to_json
from privsc.images.photo_io import decode_photo, encode_png
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Entity, Sample
from privsc.knowledge.samples import check_test, other_samples
from privsc.networks.files.weights import weights_sha256
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import Models
from privsc.system.chain import Eavesdropper, Heard, Receiver, Sent
from privsc.system.config import RunConfig
from privsc.system.measure import fitted_heard
from privsc.system.trial import BOB, EVE, LinkCarrier, class_word, send
from privsc.transport import payload
from privsc.transport.levels import reserve_black

PROTOCOL = 3  # raise it when what is stored, or how it is made, changes
MADE_BY = (
    "images/regions.py",
    "images/placement.py",
    "knowledge/samples.py",
    "knowledge/detection.py",
    "networks/image_encoder.py",
    "networks/letterbox.py",
    "networks/mask_decoder.py",
    "networks/diffusion.py",
    "guard/guard.py",
    "guard/masking.py",
    "hints/pose_hint.py",
    "hints/fit.py",
    "hints/apply.py",
    "transport/payload.py",
    "transport/head.py",
    "transport/outline.py",
    "transport/levels.py",
    "transport/concealment.py",
    "transport/mask_detection.py",
    "recovery/recovery.py",
    "recovery/sampler.py",
    "recovery/reference.py",
    "recovery/painting.py",
    "system/chain.py",
    "system/heard.py",
    "system/hiding.py",
    "system/measure.py",
    "system/trial.py",
    "evaluation/privacy/attacks.py",
    "evaluation/privacy/received_pictures.py",
)
"""Files of privsc between a photograph and the pictures, whose contents are part of KEY."""
TRAINED_ON = ("Eve: looks at Â", "Eve: cv2.inpaint", "Eve: generic, class word")
"""Attacks whose pictures the adaptive attacker also has of the training photographs."""


@dataclass(frozen=True)
class Settings:
    """How the pictures are sent and received (fields of RunConfig). adapters: Bob uses K's adapters where there are
    any."""

    snr_db: float = 10.0
    max_side: int = 384
    seed: int = 0
    adapters: bool = True
    waveform: str = "burst"


@dataclass(frozen=True)
class Item:
    """One photograph: of which subject, its number there, whether it is the test, and where its pictures lie."""

    subject: str
    number: int
    test: bool
    folder: Path
    info: dict[str, Any]

    def picture(self, name: str) -> NDArray[np.uint8]:
        """HWC uint8: original, received, bob, or an attack's slug."""
        return np.asarray(Image.open(self.folder / f"{name}.png").convert("RGB"))

    def mask(self, name: str = "mask") -> NDArray[np.bool_]:
        """[H, W] bool: `mask`, the transmitter's M, or `region`, Eve's M̂."""
        return np.asarray(Image.open(self.folder / f"{name}.png").convert("L")) >= 128


def slug(attack: str) -> str:
    """A file name for an attack."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in attack.lower())
    return "-".join(part for part in kept.split("-") if part)


@contextmanager
def open_k(
    path: Path | None,
    folder: Path,
    names: Sequence[str],
    models: Models,
    personalise: bool,
    cache: Path,
    progress: Progress | None = None,
) -> Iterator[Database]:
    """K at `path`, or one that is made of all photographs but each subject's last and kept in the cache."""
    if path is None:
        text = load_text_encoder().identity
        key = json.dumps([list(names), str(folder.resolve()), models.guard.identity, text, personalise])
        path = cache / f"K-{hashlib.sha256(key.encode()).hexdigest()[:12]}.db"
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                made = Path(scratch) / "K.db"
                with Database.create(made, models.guard.identity, text) as k:
                    enrol_subjects(k, folder, names, personalise=personalise, progress=progress)
                made.replace(path)
    with Database.open(path, models.guard.identity) as k:
        yield k


def receive_all(
    folder: Path,
    names: Sequence[str],
    database: Database,
    models: Models,
    settings: Settings,
    cache: Path,
    progress: Progress | None = None,
) -> list[Item]:
    """Every photograph of the subjects through the chain, or from the cache.

    Raises:
        EntityError: where K lacks a subject, or holds the photograph that is the test.
    """
    key = {
        "protocol": PROTOCOL,
        "k": database.digest().hex(),
        "models": models.names,
        "weights": weights_sha256(),
        "code": _code(),
        "attacks": sorted(ATTACKS),
        **asdict(settings),
    }
    place = cache / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    private_folder(place)
    photographs = list(_photographs(folder, names))
    entities = {name: database.get(name) for name in names}
    items = []
    for count, (name, number, path, test) in enumerate(photographs):
        target = place / f"{name}-{number:02d}"
        if not (target / "info.json").is_file():
            config = RunConfig.build(
                snr_db=settings.snr_db, seed=settings.seed * 65_536 + count, waveform=settings.waveform
            )
            _one(path, target, entities[name], test, database, models, settings, config)
        items.append(Item(name, number, test, target, json.loads((target / "info.json").read_text("utf-8"))))
        if progress is not None:
            progress(count + 1, len(photographs), f"{name} {number:02d}")
    return items


def _code() -> str:
    """Digest of the modules between a photograph and the pictures: results of two versions are not to be mixed.

    Raises:
        FileNotFoundError: where one of them is not there.
    """
    package = Path(__file__).parents[2]
    return hashlib.sha256(b"".join((package / name).read_bytes() for name in MADE_BY)).hexdigest()


def _photographs(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, int, Path, bool]]:
    for name in names:
        enrolled, last = subject_photos(folder, name)
        for number, path in enumerate([*enrolled, last]):
            yield name, number, path, path == last


def _one(
    path: Path,
    target: Path,
    entity: Entity,
    test: bool,
    database: Database,
    models: Models,
    settings: Settings,
    config: RunConfig,
) -> None:
    """Send one photograph and store what everybody ends with; info.json comes last and says that it is whole."""
    data = path.read_bytes()
    image = decode_photo(data, str(path), settings.max_side)
    others = other_samples(entity, data, str(path))
    if test:
        check_test(entity, path)
    held: Any = _HeldOut(database, entity.index, others or entity.samples, settings.adapters)
    carrier, seeds, size = LinkCarrier.simulated(config), config.seeds(), image.shape[:2]
    sent, _ = send(image, held, models, config, carrier.transmitter)
    heard = Eavesdropper(None, models.recovery).hear(carrier.reception(sent, EVE))
    at_eve = fitted_heard(heard, size)
    bob, at_bob = Receiver(None, models.recovery, held), at_eve
    if test:  # for training, one reception serves both
        at_bob = fitted_heard(bob.hear(carrier.reception(sent, BOB)), size)
    known = Target(
        at_eve,
        class_word(sent.truth.guarded, database),
        entity if entity.index in at_eve.indices else None,
        seeds.recovery,
    )
    with ResultFolder(target) as results:
        results.add("original.png", encode_png(image))
        results.add("mask.png", encode_png(sent.truth.guarded.mask))
        results.add("region.png", encode_png(at_eve.region))
        results.add("bob.png", encode_png(bob.restore(at_bob, seeds.recovery).restored))
        for name, attack in ATTACKS.items():
            if test or name in TRAINED_ON:
                results.add(f"{slug(name)}.png", encode_png(attack(models.recovery, known)))
        results.add("info.json", to_json(_info(entity, test, sent, at_eve, at_bob)))


class _HeldOut:
    """K, save that one entity has lost some samples, and all their adapters where those are not wanted.

    Of a training photograph Bob must not hold that very photograph, or he would only copy it; and a pose hint must not
    refer to it. (An adapter has seen it.)
    """

    def __init__(self, database: Database, index: int, samples: tuple[Sample, ...], adapters: bool) -> None:
        self.path = database.path
        self._database, self._index, self._samples, self._adapters = database, index, samples, adapters

    def digest(self) -> bytes:
        return self._database.digest()

    def entities(self) -> tuple[Entity, ...]:
        return self._without(self._database.entities())

    def by_index(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        return self._without(self._database.by_index(indices))

    def _without(self, held: tuple[Entity, ...]) -> tuple[Entity, ...]:
        held = tuple(replace(e, samples=self._samples) if e.index == self._index else e for e in held)
        return held if self._adapters else tuple(replace(e, adapter=None) for e in held)


def _info(entity: Entity, test: bool, sent: Sent, at_eve: Heard, at_bob: Heard) -> dict[str, Any]:
    """What Eve has beside the picture: indices and sizes, for every coding of the payload."""
    levels = reserve_black(sent.truth.guarded.masked, sent.truth.guarded.mask)
    sizes = {coding: len(payload.encode(levels, (), coding)[1]) for coding in payload.available_codings()}
    return {
        "subject": entity.name,
        "test": test,
        "found": any(d.index == entity.index for d in sent.truth.guarded.detections),
        "hidden": [d.name for d in sent.truth.guarded.detections],
        "indices": list(at_eve.indices),
        "hints": [pose.to_bytes().hex() for pose in at_eve.poses],
        "width": sent.truth.image.shape[1],
        "height": sent.truth.image.shape[0],
        "body_bytes": sizes,
        "channel_uses": int(sent.truth.on_air.channel_uses),
        "eve_failure": at_eve.failure,
        "bob_failure": at_bob.failure,
        "private_share": float(sent.truth.guarded.mask.mean()),
    }
