"""K of an experiment: made once, subject by subject, and kept.

    photographs ──enrol, Algorithm 2──► cache/subjects/DIGEST.db, one for each ──joined, in order──► cache/k/DIGEST.db

A digest names all that the result depends on, so that an interrupted enrolment goes on, a changed photograph or network
is enrolled anew, and experiments on the same subjects share the work. Subjects can be enrolled in any order by any
number of workers: K is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from privsc.errors import DatabaseError, EntityError, ExperimentError
from privsc.experiments.provenance import Identities
from privsc.experiments.spec import Experiment
from privsc.experiments.subjects import Subject, sha256
from privsc.files import private_folder
from privsc.knowledge.database import Database
from privsc.system.build import Choice

PROTOCOL = 2  # raise it when enrolment changes in a way that the digests of weights do not show


@dataclass(frozen=True)
class Enrolment:
    """One subject to enrol: everything that its entry of K depends on, and where the entry lies."""

    name: str
    photos: tuple[str, ...]
    class_word: str | None
    prompt: str | None
    personalise: bool
    steps: int | None
    target: str
    choice: Choice
    identities: Identities

    @property
    def done(self) -> bool:
        return Path(self.target).is_file()


def enrolments(
    experiment: Experiment, subjects: Sequence[Subject], identities: Identities, cache: Path
) -> list[Enrolment]:
    """What K of the experiment consists of; entries that are there are ``done``."""
    dataset, found = experiment.dataset, []
    for subject in subjects:
        recipe = {
            "protocol": PROTOCOL,
            "name": subject.name,
            "photos": [sha256(path) for path in subject.enrolled],
            "class_word": subject.class_word,
            "prompt": subject.prompt,
            "personalise": dataset.personalise,
            "steps": dataset.personalise_steps,
            "encoder": identities.encoder,
            "text": identities.text,
            "segmenter": identities.segmenter,
            "painter": identities.painter if dataset.personalise else None,
        }
        found.append(
            Enrolment(
                subject.name,
                tuple(map(str, subject.enrolled)),
                subject.class_word,
                subject.prompt,
                dataset.personalise,
                dataset.personalise_steps,
                str(cache / "subjects" / f"{_digest(recipe)}.db"),
                experiment.choice,
                identities,
            )
        )
    return found


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def enrol_one(enrolment: Enrolment) -> None:
    """Enrol one subject into a file of its own, with the same result on any machine, all or nothing."""
    from privsc.compute import reproducible
    from privsc.system.enrol import enrol

    target = Path(enrolment.target)
    if target.is_file():
        return
    private_folder(target.parent)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        create = Database.create(partial, enrolment.identities.encoder, enrolment.identities.text)
        with reproducible(), create as db:
            enrol(
                db,
                enrolment.name,
                [Path(path).read_bytes() for path in enrolment.photos],
                class_word=enrolment.class_word,
                prompt=enrolment.prompt,
                personalise=enrolment.personalise,
                steps=enrolment.steps,
                choice=enrolment.choice,
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def join(parts: Sequence[Enrolment], cache: Path) -> Path:
    """K of the enrolled subjects, in their order."""
    identities = parts[0].identities
    target = cache / "k" / f"{_digest([Path(part.target).stem for part in parts])}.db"
    if target.is_file():
        return target
    private_folder(target.parent)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with Database.create(partial, identities.encoder, identities.text) as db, db.transaction():
            for part in parts:
                with Database.open(part.target, identities.encoder) as one:
                    db.add(one.get(part.name))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def given_k(experiment: Experiment, subjects: Sequence[Subject], encoder: str | None) -> Path:
    """The K that the experiment names, if it holds every subject and none of the photographs that are sent, and is of
    this encoder (None for any).

    Raises:
        ExperimentError: with the key, where it does not.
    """
    from privsc.knowledge.samples import check_test

    assert experiment.dataset.k is not None
    path = experiment.folder / experiment.dataset.k
    try:
        with Database.open(path, encoder) as db:
            for subject in subjects:
                entity = db.get(subject.name)
                for photo in subject.tests:
                    check_test(entity, photo.path)
    except EntityError as error:
        raise ExperimentError(f"dataset.k: {path}: {error}") from error
    except DatabaseError as error:
        raise ExperimentError(f"dataset.k: {error}") from error
    return path
