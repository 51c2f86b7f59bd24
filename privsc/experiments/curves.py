"""Figures of an experiment as vector graphics: curves with intervals, bars where no axis has numbers.

Drawn once for the page, whose colour scheme the reader's device chooses (text in the page's own colour, transparent
ground), and once for paper.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from privsc.experiments.claims import series_label
from privsc.experiments.measures import FIGURES
from privsc.experiments.spec import Experiment
from privsc.experiments.summary import Cell
from privsc.figure_text import literal_text
from privsc.stats import Estimate

BOB, EVE = "#2f81f7", "#e3702a"  # both 3:1 or better on white and on near-black
INK = "#010203"  # stands for the page's own colour
MARKERS, LINES = "osD^vPX*", ("-", "--", ":", "-.")
AXIS_LABELS = {"snr_db": "Es/N0 at Bob [dB]", "eve_snr_db": "Es/N0 at Eve [dB]", "steps": "denoising steps"}
SIZE = (4.3, 3.2)  # [inch]: legible at the width of a phone


def x_label(experiment: Experiment) -> str:
    """What is written under the curves; Eve shares Bob's SNR where she has none of her own."""
    name = experiment.x or ""
    if name == "snr_db" and "eve_snr_db" not in experiment.axes and "eve_snr_db" not in experiment.fixed:
        return "Es/N0 at Bob and at Eve [dB]"
    return AXIS_LABELS.get(name, name)


@literal_text()
def draw(cells: Sequence[Cell], experiment: Experiment, figure: str) -> Figure:
    """One figure of all series, Bob and Eve."""
    mine = [cell for cell in cells if cell.figure == figure]
    drawn = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(drawn)
    drawn.patch.set_alpha(0)
    axes = drawn.subplots()
    axes.patch.set_alpha(0)
    series = list(dict.fromkeys(cell.series for cell in mine))
    if experiment.x is None:
        _bars(axes, mine, experiment)
    else:
        for number, one in enumerate(series):
            for who, colour in (("bob", BOB), ("eve", EVE)):
                _curve(axes, [cell for cell in mine if cell.series == one], who, colour, number, experiment)
        axes.set_xlabel(x_label(experiment))
        values = sorted({cell.x for cell in mine})
        if len(values) <= 10:
            axes.set_xticks(values, [f"{value:g}" for value in values])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8))
    what = FIGURES[figure]
    axes.set_ylabel(what.label + (f" [{what.unit}]" if what.unit else ""))
    if what.unit == "%":
        axes.set_ylim(-4, 104)
    axes.grid(True, color=INK, alpha=0.15, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, labelsize=10)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=10.5)
    many = len(series) > 1
    place: Any = "outside lower center" if many else "outside upper center"
    legend = drawn.legend(loc=place, ncols=2, frameon=False, fontsize=10, labelcolor=INK)
    legend.set_zorder(5)
    if many:
        drawn.set_figheight(SIZE[1] + 0.2 * len(series))
    return drawn


def _of(cell: Cell, who: str) -> Estimate:
    return cell.bob if who == "bob" else cell.eve


def _curve(axes: Axes, cells: Sequence[Cell], who: str, colour: str, number: int, experiment: Experiment) -> None:
    points = sorted((cell.x, *_of(cell, who).known) for cell in cells if _of(cell, who).value is not None)
    if not points:
        return
    x, middle, low, high = (list(column) for column in zip(*points, strict=True))
    label = series_label(experiment, cells[0].series)
    name = who.capitalize() + (f", {label}" if label else "")
    axes.plot(
        x,
        middle,
        color=colour,
        label=name,
        linestyle=LINES[number % len(LINES)],
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        linewidth=1.7,
    )
    if number == 0 or len(experiment.series) == 0:
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    else:  # bands of many curves hide one another
        axes.vlines(x, low, high, color=colour, linewidth=0.9, alpha=0.6)


def _bars(axes: Axes, cells: Sequence[Cell], experiment: Experiment) -> None:
    for offset, who, colour in ((-0.2, "bob", BOB), (0.2, "eve", EVE)):
        for place, cell in enumerate(cells):
            one = _of(cell, who)
            if one.value is None:
                continue
            axes.bar(place + offset, one.value, 0.36, color=colour, label=who.capitalize() if place == 0 else None)
            axes.vlines(place + offset, *one.known[1:], color=INK, linewidth=1.1)
    labels = [series_label(experiment, cell.series) or "all" for cell in cells]
    long = max(map(len, labels)) > 8
    axes.set_xticks(range(len(cells)), labels, rotation=30 if long else 0, ha="right" if long else "center")


@literal_text()
def page_svg(figure: Figure, name: str) -> str:
    """An <svg> element for a page: no size of its own, text as text in the page's colour."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        text = _saved(figure, "svg", metadata={"Date": None, "Creator": None}).decode()
    element = text[text.index("<svg") :]
    head, _, rest = element.partition(">")
    view = head[head.index('viewBox="') :].split('"')[1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view}" '
        f'role="img" aria-label="{name}">{rest}'
    ).replace(INK, "currentColor")


@literal_text()
def paper_files(figure: Figure, name: str) -> dict[str, bytes]:
    """The same for a paper: SVG and PDF in black on white, without dates, so that equal figures are equal files."""
    with matplotlib.rc_context({"svg.hashsalt": name, "pdf.fonttype": 42}):
        figure.patch.set_alpha(1)
        svg = _saved(figure, "svg", metadata={"Date": None, "Creator": None}).replace(INK.encode(), b"#000000")
        pdf = _saved(figure, "pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        figure.patch.set_alpha(0)
    return {f"{name}.svg": svg, f"{name}.pdf": pdf}


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
