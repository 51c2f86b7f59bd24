"""What the evaluations share: figures with intervals, and the protocol on photographs that nobody trained on.

Of each subject (folder ``subjects/NAME``) all photographs but the last are enrolled and the last is the test; of the
pets, those whose number ends in 7 are the test.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from privsc.choice import DEFAULT, Choice
from privsc.database import Database
from privsc.enrol import enrol
from privsc.entity import Entity
from privsc.errors import PhotoError
from privsc.files import decode_photo
from privsc.photos import subject_photos
from privsc.samples import check_test
from privsc.text import load_text_encoder

Progress = Callable[..., None]


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval and the number of pictures behind it; None where there were none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    count: int
    unit: str = ""


def share(name: str, hits: Sequence[bool]) -> Figure:
    """A proportion in % with its Clopper-Pearson interval."""
    count = len(hits)
    if count == 0:
        return Figure(name, None, None, None, 0, "%")
    interval = stats.binomtest(int(sum(hits)), count).proportion_ci(method="exact")
    return Figure(name, 100 * sum(hits) / count, 100 * interval.low, 100 * interval.high, count, "%")


def mean(name: str, values: Sequence[float], unit: str = "") -> Figure:
    """A mean with its bootstrap percentile interval (2,000 resamples, fixed seed)."""
    data = np.asarray(values, float)
    if data.size == 0:
        return Figure(name, None, None, None, 0, unit)
    rng = np.random.default_rng(0)
    means = data[rng.integers(data.size, size=(2000, data.size))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Figure(name, float(data.mean()), float(low), float(high), data.size, unit)


def subjects_in(folder: Path, only: Sequence[str] = ()) -> list[str]:
    """Names of the subjects in ``folder/subjects``, or those asked for."""
    names = sorted(path.name for path in (folder / "subjects").glob("*") if path.is_dir())
    if missing := [name for name in only if name not in names]:
        raise PhotoError(f"no subject {missing[0]} in {folder / 'subjects'}; there are {', '.join(names) or 'none'}")
    if not names:
        raise PhotoError(f"no folders in {folder / 'subjects'}: one folder for each subject is needed")
    return list(only) or names


def class_words(folder: Path) -> dict[str, str]:
    """Subject to class word, from ``subjects/prompts_and_classes.txt`` where there is one."""
    path = folder / "subjects" / "prompts_and_classes.txt"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").split("Prompts")[0].splitlines()
    return {name.strip(): word.strip() for name, _, word in (line.partition(",") for line in lines) if word}


def enrol_subjects(
    db: Database, folder: Path, names: Sequence[str], *, personalise: bool, progress: Progress | None,
    choice: Choice = DEFAULT,
) -> list[Entity]:
    """K of all subjects, from all photographs but the last of each."""
    words, entities = class_words(folder), []
    for number, name in enumerate(names):
        photos = [path.read_bytes() for path in subject_photos(folder, name)[0]]
        entities.append(enrol(db, name, photos, class_word=words.get(name), personalise=personalise, choice=choice))
        if progress is not None:
            progress(number + 1, len(names), name)
    return entities


@contextmanager
def k_of_subjects(
    database: Path | None, folder: Path, names: Sequence[str], *, personalise: bool, progress: Progress | None,
    choice: Choice = DEFAULT,
) -> Iterator[Database]:  # fmt: skip
    """K with all subjects: the file ``database``, to which those (and adapters) that it lacks are added, or a temporary
    one.

    Raises:
        EntityError: where K holds the last photograph of a subject, which is the test.
    """
    encoder, words = choice.pair()[0].identity, load_text_encoder().identity
    with tempfile.TemporaryDirectory() as scratch:
        path = database or Path(scratch) / "K.db"
        with Database.open(path, encoder) if path.exists() else Database.create(path, encoder, words) as db:
            there = {entity.name: entity for entity in db.entities() if entity.name in names}
            for name, entity in there.items():
                check_test(entity, subject_photos(folder, name)[1])
                if personalise and entity.adapter is None:
                    db.update(replace(entity, adapter=choice.personalise(entity, seed=0, steps=None, progress=None)))
            missing = [name for name in names if name not in there]
            enrol_subjects(db, folder, missing, personalise=personalise, progress=progress, choice=choice)
            yield db


def last_photo(folder: Path, name: str) -> NDArray[np.uint8]:
    """The last photograph of a subject, HWC uint8 of at most 640 px a side."""
    path = subject_photos(folder, name)[1]
    return decode_photo(path.read_bytes(), str(path), 640)
