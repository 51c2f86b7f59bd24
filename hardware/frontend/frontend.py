"""A front end: raw blocks to what receive chains are given, and what was done to them on the way.

block ──checked──► finite ──DcBlocker──► ──Resampler──► chains
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from hardware.errors import HardwareError
from hardware.frontend.dc import MODES, DcBlocker
from hardware.frontend.resampler import Resampler, checked_ratio

LARGEST = np.float32(1e8)  # magnitude of a component beyond which a sample is taken as a zero


@dataclass(frozen=True)
class Correction:
    """What is done to samples. dc_block: "auto", "yes" or "no"; swap_iq: the same, of the exchange of I and Q."""

    dc_block: str = "no"
    swap_iq: str = "no"

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value not in MODES:
                raise HardwareError(
                    f"--{name.replace('_', '-')} must be one of {', '.join(MODES)}; got {str(value)[:40]!r}"
                )

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Correction:
        """As ``as_dict`` made it; what is left out is not done."""
        values = values or {}
        return cls(str(values.get("dc_block", "no")), str(values.get("swap_iq", "no")))


class FrontEnd:
    """recorded, signal: [samples/s] of the input and of the signal; the same where nothing is resampled."""

    def __init__(self, correction: Correction, recorded: float = 1.0, signal: float = 1.0) -> None:
        self.ratio = checked_ratio(recorded, signal)
        self.dc = DcBlocker(correction.dc_block)
        self.counts: Counter[str] = Counter()
        self._resampler = None if self.ratio == 1 else Resampler(self.ratio)

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """[N] complex64 to pieces [M] complex64, valid until the next one."""
        clean = self.dc.push(self._checked(samples))
        if self._resampler is None:
            yield clean
        else:
            yield from self._resampler.push(clean)

    def finish(self) -> Iterator[np.ndarray]:
        """The stream has ended."""
        if self._resampler is not None:
            yield from self._resampler.finish()

    def _checked(self, samples: np.ndarray) -> np.ndarray:
        """NaN, infinite and absurd samples as zeros, counted."""
        if len(samples) == 0:
            return samples
        parts = samples.view(np.float32)
        if max(float(parts.max()), -float(parts.min())) <= LARGEST:  # NaN fails the comparison too
            return samples
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(parts).reshape(-1, 2).all(axis=1)
            good = finite & (np.abs(parts) <= LARGEST).reshape(-1, 2).all(axis=1)
        self.counts["non_finite"] += int(np.count_nonzero(~finite))
        self.counts["too_large"] += int(np.count_nonzero(finite & ~good))
        samples = samples.copy()
        samples[~good] = 0
        return samples

    def report(self) -> dict[str, Any]:
        """What was done: the ratio of the rates, the DC in dBFS and against the rest, samples that were none."""
        ratio = Fraction(self.ratio)
        return {
            "resampled": None if self._resampler is None else f"{ratio.numerator}/{ratio.denominator}",
            "dc_removed": self.dc.removing,
            "dc_dbfs": self.dc.loudest_dbfs,
            "dc_db": self.dc.loudest_db,
            "non_finite": self.counts["non_finite"],
            "too_large": self.counts["too_large"],
        }
