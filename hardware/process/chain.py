"""Bob's and Eve's receive chain on a stream of samples: own noise, own receiver, frames as they come.

    samples ──(own noise)──► (I ↔ Q) ──► StreamReceiver ──► frames ──► whoever listens, digests

Chains of one capture share nothing but the samples. Fed with the same blocks they find the same, bit by bit. Where it
is not known whether I and Q are exchanged, two receivers listen, and the first that reads a header stays.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hardware.errors import StationError
from hardware.process.streaming import BLOCK
from phy.frame.frame import Kind
from phy.modem.demodulator import BurstFrame
from phy.modem.stream import StreamReceiver

NOISE_DB = (-300.0, 100.0)  # [dB of full scale] that own noise may have
BATCH = 4 * BLOCK  # [samples] searched at once: half the work of one block at a time, for 66 ms more delay at 4 Msps


@dataclass
class Tally:
    """Sums over the frames of a chain; means are sums / frames. skipped: body frames that should have come between two
    that came, by their sequence numbers (of a group that is sent again and again too)."""

    frames: int = 0
    good: int = 0
    snr_db: float = 0.0
    cfo: float = 0.0
    clock_ppm: float = 0.0
    skipped: int = 0
    latest: tuple[int, int, int] | None = None  # image, count, sequence of the latest body frame
    kinds: Counter = field(default_factory=Counter)

    def add(self, frame: BurstFrame) -> None:
        self.frames += 1
        self.good += frame.crc_ok
        self.snr_db += frame.snr_db
        self.cfo += frame.cfo
        self.clock_ppm += frame.clock_ppm
        header = frame.header
        self.kinds[header.kind.name] += 1
        if header.kind == Kind.BODY:
            if self.latest is not None and self.latest[:2] == (header.image_id, header.count):
                self.skipped += (header.sequence - self.latest[2] - 1) % header.count
            self.latest = (header.image_id, header.count, header.sequence)


class Chain:
    """One receiver. noise_db: [dB of full scale] power per sample of white noise that is added first, None for none;
    seed: of that noise; tell: called with each frame; swap_iq: "yes", "no", or "auto": found out. digest: SHA-256 over
    headers and bodies of all frames.

    Raises:
        StationError: a noise or a seed that is none.
    """

    def __init__(
        self,
        name: str,
        *,
        noise_db: float | None = None,
        seed: int = 0,
        tell: Callable[[str, BurstFrame], None] = lambda name, frame: None,
        batch: int = BATCH,
        swap_iq: str = "no",
    ) -> None:
        self.name, self._tell = name, tell
        self._receivers = {swapped: StreamReceiver(batch=batch) for swapped in _SIDES[swap_iq]}
        check_noise(noise_db, seed, name)
        self._noise = None if noise_db is None else np.float32(10 ** (noise_db / 20) / np.sqrt(2))
        self._rng = np.random.default_rng(seed)
        self._noisy = np.zeros(BLOCK, np.complex64)
        self._drawn = np.zeros(2 * BLOCK, np.float32)
        self._swapped = np.zeros(BLOCK, np.complex64)
        self.tally = Tally()
        self._hash = hashlib.sha256()

    @property
    def receiver(self) -> StreamReceiver:
        """The one that is left; while both listen, the one of the samples as they are."""
        return next(iter(self._receivers.values()))

    @property
    def swapped(self) -> bool | None:
        """I and Q are exchanged; None while nobody knows."""
        return next(iter(self._receivers)) if len(self._receivers) == 1 else None

    def push(self, samples: np.ndarray) -> None:
        """[N] complex64, full scale 1, N at most BLOCK."""
        if self._noise is not None:
            drawn, noisy = self._drawn[: 2 * len(samples)], self._noisy[: len(samples)]
            self._rng.standard_normal(dtype=np.float32, out=drawn)
            np.multiply(drawn, self._noise, out=drawn)
            np.add(samples, drawn.view(np.complex64), out=noisy)
            samples = noisy
        self._chosen({swapped: one.push(self._turned(samples, swapped)) for swapped, one in self._receivers.items()})

    def finish(self) -> None:
        """The stream has ended."""
        self._chosen({swapped: one.flush() for swapped, one in self._receivers.items()})

    def _turned(self, samples: np.ndarray, swapped: bool) -> np.ndarray:
        if not swapped:
            return samples
        out = self._swapped[: len(samples)]
        out.real, out.imag = samples.imag, samples.real
        return out

    def _chosen(self, found: dict[bool, list[BurstFrame]]) -> None:
        """Keep the receiver that reads frames; a mirrored signal's headers do not pass their checksum."""
        if len(found) > 1 and any(found.values()):
            best = max(found, key=lambda swapped: (sum(one.crc_ok for one in found[swapped]), len(found[swapped])))
            self._receivers = {best: self._receivers[best]}
            found = {best: found[best]}
        self._take(found[self.swapped or False])

    def _take(self, frames: list[BurstFrame]) -> None:
        for frame in frames:
            self.tally.add(frame)
            self._hash.update(frame.header.pack())
            self._hash.update(frame.body.tobytes())
            self._tell(self.name, frame)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def summary(self) -> dict:
        """What is told of a chain; absent means are None."""
        tally, count = self.tally, self.tally.frames

        def mean(total: float, digits: int) -> float | None:
            return round(total / count, digits) if count else None

        return {
            "frames": count,
            "crc_ok": tally.good,
            "skipped": tally.skipped,
            "kinds": dict(tally.kinds),
            "snr_db": mean(tally.snr_db, 2),
            "cfo": mean(tally.cfo, 6),
            "clock_ppm": mean(tally.clock_ppm, 2),
            "counts": dict(self.receiver.counts),
            "refusals": {cause: n for cause, n in self.receiver.refusals.items() if n},
            "digest": self.digest,
            "swapped": self.swapped,
        }


def check_noise(noise_db: Any, seed: Any, where: str) -> None:
    """Refuse what no generator can be asked for.

    Raises:
        StationError: it names the value.
    """

    def number(value: Any, *kinds: type) -> bool:
        return isinstance(value, kinds) and not isinstance(value, bool)

    low, high = NOISE_DB
    if noise_db is not None and not (number(noise_db, int, float) and low <= noise_db <= high):
        raise StationError(
            f"{where}: noise_db must be {low:g} to {high:g} dB of full scale; got {str(noise_db)[:40]!r}"
        )
    if not (number(seed, int) and 0 <= seed < 1 << 64):
        raise StationError(f"{where}: seed must be a whole number from 0 to 2^64 - 1; got {str(seed)[:40]!r}")


_SIDES = {"no": (False,), "yes": (True,), "auto": (False, True)}


def frame_event(name: str, frame: BurstFrame) -> tuple[dict, dict[str, np.ndarray]]:
    """A frame as a message: fields, and buffers header (packed), body, and of a head frame its symbols, which
    repetitions are combined by."""
    fields = {
        "event": "frame", "chain": name, "crc_ok": frame.crc_ok, "start": frame.start, "end": frame.end,
        "snr_db": frame.snr_db, "cfo": frame.cfo, "clock_ppm": frame.clock_ppm, "evm_db": frame.evm_db,
        "codec": frame.codec, "kind": frame.header.kind.name, "sequence": frame.header.sequence,
        "image_id": frame.header.image_id,
    }  # fmt: skip
    buffers = {"header": np.frombuffer(frame.header.pack(), np.uint8), "body": frame.body}
    if frame.header.kind == Kind.HEAD:
        buffers["symbols"] = np.ascontiguousarray(frame.symbols).view(np.float32)
    return fields, buffers
