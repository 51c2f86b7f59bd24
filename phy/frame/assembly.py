"""Received frames to head and body: repetitions combined, lost frames marked, errors counted against what was sent."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from phy.codec.packing import bytes_to_messages
from phy.frame import frame
from phy.frame.received import ReceivedFrame, combine_repetitions

PREFIX = struct.Struct(">I")  # the head group starts with the body's length


def assemble_head(frames: list[ReceivedFrame]) -> bytes | None:
    """The head group from its fragments' repetitions, None where a fragment is missing in all of them."""
    by_group: dict[tuple[int, int], dict[int, list[ReceivedFrame]]] = {}
    for received in frames:
        header = received.header
        by_group.setdefault((header.total, header.count), {}).setdefault(header.sequence, []).append(received)
    for (total, count), fragments in by_group.items():
        if len(fragments) != count or total <= PREFIX.size:
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
    combined = combine_repetitions(repetitions)
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


def message_errors(body_frames: np.ndarray, k: int, bodies: list[ReceivedFrame]) -> tuple[int, int]:
    """Wrong and counted messages of k bits over the frames that arrived, against body_frames [F, P + 4] as sent."""
    count, width = body_frames.shape
    bodies = [f for f in bodies if f.header.sequence < count and len(f.body) == width]
    if not bodies:
        return 0, 0
    rows = np.array([f.header.sequence for f in bodies])
    decided = bytes_to_messages(np.stack([f.body for f in bodies]), k)
    truth = bytes_to_messages(body_frames[rows], k)
    return int(np.count_nonzero(decided != truth)), decided.size


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
    missing: tuple[int, ...]
    k_digest_matches: bool | None
    snr_db: float
    stats: LinkStats
    refusals: dict[str, int]
