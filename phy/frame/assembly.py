"""Frames of any images, in any order, to the bytes of each image: what every receiver of this package ends with.

    frames ──by image id and digest of K──► heads: repetitions combined, the most frequent one chosen
                                      └──► bodies: frames of the geometry that fits the head, the most frequent one
    ──► ReceivedImage: head, body, which bytes arrived, which are exact

What is needed of an image (how long its body is) comes from the head that was received. Whoever forges frames can make
images of his own, but a few forged frames do not displace the many honest ones of an image.

Memory is bounded whatever the frames claim: a body longer than ``max_body`` is refused before anything is allocated,
an image out takes at most three times its body, and frames that wait take at most ``HELD`` times ``max_body``.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from phy.errors import LinkError
from phy.frame.collection import PREFIX, Collected
from phy.frame.frame import Header, Kind, join_frames, marked, short_digest
from phy.frame.received import ReceivedFrame

MAX_BODY = 1 << 26  # [bytes] 64 MiB: more than the largest picture of privsc
HELD = 4  # frames that wait hold at most this many times max_body
_MAX_OPEN = 8  # images; a stream of frames of ever new images (or noise that looks like it) must not fill the memory
_MAX_HEAD, _MAX_FRAGMENTS = 1 << 20, 4096  # [bytes] and frames of a head
_MAX_CLOSED = 256  # images given out that are remembered, so that what comes late of them is known

Key = tuple[int, bytes]  # image id, digest of K as the headers have it


@dataclass(frozen=True)
class ReceivedImage:
    """What arrived of one image.

    Attributes:
        image_id: of the frames' headers.
        k_digest: first 8 bytes of the digest of the sender's K, empty where that is not known.
        head: None where it was lost.
        body: bytes of frames that did not arrive are zero; its length is the head's, else the frames'.
        arrived: [len(body)] bool, bytes of frames with a right header.
        exact: [len(body)] bool, bytes of those whose payload CRC was right too.
        count: frames that the body has; None where none arrived.
        bodies: the frames that the body was made of, by their number; payload and CRC as decided.
        frames: how many frames of the image arrived, repetitions of the head included.
        crc_failures: body frames with a wrong payload CRC.
        snr_db: [dB] mean Es/N0 of those frames, nan where that is not known.
    """

    image_id: int
    k_digest: bytes
    head: bytes | None
    body: bytes
    arrived: np.ndarray
    exact: np.ndarray
    count: int | None = None
    bodies: tuple[ReceivedFrame, ...] = ()
    frames: int = 0
    crc_failures: int = 0
    snr_db: float = math.nan

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of body frames that are not exact, as far as the body's geometry is known."""
        exact = {one.header.sequence for one in self.bodies if one.crc_ok}
        return tuple(i for i in range(self.count or 0) if i not in exact)

    @property
    def lost(self) -> int | None:
        """How many body frames did not arrive at all; None where none arrived."""
        return None if self.count is None else self.count - len(self.bodies)

    @property
    def complete(self) -> bool:
        """Whether the head and every body frame arrived, exact or not."""
        return self.head is not None and (self.lost == 0 if self.body else True)

    @property
    def body_crc_ok(self) -> bool:
        """Whether every byte of the body is exact."""
        return bool(self.exact.all())

    def made_with(self, k_digest: bytes) -> bool:
        """Whether the sender's K has this digest."""
        return self.k_digest == short_digest(k_digest)


@dataclass(frozen=True)
class Reception:
    """Everything a receiver made of a stretch of samples.

    Attributes:
        images: what arrived, the likeliest first (see ``best``).
        refusals: cause (``phy.frame.frame.CAUSES``) to how often; payload_crc counts frames that are used all the same.
    """

    images: tuple[ReceivedImage, ...]
    refusals: dict[str, int] = field(default_factory=dict)

    def best(self, k_digest: bytes | None = None) -> ReceivedImage | None:
        """The image meant for who has this K: of those with its digest (of all where none has it) the one that is
        complete, or else has most frames. None where nothing arrived."""

        def rank(image: ReceivedImage) -> tuple[bool, bool, bool, int]:
            own = k_digest is not None and image.made_with(k_digest)
            return own, image.head is not None, image.complete, image.frames

        return max(self.images, key=rank, default=None)


def assemble(
    frames: Iterable[ReceivedFrame], refusals: Counter[str] | None = None, max_body: int = MAX_BODY
) -> Reception:
    """All frames of a stretch of samples to images. refusals: what was counted while they were found, and is once
    ``frames`` is exhausted."""
    assembler = Assembler(math.inf, eager=False, max_body=max_body)
    images = [image for one in frames for image in assembler.add(one)] + assembler.flush()
    counted = Counter(refusals or {})
    counted["too_long"] += assembler.counts["too_long"]
    ordered = sorted(images, key=lambda image: (image.complete, image.head is not None, image.frames), reverse=True)
    return Reception(tuple(ordered), {cause: count for cause, count in sorted(counted.items()) if count})


