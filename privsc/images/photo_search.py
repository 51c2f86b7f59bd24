"""Photographs in the folders that a user names: which files are taken, and why each other one is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from privsc.errors import PhotoError
from privsc.images.photo_formats import PHOTO_SUFFIXES
from privsc.images.photo_io import decode_photo, read_bytes

NAMED = 8  # files of a folder that are named with their reasons; of more, their number
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", ".ds_store", "ehthumbs.db", "icon\r"})


@dataclass(frozen=True)
class Found:
    """Photographs and what was left out.

    Attributes:
        photos: in the order given, those of a folder sorted by name.
        skipped: what was not taken, with the reason.
        inside: how many of ``photos``, by path, came from a folder rather than by their own name.
    """

    photos: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    inside: frozenset[Path] = frozenset()

    def notices(self) -> list[str]:
        """One line for each folder with skipped files: how many, which, and why."""
        lines = []
        for folder in dict.fromkeys(path.parent for path, _ in self.skipped):
            mine = [(path, reason) for path, reason in self.skipped if path.parent == folder]
            told = [f"{shown(path.name)} ({reason})" for path, reason in mine[:NAMED]]
            rest = Counter(reason for _, reason in mine[NAMED:])
            told += [f"{count} more ({reason})" for reason, count in rest.items()]
            noun = "file" if len(mine) == 1 else "files"
            lines.append(f"{len(mine)} {noun} of {shown(str(folder))}/ skipped: {', '.join(told)}")
        return lines


def shown(name: str) -> str:
    """A file's name for one line of a terminal: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)


def why_not(path: Path) -> str | None:
    """Why a file of a folder is not taken for a photograph, by its name and kind; None where it is."""
    name = path.name.lower()
    if name.startswith("._"):
        return "macOS companion"
    if name in _SYSTEM:
        return "file of the system"
    if path.is_dir():
        return "a folder"
    if name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        return "not a photograph"
    if not path.is_file():
        return "not a regular file"
    return None


def find_photos(paths: Sequence[str | Path]) -> Found:
    """Files named in ``paths`` plus the photographs in the folders named there (sorted, not recursive).

    Files are chosen by their names; companions and files of the system are left out even where they are named, as a
    shell's pattern names them.

    Raises:
        PhotoError: for a path that is not there, a folder without photographs, or where nothing is left.
    """
    photos: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    inside: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            taken, left = split_folder(path)
            if not taken:
                raise PhotoError(_none_in(path, left))
            photos += taken
            inside.update(taken)
            skipped += left
        elif not path.exists():
            raise PhotoError(f"{shown(str(path))}: no such file or folder; give photographs")
        elif (reason := why_not(path)) in ("macOS companion", "file of the system"):
            skipped.append((path, reason))
        else:
            photos.append(path)
    if not photos:
        left_out = f" but {shown(skipped[0][0].name)} ({skipped[0][1]})" if skipped else ""
        raise PhotoError(f"no photograph was given{left_out}; name at least one file or folder")
    return Found(tuple(photos), tuple(skipped), frozenset(inside))


def split_folder(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Photographs of one folder by their names, sorted, and the rest with reasons."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise PhotoError(f"{shown(str(folder))}: cannot be read ({error.strerror}); check its permissions") from error
    reasons = [(path, why_not(path)) for path in files]
    return [path for path, reason in reasons if reason is None], [(p, reason) for p, reason in reasons if reason]


def read_photos(paths: Sequence[str | Path]) -> tuple[list[bytes], Found]:
    """Contents of the photographs that `find_photos` finds, and what was found.

    A file of a folder that turns out to be damaged, or no photograph, is skipped as well; one that was named itself
    ends the search.

    Raises:
        PhotoError: as `find_photos`, and for a damaged file that was named itself.
    """
    found = find_photos(paths)
    data: dict[Path, bytes] = {}
    skipped = list(found.skipped)
    for path in dict.fromkeys(found.photos):
        try:
            content = read_bytes(path)
            if path in found.inside:
                decode_photo(content, shown(path.name))
            data[path] = content
        except PhotoError as error:
            if path not in found.inside:
                raise
            reason = str(error).removeprefix(f"{shown(path.name)}: ").removeprefix(f"{path}: ")
            skipped.append((path, reason.partition(";")[0]))
    photos = tuple(path for path in found.photos if path in data)
    if not photos:
        path, reason = skipped[-1]
        raise PhotoError(
            f"{shown(str(path.parent))}: no photograph of this folder can be read, {shown(path.name)}: "
            f"{reason}; add intact ones"
        )
    return [data[path] for path in photos], Found(photos, tuple(skipped), found.inside)


def _none_in(folder: Path, left: Sequence[tuple[Path, str]]) -> str:
    kinds = ", ".join(sorted(PHOTO_SUFFIXES))
    reasons = Counter(reason for _, reason in left)
    there = "".join(f"; skipped: {count} {reason}" for reason, count in reasons.items())
    return f"{shown(str(folder))}: no photograph in this folder ({kinds}{there}); add some or name files"
