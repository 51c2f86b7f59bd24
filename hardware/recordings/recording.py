"""What a recording is, once it was read: where its samples lie, at what rate, and what is said about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from hardware.errors import RecordingError
from hardware.recordings.samples import SampleSource

RATES = (1e3, 1e9)  # [samples/s] that anything is recorded at


@dataclass(frozen=True)
class Recording:
    """A recording that was read.

    source: where its samples lie. sample_rate: [samples/s]. frequency: [Hz] of the carrier, None where it is not said.
    fields: ours, without the namespace; empty for those that others made. annotations: ours, each with ``start``.
    captures: stretches that the recording speaks of. about: what kind of file it is, for reports.
    """

    source: SampleSource
    sample_rate: float
    frequency: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    captures: int = 1
    about: str = "SigMF"

    @property
    def samples(self) -> int:
        return self.source.samples

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


def checked_rate(value: Any, where: str) -> float:
    """[samples/s] that can be one.

    Raises:
        RecordingError: not a number, not finite, or out of ``RATES``.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not RATES[0] <= value <= RATES[1]:
        raise RecordingError(
            f"{where}: the sample rate must be {RATES[0]:g} to {RATES[1]:g} samples/s; got {str(value)[:40]!r}"
            + ("" if where.startswith("--") else "; --sample-rate says another")
        )
    return float(value)
