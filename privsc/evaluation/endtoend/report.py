"""Figures of Algorithm 3's comparison: learning curves, L_total as bars, and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from privsc.evaluation.endtoend.compare import Judged
from privsc.figure_text import literal_text
from privsc.images.photo_io import encode_png
from privsc.stats import Figure as Value
from privsc.stats import mean

COLOURS = {"L_a": "#2f81f7", "f": "#e3702a", "L_total": "#444444"}
WINDOW = 10


def _smooth(values: Sequence[float]) -> NDArray[np.float64]:
    """Mean of the last ``WINDOW`` steps."""
    total = np.cumsum(np.insert(np.asarray(values, float), 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - WINDOW, 0)
    return (total[ends] - total[starts]) / (ends - starts)


@literal_text()
def curves(
    history: Sequence[Mapping[str, float]], arms: Mapping[str, Judged], weight: float, eve: str, gain: Value
) -> Figure:
    """Left: the terms of the joint training on its batches. Right: L_total of each arm on held-out photographs.

    ``gain`` is the paired difference of the arms' L_total, written below them.
    """
    figure = Figure(figsize=(9, 3.6), constrained_layout=True)
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    steps = [row["step"] for row in history]
    for key, label, scale in (("loss", "L_total", 1.0), ("L_a", "L_a", 1.0), ("f", f"{weight:g} f", weight)):
        colour = COLOURS["L_total" if key == "loss" else key]
        left.plot(steps, _smooth([scale * row[key] for row in history]), label=label, color=colour)
    left.set(title="joint training, its batches", xlabel="step", ylabel=f"mean of {WINDOW} steps", ylim=(0, None))
    left.legend(frameon=False)
    for place, judged in enumerate(arms.values()):
        authorised = float(judged.authorised.mean())
        right.bar(place, authorised, 0.6, color=COLOURS["L_a"], label="L_a" if place == 0 else None)
        leak = weight * float(judged.leakage[eve].mean())
        right.bar(place, leak, 0.6, authorised, color=COLOURS["f"], label=f"{weight:g} f" if place == 0 else None)
        total = mean("", judged.total(weight, eve).tolist())
        assert total.value is not None and total.low is not None and total.high is not None
        spread = [[total.value - total.low], [total.high - total.value]]
        right.errorbar(place, total.value, spread, color=COLOURS["L_total"], capsize=4)
    right.set_xticks(range(len(arms)), list(arms))
    right.set(
        title="held-out photographs, 95 % interval",
        ylabel="L_total",
        xlabel=f"paired: {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})",
    )
    right.legend(frameon=False, loc="upper right")
    right.margins(y=0.25)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


@literal_text()
def as_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as png or svg."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format=kind, dpi=120)
    return buffer.getvalue()


def _width(tiles: Sequence[NDArray[np.uint8]]) -> int:
    return sum(tile.shape[1] for tile in tiles)


def pictures(clean: NDArray[np.uint8], arms: Mapping[str, Judged], count: int = 8) -> bytes:
    """PNG: a row for each of ``count`` pictures: S, then A, Bob and Eve of each arm."""
    chosen = np.linspace(0, len(clean) - 1, min(count, len(clean))).round().astype(int)
    gap = np.full((96, 8, 3), 255, np.uint8)
    rows = []
    for n in chosen:
        tiles: list[Any] = [clean[n]]
        for judged in arms.values():
            tiles += [gap, *(judged.pictures[name][n] for name in ("A", "Bob", "Eve"))]
        rows += [np.concatenate(tiles, axis=1), np.full((8, _width(tiles), 3), 255, np.uint8)]
    return encode_png(np.concatenate(rows[:-1]).repeat(2, axis=0).repeat(2, axis=1))
