"""The transmissions of an experiment: what each consists of, where its row is kept, and doing one.

    cache/units/DIGEST/   row.json   one row of the table; written last, so that its presence says that it is whole
                          seconds.json   how long it took (never part of the table, which is the same in every run)
                          original.png masked.png received.png bob.png eve.png   where pictures were asked for

DIGEST names everything that the row depends on: the photograph, the configuration, K, the networks. Experiments with
one cache share their rows.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from privsc.errors import ExperimentError
from privsc.experiments.subjects import Photo
from privsc.files import ResultFolder, to_json
from privsc.images.photo_io import decode_photo, encode_png
from privsc.system.build import Choice
from privsc.system.config import RunConfig
from privsc.system.memo import FrozenDatabase, Memory, RememberingCarrier, RememberingGuard, RememberingRecovery
from privsc.threads import one_thread

PROTOCOL = 3  # raise it when a row, or how it is made, changes in a way that the digests of weights do not show
PICTURES = ("original", "masked", "received", "bob", "eve")


@dataclass(frozen=True)
class Bench:
    """Where transmissions are made: paths that every worker must see, the networks, the carrier, what is stamped on
    each row (versions, digests of weights, revision)."""

    k: str
    k_digest: str
    cache: str
    choice: Choice
    carrier: str
    endpoints: tuple[str, str, str]
    stamps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Unit:
    """One transmission. seed: of the experiment's axis; config.seed is drawn from it and the photograph."""

    photo: Photo
    config: RunConfig
    seed: int
    pictures: bool
    digest: str

    @property
    def group(self) -> tuple[str, str, int]:
        """Transmissions that are best made by one worker, since they share what its memory holds."""
        return (self.photo.subject, self.photo.sha256, self.seed)


def run_seed(seed: int, photo: Photo) -> int:
    """Seed of one transmission, [0, 2^32): photographs of one axis seed see channels of their own."""
    return int(np.random.SeedSequence([seed, int(photo.sha256[:16], 16)]).generate_state(1)[0])


def make_units(
    bench: Bench, photos: Sequence[Photo], configs: Sequence[RunConfig], pictures: Iterable[str] = ()
) -> list[Unit]:
    """Every photograph with every configuration, photographs first. pictures: subjects whose pictures are kept, with
    the first seed."""
    shown, first = set(pictures), configs[0].seed
    identity = dict(bench.stamps)
    base = {
        "protocol": PROTOCOL,
        "k": bench.k_digest,
        "carrier": bench.carrier,
        **{name: identity[name] for name in ("encoder", "recovery", "weights_sha256")},
    }
    units = []
    for photo in photos:
        for config in configs:
            drawn = config.model_copy(update={"seed": run_seed(config.seed, photo)})
            told = {
                **base,
                "subject": photo.subject,
                "photo": photo.sha256,
                "axis_seed": config.seed,
                "config": drawn.model_dump(),
            }
            name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
            units.append(Unit(photo, drawn, config.seed, photo.subject in shown and config.seed == first, name))
    return units


def folder_of(cache: Path | str, unit: Unit) -> Path:
    """Where the row of a unit lies."""
    return Path(cache) / "units" / unit.digest[:2] / unit.digest