@dataclass(frozen=True)
class _Closed:
    """An image that was given out. latest: when its latest frame came; body: geometry, None where unknown; head: its
    payloads by number."""

    latest: float
    body: tuple[int, int] | None
    head: dict[int, bytes] | None

    def covers(self, frame: ReceivedFrame) -> bool:
        """Whether a late frame belongs to it, and not to another image that took its number."""
        header = frame.header
        if header.kind == Kind.BODY:
            return self.body is None or self.body == (header.total, header.count)
        return not frame.crc_ok or self.head is None or self.head.get(header.sequence) == frame.payload.tobytes()


class Assembler:
    """Frames one by one, images as they are complete; one that stays incomplete is given out when none of its frames
    has come for ``timeout`` seconds.

    Args:
        timeout: [s].
        clock: seconds, for tests.
        eager: give an image out as soon as its head and all body frames are there; else only ``flush`` and ``expired``
            do, when everything that may still change the choice has come.
        max_body: longest body [bytes] that is accepted.

    Attributes:
        counts: Counter of ``frames``, ``duplicates``, ``late``, ``too_long``, ``complete``, ``incomplete``.
    """

    def __init__(
        self,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        *,
        eager: bool = True,
        max_body: int = MAX_BODY,
    ):
        if not timeout > 0:
            raise LinkError(f"timeout must be positive, got {timeout} s")
        self.timeout, self._clock = timeout, clock
        self._eager, self._max_body = eager, max_body
        self._open: dict[Key, Collected] = {}
        self._closed: OrderedDict[Key, _Closed] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def add(self, frame: ReceivedFrame) -> list[ReceivedImage]:
        """Images that this frame completes, or pushes out."""
        header = frame.header
        now, key = self._clock(), (header.image_id, header.k_digest)
        self.counts["frames"] += 1
        if self._too_long(header):
            self.counts["too_long"] += 1
            return []
        closed = self._closed.get(key)
        if closed is not None and key not in self._open and closed.covers(frame):
            self._closed[key] = _Closed(now, closed.body, closed.head)
            self.counts["late"] += 1
            return []
        out = []
        if key not in self._open and len(self._open) >= _MAX_OPEN:
            out.append(self._close(self._oldest()))
        collected = self._open.setdefault(key, Collected(self._max_body))
        collected.latest = now
        if not collected.add(frame):
            self.counts["duplicates"] += 1
        if self._eager and collected.complete():
            out.append(self._close(key))
        while len(self._open) > 1 and sum(one.held for one in self._open.values()) > HELD * self._max_body:
            out.append(self._close(self._oldest(but=key)))
        return out

    def _too_long(self, header: Header) -> bool:
        if header.kind == Kind.BODY:
            return header.total > self._max_body
        return header.total > _MAX_HEAD or header.count > _MAX_FRAGMENTS

    def _oldest(self, but: Key | None = None) -> Key:
        return min((key for key in self._open if key != but), key=lambda key: self._open[key].latest)

    def expired(self) -> list[ReceivedImage]:
        """Images that have waited too long."""
        now = self._clock()
        for key in [key for key, closed in self._closed.items() if now - closed.latest >= self.timeout]:
            del self._closed[key]
        return [self._close(key) for key in list(self._open) if now - self._open[key].latest >= self.timeout]

    def flush(self) -> list[ReceivedImage]:
        """All images that are open."""
        return [self._close(key) for key in list(self._open)]

    def peek(self) -> list[ReceivedImage]:
        """All images that are open, as they stand; they stay open."""
        return [_image(key, collected) for key, collected in self._open.items()]

    def _close(self, key: Key) -> ReceivedImage:
        collected = self._open.pop(key)
        image = _image(key, collected)
        head = collected.head()
        geometry = collected.geometry()
        self._closed[key] = _Closed(self._clock(), geometry, None if head is None else head.payloads)
        if len(self._closed) > _MAX_CLOSED:
            self._closed.popitem(last=False)
        self.counts["complete" if image.complete else "incomplete"] += 1
        return image


def _image(key: Key, collected: Collected) -> ReceivedImage:
    frames, head = collected.body(), collected.head()
    total = head.body_length if head is not None else frames[0].header.total if frames else 0
    body = join_frames([(one.header, one.payload) for one in frames], total)
    arrived = marked([one.header for one in frames], total)
    exact = marked([one.header for one in frames if one.crc_ok], total)
    return ReceivedImage(
        key[0],
        key[1],
        None if head is None else head.data,
        body,
        arrived,
        exact,
        frames[0].header.count if frames else None,
        tuple(frames),
        collected.head_frames + len(frames),
        sum(not one.crc_ok for one in frames),
        collected.snr_db(frames),
    )


__all__ = ["HELD", "MAX_BODY", "PREFIX", "Assembler", "ReceivedImage", "Reception", "assemble"]
