"""Samples as files hold them, to blocks of complex64: formats, byte order, channels, stretches of a file.

    file ──stretches (offset, samples)──► bytes ──SampleFormat, channel──► blocks [N] complex64, full scale 1

Both interpreters read with this module: numpy only. A block is full wherever the stretches begin and end, all but the
last one: what a receive chain finds depends on the samples alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hardware.errors import RecordingError

MAX_CHANNELS = 64
MAX_STRETCHES = 1000
_NAME = re.compile(r"(r|c)([fiu])(8|16|24|32|64)(_le|_be)?")
_KNOWN = {"f": (32, 64), "i": (8, 16, 24, 32), "u": (8, 16, 32)}
KNOWN = "cf32, cf64, ci32, ci24, ci16, ci8, cu32, cu16 or cu8, with _le or _be"


@dataclass(frozen=True)
class SampleFormat:
    """How a complex sample is stored: I, then Q.

    kind: "f" (IEEE 754), "i" (two's complement) or "u" (offset binary). bits: of one component. big: byte order.
    Integers have their largest positive value at 1.
    """

    kind: str
    bits: int
    big: bool = False

    def __post_init__(self) -> None:
        if self.bits not in _KNOWN.get(self.kind, ()):
            raise RecordingError(f"samples must be {KNOWN}; got kind {self.kind!r} with {self.bits!r} bits")

    @classmethod
    def named(cls, name: Any, where: str) -> SampleFormat:
        """The format of a SigMF datatype, as ``ci16_le``; little-endian where no order is given.

        Raises:
            RecordingError: it is no such name, or names real samples.
        """
        match = _NAME.fullmatch(name) if isinstance(name, str) and len(name) < 20 else None
        if match is None:
            raise RecordingError(f"{where}: samples must be {KNOWN}; got {str(name)[:40]!r}")
        if match[1] == "r":
            raise RecordingError(f"{where}: samples must be complex (I and Q), as {KNOWN}; got real ones, {name}")
        if int(match[3]) not in _KNOWN[match[2]]:
            raise RecordingError(f"{where}: samples must be {KNOWN}; got {name!r}")
        return cls(match[2], int(match[3]), match[4] == "_be")

    @property
    def name(self) -> str:
        order = "" if self.bits == 8 else "_be" if self.big else "_le"
        return f"c{self.kind}{self.bits}{order}"

    @property
    def size(self) -> int:
        """[bytes] of one complex sample."""
        return 2 * self.bits // 8

    def decode(self, data: bytes, channels: int = 1, channel: int = 0) -> np.ndarray:
        """Bytes of whole frames (a sample of each channel in turn) to one channel's samples, [N] complex64."""
        if self.bits == 24:
            parts = _from_24_bits(data, self.big)
        else:
            parts = np.frombuffer(data, f"{'>' if self.big else '<'}{self.kind}{self.bits // 8}")
        if channels > 1:
            parts = parts.reshape(-1, channels, 2)[:, channel].reshape(-1)
        if self.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):
                return np.ascontiguousarray(parts, np.float32).view(np.complex64)
        return self._scaled(parts).view(np.complex64)

    def _scaled(self, parts: np.ndarray) -> np.ndarray:
        """[2 N] integers to float32. Up to 16 bits exactly as live samples are scaled (``streaming.to_complex``)."""
        full = 2 ** (self.bits - 1) - 1
        wide: type[np.floating[Any]] = np.float32 if self.bits <= 16 else np.float64
        values: np.ndarray = parts.astype(wide)
        if self.kind == "u":  # 8 bits: an RTL-SDR's zero lies between 127 and 128
            values -= wide(127.5 if self.bits == 8 else full + 1)
        return (values * wide(1 / (127.5 if self.kind == "u" and self.bits == 8 else full))).astype(np.float32)


def _from_24_bits(data: bytes, big: bool) -> np.ndarray:
    """[3 N] bytes to [N] int32."""
    triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
    quads = np.zeros((len(triples), 4), np.uint8)
    quads[:, 1:] = triples[:, ::-1] if big else triples
    return quads.view("<i4").reshape(-1) >> 8


