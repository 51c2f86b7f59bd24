"""Results out: folders and files, written all or nothing, and for their owner alone.

Results hold photographs, and K holds more of them: a file is made with mode 0600 and a folder with 0700, whatever the
umask. A folder that exists keeps its mode.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from privsc.errors import OutputError

FILE, FOLDER = 0o600, 0o700  # modes of what is made


def output_folder(path: str | Path) -> Path:
    """Folder for results, made when missing: for its owner alone."""
    path = Path(path)
    try:
        private_folder(path)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{path}: is not a folder; give another one with --out") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be made ({error.strerror}); give another folder with --out") from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: is not writable; give another folder with --out")
    return path


def private_folder(path: Path) -> Path:
    """The folder itself, made with mode 0700 when missing, like its parents; OSError where that cannot be done."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=FOLDER, exist_ok=True)
    return path


@contextmanager
def atomic_path(path: str | Path, mode: int = FILE) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block ends well and removed when it does not."""
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: str | Path, data: bytes, mode: int = FILE) -> None:
    """Write `data` to `path`, all or nothing."""
    with atomic_path(path, mode) as temporary:
        temporary.write_bytes(data)


def to_json(value: Any) -> bytes:
    """JSON as results are written: indented, UTF-8, and refusing NaN and infinity."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


class ResultFolder:
    """Results that belong together: collected in memory, written under temporary names, then renamed.

    >>> with ResultFolder("results/one") as results:    # doctest: +SKIP
    ...     results.add("mask.png", encode_png(mask))
    """

    def __init__(self, path: str | Path):
        self.path = output_folder(path)
        self._files: dict[str, bytes] = {}

    def add(self, name: str, data: bytes) -> None:
        self._files[name] = data

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        if kind is not None:
            return
        staged: list[tuple[Path, Path]] = []
        try:
            for name, data in self._files.items():
                target = self.path / name
                temporary = self.path / f".{len(staged)}.{os.getpid()}.partial"
                staged.append((temporary, target))
                temporary.touch(FILE)
                temporary.write_bytes(data)
            for temporary, target in staged:
                temporary.replace(target)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); free space or choose another --out"
            ) from error
        finally:
            for temporary, _ in staged:
                temporary.unlink(missing_ok=True)
