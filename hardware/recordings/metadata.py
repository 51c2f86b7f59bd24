"""SigMF metadata (specification 1.2) to a `Recording`: what is needed is checked, what is not is left alone.

Understood: ``core:datatype``, ``core:sample_rate``, ``core:num_channels``, ``core:offset``, ``core:dataset``,
``core:trailing_bytes``, ``core:sha512``, ``core:metadata_only``, and of captures ``core:sample_start``,
``core:frequency`` and ``core:header_bytes``. The files of others often break the schema in what does not matter here;
they are read all the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hardware.errors import RecordingError
from hardware.recordings.recording import Recording, checked_rate
from hardware.recordings.samples import MAX_CHANNELS, SampleFormat, SampleSource, joined, regular_size

MAX_BYTES = 1 << 25  # of metadata
MAX_CAPTURES = 100_000
MAX_ANNOTATIONS = 200_000
_LONGEST = 1 << 60  # [samples], [bytes] that any number may say
NAMESPACE = "privsc:"

Find = Callable[[str], tuple[Path, int, int]]


def read(meta: Path, channel: int = 0, sample_rate: float | None = None) -> Recording:
    """A ``.sigmf-meta`` file and the dataset beside it.

    Raises:
        RecordingError: One line that names the file, the field and what is wrong.
    """
    if not meta.exists():
        raise RecordingError(f"{meta}: no such file; a recording is a .sigmf-meta and a .sigmf-data file")
    size = regular_size(meta)
    if size > MAX_BYTES:
        raise RecordingError(f"{meta}: metadata must have at most {MAX_BYTES} bytes; got {size}")
    try:
        text = meta.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise RecordingError(f"{meta}: cannot be read ({error.strerror})") from error

    def find(name: str) -> tuple[Path, int, int]:
        data = meta.with_name(name)
        if not data.exists():
            raise RecordingError(f"{data}: no such file; a recording is a .sigmf-meta and a .sigmf-data file")
        return data, 0, regular_size(data)

    default = meta.name.removesuffix(".sigmf-meta") + ".sigmf-data"
    return described(parsed(text, str(meta)), str(meta), find, default, channel, sample_rate, "SigMF")


def parsed(text: bytes, where: str) -> dict[str, Any]:
    """JSON of metadata: an object with ``global``, ``captures`` and ``annotations`` of the right kinds."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise RecordingError(f"{where}: is damaged or not SigMF ({reason})") from error
    if not isinstance(found, dict) or not isinstance(found.get("global"), dict):
        raise RecordingError(f"{where}: is damaged or not SigMF (no object 'global')")
    for name, most in (("captures", MAX_CAPTURES), ("annotations", MAX_ANNOTATIONS)):
        rows = found.setdefault(name, [])
        if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
            raise RecordingError(f"{where}: is damaged or not SigMF ({name} must be a list of objects)")
        if len(rows) > most:
            raise RecordingError(f"{where}: at most {most} {name} are read; got {len(rows)}")
    return found


def described(
    meta: Mapping[str, Any],
    where: str,
    find: Find,
    default: str,
    channel: int,
    sample_rate: float | None,
    about: str,
) -> Recording:
    """Metadata and a dataset to a recording.

    Args:
        meta: As ``parsed`` gives it.
        where: For messages.
        find: (file, offset, bytes) of a dataset by its name.
        default: Name of the dataset where the metadata names none.
        channel: That is read.
        sample_rate: [samples/s] in the place of the metadata's.
        about: Kind of recording, for reports.
    """
    everywhere, captures = meta["global"], meta["captures"]
    if everywhere.get("core:metadata_only") is True:
        raise RecordingError(f"{where}: is metadata only (core:metadata_only); it has no samples")
    form = SampleFormat.named(everywhere.get("core:datatype"), f"{where}: core:datatype")
    if sample_rate is None:
        if "core:sample_rate" not in everywhere:
            raise RecordingError(f"{where}: core:sample_rate is missing; give --sample-rate")
        sample_rate = checked_rate(everywhere["core:sample_rate"], f"{where}: core:sample_rate")
    channels = _whole(everywhere, "core:num_channels", where, 1, low=1, high=MAX_CHANNELS)
    path, start, size = find(_dataset(everywhere, where, default))
    _check_digest(everywhere, where, path, start, size)
    stretches = _stretches(everywhere, captures, where, form.size * channels, start, size)
    source = SampleSource(path, form, stretches, channels, channel)
    notes = [
        {**_ours(one), "start": one.get("core:sample_start")}
        for one in meta["annotations"]
        if any(key.startswith(NAMESPACE) for key in one)
    ]
    return Recording(
        source,
        sample_rate,
        _frequency(captures),
        _ours(everywhere),
        notes,
        max(1, len(captures)),
        f"{about} {form.name}",
    )


