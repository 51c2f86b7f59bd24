"""One image over the air and back: what ``privsc`` uses of this package.

    from phy.link import Link

    link = Link(codec="image8x4", channel="awgn")          # names: phy.codec.available(), phy.channel.CHANNELS
    sent = link.transmit(head, body, image_id=7, k_digest=database_digest, best_effort=True)
    bob = link.receive(sent, snr_db=10.0, seed=1, k_digest=database_digest)
    eve = link.receive(sent, snr_db=10.0, seed=2, k_digest=None)        # another seed: another realisation

    bob.head                    # bytes, or None where no repetition survived (CRC-32, sent head_repeats times)
    bob.body                    # bytes, exactly len(body) of them; bytes of lost frames are zero
    bob.body_ok                 # [len(body)] bool, False where the frame that carried the byte was lost
    bob.body_crc_ok             # True only where the whole body is exact
    bob.k_digest_matches        # True/False; None where no digest was given or no header arrived
    bob.snr_db                  # [dB] receiver's own estimate of Es/N0, nan where no frame arrived
    bob.stats                   # LinkStats: message_error_rate, frames_sent, frames_lost, crc_failures, channel_uses
    bob.refusals                # dict cause -> count ("header_crc", "payload_crc", "unknown_codec", ...)
    sent.channel_uses           # complex symbols, everything counted: training, header, pilots, payload, repetition

``best_effort=True`` (``pixels`` payloads) delivers the bytes of frames whose payload CRC fails, since a wrong message
costs one sample; with ``best_effort=False`` (coded payloads) such a frame counts as lost. ``head`` must not be empty,
``body`` may be. ``k_digest`` is at least 8 bytes; the first 8 travel in every header. SNR is Es/N0 per complex symbol
in dB. Nonsense (nan SNR, an unknown codec or channel) raises a child of ``phy.errors.PhyError``, one line each.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np

from phy import frame, rx, tx
from phy.codec import Codec, bytes_to_messages, shipped
from phy.errors import LinkError
from phy.frame import Kind
from phy.rx import ReceivedFrame

HEAD_CODEC = "ae8x8"
HEAD_FRAGMENT = 256
_BODY_LENGTH = struct.Struct(">I")  # the head group starts with the body's length: known even where no body frame came


@dataclass(frozen=True)
class Transmission:
    """What was sent: iq [N] complex64, one sample a symbol; starts [F] int64, frame starts, heads first."""

    iq: np.ndarray
    starts: np.ndarray
    head: bytes
    body: bytes
    body_frames: np.ndarray  # [F_body, P + 4] uint8, payload and CRC as framed
    codec: Codec
    image_id: int
    best_effort: bool

    @property
    def channel_uses(self) -> int:
        """Complex symbols, everything counted."""
        return len(self.iq)


@dataclass(frozen=True)
class LinkStats:
    """Counts of one reception. message_error_rate: over body messages of frames that arrived, None where none did."""

    message_error_rate: float | None
    frames_sent: int
    frames_lost: int
    crc_failures: int
    channel_uses: int


@dataclass(frozen=True)
class Reception:
    """What one receiver made of a transmission; the module's docstring explains each field."""

    head: bytes | None
    body: bytes
    body_ok: np.ndarray
    body_crc_ok: bool
    k_digest_matches: bool | None
    snr_db: float
    stats: LinkStats
    refusals: dict[str, int]


