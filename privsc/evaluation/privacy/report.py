"""What `privsc eval eavesdroppers` writes: tables as CSV, rank-1 and ROC as figures, a page of pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from privsc.evaluation.privacy.descriptors import kinds
from privsc.evaluation.privacy.judges import Judged, Likeness
from privsc.evaluation.privacy.received_pictures import Item
from privsc.figure_text import literal_text
from privsc.images.photo_io import encode_png

COLOURS = {"recogniser": "#6e7781", "transfer": "#0969da", "adaptive": "#cf222e"}
CURVES = ("original", "Bob", "Eve: generic, class word", "Eve: looks at Â", "outline alone, silhouette",
          "outline alone, box", "surroundings alone", "blurred strongly")  # fmt: skip
TILE, LABEL = 120, 14  # [px]


def table_csv(judged: Sequence[Judged]) -> bytes:
    """One row a kind and judge; shares in [0, 1]."""
    columns = ["kind", "judge", "rank1", "rank1_low", "rank1_high", "chance", "hits", "pictures", "rank1_in_class",
               "in_class_low", "in_class_high", "chance_in_class", "in_class_pictures", "auc", "auc_low", "auc_high",
               "chosen"]  # fmt: skip
    rows = []
    for row in judged:
        f = row.figures
        rows.append(
            [
                row.kind,
                row.judge,
                f.rank1.value,
                *(f.rank1.interval or ("", "")),
                f.rank1.chance,
                f.rank1.hits,
                f.rank1.trials,
                f.in_class.value,
                *(f.in_class.interval or ("", "")),
                f.in_class.chance,
                f.in_class.trials,
                f.auc,
                *f.auc_interval,
                row.how,
            ]
        )
    return _csv(columns, rows)


def roc_csv(judged: Sequence[Judged]) -> bytes:
    """The ROC curves, one row a point."""
    rows = [[row.kind, row.judge, *point] for row in judged for point in row.figures.roc.tolist()]
    return _csv(["kind", "judge", "false_positive_rate", "true_positive_rate"], rows)


def likeness_csv(rows: Sequence[Likeness]) -> bytes:
    """PSNR [dB] and SSIM in the private region."""
    columns = ["kind", "psnr_private", "psnr_low", "psnr_high", "ssim_private", "ssim_low", "ssim_high", "pictures"]
    return _csv(
        columns,
        [
            [r.kind, r.psnr.value, r.psnr.low, r.psnr.high, r.ssim.value, r.ssim.low, r.ssim.high, r.ssim.count]
            for r in rows
        ],
    )


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows])
    return text.getvalue().encode()


@literal_text()
def rank1_figure(judged: Sequence[Judged], chance_with_class: float) -> Figure:
    """Rank-1 with intervals of every kind and judge, against chance."""
    names = list(dict.fromkeys(row.kind for row in judged))
    figure = Figure(figsize=(9, 1.5 + 0.36 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, (judge, colour) in enumerate(COLOURS.items()):
        rows = [row for row in judged if row.judge == judge]
        y = np.array([names.index(row.kind) for row in rows]) + 0.22 * (number - 1)
        value = np.array([100 * (row.figures.rank1.value or 0) for row in rows])
        bounds = 100 * np.array([row.figures.rank1.interval for row in rows]).reshape(-1, 2)
        wide = np.abs(bounds - value[:, None]).T
        axes.errorbar(value, y, xerr=wide, fmt="o", ms=4, color=colour, capsize=2, lw=1, label=judge)
    chance = 100 * judged[0].figures.rank1.chance
    axes.axvline(chance, color="#333333", ls="--", lw=1, label=f"chance, {chance:.1f} %")
    axes.axvline(
        100 * chance_with_class,
        color="#333333",
        ls=":",
        lw=1,
        label=f"chance, class word known, {100 * chance_with_class:.0f} %",
    )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("rank-1 identification [%], 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return figure


@literal_text()
def roc_figure(judged: Sequence[Judged]) -> Figure:
    """ROC of the adaptive attacker (transfer, for what she has not trained on), one subject against the rest."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name in CURVES:
        rows = {row.judge: row for row in judged if row.kind == name}
        if row := rows.get("adaptive", rows.get("transfer")):
            low, high = row.figures.auc_interval
            label = f"{name}: AUC {row.figures.auc:.2f} ({low:.2f} to {high:.2f})"
            axes.plot(*row.figures.roc.T, lw=1.4, label=label)
    axes.plot([0, 1], [0, 1], color="#333333", ls="--", lw=1, label="chance")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def picture_page(items: Sequence[Item]) -> bytes:
    """PNG: a row for each test photograph, a column for each kind of picture."""
    columns = [kind for kind in kinds() if kind.see == "picture"]
    tests = [item for item in items if item.test]
    page = Image.new("RGB", (TILE * len(columns), LABEL + (TILE + 2) * len(tests)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.truetype(findfont("DejaVu Sans"), 9)  # Pillow's own has no Â
    for x, kind in enumerate(columns):
        draw.text((x * TILE + 2, 1), kind.name, "black", font)
        for y, item in enumerate(tests):
            tile = Image.fromarray(kind.look(item)[0]).resize((TILE - 2, TILE), Image.Resampling.BICUBIC)
            page.paste(tile, (x * TILE, LABEL + y * (TILE + 2)))
    return encode_png(np.asarray(page))


@literal_text()
def picture_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as `png` or `svg`."""
    buffer = io.BytesIO()
    stamp = {"Software": "privsc"} if kind == "png" else {"Creator": "privsc", "Date": None}
    figure.savefig(buffer, format=kind, dpi=130, metadata=stamp)
    return buffer.getvalue()
