"""What the evaluations share: the protocol on photographs that nobody trained on.

Of each subject (folder ``subjects/NAME``) all photographs but the last are enrolled and the last is the test; of the
pets, those whose number ends in 7 are the test.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from privsc.datasets.subjects import class_words, subject_photos
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import check_test
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import DEFAULT, Choice
from privsc.system.enrol import enrol

Progress = Callable[..., None]


def enrol_subjects(
    db: Database,
    folder: Path,
    names: Sequence[str],
    *,
    personalise: bool,
    progress: Progress | None,
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
    database: Path | None,
    folder: Path,
    names: Sequence[str],
    *,
    personalise: bool,
    progress: Progress | None,
    choice: Choice = DEFAULT,
) -> Iterator[Database]:
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
