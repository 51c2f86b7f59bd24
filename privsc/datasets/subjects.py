"""Subjects: a folder of photographs for each, the last of which is for tests only; laid out as the README says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privsc.errors import PhotoError
from privsc.images.photo_io import decode_photo

ENVIRONMENT = "PRIVSC_PHOTOS"


def photos_folder(folder: Path | None = None) -> Path:
    """The folder given, or that of the environment variable PRIVSC_PHOTOS.

    Raises:
        PhotoError: where neither names a folder.
    """
    if folder is None and ENVIRONMENT in os.environ:
        folder = Path(os.environ[ENVIRONMENT])
    if folder is None or not folder.is_dir():
        raise PhotoError(f"no folder of photographs at {folder}: give --photos DIR or set {ENVIRONMENT}")
    return folder


def subject_photos(folder: Path, subject: str) -> tuple[list[Path], Path]:
    """Photographs of one subject: those to enrol, and the last one, which is for testing only."""
    paths = sorted((folder / "subjects" / subject).glob("[!.]*.jpg"))
    if len(paths) < 2:
        raise PhotoError(f"subjects/{subject} in {folder} has {len(paths)} photographs; at least 2 are needed")
    return paths[:-1], paths[-1]


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


def last_photo(folder: Path, name: str) -> NDArray[np.uint8]:
    """The last photograph of a subject, HWC uint8 of at most 640 px a side."""
    path = subject_photos(folder, name)[1]
    return decode_photo(path.read_bytes(), str(path), 640)
