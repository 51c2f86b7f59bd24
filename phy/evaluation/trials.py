"""Frames through an impaired channel and back, counted: what ``phy.evaluation.modem`` and the tests are made of."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phy.channel.impairments import white_noise
from phy.frame.coded import OUTER_FLAG, named
from phy.frame.format import FrameFormat, ImageFormat
from phy.frame.frame import Kind, headers_for
from phy.modem.burst import BurstTransmitter, Layout
from phy.modem.demodulator import BurstFrame
from phy.modem.short import SHORT_LAYOUT, ShortFormat
from phy.modem.stream import StreamReceiver

_CHUNK = 1 << 18


@dataclass(frozen=True)
class Frames:
    """Frames ready to send. payloads: [F, P] uint8; bursts: [F, S] complex64, both tails included, mean power about
    1."""

    payloads: np.ndarray
    bursts: np.ndarray
    layout: Layout
    frame_format: FrameFormat
    channel_uses: int


@dataclass
class Tally:
    """sent, detected, right: frames; wrong: frames whose CRC holds although the payload is another; extra: frames
    reported where none was sent. snr_db: estimates of the right ones."""

    sent: int = 0
    detected: int = 0
    right: int = 0
    wrong: int = 0
    extra: int = 0
    snr_db: list[float] = field(default_factory=list)
    clock_ppm: list[float] = field(default_factory=list)
    cfo: list[float] = field(default_factory=list)
    refusals: Counter = field(default_factory=Counter)

    @property
    def per(self) -> float:
        """Packet error rate: frames not delivered exactly, over frames sent."""
        return 1 - self.right / max(self.sent, 1)


def image_frames(
    count: int, payload_bytes: int, codec: str, rng: np.random.Generator, *, gap: int = 0, layout: Layout | None = None
) -> Frames:
    """Random payloads as frames of ``phy.frame.frame``, gap zeros after each burst. codec: a name, with "+outer" for
    the code."""
    layout = Layout() if layout is None else layout
    payloads = rng.integers(0, 256, (count, payload_bytes), dtype=np.uint8)
    chosen, coded = named(codec)
    codec_id = chosen.codec_id | (OUTER_FLAG if coded else 0)
    headers = headers_for(
        payloads, count * payload_bytes, kind=Kind.BODY, codec_id=codec_id, image_id=1, k_digest=bytes(8)
    )
    data = ImageFormat().modulate(headers, payloads)
    bursts = BurstTransmitter(layout, gap=gap).bursts(data)
    return Frames(payloads, bursts, layout, ImageFormat(), layout.num_symbols(data.shape[1]))


def short_frames(count: int, rng: np.random.Generator, *, gap: int = 0) -> Frames:
    """Random 72-byte payloads as short frames."""
    short = ShortFormat()
    payloads = rng.integers(0, 256, (count, short.payload_bytes), dtype=np.uint8)
    data = short.modulate(payloads)
    bursts = BurstTransmitter(SHORT_LAYOUT, gap=gap).bursts(data)
    return Frames(payloads, bursts, SHORT_LAYOUT, short, SHORT_LAYOUT.num_symbols(data.shape[1]))


def receive(receiver: StreamReceiver, samples: np.ndarray, chunk: int = _CHUNK) -> list[BurstFrame]:
    """A whole stretch of samples through a stream receiver, flush included."""
    frames: list[BurstFrame] = []
    for begin in range(0, len(samples), chunk):
        frames += receiver.push(samples[begin : begin + chunk])
    return frames + receiver.flush()


def run_trials(
    frames: Frames,
    impair: Callable[[np.ndarray, int], np.ndarray],
    noise: float,
    rng: np.random.Generator,
    *,
    receiver: StreamReceiver | None = None,
    margin: int = 400,
    batch: int = 200,
) -> Tally:
    """Each burst impaired by itself, placed in a slot of its own at a random place, noise over everything, received.

    impair: (burst [S], index) to samples, any length; noise: variance per complex sample; margin: empty samples in a
    slot.
    """
    receiver = StreamReceiver(frames.layout, frames.frame_format) if receiver is None else receiver
    tally, before = Tally(), Counter(receiver.refusals)
    for first in range(0, len(frames.bursts), batch):
        part = [impair(burst, first + i) for i, burst in enumerate(frames.bursts[first : first + batch])]
        slot = max(len(one) for one in part) + margin
        places = rng.integers(0, margin, len(part))
        stretch = np.zeros(slot * len(part), np.complex64)
        for i, one in enumerate(part):
            stretch[i * slot + places[i] : i * slot + places[i] + len(one)] = one
        received = receive(receiver, white_noise(stretch, noise, rng))
        _count(tally, received, frames.payloads[first : first + batch], places, slot, frames.layout.pulse.delay)
    tally.refusals = receiver.refusals - before
    return tally


def _count(
    tally: Tally, received: list[BurstFrame], payloads: np.ndarray, places: np.ndarray, slot: int, delay: int
) -> None:
    tally.sent += len(payloads)
    seen, right = np.zeros(len(payloads), bool), np.zeros(len(payloads), bool)
    for frame in received:
        i, inside = divmod(frame.start - delay, slot)
        if not 0 <= i < len(payloads) or abs(inside - places[i]) > 64:
            tally.extra += 1
            continue
        seen[i] = True
        if not frame.crc_ok:
            continue
        if np.array_equal(frame.payload, payloads[i]):
            right[i] = True
            tally.snr_db.append(frame.snr_db)
            tally.clock_ppm.append(frame.clock_ppm)
            tally.cfo.append(frame.cfo)
        else:
            tally.wrong += 1
    tally.detected += int(seen.sum())
    tally.right += int(right.sum())


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print rows below a title, columns aligned to the right."""
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]
    print(f"\n{title}")
    for row in [columns, ["-" * width for width in widths], *rows]:
        print("  " + "  ".join(str(cell).rjust(width) for cell, width in zip(row, widths, strict=True)))
    sys.stdout.flush()
