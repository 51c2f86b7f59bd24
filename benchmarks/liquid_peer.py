"""liquid-dsp's framegen64 and framesync64 (the distribution's libliquid) by ctypes: 72 bytes in 1440 samples.

The library is package libliquid1 of Debian 12 and 13 and of Ubuntu 24.04; libliquid-dev brings it too.
"""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np

from benchmarks.signals import Bursts

FRAME_SAMPLES = 1440
MISSING = "libliquid is not installed: sudo apt-get install libliquid1"


class _Stats(ctypes.Structure):
    _fields_ = [("detected", ctypes.c_uint), ("headers", ctypes.c_uint), ("payloads", ctypes.c_uint),
                ("bytes", ctypes.c_ulong)]  # fmt: skip


def library() -> ctypes.CDLL | None:
    """The shared library, None where it is not installed or lacks the functions that are needed."""
    name = ctypes.util.find_library("liquid") or "libliquid.so.1"
    try:
        lib = ctypes.CDLL(name)
        for function in ("framegen64_create", "framesync64_create"):
            getattr(lib, function).restype = ctypes.c_void_p
        lib.framesync64_get_framedatastats.restype = _Stats
    except (OSError, AttributeError):
        return None
    return lib


def frames(lib: ctypes.CDLL, count: int, rng: np.random.Generator) -> Bursts:
    """Frames with random header (8 bytes) and payload (64 bytes)."""
    generator = ctypes.c_void_p(lib.framegen64_create())
    out = np.zeros((count, FRAME_SAMPLES), np.complex64)
    payloads = rng.integers(0, 256, (count, 72), dtype=np.uint8)
    for row, data in zip(out, payloads, strict=True):
        header, payload = data[:8].tobytes(), data[8:].tobytes()
        lib.framegen64_execute(generator, header, payload, row.ctypes.data_as(ctypes.c_void_p))
    lib.framegen64_destroy(generator)
    return Bursts(out, payloads)


class FrameSync:
    """framesync64 over a stream: counts only."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib
        self._sync = ctypes.c_void_p(lib.framesync64_create(None, None))

    def push(self, samples: np.ndarray) -> None:
        """samples: [N] complex64."""
        samples = np.ascontiguousarray(samples, np.complex64)
        self._lib.framesync64_execute(self._sync, samples.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint(len(samples)))

    @property
    def stats(self) -> _Stats:
        """detected frames, valid headers, valid payloads so far."""
        return self._lib.framesync64_get_framedatastats(self._sync)

    def close(self) -> None:
        self._lib.framesync64_destroy(self._sync)
