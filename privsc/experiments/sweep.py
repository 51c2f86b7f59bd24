"""A sweep: every photograph of an experiment with every point of its axes, resumable, spread over workers.

    experiment.toml ─► subjects ─► K (enrolled by the workers) ─► units ─► rows (made by the workers) ─► table, report

Everything that is done lies in the cache folder as soon as it is done; a sweep that was killed goes on there.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privsc.errors import EntityError, ExperimentError
from privsc.experiments.cluster import Run
from privsc.experiments.enrolment import Enrolment, enrol_one, enrolments, given_k, join
from privsc.experiments.spec import Experiment, key_path
from privsc.experiments.subjects import Subject, collect
from privsc.experiments.transmissions import Bench, Unit, is_done, make_units, measure_all, read_row, read_seconds
from privsc.files import output_folder, write_atomic
from privsc.knowledge.database import Database

Stage = Callable[[str], Callable[..., None] | None]
ENROL_SECONDS = {True: 90.0, False: 8.0}  # with and without Algorithm 2, on one core
TRANSMISSION_SECONDS = 6.0  # at 640 px and 12 steps, on one core


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes:
        parts: subjects to enrol, empty where K is given; k: K, None where subjects are to be enrolled first.
        units: all transmissions, in the order of the table; empty while K is not there.
        count: how many transmissions there are.
    """

    experiment: Experiment
    subjects: tuple[Subject, ...]
    cache: Path
    parts: tuple[Enrolment, ...]
    bench: Bench | None
    units: tuple[Unit, ...]

    @property
    def count(self) -> int:
        return self.experiment.points * sum(len(subject.tests) for subject in self.subjects)

    @property
    def to_enrol(self) -> list[Enrolment]:
        return [part for part in self.parts if not part.done]

    @property
    def to_measure(self) -> list[Unit]:
        return [unit for unit in self.units if not is_done(self.cache, unit)]

    def seconds_each(self) -> tuple[float, bool]:
        """Seconds of one transmission on one worker, and whether earlier ones say so."""
        known = [s["transmission"] for unit in self.units[:2000] if (s := read_seconds(self.cache, unit))]
        return (statistics.fmean(known), True) if known else (TRANSMISSION_SECONDS, False)

    def estimate(self, workers: int) -> float:
        """Seconds of all that is left."""
        left = len(self.to_measure) if self.units else self.count
        enrol = len(self.to_enrol) * ENROL_SECONDS[self.experiment.dataset.personalise]
        return (enrol + left * self.seconds_each()[0]) / max(workers, 1)


def make_plan(experiment: Experiment, cache: Path, stage: Stage) -> Plan:
    """Look at photographs, networks and cache; nothing is enrolled or sent."""
    from privsc.experiments import provenance

    subjects = tuple(collect(experiment, cache))
    stage("networks")
    found = provenance.identities(experiment.choice)
    if experiment.dataset.k is not None:
        parts: tuple[Enrolment, ...] = ()
        k: Path | None = given_k(experiment, subjects, found.encoder)
    else:
        parts = tuple(enrolments(experiment, subjects, found, cache))
        k = join(parts, cache) if all(part.done for part in parts) else None
    if k is None:
        return Plan(experiment, subjects, cache, parts, None, ())
    with Database.open(k, found.encoder) as db:
        digest = db.digest().hex()
        _check_removed(experiment, db)
    zmq = experiment.zmq
    bench = Bench(
        str(k.absolute()),
        digest,
        str(cache.absolute()),
        experiment.choice,
        experiment.carrier,
        (zmq.tx, zmq.bob, zmq.eve),
        provenance.stamps(found),
    )
    photos = [photo for subject in subjects for photo in subject.tests]
    units = make_units(bench, photos, list(experiment.configs()), experiment.report.pictures)
    return Plan(experiment, subjects, cache, parts, bench, tuple(units))


