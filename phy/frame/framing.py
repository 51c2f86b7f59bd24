"""One image's bytes to frames: what every transmitter of this package sends, in memory, in GNU Radio and on a radio.

    head ──length of the body in front──► fragments of 256 bytes, codec HEAD_CODEC, the whole group head_repeats times
    body ──interleaved──► payloads of at most payload_bytes, the body's codec, once

The waveform (`phy.modem.waveform`) turns the frames into samples, a few at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from phy.codec.codec import Codec
from phy.errors import LinkError
from phy.frame import frame
from phy.frame.assembly import PREFIX
from phy.frame.coded import OUTER_FLAG, coded_symbols, named
from phy.frame.format import data_symbols
from phy.frame.frame import CRC_BYTES, Header, Kind
from phy.frame.tx import HEADER_SYMBOLS, payload_symbols

HEAD_CODEC = "ae8x8"
HEAD_FRAGMENT = 256


@dataclass(frozen=True)
class FrameGroup:
    """Frames of one kind, codec and length, in the order of the air.

    Attributes:
        headers: one for each frame.
        payloads: [F, P] uint8.
        codec: of the payloads.
        coded: whether they carry the outer code too.
    """

    headers: tuple[Header, ...]
    payloads: np.ndarray
    codec: Codec
    coded: bool = False

    def __len__(self) -> int:
        return len(self.headers)

    @property
    def kind(self) -> Kind:
        """What the frames belong to."""
        return self.headers[0].kind

    @property
    def symbols(self) -> int:
        """Header and payload symbols of one frame."""
        size = self.payloads.shape[1]
        if self.coded:
            return HEADER_SYMBOLS + coded_symbols(size + CRC_BYTES, self.codec)
        return HEADER_SYMBOLS + payload_symbols(size, self.codec)

    def modulate(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Frames first to last (exclusive) as data symbols [F, symbols] complex64: header and payload."""
        return data_symbols(list(self.headers[first:last]), self.payloads[first:last], self.codec, self.coded)


@dataclass(frozen=True)
class ImageFrames:
    """All frames of one image. groups: in the order of the air, repetitions included (the same object again);
    body_count: frames that the whole body has; chosen: those of them that are sent."""

    groups: tuple[FrameGroup, ...]
    image_id: int
    body_count: int
    chosen: tuple[int, ...]

    def __len__(self) -> int:
        return sum(len(group) for group in self.groups)


@dataclass(frozen=True)
class Framing:
    """How images become frames.

    Attributes:
        codec: name of the body's codec or path of one's own (.npz), with "+outer" behind it for the outer code.
        payload_bytes: at most, per frame.
        head_repeats: how often the head is sent.

    Raises:
        LinkError: for a number out of range. CodecError: for a codec that is not there.
    """

    codec: str = "image8x4"
    payload_bytes: int = 1024
    head_repeats: int = 8

    def __post_init__(self) -> None:
        named(self.codec)
        if not 1 <= self.payload_bytes <= frame.MAX_PAYLOAD:
            raise LinkError(f"payload_bytes must be 1 to {frame.MAX_PAYLOAD}, got {self.payload_bytes}")
        if not 1 <= self.head_repeats <= 64:
            raise LinkError(f"head_repeats must be 1 to 64, got {self.head_repeats}")

    def image(
        self, head: bytes, body: bytes, image_id: int, k_digest: bytes, *, chosen: Collection[int] | None = None
    ) -> ImageFrames:
        """The frames of one image.

        Args:
            head: at least 1 byte.
            body: may be empty.
            image_id: 0 to 65535, tells the frames of images apart.
            k_digest: at least 8 bytes, of which the first 8 travel in every header.
            chosen: body frames to send, all where None (a repetition sends the missing ones).
        """
        if not head:
            raise LinkError("head must hold at least 1 byte, got 0")
        group = self.group(Kind.HEAD, PREFIX.pack(len(body)) + head, HEAD_CODEC, HEAD_FRAGMENT, image_id, k_digest)
        groups, count = [group] * self.head_repeats, 0
        sent: tuple[int, ...] = ()
        if body:
            whole = self.group(Kind.BODY, body, self.codec, self.payload_bytes, image_id, k_digest)
            count = len(whole)
            sent = tuple(range(count)) if chosen is None else tuple(sorted(set(chosen)))
            if sent and not 0 <= sent[0] <= sent[-1] < count:
                raise LinkError(f"frames must be 0 to {count - 1}, got {sent[0]} to {sent[-1]}")
            if sent:
                picked = tuple(whole.headers[i] for i in sent)
                groups.append(FrameGroup(picked, whole.payloads[list(sent)], whole.codec, whole.coded))
        return ImageFrames(tuple(groups), image_id, count, sent)

    @staticmethod
    def group(kind: Kind, data: bytes, name: str, limit: int, image_id: int, k_digest: bytes) -> FrameGroup:
        """Frames of one kind: ``data`` in payloads of at most ``limit`` bytes, in the codec of that name."""
        codec, coded = named(name)
        payloads = frame.split(data, limit)
        codec_id = codec.codec_id | (OUTER_FLAG if coded else 0)
        headers = frame.headers_for(
            payloads, len(data), kind=kind, codec_id=codec_id, image_id=image_id, k_digest=k_digest
        )
        return FrameGroup(tuple(headers), payloads, codec, coded)
