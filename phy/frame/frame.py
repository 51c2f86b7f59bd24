"""Frames: what crosses the air at once, as bytes. Symbols are the business of ``phy.frame.tx`` and ``phy.frame.rx``.

    bytes ──interleave──► payloads [F, P] uint8 ──+ CRC-32──► bodies [F, P + 4]
                      └──► one Header a frame ──pack──► 24 bytes (CRC-32 included)

Header, big-endian: version and kind (4 + 4 bits), codec id (1 byte), image id (2), sequence (2), count (2), total
length (4), digest of K (8), CRC-32 over those 20 bytes (4). The payload length is not sent: every frame of a group
carries P = ceil(total / count) bytes, the last one padded with zeros, so that any single header tells the geometry.
"""

from __future__ import annotations

import functools
import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from phy.errors import FrameError

VERSION = 1
HEADER_BYTES = 24
CRC_BYTES = 4
DIGEST_BYTES = 8
MAX_PAYLOAD = 4096
MAX_FRAMES = 65535
MAX_TOTAL = 1 << 28
_FIELDS = struct.Struct(">BBHHHI8s")

# Why a frame was refused: the keys of every refusal counter.
CAUSES = ("non_finite", "no_signal", "cut_off", "header_crc", "version", "kind", "unknown_codec", "impossible_length",
          "overlap", "new_length", "payload_crc", "too_long")  # fmt: skip


class FrameRefused(FrameError):
    """A received frame that cannot be used; ``cause`` is one of ``CAUSES``."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"frame refused ({cause}): {detail}")
        self.cause = cause


class Kind(IntEnum):
    """What a frame's bytes belong to."""

    HEAD = 1
    BODY = 2


