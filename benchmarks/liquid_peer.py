"""liquid-dsp's framegen64 and framesync64 (the distribution's libliquid) by ctypes: 72 bytes in 1440 samples."""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np

FRAME_SAMPLES = 1440
SAMPLES_PER_SYMBOL = 2


class _Stats(ctypes.Structure):
    _fields_ = [("detected", ctypes.c_uint), ("headers", ctypes.c_uint), ("payloads", ctypes.c_uint),
                ("bytes", ctypes.c_ulong)]  # fmt: skip


def library() -> ctypes.CDLL | None:
    """The shared library, None where it is not installed (package libliquid1 or libliquid-dev)."""
    name = ctypes.util.find_library("liquid") or "libliquid.so.1"
    try:
        lib = ctypes.CDLL(name)
    except OSError:
        return None
    for function in ("framegen64_create", "framesync64_create"):
        getattr(lib, function).restype = ctypes.c_void_p
    lib.framesync64_get_framedatastats.restype = _Stats
    return lib


def frames(lib: ctypes.CDLL, count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, 1440] complex64 frames with random header and payload."""
    generator = ctypes.c_void_p(lib.framegen64_create())
    out = np.zeros((count, FRAME_SAMPLES), np.complex64)
    for row in out:
        header, payload = rng.bytes(8), rng.bytes(64)
        lib.framegen64_execute(generator, header, payload, row.ctypes.data_as(ctypes.c_void_p))
    lib.framegen64_destroy(generator)
    return out


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
