"""SigMF archives: a tar file with NAME/NAME.sigmf-meta and NAME/NAME.sigmf-data. Nothing is unpacked.

Samples are read where they lie in the archive, so no member's name can point anywhere, and no member needs more room
than the archive has. Sparse, linked and compressed members are refused.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

from hardware.errors import RecordingError
from hardware.recordings import metadata
from hardware.recordings.recording import Recording
from hardware.recordings.samples import regular_size

_MEMBERS = 1000
_HEADER = 1 << 16  # [bytes] that the tar format's own headers may have: names, times
_MAGIC = {b"\x1f\x8b": "gzip", b"PK": "zip", b"\xfd7": "xz", b"BZ": "bzip2", b"(\xb5": "zstd"}


class _Bounded(io.FileIO):
    """A file that gives no more than ``_HEADER`` bytes at once: a header cannot ask for all of the memory."""

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        if size is None or not 0 <= size <= _HEADER:
            raise RecordingError(
                f"{self.name}: a header of the archive asks for {size} bytes; at most {_HEADER} are read"
            )
        return super().read(size) or b""


def read(path: Path, channel: int = 0, sample_rate: float | None = None) -> Recording:
    """The one recording of an archive.

    Raises:
        RecordingError: not a tar file, none or several recordings, members that are no plain files.
    """
    size = regular_size(path)
    members = _members(path, size)
    metas = [name for name in members if name.endswith(".sigmf-meta")]
    if len(metas) != 1:
        told = ", ".join(sorted(Path(name).name[:60] for name in metas)[:5]) or "none"
        raise RecordingError(f"{path}: must hold one recording (a .sigmf-meta); got {told}; unpack it and name one")
    offset, length = members[metas[0]]
    if length > metadata.MAX_BYTES:
        raise RecordingError(f"{path}: its metadata must have at most {metadata.MAX_BYTES} bytes; got {length}")
    with path.open("rb") as file:
        file.seek(offset)
        text = file.read(length)
    where = f"{path}, {Path(metas[0]).name[:80]}"
    described = metadata.parsed(text, where)

    def find(name: str) -> tuple[Path, int, int]:
        wanted = _beside(metas[0], name)
        if wanted not in members:
            raise RecordingError(f"{path}: holds no {wanted[:100]}, which its metadata speaks of")
        return path, *members[wanted]

    default = Path(metas[0]).name.removesuffix(".sigmf-meta") + ".sigmf-data"
    return metadata.described(described, where, find, default, channel, sample_rate, "SigMF archive")


def _beside(meta: str, name: str) -> str:
    return meta.rsplit("/", 1)[0] + "/" + name if "/" in meta else name


def _members(path: Path, size: int) -> dict[str, tuple[int, int]]:
    """(offset, bytes) of each plain file by its name."""
    with path.open("rb") as plain:
        magic = plain.read(2)
    if magic in _MAGIC:
        raise RecordingError(f"{path}: is compressed ({_MAGIC[magic]}); unpack it first")
    found: dict[str, tuple[int, int]] = {}
    try:
        with _Bounded(os.fspath(path)) as file, tarfile.TarFile(fileobj=file, mode="r", name=os.fspath(path)) as tar:  # type: ignore[arg-type]
            for count, one in enumerate(_each(tar)):
                if count >= _MEMBERS:
                    raise RecordingError(f"{path}: at most {_MEMBERS} members are read; it has more")
                if one.isdir():
                    continue
                if not one.isreg() or one.issparse():
                    raise RecordingError(f"{path}: {one.name[:60]!r} is no plain file (a link, a device or sparse)")
                if one.size < 0 or one.offset_data + one.size > size:
                    raise RecordingError(
                        f"{path}: {one.name[:60]!r} should have {one.size} bytes, of which the archive has fewer"
                    )
                found[one.name.removeprefix("./")] = (one.offset_data, one.size)
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        raise RecordingError(f"{path}: is no tar archive ({' '.join(str(error).split())[:120]})") from error
    return found


def _each(tar: tarfile.TarFile) -> Any:
    """Member by member; the list that tarfile keeps of them is emptied."""
    while (one := tar.next()) is not None:
        yield one
        tar.members = []  # type: ignore[attr-defined]
