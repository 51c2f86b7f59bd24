"""Frames of several images, in any order, to the bytes of each image: what the image assembler block does.

An image is complete when its head and all its body frames are there. One that stays incomplete is given out as it is
when none of its frames has come for ``timeout`` seconds. What comes later of an image that was given out is counted and
dropped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from phy.frame.assembly import PREFIX, assemble_body, assemble_head
from phy.frame.frame import Kind
from phy.frame.received import ReceivedFrame

_MAX_OPEN = 8  # images; a stream of frames of ever new images (or noise that looks like it) must not fill the memory


@dataclass(frozen=True)
class Gathered:
    """One image. head: None where it was lost. arrived, exact: [len(body)] bool, bytes of frames with a right header,
    and of those whose payload CRC was right. missing: body frames that did not come; None where none came."""

    image_id: int
    k_digest: bytes
    head: bytes | None
    body: bytes
    arrived: np.ndarray
    exact: np.ndarray
    frames: int
    body_frames: int
    missing: int | None
    crc_failures: int
    snr_db: float


@dataclass
class _Open:
    latest: float
    heads: list[ReceivedFrame] = field(default_factory=list)
    bodies: dict[tuple[int, int], dict[int, ReceivedFrame]] = field(default_factory=dict)
    head: bytes | None = None

    def body(self) -> dict[int, ReceivedFrame]:
        """Frames of the likeliest geometry: that of the head where it came, else the one most frames have."""
        if self.head is not None:
            total = PREFIX.unpack(self.head[: PREFIX.size])[0]
            fitting = {key: frames for key, frames in self.bodies.items() if key[0] == total}
            return max(fitting.values(), key=len, default={})
        return max(self.bodies.values(), key=len, default={})


class Gatherer:
    """timeout: [s]. clock: seconds, for tests. counts: Counter of ``frames``, ``duplicates``, ``late``, ``complete``,
    ``incomplete``."""

    def __init__(self, timeout: float = 5.0, clock: Callable[[], float] = time.monotonic):
        if not timeout > 0:
            raise ValueError(f"timeout must be positive, got {timeout} s")
        self.timeout, self._clock = timeout, clock
        self._open: dict[int, _Open] = {}
        self._closed: dict[int, float] = {}  # image to when its latest frame came
        self.counts: Counter[str] = Counter()

    def add(self, frame: ReceivedFrame) -> list[Gathered]:
        """Images that this frame completes, or pushes out."""
        now, image = self._clock(), frame.header.image_id
        self.counts["frames"] += 1
        if image in self._closed:
            self._closed[image] = now
            self.counts["late"] += 1
            return []
        out = []
        if image not in self._open and len(self._open) >= _MAX_OPEN:
            out.append(self._close(min(self._open, key=lambda k: self._open[k].latest)))
        one = self._open.setdefault(image, _Open(now))
        one.latest = now
        self._place(one, frame)
        if one.head is not None and self._complete(one):
            out.append(self._close(image))
        return out

    def _place(self, one: _Open, frame: ReceivedFrame) -> None:
        header = frame.header
        if header.kind == Kind.HEAD:
            if one.head is None:
                one.heads.append(frame)
                one.head = assemble_head(one.heads)
            else:
                self.counts["duplicates"] += 1
            return
        frames = one.bodies.setdefault((header.total, header.count), {})
        before = frames.get(header.sequence)
        if before is not None:
            self.counts["duplicates"] += 1
        if before is None or (frame.crc_ok and not before.crc_ok):
            frames[header.sequence] = frame

    @staticmethod
    def _complete(one: _Open) -> bool:
        total = PREFIX.unpack(one.head[: PREFIX.size])[0]
        if total == 0:
            return True
        frames = one.body()
        return bool(frames) and len(frames) == next(iter(frames.values())).header.count

    def expired(self) -> list[Gathered]:
        """Images that have waited too long."""
        now = self._clock()
        self._closed = {image: at for image, at in self._closed.items() if now - at < self.timeout}
        return [self._close(k) for k in list(self._open) if now - self._open[k].latest >= self.timeout]

    def flush(self) -> list[Gathered]:
        """All images that are open."""
        return [self._close(image) for image in list(self._open)]

    def _close(self, image: int) -> Gathered:
        one = self._open.pop(image)
        self._closed[image] = self._clock()
        frames = list(one.body().values())
        total = frames[0].header.total if frames else 0
        if one.head is not None:
            total = PREFIX.unpack(one.head[: PREFIX.size])[0]
        body, arrived = assemble_body(frames, total)
        _, exact = assemble_body([f for f in frames if f.crc_ok], total)
        missing = frames[0].header.count - len(frames) if frames else None
        every = one.heads + frames
        complete = one.head is not None and (missing == 0 or total == 0)
        self.counts["complete" if complete else "incomplete"] += 1
        linear = np.mean([10 ** (f.snr_db / 10) for f in every])
        return Gathered(
            image,
            every[0].header.k_digest,
            None if one.head is None else one.head[PREFIX.size :],
            body,
            arrived,
            exact,
            len(every),
            len(frames),
            missing,
            sum(not f.crc_ok for f in frames),
            float(10 * np.log10(linear)),
        )
