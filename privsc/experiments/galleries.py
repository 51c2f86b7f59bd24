"""Which pictures a report shows, read from where the sweep kept them."""

from __future__ import annotations

from typing import Any

from privsc.experiments.claims import in_words
from privsc.experiments.picture_grid import Shown
from privsc.experiments.report import Gallery
from privsc.experiments.sweep import Plan
from privsc.experiments.transmissions import Unit, folder_of, read_row
from privsc.images.photo_io import read_photo


def galleries(plan: Plan) -> list[Gallery]:
    """A gallery for each subject that the experiment names, of its first photograph."""
    found = []
    for subject in plan.experiment.report.pictures:
        units = [unit for unit in plan.units if unit.pictures and unit.photo.subject == subject]
        first = [unit for unit in units if unit.photo == units[0].photo]
        found.append(Gallery(subject, tuple(_shown(plan, unit) for unit in first)))
    return found


def _shown(plan: Plan, unit: Unit) -> Shown:
    row = read_row(plan.cache, unit)
    assert row is not None  # its table has been written
    folder = folder_of(plan.cache, unit)
    images = {name: read_photo(folder / f"{name}.png") for name in ("original", "masked", "bob", "eve")}
    return Shown(
        _title(plan, row),
        images,
        {who: _caption(who, row) for who in ("bob", "eve")},
        {"bob": row["bob_correct"], "eve": not row["eve_correct"]},
    )


def _title(plan: Plan, row: dict[str, Any]) -> str:
    parts = [in_words(name, row[name]) for name in plan.experiment.axes if name != "seed"]
    return ", ".join(parts) or "result"


def _caption(who: str, row: dict[str, Any]) -> str:
    if row[f"{who}_failure"]:
        return f"{who.capitalize()}: image lost"
    psnr, ssim = row[f"{who}_psnr_private"], row[f"{who}_ssim_private"]
    figures = "" if psnr is None or ssim is None else f", private {psnr:.1f} dB, SSIM {ssim:.2f}"
    return f"{who.capitalize()}: {row[f'{who}_identified'] or 'nobody'}{figures}"
