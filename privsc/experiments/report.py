"""The report of an experiment: one page that opens from disk, and the figures and numbers for a paper.

report.html                    everything, with nothing outside it
figures/NAME.svg .pdf .csv     every curve, and its numbers
pictures/SUBJECT.svg .pdf .png the grid of the paper's Fig. 4, for the subjects that the experiment names
summary.csv                    all means, leads and intervals
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment
from PIL import Image

from privsc.experiments.claims import PAPER, Verdict, dependence, plain, series_label, verdicts
from privsc.experiments.curves import draw, page_svg, paper_files
from privsc.experiments.measures import FIGURES
from privsc.experiments.picture_grid import Shown, grid_files
from privsc.experiments.spec import Experiment
from privsc.experiments.summary import Cell, summary_rows
from privsc.experiments.table import Row, to_csv
from privsc.files import ResultFolder
from privsc.provenance import PACKAGES
from privsc.stats import Estimate

PICTURE_WIDTH = 420  # [px] in the page: twice what a card shows


@dataclass(frozen=True)
class Gallery:
    """The pictures of one subject: original and what was sent, then one for each point of the axes."""

    subject: str
    shown: tuple[Shown, ...]


def write_report(
    out: Path, experiment: Experiment, rows: Sequence[Row], cells: Sequence[Cell], galleries: Sequence[Gallery]
) -> None:
    """Write the page, and every figure with its numbers."""
    with ResultFolder(out / "figures") as figures:
        curves = []
        for name in experiment.report.figures:
            drawn = draw(cells, experiment, name)
            for file, data in paper_files(drawn, name).items():
                figures.add(file, data)
            mine = [cell for cell in cells if cell.figure == name]
            figures.add(f"{name}.csv", to_csv(summary_rows(mine, experiment)))
            curves.append({"svg": page_svg(drawn, name), "label": FIGURES[name].label, "name": name})
    if galleries:
        with ResultFolder(out / "pictures") as pictures:
            for gallery in galleries:
                for kind, data in grid_files(gallery.shown).items():
                    pictures.add(f"{gallery.subject}.{kind}", data)
    with ResultFolder(out) as results:
        results.add("summary.csv", to_csv(summary_rows(cells, experiment)))
        results.add("report.html", _page(experiment, rows, cells, curves, galleries).encode())


def _page(
    experiment: Experiment,
    rows: Sequence[Row],
    cells: Sequence[Cell],
    curves: list[dict[str, str]],
    galleries: Sequence[Gallery],
) -> str:
    template = resources.files("privsc").joinpath("templates", "experiment.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, trim_blocks=True).from_string(template)
    photos, subjects = ({row[name] for row in rows} for name in ("photo_sha256", "subject"))
    missed = len({row["photo_sha256"] for row in rows if not row["found"]})
    lead = (
        f"{len(rows)} transmissions of {len(photos)} photographs of {len(subjects)} subjects, over "
        f"{', '.join(f'{len(v)} × {name}' for name, v in experiment.axes.items()) or 'one point'}. Entity found "
        f"and hidden in {len(photos) - missed} of {len(photos)} photographs. Frame synchronisation of the receivers: "
        f"{', '.join(sorted({str(row['link_synchronisation']) for row in rows}))}."
    )
    bands = "bands (bars of curves after the first)" if experiment.series else "bands"
    return page.render(
        name=experiment.name,
        title=experiment.title or experiment.name,
        lead=lead,
        paper=PAPER,
        comparison=_comparison(experiment, cells),
        dependence=_dependence(experiment, cells),
        curves=curves,
        bands="bars" if experiment.x is None else bands,
        galleries=[_gallery(gallery) for gallery in galleries],
        numbers=_numbers(experiment, cells),
        text=experiment.text,
        stamps=_stamps(rows),
    )


def _comparison(experiment: Experiment, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    if not experiment.report.claims:
        return []
    grouped: dict[tuple[Any, ...], list[dict[str, str]]] = {}
    for one in verdicts(cells, experiment):
        grouped.setdefault(one.series, []).append(_verdict(one))
    return [{"label": series_label(experiment, series), "rows": rows} for series, rows in grouped.items()]


def _verdict(one: Verdict) -> dict[str, str]:
    unit = next((f" {unit}" for unit in ("%", "dB") if one.claim.test.endswith(unit)), "")
    low, high = (min(one.values), max(one.values)) if one.values else (None, None)
    return {
        "what": one.claim.what,
        "paper": one.claim.paper,
        "mean": _value(one.mean, unit),
        "test": one.claim.test,
        "range": "–" if low is None else f"{low:.1f} to {_value(high, unit)}",
        "word": one.word,
        "style": {"met": "met", "not met": "unmet"}.get(one.word, "half"),
    }


def _dependence(experiment: Experiment, cells: Sequence[Cell]) -> list[dict[str, str]]:
    lines = []
    for one in dependence(cells, experiment):
        label = series_label(experiment, one.series)
        there = f"at {one.reference:g} dB it is {_interval(one.at_reference, 1)} %"
        lines.append(
            {
                "text": f"{label + ': ' if label else ''}Eve's picture is identified in "
                f"{_value(one.at_highest.value, ' %')} at {one.highest:g} dB; {there}:",
                "word": {True: "within the interval", False: "outside the interval", None: "no figure"}[one.inside],
                "style": {True: "met", False: "unmet", None: "half"}[one.inside],
            }
        )
    return lines


def _gallery(gallery: Gallery) -> dict[str, Any]:
    first = gallery.shown[0]
    before = [
        _picture(first.images[name], caption) for name, caption in (("original", "original"), ("masked", "transmitted"))
    ]
    cards = [{"title": "at the transmitter", "pictures": before}]
    for one in gallery.shown:
        pictures = [_picture(one.images[who], one.captions[who]) for who in ("bob", "eve")]
        cards.append({"title": one.title, "pictures": pictures})
    return {"subject": gallery.subject, "cards": cards}


def _picture(image: Any, caption: str) -> dict[str, Any]:
    picture = Image.fromarray(image)
    width = min(PICTURE_WIDTH, picture.width)
    picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=88)
    data = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"data": data, "width": picture.width, "height": picture.height, "caption": caption, "alt": caption}


def _numbers(experiment: Experiment, cells: Sequence[Cell]) -> dict[str, Any]:
    heads = ["figure", *experiment.series, *([experiment.x] if experiment.x else [])]
    rows = []
    for cell in cells:
        what = FIGURES[cell.figure]
        digits = 1 if what.unit else 3
        lead_unit = "%" if what.ratio else what.unit
        labels = [*cell.series, *([cell.x] if experiment.x else [])]
        label = what.label + (f" [{what.unit}]" if what.unit else "")
        rows.append(
            [
                label,
                *map(plain, labels),
                _interval(cell.bob, digits),
                _interval(cell.eve, digits),
                f"{_interval(cell.lead, 1)} {lead_unit}",
                cell.photos,
            ]
        )
    return {"heads": [*heads, "Bob", "Eve", "lead", "photographs"], "rows": rows, "texts": len(heads)}


def _interval(one: Estimate, digits: int) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "–"
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _value(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f}{unit}"


def _stamps(rows: Sequence[Row]) -> list[tuple[str, str]]:
    names = ("revision", "privsc", "python", *PACKAGES, "encoder", "text", "recovery", "weights_sha256", "k_digest")
    return [(name, ", ".join(dict.fromkeys(str(row[name]) for row in rows))) for name in names]
