"""The grid of the paper's Fig. 4 for one subject, from the pictures that a sweep kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from privsc.figure_text import literal_text
from privsc.system.report import MET, TEXT, UNMET


@dataclass(frozen=True)
class Shown:
    """One point of the axes. images: original, masked, bob, eve, HWC uint8; captions and met (identified as should
    be): of bob and eve."""

    title: str
    images: dict[str, np.ndarray]
    captions: dict[str, str]
    met: dict[str, bool]


@literal_text()
def grid_files(shown: Sequence[Shown]) -> dict[str, bytes]:
    """Kind of file (png, svg, pdf) to contents: original and transmitted, then Bob above Eve for every point."""
    first = shown[0].images["original"]
    height, width = first.shape[:2]
    wide = 2.2  # [inch]
    figure = Figure(
        figsize=(wide * (1 + len(shown)), 2 * (wide * height / width + 0.75)), dpi=150, layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 1 + len(shown), squeeze=False)
    _show(panels[0][0], first, "original", "", TEXT)
    _show(panels[1][0], shown[0].images["masked"], "transmitted", "", TEXT)
    for column, one in enumerate(shown, start=1):
        for row, who in enumerate(("bob", "eve")):
            _show(
                panels[row][column],
                one.images[who],
                f"{who.capitalize()}, {one.title}",
                one.captions[who],
                MET if one.met[who] else UNMET,
            )
    files = {}
    options: dict[str, Any] = {
        "png": {"Software": "privsc"}, "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }  # fmt: skip
    with matplotlib.rc_context({"svg.hashsalt": "grid", "pdf.fonttype": 42}):
        for kind, told in options.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=told)
            files[kind] = buffer.getvalue()
    return files


def _show(panel: Any, image: np.ndarray, title: str, caption: str, colour: str) -> None:
    panel.imshow(image, interpolation="antialiased")
    panel.set_title(title, fontsize=9, color="black")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_xlabel(caption or " ", fontsize=7.5, color=colour)
    for side in panel.spines.values():
        side.set_visible(False)
