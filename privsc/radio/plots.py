"""Pictures of `privsc radio`: what the doctor saw, and a gain sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hardware.diagnosis.doctor import Diagnosis
from privsc.figure_text import literal_text
from privsc.system.report import MET, UNMET, _png

_OK = {True: ("ok", MET), False: ("fails", "#b00020"), None: ("–", "#888888")}
_SIGNAL, _QUIET = "#1f5fa8", "#999999"


@literal_text()
def doctor_picture(told: Diagnosis, sample_rate: float, title: str) -> bytes:
    """PNG: spectrum, level over time with the preambles found, payload symbols, and the stages as a list."""
    figure = Figure(figsize=(12, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    (spectrum, symbols), (level, stages) = figure.subplots(2, 2, width_ratios=(1.35, 1))
    figure.suptitle(title)

    for values, colour, name in (
        (told.background, _QUIET, "nobody sends"),
        (told.spectrum, _SIGNAL, "train on the air"),
    ):
        if len(values):
            at = (np.arange(len(values)) / len(values) - 0.5) * sample_rate / 1e3
            spectrum.plot(at, values, color=colour, linewidth=0.9, label=name)
    spectrum.set(xlabel="beside the carrier [kHz]", ylabel="dBFS per bin", title="spectrum")
    if spectrum.lines:
        spectrum.legend(fontsize=8, loc="lower center", ncols=2)

    if len(told.level):
        at = np.arange(len(told.level)) * told.level_step / sample_rate * 1e3
        level.plot(at, told.level, color=_SIGNAL, linewidth=0.8)
        level.plot(
            told.starts / sample_rate * 1e3,
            np.full(len(told.starts), float(told.level.max()) + 1.5),
            "v",
            color=MET,
            markersize=4,
            label=f"{len(told.starts)} preambles",
        )
        if "background_dbfs" in told.measures:
            level.axhline(told.measures["background_dbfs"], color=_QUIET, linestyle=":", label="nobody sends")
        level.legend(fontsize=8, loc="lower right")
    level.set(xlabel="time [ms]", ylabel="dBFS", title="level")

    if len(told.symbols):
        symbols.plot(told.symbols.real, told.symbols.imag, ".", color=_SIGNAL, markersize=1.5, alpha=0.5)
        reach = max(1.5, float(np.percentile(np.abs(told.symbols), 99)) * 1.1)
        symbols.set(xlim=(-reach, reach), ylim=(-reach, reach))
    else:
        symbols.text(0.5, 0.5, "no frame was demodulated", ha="center", va="center", transform=symbols.transAxes)
    symbols.set(title="payload symbols after the equaliser", aspect="equal", xlabel="I", ylabel="Q")

    stages.axis("off")
    for row, stage in enumerate(told.stages):
        word, colour = _OK[stage.ok]
        height = 1 - (row + 0.5) / len(told.stages)
        stages.text(0.0, height, stage.name, fontsize=9, va="center", weight="bold" if stage.ok is False else None)
        stages.text(0.22, height, word, fontsize=9, va="center", color=colour, weight="bold")
        if stage.ok is not None:
            stages.text(0.34, height, _folded(stage.found, 52), fontsize=7.5, va="center", color="#333333")
    return _png(figure)


@literal_text()
def sweep_picture(rows: list[dict[str, Any]], chosen: dict[str, Any] | None, side: str) -> bytes:
    """PNG: SNR and EVM against gain, the level below."""
    figure = Figure(figsize=(7.5, 6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    gains = [row["gain"] for row in rows]
    for axes, names in (
        (above, (("snr_db", _SIGNAL, "SNR"), ("evm_db", UNMET, "EVM"))),
        (below, (("level_dbfs", _SIGNAL, "train"), ("background_dbfs", _QUIET, "nobody sends"))),
    ):
        for key, colour, name in names:
            values = [np.nan if row[key] is None else row[key] for row in rows]
            axes.plot(gains, values, "o-", color=colour, markersize=4, label=name)
    clipped = [row["gain"] for row in rows if row["verdict"] == "clipping"]
    if clipped:
        below.plot(clipped, np.zeros(len(clipped)), "x", color="#b00020", label="clips")
    for axes in (above, below):
        if chosen is not None:
            axes.axvline(chosen["gain"], color=MET, linestyle="--", label=f"chosen: {chosen['gain']:g} dB")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    above.set(ylabel="dB", title=f"sweep of {side}.gain")
    below.set(xlabel=f"{side}.gain [dB]", ylabel="dBFS")
    return _png(figure)


def _folded(text: str, width: int) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines[:3])