def read_row(cache: Path | str, unit: Unit) -> dict[str, Any] | None:
    """The row of a unit; None where it is still to be made (or a crash of the machine left a damaged file)."""
    folder = folder_of(cache, unit)
    if unit.pictures and not all((folder / f"{name}.png").is_file() for name in PICTURES):
        return None
    try:
        row = json.loads((folder / "row.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None


def is_done(cache: Path | str, unit: Unit) -> bool:
    """Whether the row of a unit is there, without reading it."""
    folder = folder_of(cache, unit)
    names = [f"{name}.png" for name in PICTURES] if unit.pictures else []
    return all((folder / name).is_file() for name in ("row.json", *names))


def read_seconds(cache: Path | str, unit: Unit) -> dict[str, float] | None:
    """How long a unit took [s]."""
    try:
        return json.loads((folder_of(cache, unit) / "seconds.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Laboratory:
    """What a worker keeps between transmissions: K and the networks, loaded once, and what it has seen."""

    def __init__(self, bench: Bench, models: Any) -> None:
        from privsc.system.build import Models

        self.bench = bench
        self.models = Models(RememberingGuard(models.guard), RememberingRecovery(models.recovery))
        self.database = FrozenDatabase.open(bench.k, getattr(models.guard, "identity", None))
        if self.database.digest().hex() != bench.k_digest:
            raise ExperimentError(f"{bench.k}: is another K on this worker; all workers must see one folder")
        self.carrier = open_carrier(bench)

    def measure(self, unit: Unit) -> None:
        """One transmission to its row (and its pictures)."""
        start, cpu = time.perf_counter(), time.process_time()
        photo = decode_photo(unit.photo.path.read_bytes(), str(unit.photo.path), unit.config.max_side)
        trial = self.carrier(photo, self.database, self.models, unit.config)
        row = self._row(unit, trial)
        with ResultFolder(folder_of(self.bench.cache, unit)) as results:
            if unit.pictures:
                images = (trial.image, trial.guarded.masked, trial.bob.heard.image, trial.bob.restored,
                          trial.eve.restored)  # fmt: skip
                for name, image in zip(PICTURES, images, strict=True):
                    results.add(f"{name}.png", encode_png(image))
            seconds = {
                "transmission": round(time.perf_counter() - start, 3),
                "processor": round(time.process_time() - cpu, 3),
                **trial.figures["seconds"],
            }
            results.add("seconds.json", to_json(seconds))
            results.add("row.json", to_json(row))

    def _row(self, unit: Unit, trial: Any) -> dict[str, Any]:
        figures, truth = trial.figures, unit.photo.subject
        row: dict[str, Any] = {
            "subject": truth,
            "photo": unit.photo.path.name,
            "photo_sha256": unit.photo.sha256,
            **{name: _cell(value) for name, value in unit.config.model_dump().items() if name != "seed"},
            "seed": unit.seed,
            "run_seed": unit.config.seed,
            "found": any(entity["name"] == truth for entity in figures["hidden"]),
            "hidden": " ".join(entity["name"] for entity in figures["hidden"]),
        }
        mask = _region(trial, truth)
        for who, seen in (("bob", trial.bob), ("eve", trial.eve)):
            one = figures[who]
            row |= {f"{who}_{name}": one[name] for name in ("psnr", "psnr_private", "ssim", "ssim_private")}
            row |= self._recognised(who, seen.restored, mask, truth)
            row |= {
                f"{who}_{name}": value
                for name, value in one.items()
                if f"{who}_{name}" not in row and _is_scalar(value)
            }
        row |= {
            f"link_{name}": value
            for name, value in figures["link"].items()
            if _is_scalar(value) and (name not in row or name in ("snr_db", "eve_snr_db"))
        }
        seeds = unit.config.seeds()
        row |= {
            "seed_bob": seeds.bob,
            "seed_eve": seeds.eve,
            "seed_recovery": seeds.recovery,
            "eve_knows": figures["eve_class_word"],
            "private_share": figures["private_share"],
            "width": trial.image.shape[1],
            "height": trial.image.shape[0],
            "k_digest": figures["k_digest"],
        }
        return row | dict(self.bench.stamps)

    def _recognised(self, who: str, image: np.ndarray, mask: np.ndarray | None, truth: str) -> dict[str, Any]:
        """Eq. (8) in the region of the entity, and its place in the order of likeness."""
        entities = self.database.entities()
        found = self.models.guard.identify(image, entities, mask=mask)
        ranked = [one.name for one in self.models.guard.rank(image, entities, mask)]
        place = ranked.index(truth) + 1 if truth in ranked else None
        name = found.name if found else None
        return {
            f"{who}_identified": name,
            f"{who}_correct": name == truth,
            f"{who}_rank": place,
            f"{who}_rank1": place == 1,
        }


def _cell(value: Any) -> Any:
    """A value of the configuration as it stands in a table: several descriptions are one text."""
    return "; ".join(value) if isinstance(value, tuple) else value


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _region(trial: Any, truth: str) -> np.ndarray | None:
    """Where the entity is looked for: its own mask, else all that was removed, else the whole picture: what the guard
    missed is sent, and then Eve may recognise it."""
    guarded = trial.guarded
    own = next((detection.mask for detection in guarded.detections if detection.name == truth), None)
    if own is not None:
        return own
    return guarded.mask if guarded.mask.any() else None


def open_carrier(bench: Bench) -> Any:
    """The function that takes a photograph through the chain: (photo, K, models, config) to a Trial."""
    from privsc.system.trial import BOB, EVE, LinkCarrier, run_trial

    if bench.carrier == "zmq":
        from phy.net.bridge import Bridge, BridgeChannel

        tx, bob, eve = bench.endpoints
        bridge = Bridge(tx, {BOB: bob, EVE: eve})
        channels = {who: BridgeChannel(bridge, who) for who in (BOB, EVE)}

        def over_zmq(photo: Any, database: Any, models: Any, config: RunConfig) -> Any:
            link = config.link()
            carrier = LinkCarrier(link.transmitter(), link.receiver(), channels)
            return run_trial(photo, database, models, config, carrier=carrier)

        return over_zmq
    if bench.carrier == "virtual":
        return _over_virtual_radio
    sent, received = Memory(4), Memory(16)

    def simulated(photo: Any, database: Any, models: Any, config: RunConfig) -> Any:
        carrier = RememberingCarrier(LinkCarrier.simulated(config), sent, received)
        return run_trial(photo, database, models, config, carrier=carrier)

    return simulated


def _over_virtual_radio(photo: Any, database: Any, models: Any, config: RunConfig) -> Any:
    """Radio processes of their own for each transmission: their samples run in real time."""
    from privsc.radio.loopback import Air, over_the_air
    from privsc.radio.setup import chosen_setup
    from privsc.system.trial import no_stage

    with Air(chosen_setup("virtual", seed=config.seeds().eve)) as air:
        trial, _ = over_the_air(photo, database, models, config, air, no_stage, config.snr_db, config.snr_of_eve)
    return trial


def load_models(choice: Choice) -> Any:
    """The networks of a worker."""
    from privsc.system.build import Models

    return Models.load(choice)


@lru_cache(maxsize=1)
def laboratory(bench: Bench) -> Laboratory:
    """The worker's laboratory, made once."""
    return Laboratory(bench, load_models(bench.choice))


def measure_all(bench: Bench, units: Sequence[Unit]) -> int:
    """Make the rows of some transmissions that are not there yet, on one thread; returns how many that were."""
    if not Path(bench.cache).is_dir():
        raise ExperimentError(f"{bench.cache}: a worker does not see this folder; all workers must share it")
    made = 0
    with one_thread():
        for unit in units:
            if not is_done(bench.cache, unit):
                laboratory(bench).measure(unit)
                made += 1
    return made
