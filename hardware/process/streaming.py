"""Samples in and out without pause: a thread each for receiving, processing and sending, with bounded memory.

    device ──receive thread──► blocks (a ring made once) ──processing thread──► chains, file
    samples ──send thread──► device

Every block is full but the last one, wherever the device cut its reads: what the chains find depends on the samples
alone, so that a recording gives the same again. Where the chains are too slow the newest blocks are dropped and
counted; the device is read on, and the next frame after the gap is found like any other. The loops make no arrays.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from hardware.drivers.radio import Radio, Received
from hardware.errors import HardwareError

BLOCK = 1 << 16  # [samples]
_FULL_SCALE = 32767.0  # of CS16
SILENT = 5.0  # [s] without a sample after which a receiver hangs


class Consumer(Protocol):
    """What blocks are given to; samples [N] complex64 are only valid during the call."""

    def push(self, samples: np.ndarray) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True)
class Gap:
    """Samples lost before stream index ``at``; lost: how many, None where unknown. why: "overflow" (the device) or
    "behind" (our chains)."""

    at: int
    lost: int | None
    why: str


class Level:
    """Loudness of what came since it was last read: mean power, peak, share of clipped samples; [full scale]."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._take()

    def _take(self) -> tuple[float, float, int, int]:
        taken = getattr(self, "_sums", (0.0, 0.0, 0, 0))
        self._sums = (0.0, 0.0, 0, 0)
        return taken

    def add(self, samples: np.ndarray) -> None:
        """samples: [N] complex64; every eighth run of 1024 is looked at."""
        for first in range(0, len(samples), 8192):
            parts = samples[first : first + 1024].view(np.float32)
            power = float(np.dot(parts, parts))
            peak = max(float(parts.max()), -float(parts.min()))
            clipped = int(np.count_nonzero(np.abs(parts) >= 0.999)) if peak >= 0.999 else 0
            with self._lock:
                total, highest, clips, count = self._sums
                self._sums = (total + power, max(highest, peak), clips + clipped, count + len(parts) // 2)

    def read(self) -> dict[str, float | None]:
        """And begin anew. dbfs: [dB] mean power; peak: [0, 1]; clipped: share of samples."""
        with self._lock:
            total, peak, clips, count = self._take()
        if count == 0:
            return {"dbfs": None, "peak": None, "clipped": None}
        return {
            "dbfs": round(float(10 * np.log10(max(total / count, 1e-20))), 1),
            "peak": round(peak, 4),
            "clipped": clips / count,
        }


class Receiving:
    """Receive and processing thread of one radio. blocks: of the ring; file: takes the raw samples as they came."""

    def __init__(
        self,
        radio: Radio,
        consumers: list[Consumer],
        *,
        blocks: int = 64,
        block: int = BLOCK,
        file: BinaryIO | None = None,
        gap: Callable[[Gap], None] = lambda gap: None,
    ) -> None:
        self.radio, self.consumers, self.file, self._tell_gap = radio, consumers, file, gap
        self.block = block
        self.counts: Counter[str] = Counter()
        self.level = Level()
        self.started_ns: int | None = None  # hardware time of the first sample
        self.latest_ns: int | None = None  # hardware time behind the latest one
        self.error: Exception | None = None
        self._heard: float | None = None  # when the latest sample came
        self._ring = [radio.new_buffer("rx", block) for _ in range(blocks)]
        self._spare = radio.new_buffer("rx", block)
        self._converted = np.zeros(block, np.complex64)
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        for index in range(blocks):
            self._free.put(index)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=work.__name__, daemon=True)
            for work in (self._receive, self._process)
        ]

    def start(self) -> None:
        """The radio's "rx" must be started."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 60.0, drain: float = 5.0) -> None:
        """End reception, process what is there, tell the consumers; raises what a thread met.

        What was on the air before the call is received first, if the driver still holds it (where the device has a
        time), for at most ``drain`` seconds.
        """
        until, now = time.monotonic() + drain, self.radio.now()
        while self.alive and self.latest_ns is not None and self.latest_ns < now and time.monotonic() < until:
            time.sleep(0.01)
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)
        _raise(self.error)
        if any(thread.is_alive() for thread in self._threads):
            raise HardwareError(f"{self.radio.profile.name}: the receiver did not end within {timeout:g} s")

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads) and self.error is None

    @property
    def waiting(self) -> int:
        """Blocks that are filled and not processed yet."""
        return self._full.qsize()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.error = error
            self._stop.set()
        finally:
            if work == self._receive:
                self._full.put(None)

    def _receive(self) -> None:
        kept = 0  # stream index of the block's first sample, of those that are processed
        behind = 0  # samples dropped because no block was free
        while not self._stop.is_set():
            index = self._next_free()
            block = self._spare if index is None else self._ring[index]
            filled = self._fill(block, kept, count_gaps=index is not None)
            if index is None:
                behind += filled
                self.counts["behind"] += filled
                continue
            if behind:
                self._tell_gap(Gap(kept, behind, "behind"))
                behind = 0
            kept += filled
            self._full.put((index, filled))
        if behind:
            self._tell_gap(Gap(kept, behind, "behind"))

    def _next_free(self) -> int | None:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return None

    def _fill(self, block: np.ndarray, kept: int, count_gaps: bool) -> int:
        """Samples into one block until it is full or reception ends."""
        filled = 0
        while filled < len(block) and not self._stop.is_set():
            got = self.radio.receive(block[filled:])
            self._watch(got)
            if got.count and self.started_ns is None:
                self.started_ns = got.time_ns
            if got.time_ns is not None:
                self.latest_ns = got.time_ns + round(got.count * 1e9 / self.radio.rate)
            if got.overflow and count_gaps:
                self._tell_gap(Gap(kept + filled, got.lost, "overflow"))
            filled += got.count
        self.counts["samples"] += filled
        return filled

    def _watch(self, got: Received) -> None:
        """A driver that gives nothing any more, and says nothing, is not waited for."""
        now = time.monotonic()
        if got.count or self._heard is None:
            self._heard = now
        elif now - self._heard > SILENT:
            after = " after an overflow" if self.radio.pending else ""
            raise HardwareError(
                f"{self.radio.profile.name}: no sample came for {SILENT:g} s{after}; the driver hangs: close the "
                "program, unplug the device and plug it in, lower radio.sample_rate"
            )

    def _process(self) -> None:
        while (item := self._full.get()) is not None:
            index, filled = item
            raw = self._ring[index][:filled]
            if self.file is not None:
                self.file.write(raw.view(np.uint8).data)
            samples = to_complex(raw, self._converted)
            self.level.add(samples)
            for consumer in self.consumers:
                consumer.push(samples)
            self._free.put(index)
            self.counts["processed"] += filled
        for consumer in self.consumers:
            consumer.finish()


def _raise(error: Exception | None) -> None:
    """What a thread met, as one line."""
    if isinstance(error, HardwareError):
        raise error
    if error is not None:
        raise HardwareError(f"the radio's thread broke off ({type(error).__name__}: {error})") from error


def to_complex(raw: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """[N] complex64 as it is; [N, 2] int16 to [N] complex64 of full scale 1, into out where given."""
    if raw.dtype != np.int16:
        return raw
    out = np.empty(len(raw), np.complex64) if out is None else out[: len(raw)]
    np.multiply(raw, np.float32(1 / _FULL_SCALE), out=out.view(np.float32).reshape(-1, 2), casting="unsafe")
    return out


def to_device(samples: np.ndarray, form: str) -> np.ndarray:
    """[N] complex64 of full scale 1 to what a device with this format takes."""
    if form == "CF32":
        return np.ascontiguousarray(samples, np.complex64)
    parts = np.ascontiguousarray(samples, np.complex64).view(np.float32).reshape(-1, 2)
    return np.clip(np.rint(parts * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE).astype(np.int16)


class Sending:
    """Send thread of one radio: samples once, or again and again until ``stop``.

    at: hardware time [ns] of the first sample. repeat: how often, 0 until stopped. The whole is one burst: its end is
    marked, so that the device goes silent. The transmitter's events are polled by the same thread. ``done`` is set when
    the last sample is on the air, not when the device's buffer has taken it.
    """

    def __init__(
        self, radio: Radio, samples: np.ndarray, *, at: int | None = None, repeat: int = 1, piece: int = BLOCK
    ) -> None:
        radio.require_transmit()
        self.radio, self.at, self.repeat, self.piece = radio, at, repeat, piece
        assert radio.profile.tx is not None
        self._samples = to_device(samples, radio.profile.tx.format)
        self._silence = radio.new_buffer("tx", 64)
        self.error: Exception | None = None
        self.rounds = 0
        self.done = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guard, name="send", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the burst now; raises what the thread met."""
        self._stop.set()
        self._thread.join(timeout)
        _raise(self.error)

    def _guard(self) -> None:
        try:
            self._send()
        except Exception as error:
            self.error = error
        finally:
            self.done.set()

    def _send(self) -> None:
        radio, at, count = self.radio, self.at, len(self._samples)
        begin = radio.now() if at is None else at
        while not self._stop.is_set():
            for first in range(0, count, self.piece):
                if self._stop.is_set():
                    break
                final = self.rounds + 1 == self.repeat and first + self.piece >= count
                part = self._samples[first : first + self.piece]
                if radio.send(part, at=at, end=final, timeout=1.0 if at is None else 30.0) < len(part):
                    raise HardwareError(f"{radio.profile.name}: the device took no samples for a second")
                at = None
                radio.poll()
            else:
                self.rounds += 1
                if self.rounds == self.repeat:
                    self._wait_until(begin + round(self.rounds * count / radio.rate * 1e9))
                    self._listen(0.3)
                    return
        radio.send(self._silence, end=True)
        self._listen(0.1)

    def _wait_until(self, end: int) -> None:
        """Until the hardware's time [ns] is ``end``; a clock that stands still is waited for 2 s more."""
        until = time.monotonic() + max(0, end - self.radio.now()) * 1e-9 + 2
        while self.radio.now() < end and time.monotonic() < until and not self._stop.is_set():
            if self.radio.poll(0.02) is None:
                time.sleep(0.01)

    def _listen(self, seconds: float) -> None:
        """The last events come after the last samples."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.radio.poll(0.05) is None:
                if self._stop.is_set():
                    return
                time.sleep(0.01)  # a driver that tells nothing does not wait either


def statistics(receiving: Receiving | None, sending: Sending | None, radio: Radio) -> dict[str, Any]:
    """What is told once a second: counts of the radio, of the threads, the level, the memory, and
    how many threads and open files (sockets too) this process has."""
    told: dict[str, Any] = {"radio": dict(radio.counts), "memory_kib": resident_kib()}
    told["threads"], told["files"] = (len(list(Path(f"/proc/self/{name}").iterdir())) for name in ("task", "fd"))
    if receiving is not None:
        told["receiving"] = {**receiving.counts, "waiting": receiving.waiting, "level": receiving.level.read()}
    if sending is not None:
        told["sending"] = {"rounds": sending.rounds, "done": sending.done.is_set()}
    return told


def resident_kib() -> int:
    """Resident memory of this process [KiB]."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4