@dataclass(frozen=True)
class Header:
    """One frame's header. ``total`` [bytes] is the length of the whole group (head or body), ``count`` its frames."""

    kind: Kind
    codec_id: int
    image_id: int
    sequence: int
    count: int
    total: int
    k_digest: bytes

    def __post_init__(self) -> None:
        limits = {"codec_id": 255, "image_id": 65535, "sequence": MAX_FRAMES - 1, "count": MAX_FRAMES,
                  "total": MAX_TOTAL}  # fmt: skip
        for name, limit in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise FrameError(f"header field {name} must be 0 to {limit}, got {value}")
        if len(self.k_digest) != DIGEST_BYTES:
            raise FrameError(f"k_digest must be {DIGEST_BYTES} bytes, got {len(self.k_digest)}")
        if self.count < 1 or self.sequence >= self.count or self.total < 1:
            raise FrameError(f"frame {self.sequence} of {self.count} with {self.total} bytes is impossible")
        if self.payload_bytes > MAX_PAYLOAD or (self.count - 1) * self.payload_bytes >= self.total:
            raise FrameError(f"{self.total} bytes do not split into {self.count} frames of at most {MAX_PAYLOAD} bytes")

    @property
    def payload_bytes(self) -> int:
        """P, the payload of every frame of the group [bytes]."""
        return -(-self.total // self.count)

    def pack(self) -> bytes:
        """The 24 bytes, CRC included."""
        fields = _FIELDS.pack(
            VERSION << 4 | self.kind, self.codec_id, self.image_id, self.sequence, self.count, self.total, self.k_digest
        )
        return fields + struct.pack(">I", zlib.crc32(fields))

    @classmethod
    def unpack(cls, raw: bytes) -> Header:
        """Inverse of ``pack``; raises FrameRefused with the cause."""
        if len(raw) != HEADER_BYTES:
            raise FrameRefused("cut_off", f"a header is {HEADER_BYTES} bytes, got {len(raw)}")
        if struct.unpack(">I", raw[_FIELDS.size :])[0] != zlib.crc32(raw[: _FIELDS.size]):
            raise FrameRefused("header_crc", "header CRC-32 does not match")
        first, codec_id, image_id, sequence, count, total, digest = _FIELDS.unpack(raw[: _FIELDS.size])
        if first >> 4 != VERSION:
            raise FrameRefused("version", f"frame version must be {VERSION}, got {first >> 4}")
        try:
            kind = Kind(first & 15)
        except ValueError:
            raise FrameRefused("kind", f"frame kind must be 1 or 2, got {first & 15}") from None
        try:
            return cls(kind, codec_id, image_id, sequence, count, total, digest)
        except FrameError as error:
            raise FrameRefused("impossible_length", str(error)) from None


def short_digest(k_digest: bytes) -> bytes:
    """The first 8 bytes of K's digest, which travel in every header."""
    if len(k_digest) < DIGEST_BYTES:
        raise FrameError(f"k_digest must be at least {DIGEST_BYTES} bytes, got {len(k_digest)}")
    return bytes(k_digest[:DIGEST_BYTES])


def interleaver(length: int) -> np.ndarray:
    """Byte order on air: position j carries byte order[j], [length] int64.

    order[j] = j a mod length, with a coprime to the length, near length times the golden ratio's fraction, and with
    small partial quotients in the continued fraction of a / length (three-distance theorem): any run of consecutive
    positions, so any lost frame, is spread evenly over all bytes. Computed, not drawn: the same everywhere.
    """
    return np.arange(length, dtype=np.int64) * interleaver_step(length) % max(length, 1)


@functools.lru_cache(maxsize=64)
def interleaver_step(length: int) -> int:
    """The a of ``interleaver``."""
    if length < 1:
        return 0
    golden = length * (math.sqrt(5) - 1) / 2
    near = range(max(1, round(golden) - 64), round(golden) + 66)
    return min((a for a in near if math.gcd(a, length) == 1), key=lambda a: (_largest_quotient(a, length), a))


def _largest_quotient(a: int, length: int) -> int:
    """Largest partial quotient of a / length after its integer part."""
    a %= length
    largest = 0
    while a:
        largest = max(largest, length // a)
        a, length = length % a, a
    return largest


def split(data: bytes, payload_bytes: int) -> np.ndarray:
    """data (at least 1 byte) to interleaved payloads [F, P] uint8, P = ceil(len / F) <= payload_bytes, zero padding."""
    if not 1 <= payload_bytes <= MAX_PAYLOAD:
        raise FrameError(f"payload_bytes must be 1 to {MAX_PAYLOAD}, got {payload_bytes}")
    if not data:
        raise FrameError("nothing to send: at least 1 byte is needed, got 0")
    count = -(-len(data) // payload_bytes)
    if count > MAX_FRAMES or len(data) > MAX_TOTAL:
        raise FrameError(f"{len(data)} bytes need {count} frames, the limit is {MAX_FRAMES}: raise payload_bytes")
    width = -(-len(data) // count)
    count = -(-len(data) // width)  # equal shares can need one frame fewer
    flat = np.zeros(count * width, np.uint8)
    flat[: len(data)] = np.frombuffer(data, np.uint8)[interleaver(len(data))]
    return flat.reshape(count, width)


def join(payloads: np.ndarray, present: np.ndarray, total: int) -> tuple[bytes, np.ndarray]:
    """Inverse of ``split``: payloads [F, P] uint8, present [F] bool to (data, ok [total] bool); lost bytes are zero."""
    order = interleaver(total)
    data, ok = np.zeros(total, np.uint8), np.zeros(total, bool)
    data[order] = np.where(present[:, None], payloads, 0).reshape(-1)[:total]
    ok[order] = np.repeat(present, payloads.shape[1])[:total]
    return data.tobytes(), ok


def join_frames(frames: Iterable[tuple[Header, np.ndarray]], total: int) -> bytes:
    """As ``join``, of the frames of one geometry that came, each with its payload [P] uint8, in any order.

    Takes 2 total bytes and a little for the frames while it works, whatever their headers say.
    """
    data = np.zeros(total, np.uint8)
    for header, payload in frames:
        place = byte_places(header, total)
        data[place] = payload[: len(place)]
    return data.tobytes()


def byte_places(header: Header, total: int) -> np.ndarray:
    """Which of the group's bytes a frame carries, in the order of its payload: [P or fewer] int64."""
    first = header.sequence * header.payload_bytes
    position = np.arange(first, min(first + header.payload_bytes, total), dtype=np.int64)
    return position * interleaver_step(total) % max(total, 1)


def marked(headers: Iterable[Header], total: int) -> np.ndarray:
    """[total] bool, the bytes that these frames of one geometry carry."""
    mask = np.zeros(total, bool)
    for header in headers:
        mask[byte_places(header, total)] = True
    return mask


def headers_for(
    payloads: np.ndarray, total: int, *, kind: Kind, codec_id: int, image_id: int, k_digest: bytes
) -> list[Header]:
    """One header for each row of payloads [F, P]."""
    digest = short_digest(k_digest)
    return [Header(kind, codec_id, image_id, seq, len(payloads), total, digest) for seq in range(len(payloads))]


def add_crc(payloads: np.ndarray) -> np.ndarray:
    """payloads [F, P] uint8 to [F, P + 4] uint8: big-endian CRC-32 of each row appended."""
    crc = np.array([zlib.crc32(row) for row in np.ascontiguousarray(payloads)], dtype=">u4")
    return np.concatenate([payloads, crc[:, None].view(np.uint8)], axis=1)


def crc_ok(bodies: np.ndarray) -> np.ndarray:
    """bodies [F, P + 4] uint8 to [F] bool: does each row's CRC-32 match."""
    bodies = np.ascontiguousarray(bodies)
    sent = bodies[:, -CRC_BYTES:].copy().view(">u4")[:, 0]
    return np.array([zlib.crc32(row[:-CRC_BYTES]) for row in bodies], dtype=np.uint32) == sent