@dataclass(frozen=True)
class SampleSource:
    """Where samples lie.

    path: file. format: of a sample. stretches: (offset [bytes], frames of samples) in order. channels: interleaved;
    channel: the one that is read.
    """

    path: Path
    format: SampleFormat
    stretches: tuple[tuple[int, int], ...]
    channels: int = 1
    channel: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise RecordingError(f"{self.path}: core:num_channels must be 1 to {MAX_CHANNELS}; got {self.channels}")
        if not 0 <= self.channel < self.channels:
            raise RecordingError(
                f"{self.path}: --channel must be below {self.channels}, of which the recording has; got {self.channel}"
            )
        if len(self.stretches) > MAX_STRETCHES:
            raise RecordingError(
                f"{self.path}: at most {MAX_STRETCHES} captures may have bytes between them; got {len(self.stretches)}"
            )

    @property
    def samples(self) -> int:
        """Of the one channel, all stretches together."""
        return sum(count for _, count in self.stretches)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``from_dict``, as the radio process is told."""
        return {
            "path": str(self.path.absolute()),
            "format": self.format.name,
            "stretches": [list(one) for one in self.stretches],
            "channels": self.channels,
            "channel": self.channel,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SampleSource:
        """What ``as_dict`` made; checked against the file's real length."""
        path = Path(values["path"])
        source = cls(
            path,
            SampleFormat.named(values["format"], str(path)),
            tuple((int(offset), int(count)) for offset, count in values["stretches"]),
            int(values["channels"]),
            int(values["channel"]),
        )
        size, width = regular_size(path), source.format.size * source.channels
        for offset, count in source.stretches:
            if offset < 0 or count < 0 or offset + count * width > size:
                raise RecordingError(f"{path}: {count} samples from byte {offset} on do not lie in its {size} bytes")
        return source

    def blocks(self, size: int, most: int | None = None) -> Iterator[np.ndarray]:
        """The samples in blocks of ``size``, [size] complex64, the last one shorter; at most ``most`` in all.

        Raises:
            RecordingError: the file became shorter, or cannot be read.
        """
        left = self.samples if most is None else min(most, self.samples)
        parts: list[np.ndarray] = []
        held = 0
        try:
            with self.path.open("rb") as file:
                for offset, count in self.stretches:
                    file.seek(offset)
                    count = min(count, left)
                    left -= count
                    while count:
                        part = self._read(file, min(count, size - held))
                        count -= len(part)
                        held += len(part)
                        parts.append(part)
                        if held == size:
                            yield parts[0] if len(parts) == 1 else np.concatenate(parts)
                            parts, held = [], 0
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be read ({error.strerror})") from error
        if held:
            yield np.concatenate(parts)

    def _read(self, file: BinaryIO, count: int) -> np.ndarray:
        width = self.format.size * self.channels
        data = file.read(count * width)
        if len(data) < count * width:
            raise RecordingError(f"{self.path}: became shorter while it was read")
        return self.format.decode(data, self.channels, self.channel)


def regular_size(path: Path) -> int:
    """[bytes] of a file that is one; folders, pipes and devices are refused."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordingError(f"{path}: cannot be read ({reason})") from error
    if not stat.S_ISREG(found.st_mode):
        raise RecordingError(f"{path}: is no file; a recording is read from one")
    if not os.access(path, os.R_OK):
        raise RecordingError(f"{path}: cannot be read (permission denied)")
    return found.st_size


def joined(stretches: Sequence[tuple[int, int]], width: int) -> tuple[tuple[int, int], ...]:
    """(offset [bytes], samples of ``width`` bytes) with neighbours made one, empty ones left out."""
    out: list[tuple[int, int]] = []
    for offset, count in stretches:
        if count == 0:
            continue
        if out and out[-1][0] + out[-1][1] * width == offset:
            out[-1] = (out[-1][0], out[-1][1] + count)
        else:
            out.append((offset, count))
    return tuple(out)
