"""The head of a payload: what a receiver must know before it can look at the body.

    version 1: version, coding, width, height, body length, number of regions | indices                       | CRC-32
    version 2: the same                                                       | sections (kind, length, data) | CRC-32

A head with indices only is written as version 1, which older receivers read; sections make it version 2. A section of
an unknown kind is refused, since it may change what the others mean.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from privsc.errors import PayloadError
from privsc.hints.pose_hint import SIZE as HINT_SIZE
from privsc.images.regions import Box
from privsc.knowledge.entity import MAX_ENTITIES

VERSIONS = (1, 2)
CODINGS = ("pixels", "webp", "avif", "jpeg")  # the number on the air is the place in this tuple
MAX_SIDE = 16_384  # [px]
MAX_PIXELS = 16_000_000  # [px]
MAX_CODED_BYTES = 4  # [bytes] a pixel of a coded body, beyond a container's own
MAX_INDICES = 32
MAX_DIM = 4096
MAX_SECTION = 65_535  # [bytes]

INDICES, MASK, BOXES, VECTORS, POSES = 1, 2, 3, 4, 6  # kinds of section; 5 were hints of an older version
NAMES = {INDICES: "indices", MASK: "mask", BOXES: "boxes", VECTORS: "embedding", POSES: "pose hints"}

_FIXED = struct.Struct("<BBHHIB")  # version, coding, width, height, body length, number of regions
_SECTION = struct.Struct("<BH")  # kind, length
_BOX = struct.Struct("<4H")
_VECTORS = struct.Struct("<HB")  # dimensions, copies
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Head:
    """What the receiver must know before it can look at the body.

    Attributes:
        coding: one of CODINGS.
        width, height: of A [px].
        body_length: of the whole body [bytes].
        indices: i, numbers of entities of K; empty where the body carries embeddings instead.
        mask: M as `privsc.transport.outline` codes it, None where the receiver finds M̂ itself.
        boxes: one for each region, where the regions run into one another; else empty.
        regions: how many embeddings the body carries (0 in index mode).
        dim, copies: their length, and how often each is there.
        poses: a hint for each region as `privsc.hints.fit` codes it, one after the other; empty without hints.
    """

    coding: str
    width: int
    height: int
    body_length: int
    indices: tuple[int, ...]
    mask: bytes | None = None
    boxes: tuple[Box, ...] = ()
    regions: int = 0
    dim: int = 0
    copies: int = 0
    poses: bytes = b""

    @property
    def count(self) -> int:
        """Number of removed regions."""
        return self.regions or len(self.indices)

    @property
    def vector_bytes(self) -> int:
        """Bytes of the body that are embeddings."""
        return self.regions * self.dim * self.copies

    def to_bytes(self) -> bytes:
        sections = self._sections()
        extended = any(kind != INDICES for kind, _ in sections)
        content = _FIXED.pack(
            2 if extended else 1, CODINGS.index(self.coding), self.width, self.height, self.body_length, self.count
        )
        for kind, data in sections:
            if len(data) > MAX_SECTION:
                raise PayloadError(
                    f"the {NAMES[kind]} in the payload's head takes {len(data)} bytes, at most {MAX_SECTION} fit; "
                    "send a simpler one or none"
                )
            content += (_SECTION.pack(kind, len(data)) if extended else b"") + data
        return content + _CRC.pack(zlib.crc32(content))

    def _sections(self) -> list[tuple[int, bytes]]:
        sections = []
        if self.indices:
            sections.append((INDICES, struct.pack(f"<{len(self.indices)}H", *self.indices)))
        if self.regions:
            sections.append((VECTORS, _VECTORS.pack(self.dim, self.copies)))
        if self.mask is not None:
            sections.append((MASK, self.mask))
        if self.boxes:
            sections.append((BOXES, b"".join(_BOX.pack(*box) for box in self.boxes)))
        if self.poses:
            sections.append((POSES, self.poses))
        return sections

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Head of a received payload; anything that `to_bytes` would not write is refused."""
        if len(data) < _FIXED.size + _CRC.size:
            raise PayloadError(
                f"the payload's head has {len(data)} bytes, at least {_FIXED.size + _CRC.size} are needed"
            )
        if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
            raise PayloadError("the payload's head is damaged (wrong CRC-32); the image is lost, send it again")
        version, coding, width, height, body_length, count = _FIXED.unpack(data[: _FIXED.size])
        if version not in VERSIONS:
            known = " and ".join(map(str, VERSIONS))
            raise PayloadError(
                f"the payload has version {version}, this program reads {known}; use the sender's version"
            )
        if coding >= len(CODINGS):
            raise PayloadError(f"the payload's coding {coding} is unknown; known are 0 to {len(CODINGS) - 1}")
        rest = data[_FIXED.size : -_CRC.size]
        sections = {INDICES: rest} if version == 1 else _split(rest)
        vectors = sections.get(VECTORS)
        indices = sections.get(INDICES, b"")
        if len(indices) != (0 if vectors is not None else 2 * count):
            raise PayloadError(f"the payload's head names {count} indices but has {len(data)} bytes")
        if vectors is not None and len(vectors) != _VECTORS.size:
            raise PayloadError(f"the embedding section must have {_VECTORS.size} bytes; got {len(vectors)}")
        dim, copies = _VECTORS.unpack(vectors) if vectors is not None else (0, 0)
        boxes = sections.get(BOXES, b"")
        if len(boxes) % _BOX.size:
            raise PayloadError(f"the boxes section must hold {_BOX.size} bytes a box; got {len(boxes)}")
        head = cls(
            CODINGS[coding],
            width,
            height,
            body_length,
            struct.unpack(f"<{len(indices) // 2}H", indices),
            sections.get(MASK),
            tuple(_BOX.iter_unpack(boxes)),
            count if vectors is not None else 0,
            dim,
            copies,
            sections.get(POSES, b""),
        )
        head.check()
        return head

    def check(self) -> None:
        """Refuse what no sender of ours would name."""
        check_size(self.height, self.width)
        if self.count > MAX_INDICES:
            raise PayloadError(f"a payload carries at most {MAX_INDICES} indices; got {self.count}")
        if any(not 1 <= k <= MAX_ENTITIES for k in self.indices) or len(set(self.indices)) != len(self.indices):
            raise PayloadError(f"indices must differ and lie in [1, {MAX_ENTITIES}]; got {self.indices}")
        if self.regions and not (1 <= self.dim <= MAX_DIM and 1 <= self.copies <= 8):
            raise PayloadError(
                f"embeddings must have 1 to {MAX_DIM} values in 1 to 8 copies; got {self.dim} in {self.copies}"
            )
        if self.boxes and len(self.boxes) != self.count:
            raise PayloadError(f"{self.count} regions need as many boxes or none; got {len(self.boxes)}")
        for x0, y0, x1, y1 in self.boxes:
            if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
                raise PayloadError(
                    f"a box must lie in the picture of {self.width}x{self.height} pixels; got {(x0, y0, x1, y1)}"
                )
        if self.poses and len(self.poses) != self.count * HINT_SIZE:
            raise PayloadError(
                f"{self.count} regions need {self.count * HINT_SIZE} bytes of pose hints or none; got {len(self.poses)}"
            )
        samples = 3 * self.width * self.height + self.vector_bytes
        if self.coding == "pixels" and self.body_length != samples:
            raise PayloadError(
                f"{self.width}x{self.height} pixels need a body of {samples} bytes; the head names {self.body_length}"
            )
        most = MAX_CODED_BYTES * self.width * self.height + MAX_SECTION
        if self.coding != "pixels" and not 1 <= self.body_length <= most:
            raise PayloadError(
                f"a {self.coding} image of {self.width}x{self.height} pixels has a body of 1 to {most} bytes; the head "
                f"names {self.body_length}"
            )
        if self.coding != "pixels" and self.regions:
            raise PayloadError(f"embeddings travel with the coding pixels only; got {self.coding}")


def _split(data: bytes) -> dict[int, bytes]:
    """Sections of a head of version 2: kind to contents."""
    sections: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        if position + _SECTION.size > len(data):
            raise PayloadError("the payload's head ends within a section; the sender is at fault")
        kind, length = _SECTION.unpack_from(data, position)
        position += _SECTION.size
        if kind not in NAMES or kind in sections:
            what = "unknown" if kind not in NAMES else "there twice"
            raise PayloadError(f"the payload's section {kind} is {what}; use the sender's version of this program")
        if position + length > len(data):
            raise PayloadError(f"the payload's {NAMES[kind]} are cut off; the sender is at fault")
        sections[kind] = data[position : position + length]
        position += length
    return sections


def check_size(height: int, width: int) -> None:
    """Refuse a picture that is empty or too large."""
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and height * width <= MAX_PIXELS):
        raise PayloadError(
            f"an image must have sides of 1 to {MAX_SIDE} px and at most {MAX_PIXELS} pixels; got {width}x{height}"
        )
