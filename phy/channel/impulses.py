"""Impulse responses on their way from Sionna to a flowgraph: a JSON header and a raw buffer, one ZMQ message a segment.

    [header, taps]   header: {"privsc_impulses": 1, "stream": "5d0c…", "sequence": 3, "channel": "tdl-c", "sample_rate":
                              1e6, "first_lag": -6, "spacing": 1302, "samples": 1000000, "shape": [770, 13]}
                     taps:   complex64, [knots, L]

Segments follow one another: each says for how many samples it holds. Nothing is evaluated or unpickled. Numpy only,
since both interpreters import this.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phy.errors import ChannelError

VERSION = 1
MAX_TAPS = 512
MAX_KNOTS = 1 << 16
MAX_SAMPLES = 1 << 40
MAX_BUFFER = 64 << 20  # [bytes]
MAX_HEADER = 4096  # [bytes]


class ImpulseError(ChannelError):
    """Impulse responses of impossible size, or a message that is none."""


@dataclass(frozen=True)
class Segment:
    """Impulse responses for the next ``samples`` samples of a stream.

    taps: [knots, L] complex64, tap j delays by j samples. One knot: constant. More: knot k holds at sample k * spacing
    of the segment, linear in between, and (knots - 1) * spacing >= samples. first_lag: lag of tap 0, for information
    (the stream comes out -first_lag samples later). stream, sequence: which server, and its how manyth segment.
    """

    taps: np.ndarray
    samples: int
    spacing: int = 1
    first_lag: int = 0
    stream: str = ""
    sequence: int = 0
    channel: str = ""
    sample_rate: float = 1e6

    def __post_init__(self) -> None:
        taps = self.taps
        if taps.ndim != 2 or taps.dtype != np.complex64:
            raise ImpulseError(f"taps must be [knots, L] complex64, got {taps.dtype} of shape {list(taps.shape)}")
        knots, length = taps.shape
        for name, value, high in (
            ("knots", knots, MAX_KNOTS),
            ("taps", length, MAX_TAPS),
            ("samples", self.samples, MAX_SAMPLES),
            ("spacing", self.spacing, MAX_SAMPLES),
        ):
            if not 1 <= value <= high:
                raise ImpulseError(f"{name} of a segment must be 1 to {high}, got {value}")
        if knots > 1 and (knots - 1) * self.spacing < self.samples:
            raise ImpulseError(f"{knots} knots {self.spacing} samples apart do not reach over {self.samples} samples")
        if not np.isfinite(taps.view(np.float32)).all():
            raise ImpulseError("taps must be finite numbers")


def encode(segment: Segment) -> list[bytes]:
    """The two parts of a segment's message."""
    header = {
        "privsc_impulses": VERSION,
        "stream": segment.stream,
        "sequence": segment.sequence,
        "channel": segment.channel,
        "sample_rate": segment.sample_rate,
        "first_lag": segment.first_lag,
        "spacing": segment.spacing,
        "samples": segment.samples,
        "shape": list(segment.taps.shape),
    }
    return [json.dumps(header, allow_nan=False).encode(), np.ascontiguousarray(segment.taps).tobytes()]


def decode(parts: Sequence[bytes]) -> Segment:
    """Inverse of ``encode``; whatever that would not have made raises ImpulseError."""
    if len(parts) != 2 or len(parts[0]) > MAX_HEADER or len(parts[1]) > MAX_BUFFER:
        raise ImpulseError(f"a segment has a header and a buffer of at most {MAX_BUFFER} bytes; got {len(parts)} parts")
    try:
        header = json.loads(parts[0])
    except (ValueError, RecursionError):
        raise ImpulseError("the header of a segment is not JSON") from None
    if not isinstance(header, dict) or header.get("privsc_impulses") != VERSION:
        got = header.get("privsc_impulses") if isinstance(header, dict) else None
        raise ImpulseError(f"this side reads segments of version {VERSION}; got {got!r}"[:200])
    shape = header.get("shape")
    if not isinstance(shape, list) or len(shape) != 2 or not all(_whole(n, 1, MAX_KNOTS) for n in shape):
        raise ImpulseError("shape of a segment must be [knots, L]")
    if 8 * math.prod(shape) != len(parts[1]):
        raise ImpulseError(f"{len(parts[1])} bytes are no taps of shape {shape}")
    for name, low, high in (
        ("samples", 1, MAX_SAMPLES),
        ("spacing", 1, MAX_SAMPLES),
        ("sequence", 0, MAX_SAMPLES),
        ("first_lag", -MAX_TAPS, MAX_TAPS),
    ):
        if not _whole(header.get(name), low, high):
            raise ImpulseError(f"{name} of a segment must be a whole number from {low} to {high}")
    rate = header.get("sample_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e12:
        raise ImpulseError("sample_rate of a segment must be a positive number [Hz]")
    words = [str(header.get(name, ""))[:64] for name in ("stream", "channel")]
    taps = np.frombuffer(parts[1], np.complex64).reshape(shape)
    return Segment(
        taps,
        header["samples"],
        header["spacing"],
        header["first_lag"],
        words[0],
        header["sequence"],
        words[1],
        float(rate),
    )


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
