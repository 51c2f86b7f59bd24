"""The semantic coding's frames: what of a bandwidth ratio is left for messages, head and body as bursts' frames.

    head ──outer code, twice──► head frames ─┐
    messages ──picture8x1, best effort──► body frames ─┴─► the burst modem

Everything is counted: preambles, frame headers, pilots, checksums, the head's repetitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from phy.codec.codec import Codec, shipped
from phy.frame import frame
from phy.frame.coded import OUTER_FLAG, OUTER_SUFFIX
from phy.frame.format import ImageFormat
from phy.frame.frame import Header, Kind
from phy.frame.framing import HEAD_FRAGMENT, FrameGroup, Framing
from phy.frame.received import ReceivedFrame
from phy.modem.burst import Layout
from privsc.errors import PayloadError, WeightsError
from privsc.networks.picture_code_file import PictureCodeFile
from privsc.networks.picture_mixing import GRAIN
from privsc.transport.semantic import SemanticHead, head_bytes, soft_body, symbols_within

HEAD_CODEC = "ae8x8"  # with the outer code: at 0 dB whatever has its frame header right is right
HEAD_REPEATS = 2
BODY_CODEC = "picture8x1"


@dataclass(frozen=True)
class SemanticFrames:
    """How one picture is framed. ``payload_bytes`` at most, a body frame; ``repeats`` of the head; ``beside`` bytes of
    other content in the head (the mask, a capsule)."""

    payload_bytes: int = frame.MAX_PAYLOAD
    repeats: int = HEAD_REPEATS
    beside: int = 0
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if not 64 <= self.payload_bytes <= frame.MAX_PAYLOAD or not 1 <= self.repeats <= 64 or self.beside < 0:
            raise PayloadError(
                f"frames must carry 64 to {frame.MAX_PAYLOAD} bytes, the head 1 to 64 times, got {self.payload_bytes} "
                f"and {self.repeats}"
            )

    def head_uses(self, length: int) -> int:
        """Channel uses of the head frames of a head of ``length`` bytes."""
        header = _head_headers(bytes(length), 0, bytes(8))[0]
        data = ImageFormat.header_symbols + ImageFormat().payload_symbols(header)
        return self.repeats * header.count * self.layout.num_symbols(data)

    def symbols(self, rate: float, height: int, width: int, blocks: int, features: int) -> int:
        """Messages of a picture [H, W] whose whole transmission stays within ``rate`` × 3HW channel uses."""
        uses = int(rate * 3 * height * width)
        fits = [0]
        for pairs in range(1, features // 2 + 1):  # more pairs a block make the head longer
            left = uses - self.head_uses(head_bytes(pairs * blocks, blocks) + self.beside)
            found = symbols_within(left, blocks, features, self.payload_bytes, self.layout)
            fits.append(min(found, pairs * blocks // GRAIN * GRAIN))
        if max(fits) < GRAIN:
            raise PayloadError(
                f"CBR 1/{1 / rate:.4g} leaves {uses} channel uses for a picture of {width}×{height} px, too few for "
                "its head; raise the bandwidth ratio"
            )
        return max(fits)

    def groups(self, head: bytes, body: bytes, *, image_id: int, k_digest: bytes) -> list[FrameGroup]:
        """Head and messages to groups of frames, as ``phy.modem.waveform`` sends them."""
        part = Framing.group(Kind.HEAD, head, f"{HEAD_CODEC}{OUTER_SUFFIX}", HEAD_FRAGMENT, image_id, k_digest)
        rest = Framing.group(Kind.BODY, body, BODY_CODEC, self.payload_bytes, image_id, k_digest)
        return [*[part] * self.repeats, rest]


def body_codec() -> Codec:
    """The codec of the messages: 256 points, one complex symbol each."""
    return shipped(BODY_CODEC)


def check_points(code: PictureCodeFile) -> None:
    """Raise WeightsError where the weights' points are not those of the codec that the modem sends."""
    codec = body_codec()
    if codec.prior is None or not np.array_equal(codec.codebook[:, 0], code.points.codebook):
        raise WeightsError(
            f"the picture code {code.digest.hex()} was made for other points than the codec {BODY_CODEC}: "
            "use the two files that were written together"
        )


def _head_headers(head: bytes, image_id: int, k_digest: bytes) -> list[Header]:
    payloads = frame.split(head, HEAD_FRAGMENT)
    codec_id = shipped(HEAD_CODEC).codec_id | OUTER_FLAG
    return frame.headers_for(
        payloads, len(head), kind=Kind.HEAD, codec_id=codec_id, image_id=image_id, k_digest=k_digest
    )


def head_of(frames: Iterable[ReceivedFrame]) -> bytes | None:
    """The head from its frames, of each fragment the first whose checksum holds; None where one is missing."""
    found: dict[tuple[int, int], dict[int, ReceivedFrame]] = {}
    for received in frames:
        if received.header.kind == Kind.HEAD and received.crc_ok:
            key = received.header.total, received.header.count
            found.setdefault(key, {}).setdefault(received.header.sequence, received)
    for (total, count), parts in found.items():
        if len(parts) == count:
            payloads = np.stack([parts[sequence].payload for sequence in range(count)])
            return frame.join(payloads, np.ones(count, bool), total)[0]
    return None


def soft_symbols(frames: Iterable[ReceivedFrame], head: SemanticHead) -> tuple[np.ndarray, np.ndarray]:
    """The body's symbols [N] complex64 and their noise power [N] from all frames of a picture."""
    codec_id = body_codec().codec_id
    bodies = [f for f in frames if f.header.kind == Kind.BODY and f.header.codec_id == codec_id]
    return soft_body(bodies, head.symbols)
