"""WAV files with I in the left channel and Q in the right one, as HDSDR, SDR#, SDRuno and others record.

RIFF and RF64 (recordings of more than 4 GiB); 8, 16, 24 and 32 bits, and floats. The header is read here: Python's own
module knows neither floats nor RF64.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from hardware.errors import RecordingError
from hardware.recordings.recording import Recording, checked_rate
from hardware.recordings.samples import SampleFormat, SampleSource, regular_size

_CHUNKS = 64  # that are looked at
_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN = 0xFFFFFFFF  # a length that whoever wrote the file did not know


def read(path: Path, channel: int = 0, sample_rate: float | None = None) -> Recording:
    """A recording of one complex channel. sample_rate: in the place of the file's own.

    Raises:
        RecordingError: not a WAV file, not two channels, or a format that holds no samples.
    """
    size = regular_size(path)
    try:
        with path.open("rb") as file:
            form, rate, offset, length = _header(file, path, size)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from error
    source = SampleSource(path, form, ((offset, length // form.size),), 1, channel)
    return Recording(source, checked_rate(sample_rate or rate, str(path)), about=f"WAV {form.name}")


def _header(file: BinaryIO, path: Path, size: int) -> tuple[SampleFormat, float, int, int]:
    """(format, sample rate, offset of the samples, bytes of them)."""
    start = file.read(12)
    if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64", b"BW64") or start[8:] != b"WAVE":
        raise RecordingError(f"{path}: is no WAV file; raw samples are read with --format and --sample-rate")
    form: SampleFormat | None = None
    rate, long = 0.0, None
    for _ in range(_CHUNKS):
        at = file.tell()
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if form is None:
                raise RecordingError(f"{path}: its samples come before their description (no 'fmt ' chunk)")
            length = long if length == _UNKNOWN and long is not None else length
            there = size - at - 8
            return form, rate, at + 8, there if length == 0 or length > there else length
        if name == b"ds64" and length >= 24:
            long = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        if name == b"fmt ":
            form, rate = _format(file.read(min(length, 40)), path)
        file.seek(at + 8 + length + length % 2)
    raise RecordingError(f"{path}: has no samples (no 'data' chunk)")


def _format(chunk: bytes, path: Path) -> tuple[SampleFormat, float]:
    if len(chunk) < 16:
        raise RecordingError(f"{path}: its 'fmt ' chunk must have 16 bytes; got {len(chunk)}")
    tag, channels, rate, _, width, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack("<H", chunk[24:26])[0]
    if channels != 2:
        raise RecordingError(f"{path}: I and Q are two channels; got {channels}")
    kinds = {_INTEGER: {8: "u", 16: "i", 24: "i", 32: "i"}, _FLOAT: {32: "f", 64: "f"}}
    kind = kinds.get(tag, {}).get(bits)
    if kind is None or width != 2 * bits // 8:
        raise RecordingError(
            f"{path}: samples must be of 8 to 32 bits or floats; got format {tag} with {bits} bits in {width} bytes"
        )
    return SampleFormat(kind, bits), float(rate)
