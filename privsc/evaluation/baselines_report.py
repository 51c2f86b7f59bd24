"""`privsc eval baselines`: runs the cells that are not in the cache, and makes the table, the CSV and the plot."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Plot

from phy.codec.codec import shipped
from phy.evaluation.ldpc_link import MCS_TABLE
from privsc.evaluation.baselines import EXACT_DB, QUALITIES, WHO, Cell, System, cells, code
from privsc.evaluation.protocol import Progress
from privsc.figure_text import literal_text
from privsc.files import to_json, write_atomic
from privsc.stats import Figure, mean

LOOKS = {"ours": ("#cf222e", "-", "o"), "adaptive": ("#0969da", "-", "s"), "fixed": ("#0969da", ":", "^")}
TITLES = {"ours": "ours, raw samples", "adaptive": "JPEG/WebP/AVIF + LDPC, knows the SNR",
          "fixed": "JPEG/WebP/AVIF + LDPC, set up for 10 dB"}  # fmt: skip


def run_cells(
    images: dict[str, np.ndarray],
    systems: Sequence[System],
    snrs: Sequence[float],
    cache: Path,
    seed: int = 0,
    waveform: str = "burst",
    progress: Progress | None = None,
) -> list[Cell]:
    """Every picture [H, W, 3] uint8 through every system at every SNR [dB], or from the cache."""
    found: list[Cell] = []
    done, total = 0, len(images) * len(systems)
    for name, image in images.items():
        files = None
        for system in systems:
            parts = [
                2,
                waveform,
                name,
                _digest(image),
                asdict(system),
                list(snrs),
                seed,
                QUALITIES,
                _digest(shipped(system.codec).codebook),
                [str(mcs) for mcs in MCS_TABLE],
            ]
            key = json.dumps(parts)
            path = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
            if not path.is_file():
                files = code(image) if files is None else files
                made = list(cells(name, image, files, system, snrs, seed, waveform))
                write_atomic(path, to_json([asdict(cell) for cell in made]))
            found += [Cell(**row) for row in json.loads(path.read_text("utf-8"))]
            done += 1
            if progress is not None:
                progress(done, total, f"{name}, {system}")
    return found


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def summary(found: Sequence[Cell]) -> dict[tuple[str, str, float], Figure]:
    """Mean PSNR [dB] with its bootstrap interval over the pictures, by (system, who, SNR)."""
    groups: dict[tuple[str, str, float], list[float]] = {}
    for cell in found:
        groups.setdefault((cell.system, cell.who, cell.snr_db), []).append(cell.psnr)
    return {key: mean("PSNR", values, "dB") for key, values in groups.items()}


def cells_csv(found: Sequence[Cell]) -> bytes:
    """One row a transmission."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(Cell)]
    writer.writerow(names)
    writer.writerows([[getattr(cell, name) for name in names] for cell in found])
    return text.getvalue().encode()


def cbr_of(found: Sequence[Cell], system: str) -> float:
    """Mean channel uses over the samples of the picture."""
    return float(np.mean([cell.cbr for cell in found if cell.system == system]))


@literal_text()
def plot(found: Sequence[Cell]) -> Plot:
    """PSNR over SNR, one panel for each of our systems, mean and 95 % interval over the pictures."""
    systems = list(dict.fromkeys(cell.system for cell in found))
    figures, snrs = summary(found), sorted({cell.snr_db for cell in found})
    columns = min(2, len(systems))
    rows = -(-len(systems) // columns)
    page = Plot(figsize=(4.8 * columns, 3.4 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(page)
    panels = page.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel, system in zip(panels.ravel(), systems, strict=False):
        for who in WHO:
            colour, line, marker = LOOKS[who]
            points = [figures[system, who, snr] for snr in snrs]
            middle = np.array([p.value for p in points])
            low, high = np.array([p.low for p in points]), np.array([p.high for p in points])
            panel.plot(snrs, middle, color=colour, ls=line, marker=marker, ms=4, lw=1.4, label=TITLES[who])
            panel.fill_between(snrs, low, high, color=colour, alpha=0.15, lw=0)
        panel.axhline(EXACT_DB, color="#333333", ls="--", lw=0.8)
        panel.set_title(f"{system}, CBR {cbr_of(found, system):.2f}", fontsize=10)
        panel.grid(alpha=0.3)
    for panel in panels.ravel()[len(systems) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("Es/N0 [dB]")
    for panel in panels[:, 0]:
        panel.set_ylabel(f"PSNR [dB], {EXACT_DB:g} = exact")
    handles, labels = panels[0][0].get_legend_handles_labels()
    page.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return page
