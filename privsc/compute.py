"""Number format of training on this processor: the one place that chooses between float32 and bfloat16.

A processor without bfloat16 instructions emulates them, an order of magnitude slower than float32; one that has them
need not gain from them. So both are timed once per process on a small convolution, and bfloat16 is taken only where
it is clearly faster. ``PRIVSC_DTYPE`` (auto, float32, bfloat16) or `forced` overrule the choice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F

from privsc.errors import ConfigError
from privsc.threads import one_thread

VARIABLE = "PRIVSC_DTYPE"
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
GAIN = 2.0
"""bfloat16 must be this many times faster than float32 to be chosen. Below that a busy machine would decide by chance,
and float32 is more exact."""
REPETITIONS = 3

_forced: ContextVar[torch.dtype | None] = ContextVar("privsc_forced_dtype", default=None)


@dataclass(frozen=True)
class Timing:
    """What a process found out about its processor.

    Attributes:
        capability: instruction set that torch uses, as it names it ("AVX2", "AVX512", "NEON", ...).
        native: whether oneDNN has kernels for bfloat16 on this processor; where not, they are emulated and not timed.
        float32, bfloat16: seconds of a small convolution, forward and backward; None where not measured.
    """

    capability: str
    native: bool
    float32: float | None
    bfloat16: float | None

    @property
    def dtype(self) -> torch.dtype:
        """bfloat16 where it is at least `GAIN` times faster than float32, float32 elsewhere."""
        if self.float32 is None or self.bfloat16 is None:
            return torch.float32
        return torch.bfloat16 if self.float32 >= GAIN * self.bfloat16 else torch.float32


def _has_bfloat16() -> bool:
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build of torch without oneDNN
        return False


def _seconds(dtype: torch.dtype) -> float:
    """One training step of a 3 x 3 convolution as U_theta has it, [4, 96, 24, 24]."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 96, 24, 24, generator=generator)
    weight = (0.03 * torch.randn(96, 96, 3, 3, generator=generator)).requires_grad_()
    start = time.perf_counter()
    with torch.enable_grad():  # the caller may be about to estimate without gradients
        with autocast(dtype):
            y = F.silu(F.conv2d(x, weight, padding=1))
        y.float().square().mean().backward()
    return time.perf_counter() - start


@lru_cache(maxsize=1)
def timing() -> Timing:
    """Capability and timing of this processor, measured at the first call and kept for the process."""
    capability, native = torch.backends.cpu.get_cpu_capability(), _has_bfloat16()
    if not native:
        return Timing(capability, native, None, None)
    _seconds(torch.float32), _seconds(torch.bfloat16)  # the first of each prepares its kernels
    pairs = [(_seconds(torch.float32), _seconds(torch.bfloat16)) for _ in range(REPETITIONS)]
    return Timing(capability, native, min(a for a, _ in pairs), min(b for _, b in pairs))


def compute_dtype() -> torch.dtype:
    """Number format that trainings use: torch.float32 or torch.bfloat16.

    Raises:
        ConfigError: where the environment variable names neither.
    """
    if (chosen := _forced.get()) is not None:
        return chosen
    name = os.environ.get(VARIABLE, "auto").strip().lower() or "auto"
    if name == "auto":
        return timing().dtype
    if name not in FORMATS:
        raise ConfigError(f"{VARIABLE}: must be auto, float32 or bfloat16; got {name!r}")
    return FORMATS[name]


@contextmanager
def forced(dtype: torch.dtype) -> Iterator[None]:
    """`compute_dtype` is ``dtype`` within, whatever the processor and the environment say."""
    if dtype not in FORMATS.values():
        raise ConfigError(f"dtype: must be torch.float32 or torch.bfloat16; got {dtype}")
    token = _forced.set(dtype)
    try:
        yield
    finally:
        _forced.reset(token)


@contextmanager
def autocast(dtype: torch.dtype | None = None) -> Iterator[None]:
    """Compute in ``dtype`` (None: `compute_dtype`) within; parameters stay float32."""
    chosen = compute_dtype() if dtype is None else dtype
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=chosen is torch.bfloat16):
        yield


@contextmanager
def reproducible() -> Iterator[None]:
    """float32 and one thread within, so that a training gives the same result in any worker."""
    with one_thread(), forced(torch.float32):
        yield


@contextmanager
def initial_values(seed: int) -> Iterator[None]:
    """Layers that are made within begin at values of ``seed``; torch's own generator is then as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
