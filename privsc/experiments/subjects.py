"""The photographs of an experiment: whom K holds and what is sent.

Protocol: of each subject's photographs, sorted by name, the last ones are sent and the others enrolled.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privsc.datasets.subjects import class_words, photos_folder
from privsc.errors import EntityError, ExperimentError, Notice, PhotoError
from privsc.experiments.spec import Experiment, key_path
from privsc.files import private_folder, write_atomic
from privsc.images.photo_io import encode_png
from privsc.images.photo_search import Found, split_folder
from privsc.knowledge.entity import check_name


@dataclass(frozen=True)
class Photo:
    """One photograph that is sent: whose, where it lies, and the SHA-256 of the file."""

    subject: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Subject:
    """One identity: photographs to enrol and to send."""

    name: str
    class_word: str | None
    prompt: str | None
    enrolled: tuple[Path, ...]
    tests: tuple[Photo, ...]


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def collect(experiment: Experiment, cache: Path | None) -> list[Subject]:
    """The subjects of an experiment, in the order in which they were named (or of their names).

    Args:
        cache: where built-in photographs are written; None only checks, and leaves their paths out.

    Raises:
        ExperimentError: with the key, for a subject that is not there or has too few photographs.
    """
    dataset = experiment.dataset
    prompts: dict[str, str] = {}
    if dataset.source == "built-in":
        from privsc.datasets.builtin import ENTITIES

        words = {name: word for name, _, word, _ in ENTITIES}
        prompts = {name: prompt for name, _, _, prompt in ENTITIES}
        known, root = list(words), None if cache is None else _built_in(cache)
    else:
        root = _root(experiment)
        words = class_words(root.parent) if dataset.source == "photos" else {}
        known = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    chosen = _chosen(experiment, known)
    words |= dict.fromkeys(chosen, dataset.class_word) if dataset.class_word else {}  # type: ignore[arg-type]
    words |= dataset.class_words
    if stray := [name for name in dataset.class_words if name not in chosen]:
        raise ExperimentError(f"{key_path('dataset', 'class_words', stray[0])}: no such subject in this experiment")
    for number, name in enumerate(experiment.report.pictures):
        if name not in chosen:
            where = key_path("report", "pictures", number)
            raise ExperimentError(f"{where}: {name}: no such subject in this experiment")
    return [_subject(experiment, name, words.get(name), prompts.get(name), root) for name in chosen]


def _root(experiment: Experiment) -> Path:
    dataset = experiment.dataset
    given = None if dataset.path is None else experiment.folder / dataset.path
    if dataset.source == "folder":
        assert given is not None  # checked with the file
        return given
    try:
        folder = photos_folder(given)
    except PhotoError as error:
        raise ExperimentError("dataset.path: no folder of photographs; give one, or set PRIVSC_PHOTOS") from error
    if not (folder / "subjects").is_dir():
        raise ExperimentError(f"dataset.path: {folder}: has no folder 'subjects' with one folder for each identity")
    return folder / "subjects"


def _chosen(experiment: Experiment, known: list[str]) -> list[str]:
    dataset = experiment.dataset
    for number, name in enumerate(dataset.subjects or ()):
        where = key_path(experiment.subjects_key, number)
        if name not in known:
            raise ExperimentError(f"{where}: {name}: no such subject; there are {', '.join(known[:30]) or 'none'}")
        if name in (dataset.subjects or [])[:number]:
            raise ExperimentError(f"{where}: {name} is there already; name each subject once")
    chosen = list(dataset.subjects or known)[: dataset.limit]
    if not chosen:
        raise ExperimentError("dataset.path: holds no folder; one folder for each identity is needed")
    return chosen


def _subject(experiment: Experiment, name: str, word: str | None, prompt: str | None, root: Path | None) -> Subject:
    dataset = experiment.dataset
    try:
        check_name(name)
    except EntityError as error:
        raise ExperimentError(f"dataset.path: {error}") from error
    if root is None:
        return Subject(name, word, prompt, (), ())
    paths, skipped = split_folder(root / name)
    for line in Found((), tuple(skipped)).notices():
        warnings.warn(line, Notice, stacklevel=2)
    least = dataset.test + (dataset.k is None)
    if len(paths) < least:
        raise ExperimentError(
            f"dataset.test: {name} has {len(paths)} photographs, of which {dataset.test} would be "
            f"sent; at least {least} are needed"
        )
    enrolled, sent = paths[: -dataset.test][: dataset.enrol], paths[-dataset.test :]
    return Subject(name, word, prompt, tuple(enrolled), tuple(Photo(name, path, sha256(path)) for path in sent))


def _built_in(cache: Path) -> Path:
    """Folder of the built-in photographs: four views of each to enrol, and one more, the last, to send."""
    from privsc.datasets.builtin import ENTITIES, VIEWS, view, views

    root = cache / "built-in"
    for name, load, _, _ in ENTITIES:
        folder = root / name
        private_folder(folder)
        if (folder / f"{VIEWS:02d}.png").is_file():  # written last
            continue
        photo = load()
        seen = [*views(photo, VIEWS, 0), view(photo, np.random.default_rng((0, 1)))]
        for number, one in enumerate(seen):
            write_atomic(folder / f"{number:02d}.png", encode_png(one))
    return root
