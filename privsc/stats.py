"""Figures with intervals: proportions, means, bootstrap estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval and the number of pictures behind it; None where there were none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    count: int
    unit: str = ""


def share(name: str, hits: Sequence[bool]) -> Figure:
    """A proportion in % with its Clopper-Pearson interval."""
    count = len(hits)
    if count == 0:
        return Figure(name, None, None, None, 0, "%")
    interval = stats.binomtest(int(sum(hits)), count).proportion_ci(method="exact")
    return Figure(name, 100 * sum(hits) / count, 100 * interval.low, 100 * interval.high, count, "%")


def mean(name: str, values: Sequence[float], unit: str = "") -> Figure:
    """A mean with its bootstrap percentile interval (2,000 resamples, fixed seed)."""
    data = np.asarray(values, float)
    if data.size == 0:
        return Figure(name, None, None, None, 0, unit)
    rng = np.random.default_rng(0)
    means = data[rng.integers(data.size, size=(2000, data.size))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Figure(name, float(data.mean()), float(low), float(high), data.size, unit)


@dataclass(frozen=True)
class Share:
    """Hits of trials, with the exact (Clopper-Pearson) 95 % interval and what guessing would reach; all in [0, 1]."""

    hits: int
    trials: int
    chance: float

    @property
    def value(self) -> float | None:
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        if not self.trials:
            return None
        found = stats.binomtest(self.hits, self.trials).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    @property
    def above_chance(self) -> bool:
        """Whether the interval lies above chance."""
        return self.interval is not None and self.interval[0] > self.chance


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; None where no photograph has the figure."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def known(self) -> tuple[float, float, float]:
        """value, low, high of a figure that is there."""
        if self.value is None or self.low is None or self.high is None:
            raise ValueError("no photograph has this figure")
        return self.value, self.low, self.high


def resampled(count: int) -> NDArray[np.int64]:
    """[RESAMPLES, count] which photographs are drawn, the same for the same number of photographs."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def bootstrap(values: Sequence[float]) -> Estimate:
    """Mean with its percentile interval over photographs."""
    data = np.asarray(values, float)
    if data.size == 0:
        return Estimate(None)
    means = data[resampled(data.size)].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(data.mean()), float(low), float(high))


def lead(pairs: NDArray[np.float64], ratio: bool) -> Estimate:
    """Bob's lead, of [N, 2] values of Bob and Eve: mean difference, or ratio of the means less one in %."""
    if len(pairs) == 0:
        return Estimate(None)
    if not ratio:
        return bootstrap(list(pairs[:, 0] - pairs[:, 1]))
    bob, eve = pairs.mean(axis=0)
    if eve <= 0:
        return Estimate(None)
    means = pairs[resampled(len(pairs))].mean(axis=1)  # [RESAMPLES, 2]
    ratios = 100 * (means[:, 0] / np.maximum(means[:, 1], 1e-9) - 1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Estimate(float(100 * (bob / eve - 1)), float(low), float(high))
