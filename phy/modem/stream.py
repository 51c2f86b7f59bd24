"""Stream receiver: chunks of samples of any size to frames. Keeps state between chunks; nothing in the samples raises.

    chunk ──check──► buffer ──Detector──► preambles ──Demodulator──► headers ──(wait for the payload)──► BurstFrame

The search looks at every sample, inside frames too, at places fixed in the stream: the frames found do not depend on
how the stream was cut, and a frame that follows a broken one is found like any other. The buffer holds what the oldest
unfinished frame needs, and no more.

Work is bounded by the samples, whatever headers say: a sample lies in at most ``DEPTH`` payloads that are demodulated
(one transmitter's frames follow one another; two that collide still have a chance each). Where one header more claims
it, the frame that began first is given up, so that a forged claim to a long stretch cannot keep out what follows it.
Tables are made for every new length of a payload; a stream may bring ``NEW_LENGTHS`` at once and one more each
``PER_LENGTH`` samples.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from phy.errors import PhyError
from phy.frame.format import FrameFormat, ImageFormat
from phy.modem.burst import Layout
from phy.modem.demodulator import BurstFrame, Demodulator, Found
from phy.modem.sync import Acquired, Detector

DEPTH = 2  # payloads that may claim one sample
NEW_LENGTHS, PER_LENGTH = 8, 1 << 18  # payload lengths; [samples], 66 ms at 4 Msps
_KNOWN_LENGTHS = 8  # that are no longer new
_LARGEST = np.float32(1e8)  # magnitude of a component beyond which a sample is refused: its square must fit float32


class StreamError(PhyError):
    """A chunk that is no stretch of complex samples."""


class StreamReceiver:
    """push(chunk) gives the frames that became complete; flush() those that end with the stream.

    layout: must equal the transmitter's. frame_format: what the frames hold. detector: other thresholds than the
    default. workers: threads that share the search and the payloads (numpy and scipy work outside the interpreter's
    lock). equalise: estimate frequency-selective channels; without it every channel is taken as flat. batch: samples
    gathered before they are searched: 1 looks as soon as it can (2048 samples), and where small chunks come fast,
    65536 is five times the throughput; flush waits for none.

    counts: Counter of ``samples``, ``frames``, ``false_alarms`` (no burst behind the preamble), ``non_finite`` and
    ``too_large`` samples (taken as zeros). refusals: Counter by cause as in ``phy.frame.frame.CAUSES``.
    """

    def __init__(
        self,
        layout: Layout | None = None,
        frame_format: FrameFormat | None = None,
        *,
        detector: Detector | None = None,
        workers: int = 1,
        equalise: bool = True,
        batch: int = 1,
    ) -> None:
        if not 1 <= workers <= 64:
            raise StreamError(f"workers must be 1 to 64, got {workers}")
        if batch < 1:
            raise StreamError(f"batch must be at least 1 sample, got {batch}")
        self.batch = batch
        self.layout = Layout() if layout is None else layout
        self.format = ImageFormat() if frame_format is None else frame_format
        self.detector = Detector(self.layout.preamble, self.layout.pulse) if detector is None else detector
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None
        self._workers = workers
        self._demodulator = Demodulator(self.layout, self.format, self._pool.map if self._pool else map, equalise)
        self._lead = self._demodulator.before + self.detector.before + 64
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; counters stay."""
        self._limit = sys.maxsize  # stream index at which flush() ended the stream
        self._chunks: list[np.ndarray] = []
        self._fresh = 0  # samples in _chunks
        self._buffer = np.zeros(self._lead, np.complex64)
        self._base = -self._lead  # stream index of _buffer[0]
        self._searched = -self._lead + self.detector.before  # stream index of the next row to search
        self._waiting = Acquired(np.empty(0, np.int64), np.empty(0), np.empty(0, np.float32))
        self._pending: list[Found] = []  # starts are stream indices
        self._doubtful: list[
            tuple[int, str]
        ] = []  # refused headers; forgotten if they turn out to lie inside a good frame
        self._good: list[tuple[int, int]] = []  # latest frames that are certain, start and end
        self._read: list[int] = []  # starts of the latest headers
        self._lengths: OrderedDict[int, None] = OrderedDict()  # [symbols] of the latest payloads
        self._new_lengths, self._credited = float(NEW_LENGTHS), 0  # that may come, as of this stream index
        self._claims: list[Found] = []  # frames, decided or not, that may reach beyond the latest header

    @property
    def position(self) -> int:
        """Samples of the stream seen so far."""
        return self._base + len(self._buffer) + self._fresh

    def push(self, chunk: np.ndarray) -> list[BurstFrame]:
        """chunk: [N] complex (or real) samples, any N >= 0. Returns frames in order of their start, CRC right or
        wrong."""
        samples = self._checked(chunk)
        self.counts["samples"] += len(samples)
        if len(samples):
            self._chunks.append(samples)
            self._fresh += len(samples)
        if self.position - self._searched < max(self.batch, self.detector.row + self.detector.after):
            return []
        return self._process(final=False)

    def flush(self) -> list[BurstFrame]:
        """Frames that end with the stream; what is cut off is counted. The receiver then begins a new stream."""
        self._limit = self.position
        tail = self.detector.row + self.detector.after + self._demodulator.needed(self.format.look_ahead) + 4096
        self._append_silence(tail)
        frames = self._process(final=True)
        reach = [one.start + self._demodulator.needed(one.symbols) for one in self._pending]
        if reach and max(reach) > self.position:
            self._append_silence(max(reach) - self.position)
            frames = frames + self._process(final=True)
        self.reset()
        return frames

    def _append_silence(self, count: int) -> None:
        self._chunks.append(np.zeros(count, np.complex64))
        self._fresh += count

    def close(self) -> None:
        """End the worker threads."""
        if self._pool:
            self._pool.shutdown()

    def _cut_off(self, one: Found) -> bool:
        """The stream ended before the frame's last symbol."""
        return one.start + self.layout.num_samples(one.symbols) - self.layout.pulse.delay > self._limit

    def _checked(self, chunk: np.ndarray) -> np.ndarray:
        samples = np.asarray(chunk)
        if samples.ndim != 1 or samples.dtype.kind not in "cfiu":
            raise StreamError(
                f"a chunk must be [N] complex samples, got {samples.dtype} of shape {list(samples.shape)}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            samples = np.array(samples, np.complex64)  # a copy: the caller may reuse its buffer
        if len(samples) == 0:
            return samples
        parts = samples.view(np.float32)
        if not max(float(parts.max()), -float(parts.min())) <= _LARGEST:  # NaN fails the comparison too
            finite = np.isfinite(parts).reshape(-1, 2).all(axis=1)
            large = finite & (np.abs(parts) > _LARGEST).reshape(-1, 2).any(axis=1)
            self.counts["non_finite"] += int(np.count_nonzero(~finite))
            self.counts["too_large"] += int(np.count_nonzero(large))
            samples[~finite | large] = 0
        return samples

    def _process(self, final: bool) -> list[BurstFrame]:
        self._buffer = np.concatenate([self._buffer, *self._chunks])
        self._chunks, self._fresh = [], 0
        self._search()
        self._read_headers()
        frames = self._read_payloads()
        self._settle(final)
        self._trim()
        self.counts["frames"] += sum(frame.crc_ok for frame in frames)
        self.refusals["payload_crc"] += sum(not frame.crc_ok for frame in frames)
        return frames

    def _search(self) -> None:
        detector = self.detector
        rows = (self.position - self._searched - detector.after - (detector.row - detector.hop)) // detector.hop
        if rows < 1:
            return
        share = -(-rows // self._workers)
        first = self._searched - self._base
        work = [(first + k * detector.hop, min(share, rows - k)) for k in range(0, rows, share)]
        run = self._pool.map if self._pool else map
        for found in run(lambda job: self._search_rows(*job), work):
            self._admit(found)
        self._searched += rows * detector.hop

    def _search_rows(self, first: int, rows: int) -> Acquired:
        detector = self.detector
        stretch = self._buffer[first : first + rows * detector.hop + detector.row - detector.hop]
        positions, _ = detector.candidates(stretch)
        return detector.refine(self._buffer, positions + first)

    def _admit(self, found: Acquired) -> None:
        """Queue preambles, without the second sight of one that the border of two rows showed twice."""
        start = found.start + self._base
        queued = self._waiting
        if len(queued) and len(start):
            apart = np.abs(start[:, None] - queued.start[-8:][None, :])
            weaker = found.metric[:, None] <= queued.metric[-8:][None, :]
            keep = ~((apart < self.detector.window // 2) & weaker).any(axis=1)
            start, found = start[keep], found.take(np.flatnonzero(keep))
        self._waiting = Acquired(
            np.append(queued.start, start), np.append(queued.cfo, found.cfo), np.append(queued.metric, found.metric)
        )

    def _read_headers(self) -> None:
        waiting = self._waiting
        there = waiting.start + self._demodulator.needed(self.format.look_ahead) <= self.position
        ready = waiting.take(np.flatnonzero(there))
        self._waiting = waiting.take(np.flatnonzero(~there))
        if len(ready) == 0:
            return
        shifted = Acquired(ready.start - self._base, ready.cfo, ready.metric)
        for one in self._demodulator.read_headers(self._buffer, shifted):
            if one is None:
                self.counts["false_alarms"] += 1
                continue
            one.start += self._base
            if one.header is None:
                self._doubtful.append((one.start, one.cause or "header_crc"))
            elif all(abs(one.start - start) >= self.detector.window for start in self._read[-8:]):
                self._claim(one)
                self._read = [*self._read[-7:], one.start]

    def _claim(self, one: Found) -> None:
        """Queue a frame, and give up the first of those whose payloads cover its header, where they are too many.

        A claim ends where a frame could already have been demodulated when a header behind it is read, so that what is
        given up does not depend on how the stream was cut.
        """
        if not self.format.header_symbols:  # frames of one length, and preambles that a payload happens to resemble
            self._pending.append(one)
            return
        if not self._affordable(one):
            self.refusals["new_length"] += 1
            return
        self._pending.append(one)
        late = self._demodulator.needed(self.format.look_ahead) + self.detector.row + self.detector.after
        reach = one.start + late
        self._claims = [c for c in self._claims if c.start + self.layout.num_samples(c.symbols) > reach]
        self._claims.append(one)
        if len(self._claims) > DEPTH:
            first = self._claims.pop(0)
            self._pending = [other for other in self._pending if other is not first]
            self.refusals["overlap"] += 1

    def _affordable(self, one: Found) -> bool:
        """Whether a payload's length is a known one, or may be a new one now."""
        earned = max(0, one.start - self._credited) / PER_LENGTH
        self._new_lengths, self._credited = min(NEW_LENGTHS, self._new_lengths + earned), max(self._credited, one.start)
        if one.symbols not in self._lengths:
            if self._new_lengths < 1:
                return False
            self._new_lengths -= 1
        self._lengths[one.symbols] = None
        self._lengths.move_to_end(one.symbols)
        if len(self._lengths) > _KNOWN_LENGTHS:
            self._lengths.popitem(last=False)
        return True

    def _read_payloads(self) -> list[BurstFrame]:
        ready: list[Found] = []
        later: list[Found] = []
        for one in self._pending:
            if self._cut_off(one):
                self.refusals["cut_off"] += 1
                continue
            done = one.start + self._demodulator.needed(one.symbols) <= self.position
            (ready if done else later).append(one)
        self._pending = later
        if not ready:
            return []
        for one in ready:
            one.start -= self._base
        frames = self._demodulator.read_payloads(self._buffer, ready)
        frames = [replace(frame, start=frame.start + self._base, end=frame.end + self._base) for frame in frames]
        # a header's checksum vouches for a frame too, however wrong its payload
        self._good += [(frame.start, frame.end) for frame in frames if frame.crc_ok or self.format.header_symbols]
        if self.format.header_symbols:
            return frames
        # without a header's checksum, a preamble that a payload happened to resemble ends here
        kept = [f for f in frames if f.crc_ok or not any(begin < f.start < end for begin, end in self._good)]
        self.counts["false_alarms"] += len(frames) - len(kept)
        return kept

    def _settle(self, final: bool) -> None:
        """Count the refused headers that no unfinished frame can cover any more."""
        horizon = min([one.start for one in self._pending], default=self._searched)
        later = []
        for start, cause in self._doubtful:
            if any(begin <= start < end for begin, end in self._good):
                self.counts["false_alarms"] += 1
            elif start < horizon or final:
                self.refusals[cause] += 1
            else:
                later.append((start, cause))
        self._doubtful = later
        oldest = min([start for start, _ in later], default=horizon)
        self._good = [(begin, end) for begin, end in self._good if end > oldest]

    def _trim(self) -> None:
        starts = [int(self._waiting.start.min())] if len(self._waiting) else []
        starts += [one.start for one in self._pending]
        keep = min([*starts, self._searched]) - self._lead
        if keep > self._base:
            self._buffer = self._buffer[keep - self._base :].copy()
            self._base = keep