@dataclass(frozen=True)
class Link:
    """Transmitter, channel and receiver of one image at a time.

    codec: name of the body's codec; channel: name for ``phy.channel.make_channel``; payload_bytes: at most, per frame;
    head_repeats: how often the head is sent; rx_antennas: receive antennas, combined by maximum ratio.
    """

    codec: str = "image8x4"
    channel: str = "awgn"
    payload_bytes: int = 1024
    head_repeats: int = 8
    rx_antennas: int = 1

    def __post_init__(self) -> None:
        shipped(self.codec)
        if not 1 <= self.payload_bytes <= frame.MAX_PAYLOAD:
            raise LinkError(f"payload_bytes must be 1 to {frame.MAX_PAYLOAD}, got {self.payload_bytes}")
        if not 1 <= self.head_repeats <= 64:
            raise LinkError(f"head_repeats must be 1 to 64, got {self.head_repeats}")
        from phy.channel import make_channel  # torch only where a channel is simulated

        make_channel(self.channel, snr_db=0.0, seed=0, rx_antennas=self.rx_antennas)

    def transmit(self, head: bytes, body: bytes, *, image_id: int, k_digest: bytes,
                 best_effort: bool = False) -> Transmission:  # fmt: skip
        """Frame, encode and modulate one image's bytes."""
        if not head:
            raise LinkError("head must hold at least 1 byte, got 0")
        codec, strongest = shipped(self.codec), shipped(HEAD_CODEC)
        parts = []
        group = _BODY_LENGTH.pack(len(body)) + head
        payloads = frame.split(group, HEAD_FRAGMENT)
        headers = frame.headers_for(payloads, len(group), kind=Kind.HEAD, codec_id=strongest.codec_id,
                                    image_id=image_id, k_digest=k_digest)  # fmt: skip
        parts += [tx.modulate(headers, payloads, strongest)] * self.head_repeats
        body_frames = np.empty((0, frame.CRC_BYTES), np.uint8)
        if body:
            payloads = frame.split(body, self.payload_bytes)
            headers = frame.headers_for(payloads, len(body), kind=Kind.BODY, codec_id=codec.codec_id,
                                        image_id=image_id, k_digest=k_digest)  # fmt: skip
            parts.append(tx.modulate(headers, payloads, codec))
            body_frames = frame.add_crc(payloads)
        lengths = np.concatenate([np.full(len(part), part.shape[1], np.int64) for part in parts])
        starts = np.cumsum(lengths) - lengths
        iq = np.concatenate([part.reshape(-1) for part in parts])
        return Transmission(iq, starts, bytes(head), bytes(body), body_frames, codec, image_id, best_effort)

    def receive(self, sent: Transmission, *, snr_db: float, seed: int, k_digest: bytes | None) -> Reception:
        """Through the channel with this SNR [dB] and seed, and back to bytes."""
        from phy.channel import make_channel

        if not math.isfinite(snr_db):
            raise LinkError(f"snr_db must be a finite number of dB, got {snr_db}")
        channel = make_channel(self.channel, snr_db=snr_db, seed=seed, rx_antennas=self.rx_antennas)
        return self.decode(sent, channel(sent.iq, sent.starts), k_digest=k_digest)

    def decode(self, sent: Transmission, y: np.ndarray, *, k_digest: bytes | None) -> Reception:
        """Samples y [N] or [A, N] to bytes. ``sent`` gives the frame starts and what errors are counted against."""
        refusals: Counter[str] = Counter()
        frames = []
        for received in rx.receive(y, sent.starts, refusals):
            if received.header.image_id == sent.image_id:
                frames.append(received)
            else:
                refusals["foreign_image"] += 1
        group = assemble_head([f for f in frames if f.header.kind == Kind.HEAD])
        bodies = [f for f in frames if f.header.kind == Kind.BODY and f.header.total == len(sent.body)]
        wrong, counted, got = _message_errors(sent, bodies)
        usable = [f for f in bodies if f.crc_ok or sent.best_effort]
        body, body_ok = assemble_body(usable, len(sent.body))
        present = {f.header.sequence for f in usable}
        failures = sum(not f.crc_ok for f in bodies)
        stats = LinkStats(wrong / counted if counted else None, len(sent.starts),
                          len(sent.body_frames) - len(present), failures, sent.channel_uses)  # fmt: skip
        digests = Counter(f.header.k_digest for f in frames)
        matches = None
        if k_digest is not None and digests:
            matches = digests.most_common(1)[0][0] == frame.short_digest(k_digest)
        linear = [10 ** (f.snr_db / 10) for f in frames]
        return Reception(
            head=None if group is None else group[_BODY_LENGTH.size :],
            body=body,
            body_ok=body_ok,
            body_crc_ok=len(got) == len(sent.body_frames) and failures == 0,
            k_digest_matches=matches,
            snr_db=10 * math.log10(sum(linear) / len(linear)) if linear else math.nan,
            stats=stats,
            refusals={cause: count for cause, count in sorted(refusals.items()) if count},
        )


def assemble_head(frames: list[ReceivedFrame]) -> bytes | None:
    """The head group from its fragments' repetitions, None where a fragment is missing in all of them."""
    by_group: dict[tuple[int, int], dict[int, list[ReceivedFrame]]] = {}
    for received in frames:
        header = received.header
        by_group.setdefault((header.total, header.count), {}).setdefault(header.sequence, []).append(received)
    for (total, count), fragments in by_group.items():
        if len(fragments) != count or total <= _BODY_LENGTH.size:
            continue
        best = [_best_repetition(fragments[sequence]) for sequence in range(count)]
        if all(received is not None for received in best):
            payloads = np.stack([received.payload for received in best if received is not None])
            return frame.join(payloads, np.ones(count, bool), total)[0]
    return None


def _best_repetition(repetitions: list[ReceivedFrame]) -> ReceivedFrame | None:
    """A repetition whose CRC holds, else their combination if its CRC does."""
    for received in repetitions:
        if received.crc_ok:
            return received
    combined = rx.combine_repetitions(repetitions)
    return combined if combined.crc_ok else None


def assemble_body(frames: list[ReceivedFrame], total: int) -> tuple[bytes, np.ndarray]:
    """The body from its frames: (bytes [total], ok [total] bool); bytes of missing frames are zero."""
    if not frames:
        return bytes(total), np.zeros(total, bool)
    header = frames[0].header
    payloads = np.zeros((header.count, header.payload_bytes), np.uint8)
    present = np.zeros(header.count, bool)
    for received in sorted(frames, key=lambda f: f.crc_ok):  # of two copies the one whose CRC holds is written last
        if received.header.count == header.count:
            payloads[received.header.sequence] = received.payload
            present[received.header.sequence] = True
    return frame.join(payloads, present, total)


def _message_errors(sent: Transmission, bodies: list[ReceivedFrame]) -> tuple[int, int, set[int]]:
    """Wrong and counted body messages, and the sequence numbers that arrived."""
    count, width = sent.body_frames.shape
    bodies = [f for f in bodies if f.header.sequence < count and len(f.body) == width]
    if not bodies:
        return 0, 0, set()
    rows = np.array([f.header.sequence for f in bodies])
    decided = bytes_to_messages(np.stack([f.body for f in bodies]), sent.codec.k)
    truth = bytes_to_messages(sent.body_frames[rows], sent.codec.k)
    return int(np.count_nonzero(decided != truth)), decided.size, set(rows.tolist())
