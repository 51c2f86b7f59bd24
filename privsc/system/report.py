"""Pictures of results: one run side by side, and the grid of the paper's Fig. 4."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from privsc.figure_text import literal_text
from privsc.files import to_json
from privsc.images.photo_io import encode_png
from privsc.system.trial import Trial

DPI = 130
MET, UNMET, TEXT = "#1a7f37", "#b35900", "#333333"


def run_files(trial: Trial) -> dict[str, bytes]:
    """The files of `privsc run`: name to contents."""
    return {
        "masked.png": encode_png(trial.guarded.masked),
        "mask.png": encode_png(trial.guarded.mask),
        "received.png": encode_png(trial.bob.heard.image),
        "bob.png": encode_png(trial.bob.restored),
        "eve.png": encode_png(trial.eve.restored),
        "report.png": run_picture(trial),
        "report.json": to_json(trial.figures),
    }


def guard_files(guarded: Any) -> dict[str, bytes]:
    """The files of `privsc guard`, from a GuardResult."""
    height, width = guarded.mask.shape
    found = [
        {"name": d.name, "score": float(d.score), "box": [int(v) for v in d.box], "index": d.index}
        for d in guarded.detections
    ]
    return {
        "masked.png": encode_png(guarded.masked),
        "mask.png": encode_png(guarded.mask),
        "guard.json": to_json({"entities": found, "image_size": [width, height]}),
    }


@literal_text()
def run_picture(trial: Trial) -> bytes:
    """PNG: S with what was found, A, Â, Ŝ and Ŝe side by side, the figures below each."""
    figures, link = trial.figures, trial.figures["link"]
    hidden = ", ".join(entity["name"] for entity in figures["hidden"]) or "nothing"
    columns = [
        ("original", trial.image, ["hidden: " + hidden]),
        ("transmitted", trial.guarded.masked, [f"{link['channel_uses']:,} symbols, CBR {link['cbr']:.2f}"]),
        (f"received, {decibel(link['snr_db'])}", trial.bob.heard.image, [_errors(link["message_error_rate"])]),
        ("Bob, with K", trial.bob.restored, _lines(figures["bob"])),
        (f"Eve, {decibel(link['eve_snr_db'])}, without K", trial.eve.restored, _lines(figures["eve"])),
    ]
    height, width = trial.image.shape[:2]
    figure, panels = _canvas(1, len(columns), width / height)
    for panel, (title, image, lines) in zip(panels[0], columns, strict=True):
        _show(panel, image, title, lines)
    for detection in trial.guarded.detections:
        x0, y0, x1, y1 = detection.box
        panels[0][0].add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="#ffd33d", linewidth=1.5))
    return _png(figure)


def decibel(snr: float | None) -> str:
    """An SNR in words; None where a receiver had to measure it and no frame arrived."""
    return "no signal" if snr is None else f"{snr:g} dB"


@literal_text()
def grid_picture(trials: Sequence[Trial], truth: str) -> bytes:
    """PNG like the paper's Fig. 4: original and transmitted image, then rows Bob and Eve with a column for each SNR.

    Args:
        truth: name of the hidden entity; who is recognised as that is marked.
    """
    image, guarded = trials[0].image, trials[0].guarded
    height, width = image.shape[:2]
    figure, panels = _canvas(2, 1 + len(trials), width / height)
    _show(panels[0][0], image, "original", [])
    _show(panels[1][0], guarded.masked, "transmitted", [])
    for column, trial in enumerate(trials, start=1):
        link = trial.figures["link"]
        for row, (who, seen) in enumerate((("bob", trial.bob), ("eve", trial.eve))):
            snr = link["snr_db"] if who == "bob" else link["eve_snr_db"]
            title = f"{who.capitalize()}, {snr:g} dB"
            known = trial.figures[who]["identified"] == truth
            colour = MET if known == (who == "bob") else UNMET
            _show(panels[row][column], seen.restored, title, _lines(trial.figures[who]), colour)
    return _png(figure)


def _lines(figures: dict[str, Any]) -> list[str]:
    """Figures of one receiver for the space under its picture."""
    if figures["failure"]:
        return ["image lost"]
    lines = [f"private {_number(figures['psnr_private'], 'dB')}, SSIM {_number(figures['ssim_private'])}"]
    lines.append(f"whole {_number(figures['psnr'], 'dB')}, SSIM {_number(figures['ssim'])}")
    if figures["regions"]:
        lines.append(f"recognised as: {figures['identified'] or 'nobody'}")
    return lines


def _errors(rate: float | None) -> str:
    return "no frame arrived" if rate is None else f"message errors {100 * rate:.2g} %"


def _number(value: float | None, unit: str = "") -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{1 if unit else 2}f} {unit}".strip()


def _canvas(rows: int, columns: int, aspect: float) -> tuple[Figure, np.ndarray]:
    """Figure with [rows, columns] axes for pictures of one aspect ratio (width / height)."""
    wide = 2.9  # [inch]
    figure = Figure(figsize=(wide * columns, (wide / aspect + 1.0) * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _show(panel: Axes, image: np.ndarray, title: str, lines: list[str], colour: str = TEXT) -> None:
    panel.imshow(image, interpolation="antialiased")
    panel.set_title(title, fontsize=10, color="black")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_xlabel("\n".join(lines) or " ", fontsize=8, color=colour)
    for side in panel.spines.values():
        side.set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "privsc"})
    return buffer.getvalue()
