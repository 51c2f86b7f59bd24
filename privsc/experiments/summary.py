"""What the rows of an experiment say together: means over photographs with bootstrap intervals, Bob beside Eve.

The photograph is what is drawn again, with all its transmissions: repetitions of one photograph with other noise are
not new evidence about other photographs. Differences and ratios are taken photograph by photograph, which leaves out
what the photographs themselves differ in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from privsc.experiments.measures import FIGURES, FigureOf
from privsc.experiments.spec import Experiment
from privsc.experiments.table import Row
from privsc.stats import Estimate, bootstrap, lead


@dataclass(frozen=True)
class Cell:
    """One figure at one point of the axes.

    Attributes:
        series: values of the axes that tell curves apart; x: of the axis under the curve.
        figure: name in FIGURES.
        bob, eve: means; lead: Bob's lead over Eve, a difference (%, dB) or, for SSIM, a ratio.
        photos, transmissions: behind it.
    """

    series: tuple[Any, ...]
    x: Any
    figure: str
    bob: Estimate
    eve: Estimate
    lead: Estimate
    photos: int
    transmissions: int


def summarise(rows: Sequence[Row], experiment: Experiment) -> list[Cell]:
    """Every figure at every point, in the order of the axes."""
    x, series = experiment.x, experiment.series
    groups: dict[tuple[tuple[Any, ...], Any], list[Row]] = {}
    for row in rows:
        key = tuple(row.get(name) for name in series), row.get(x) if x else None
        groups.setdefault(key, []).append(row)
    cells = []
    for figure in FIGURES:
        for (one, value), members in groups.items():
            cells.append(_cell(one, value, figure, members))
    return cells


def _cell(series: tuple[Any, ...], x: Any, figure: str, rows: Sequence[Row]) -> Cell:
    what = FIGURES[figure]
    bob, eve = (per_photo(rows, f"{who}_{what.column}", what) for who in ("bob", "eve"))
    both = [name for name in bob if name in eve]
    pairs = np.array([(bob[name], eve[name]) for name in both], float).reshape(-1, 2)
    photos = len({row["photo_sha256"] for row in rows})
    return Cell(
        series,
        x,
        figure,
        bootstrap(list(bob.values())),
        bootstrap(list(eve.values())),
        lead(pairs, what.ratio),
        photos,
        len(rows),
    )


def per_photo(rows: Sequence[Row], column: str, what: FigureOf) -> dict[str, float]:
    """Photograph to its mean over transmissions; proportions in %."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = row.get(column)
        if value is not None and math.isfinite(value):
            values.setdefault(row["photo_sha256"], []).append(float(value) * (100 if what.unit == "%" else 1))
    return {name: float(np.mean(some)) for name, some in values.items()}


def summary_rows(cells: Sequence[Cell], experiment: Experiment) -> list[Row]:
    """Cells as rows of a table."""
    rows = []
    for cell in cells:
        row: Row = dict(zip(experiment.series, cell.series, strict=True))
        if experiment.x:
            row[experiment.x] = cell.x
        row |= {"figure": cell.figure, "unit": FIGURES[cell.figure].unit}
        for who, one in (("bob", cell.bob), ("eve", cell.eve), ("lead", cell.lead)):
            row |= {who: one.value, f"{who}_low": one.low, f"{who}_high": one.high}
        rows.append(
            row
            | {
                "lead_unit": "%" if FIGURES[cell.figure].ratio else FIGURES[cell.figure].unit,
                "photos": cell.photos,
                "transmissions": cell.transmissions,
            }
        )
    return rows
