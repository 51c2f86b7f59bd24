"""A page of pictures: what was sent, what was hidden, and what Bob and Eve end with, a row for each photograph."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from privsc.figure_text import literal_text
from privsc.system.report import MET, TEXT, UNMET
from privsc.system.trial import Trial

TITLES = ("original", "transmitted", "Bob, with K", "Eve, without K")
SIDE = 400  # [px] of the longer side of a picture on the page
WIDE, LABEL = 1.75, 0.3  # [inch] of a panel, of the line under it


@literal_text()
def page_picture(trials: Sequence[tuple[str, Trial]], columns: int = 2) -> bytes:
    """PNG of (true name, Trial), ``columns`` photographs beside one another."""
    rows = -(-len(trials) // columns)
    figure = Figure(figsize=(WIDE * 4 * columns, (WIDE + LABEL) * rows + LABEL), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 4 * columns, squeeze=False)
    for number in range(rows * columns):
        row, first = number % rows, 4 * (number // rows)
        four = panels[row][first : first + 4]
        if number >= len(trials):
            for panel in four:
                panel.set_axis_off()
            continue
        name, trial = trials[number]
        images = (trial.image, trial.guarded.masked, trial.bob.restored, trial.eve.restored)
        for panel, image, title in zip(four, images, TITLES, strict=True):
            _show(panel, image, title if row == 0 else "")
        four[0].set_xlabel(name, fontsize=7.5, color=TEXT)
        for panel, who in zip(four[2:], ("bob", "eve"), strict=True):
            told = trial.figures[who]
            right = (told["identified"] == name) == (who == "bob")
            panel.set_xlabel(_caption(told), fontsize=7.5, color=MET if right else UNMET)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "privsc"})
    return buffer.getvalue()


def _caption(told: dict[str, Any]) -> str:
    if told["failure"]:
        return "image lost"
    psnr = told["psnr_private"]
    return f"{told['identified'] or 'nobody'}" + ("" if psnr is None else f", {psnr:.1f} dB")


def _show(panel: Any, image: NDArray[np.uint8], title: str) -> None:
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    panel.imshow(np.asarray(picture), interpolation="antialiased")
    panel.set_title(title, fontsize=8.5, color="black")
    panel.set_xticks([])
    panel.set_yticks([])
    for side in panel.spines.values():
        side.set_visible(False)