def _dataset(everywhere: Mapping[str, Any], where: str, default: str) -> str:
    """Name of the file with the samples: beside the metadata, nowhere else."""
    name = everywhere.get("core:dataset", default)
    good = isinstance(name, str) and 0 < len(name) <= 255 and name not in (".", "..")
    if not good or any(one in name for one in ("/", "\\", "\0")):
        raise RecordingError(f"{where}: core:dataset must name a file of the same folder; got {str(name)[:60]!r}")
    return str(name)


def _stretches(
    everywhere: Mapping[str, Any], captures: list[dict[str, Any]], where: str, width: int, start: int, size: int
) -> tuple[tuple[int, int], ...]:
    """(offset in the file, frames) of the captures: headers and trailing bytes left out."""
    trailing = _whole(everywhere, "core:trailing_bytes", where, 0)
    first = _whole(everywhere, "core:offset", where, 0)
    end = size - trailing
    if end < 0:
        raise RecordingError(f"{where}: core:trailing_bytes is {trailing}, the dataset has {size} bytes")
    begins = [_whole(one, "core:sample_start", f"{where}: capture {i}", first) for i, one in enumerate(captures)]
    if begins != sorted(begins) or (begins and begins[0] < first):
        raise RecordingError(f"{where}: core:sample_start of the captures must ascend from core:offset ({first})")
    headers = [_whole(one, "core:header_bytes", f"{where}: capture {i}", 0) for i, one in enumerate(captures)]
    if not captures:
        begins, headers = [first], [0]
    out, skipped = [], 0
    for i, begin in enumerate(begins):
        skipped += headers[i]
        at = (begin - first) * width + skipped
        last = i + 1 == len(begins)
        count = max(0, end - at) // width if last else begins[i + 1] - begin
        if at > end or at + count * width > end:
            raise RecordingError(
                f"{where}: capture {i} should begin at byte {at} of {end} in the dataset: it is cut off"
            )
        out.append((start + at, count))
    return joined(out, width)


def _whole(table: Mapping[str, Any], name: str, where: str, default: int, *, low: int = 0, high: int = _LONGEST) -> int:
    value = table.get(name, default)
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not low <= value <= high:
        raise RecordingError(f"{where}: {name} must be a whole number from {low} to {high}; got {str(value)[:40]!r}")
    return int(value)


def _frequency(captures: list[dict[str, Any]]) -> float | None:
    """[Hz] of the first capture; None where it does not say one."""
    value = captures[0].get("core:frequency") if captures else None
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and value is not None else None


def _check_digest(everywhere: Mapping[str, Any], where: str, path: Path, start: int, size: int) -> None:
    """Samples that do not match their checksum are refused."""
    told = everywhere.get("core:sha512")
    if told is None:
        return
    state, left = hashlib.sha512(), size
    with path.open("rb") as file:
        file.seek(start)
        while left and (part := file.read(min(left, 1 << 20))):
            state.update(part)
            left -= len(part)
    if not isinstance(told, str) or told.lower() != state.hexdigest():
        raise RecordingError(
            f"{where}: is damaged or not SigMF (the samples of {path.name} do not match core:sha512); record again"
        )


def _ours(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(NAMESPACE): value for key, value in values.items() if key.startswith(NAMESPACE)}