def _check_removed(experiment: Experiment, database: Database) -> None:
    """A description that means nobody is an error before the first transmission."""
    from privsc.system.chain import chosen

    places = [(key_path("axes", "remove", n), value) for n, value in enumerate(experiment.axes.get("remove", []))]
    for place, descriptions in [*places, (key_path("fixed", "remove"), experiment.fixed.get("remove", []))]:
        try:
            chosen(database, descriptions)
        except EntityError as error:
            raise ExperimentError(f"{place}: {str(error).removeprefix('--remove: ')}") from error


@dataclass(frozen=True)
class Effort:
    """What a sweep took: [s] of this run, [s] of processor time in its transmissions, workers, transmissions made."""

    wall: float
    busy: float
    workers: int
    made: int


def carry_out(plan: Plan, run: Run, workers: int, stage: Stage) -> tuple[Plan, Effort]:
    """Enrol and send what is still to be; returns the plan with every row there."""
    experiment, cache = plan.experiment, plan.cache
    if waiting := plan.to_enrol:
        tick = _counter(stage("enrolling subjects"), len(waiting), lambda: sum(part.done for part in waiting))
        run(enrol_one, [(part,) for part in waiting], tick)
        plan = make_plan(experiment, cache, stage)
    assert plan.bench is not None
    missing = plan.to_measure
    start = time.perf_counter()
    if missing:
        left = set(missing)
        total = len(plan.units)

        def done() -> int:
            left.difference_update([unit for unit in left if is_done(cache, unit)])
            return total - len(left)

        run(
            measure_all,
            [(plan.bench, group) for group in groups(missing, workers)],
            _counter(stage("transmissions"), total, done),
        )
    wall = time.perf_counter() - start
    busy = sum(s.get("processor", s["transmission"]) for unit in missing if (s := read_seconds(cache, unit)))
    return plan, Effort(wall, busy, workers, len(missing))


def _counter(show: Callable[..., None] | None, total: int, count: Callable[[], int]) -> Callable[[], None]:
    def tick() -> None:
        if show is not None:
            show(count(), total)

    tick()
    return tick


def groups(units: Sequence[Unit], workers: int) -> list[list[Unit]]:
    """Units that share a photograph and a seed together; cut in halves while there are fewer groups than workers."""
    found: dict[Any, list[Unit]] = {}
    for unit in units:
        found.setdefault(unit.group, []).append(unit)
    parts = list(found.values())
    while len(parts) < workers and (largest := max(parts, key=len)) and len(largest) > 1:
        parts.remove(largest)
        middle = len(largest) // 2
        parts += [largest[:middle], largest[middle:]]
    return parts


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """The table, in the order of the units."""
    rows = []
    for unit in plan.units:
        row = read_row(plan.cache, unit)
        if row is None:
            raise ExperimentError(f"{plan.cache}: the row of {unit.photo.path} is missing; run the same command again")
        rows.append({"experiment": plan.experiment.name, **row})
    return rows


@contextmanager
def alone_in(out: Path) -> Iterator[Path]:
    """The results folder, for one sweep at a time; the lock goes with the process, however it ends."""
    folder = output_folder(out)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExperimentError(
                f"{folder}: another sweep is at work here; wait for it or give another --out"
            ) from error
        yield folder


def remove_partial(cache: Path, older: float = 3600.0) -> None:
    """Half-written files that killed runs left behind, an hour after nobody can be writing them any more."""
    before = time.time() - older
    for path in cache.rglob(".*.partial*"):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except OSError:
            continue


def write_tables(out: Path, plan: Plan, rows: list[dict[str, Any]]) -> None:
    """results.csv, results.parquet, seconds.csv and the experiment file."""
    from privsc.experiments.table import to_csv, to_parquet

    write_atomic(out / "experiment.toml", plan.experiment.text.encode())
    write_atomic(out / "results.csv", to_csv(rows))
    write_atomic(out / "results.parquet", to_parquet(rows))
    seconds = [{"unit": unit.digest, **(read_seconds(plan.cache, unit) or {})} for unit in plan.units]
    write_atomic(out / "seconds.csv", to_csv(seconds))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
