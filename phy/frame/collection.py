"""Frames of one image while they come: which head and which body are the likeliest, within bounds."""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from phy.frame.frame import Header, Kind, join_frames
from phy.frame.received import ReceivedFrame, combine_repetitions

PREFIX = struct.Struct(">I")  # the head group starts with the body's length
_MAX_GEOMETRIES = 4  # lengths of head and of body that are held at a time: only the right one is needed
_MAX_DOUBTFUL = 1024  # head frames with a wrong CRC that are kept to be combined
_MAX_VARIANTS = 4  # payloads with a right CRC that are told apart for one fragment of the head


@dataclass(frozen=True)
class Head:
    """An assembled head group. payloads: its fragments by number."""

    data: bytes
    body_length: int
    payloads: dict[int, bytes]


@dataclass
class _HeadGroup:
    """Fragments of heads of one length and codec."""

    header: Header
    votes: int = 0
    right: dict[int, Counter[bytes]] = field(default_factory=dict)  # number to payloads with a right CRC
    doubtful: dict[int, list[ReceivedFrame]] = field(default_factory=dict)
    combined: dict[int, bytes] = field(default_factory=dict)

    def add(self, frame: ReceivedFrame, room: bool) -> None:
        self.votes += 1
        number = frame.header.sequence
        if frame.crc_ok:
            variants = self.right.setdefault(number, Counter())
            payload = frame.payload.tobytes()
            if payload in variants or len(variants) < _MAX_VARIANTS:
                variants[payload] += 1
            self.doubtful.pop(number, None)
        elif number not in self.right and number not in self.combined and room:
            copies = self.doubtful.setdefault(number, [])
            copies.append(frame)
            together = combine_repetitions(copies)
            if together.crc_ok:
                self.combined[number] = together.payload.tobytes()
                del self.doubtful[number]

    def fragments(self) -> dict[int, bytes] | None:
        """The likeliest payload of each fragment, None where one is missing."""
        if len(self.right.keys() | self.combined.keys()) < self.header.count:
            return None
        chosen = {number: variants.most_common(1)[0][0] for number, variants in self.right.items()}
        return {**self.combined, **chosen}


class Collected:
    """Frames of one image. max_body: longest body [bytes] that a head may announce."""

    def __init__(self, max_body: int) -> None:
        self.latest = 0.0
        self.head_frames = 0
        self._max_body = max_body
        self._heads: dict[tuple[int, int, int], _HeadGroup] = {}
        self._bodies: dict[tuple[int, int], dict[int, ReceivedFrame]] = {}
        self._head: Head | None = None
        self._head_power = 0.0  # sum of linear SNRs
        self.held = 0  # [bytes] of body frames

    def add(self, frame: ReceivedFrame) -> bool:
        """Take a frame; False where it says nothing new."""
        return self._add_head(frame) if frame.header.kind == Kind.HEAD else self._add_body(frame)

    def _add_head(self, frame: ReceivedFrame) -> bool:
        header = frame.header
        known = self._head is not None
        self.head_frames += 1
        self._head_power += _linear(frame.snr_db)
        key = (header.codec_id, header.total, header.count)
        if key not in self._heads and len(self._heads) >= _MAX_GEOMETRIES:
            del self._heads[min(self._heads, key=lambda k: self._heads[k].votes)]
        group = self._heads.setdefault(key, _HeadGroup(header))
        doubtful = sum(len(copies) for one in self._heads.values() for copies in one.doubtful.values())
        group.add(frame, doubtful < _MAX_DOUBTFUL)
        self._head = self._choose()
        return not known

    def _choose(self) -> Head | None:
        """The head that most frames speak for."""
        for group in sorted(self._heads.values(), key=lambda one: one.votes / one.header.count, reverse=True):
            if group.header.total <= PREFIX.size or (fragments := group.fragments()) is None:
                continue
            data = join_frames(
                [(replace(group.header, sequence=number), np.frombuffer(payload, np.uint8))
                 for number, payload in fragments.items()],
                group.header.total,
            )  # fmt: skip
            length = PREFIX.unpack(data[: PREFIX.size])[0]
            if length <= self._max_body:
                return Head(data[PREFIX.size :], length, fragments)
        return None

    def _add_body(self, frame: ReceivedFrame) -> bool:
        header = frame.header
        key = (header.total, header.count)
        if key not in self._bodies and len(self._bodies) >= _MAX_GEOMETRIES:
            spare = [k for k in self._bodies if k != self.geometry()]
            for one in self._bodies.pop(min(spare, key=lambda k: len(self._bodies[k]))).values():
                self.held -= len(one.body)
        frames = self._bodies.setdefault(key, {})
        before = frames.get(header.sequence)
        if before is None or (frame.crc_ok and not before.crc_ok):
            body = np.array(frame.body, np.uint8)  # not a view of what a whole batch of frames was decided in
            frames[header.sequence] = replace(frame, body=body, symbols=None)
            self.held += len(body) if before is None else 0
        return before is None

    def head(self) -> Head | None:
        """The likeliest head, None where none is whole."""
        return self._head

    def geometry(self) -> tuple[int, int] | None:
        """(length, frames) of the likeliest body: that of the head where it came, and of these what most frames
        have."""
        fitting = [k for k in self._bodies if self._head is None or k[0] == self._head.body_length]
        return max(fitting, key=lambda k: len(self._bodies[k]), default=None)

    def body(self) -> list[ReceivedFrame]:
        """Frames of the likeliest body, by number."""
        geometry = self.geometry()
        return [] if geometry is None else [one for _, one in sorted(self._bodies[geometry].items())]

    def complete(self) -> bool:
        """Whether the head and every body frame are there, exact or not."""
        if self._head is None:
            return False
        geometry = self.geometry()
        return self._head.body_length == 0 or (geometry is not None and len(self._bodies[geometry]) == geometry[1])

    def snr_db(self, frames: list[ReceivedFrame]) -> float:
        """[dB] mean over the head's frames and these."""
        power = self._head_power + sum(_linear(one.snr_db) for one in frames)
        count = self.head_frames + len(frames)
        return 10 * math.log10(power / count) if count and power > 0 else math.nan


def _linear(snr_db: float) -> float:
    return 10 ** (min(snr_db, 200.0) / 10)
