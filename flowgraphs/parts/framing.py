"""One image's bytes to bursts of samples, a few frames at a time: what the frame encoder block sends.

    head, body ──split, headers──► frames ──codec──► symbols ──preamble, pilots, pulse──► bursts [F, S + gap]

The same frames in the same order as ``phy.link.Link(waveform="burst")`` sends them, without ever holding the samples of
a whole image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from phy.codec.codec import shipped
from phy.frame import frame
from phy.frame.assembly import PREFIX
from phy.frame.coded import OUTER_FLAG, OUTER_SUFFIX, named
from phy.frame.format import ImageFormat
from phy.frame.frame import Kind
from phy.link import HEAD_CODEC, HEAD_FRAGMENT
from phy.modem.burst import BurstTransmitter, Layout
from phy.modem.waveform import unit_energy_transmitter

_FRAMES_AT_ONCE = 16


@dataclass(frozen=True)
class Framing:
    """codec: name of the body's, with "+outer" behind it for the outer code. payload_bytes: at most, per frame.
    head_repeats: how often the head is sent."""

    codec: str = "image8x4"
    payload_bytes: int = 1024
    head_repeats: int = 8
    transmitter: BurstTransmitter = field(default_factory=lambda: unit_energy_transmitter(Layout()))

    def __post_init__(self) -> None:
        shipped(self.codec.removesuffix(OUTER_SUFFIX))
        named(self.codec)
        if not 1 <= self.payload_bytes <= frame.MAX_PAYLOAD:
            raise ValueError(f"payload_bytes must be 1 to {frame.MAX_PAYLOAD}, got {self.payload_bytes}")
        if not 1 <= self.head_repeats <= 64:
            raise ValueError(f"head_repeats must be 1 to 64, got {self.head_repeats}")

    def image(self, head: bytes, body: bytes, image_id: int, k_digest: bytes) -> Burst:
        """The frames of one image; head holds at least 1 byte."""
        parts = []
        group = PREFIX.pack(len(body)) + head
        for kind, data, name, limit, repeats in (
            (Kind.HEAD, group, HEAD_CODEC, HEAD_FRAGMENT, self.head_repeats),
            (Kind.BODY, body, self.codec, self.payload_bytes, 1),
        ):
            if not data:
                continue
            codec, coded = named(name)
            payloads = frame.split(data, limit)
            headers = frame.headers_for(
                payloads,
                len(data),
                kind=kind,
                image_id=image_id,
                k_digest=k_digest,
                codec_id=codec.codec_id | (OUTER_FLAG if coded else 0),
            )
            parts += [(headers, payloads)] * repeats
        return Burst(self.transmitter, parts)


@dataclass(frozen=True)
class Burst:
    """All frames of one image. parts: (headers, payloads [F, P] uint8) in the order on the air."""

    transmitter: BurstTransmitter
    parts: list

    @property
    def frames(self) -> int:
        return sum(len(headers) for headers, _ in self.parts)

    @property
    def body_frames(self) -> int:
        return sum(len(headers) for headers, _ in self.parts if headers[0].kind == Kind.BODY)

    @property
    def channel_uses(self) -> int:
        """Complex symbols: preambles, headers, pilots, payloads, repetitions."""
        return sum(len(h) * self.transmitter.layout.num_symbols(self._symbols(h)) for h, _ in self.parts)

    @property
    def samples(self) -> int:
        layout, gap = self.transmitter.layout, self.transmitter.gap
        return sum(len(h) * (layout.num_samples(self._symbols(h)) + gap) for h, _ in self.parts)

    @staticmethod
    def _symbols(headers: list) -> int:
        return ImageFormat.header_symbols + ImageFormat().payload_symbols(headers[0])

    def chunks(self) -> Iterator[np.ndarray]:
        """[n] complex64 pieces, ``samples`` in all."""
        for headers, payloads in self.parts:
            for k in range(0, len(headers), _FRAMES_AT_ONCE):
                part = headers[k : k + _FRAMES_AT_ONCE], payloads[k : k + _FRAMES_AT_ONCE]
                yield self.transmitter.stream(ImageFormat().modulate(*part))
