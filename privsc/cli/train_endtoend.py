"""`privsc train endtoend`: Algorithm 3, and what it gains over parts that were trained each by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from privsc.cli.options import DatabaseOption, OutOption, SeedOption, console, stages

if TYPE_CHECKING:  # loads scipy, which --help has no need of
    from privsc.stats import Figure

EPILOG = (
    "Example: privsc train endtoend --db K.db --photos DIR --out results/endtoend   "
    "Quick look: … --steps 20 --eve-steps 5 --noise-seeds 1"
)


def endtoend(
    database: DatabaseOption,
    out: OutOption,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder with subjects/NAME/NN.jpg, the last of each judges; PRIVSC_PHOTOS if left out."
        ),
    ] = None,
    state: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the trainings' states.")] = Path(
        "runs/endtoend"
    ),
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of the joint and of the separate training.")] = 100,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Photographs a step.")] = 3,
    weight: Annotated[float, typer.Option("--lambda", min=0.0, help="What f weighs beside L_a in L_total.")] = 0.1,
    snr_low: Annotated[float, typer.Option(metavar="DB", help="Lowest Es/N0 of the trainings in dB.")] = 5.0,
    snr_high: Annotated[float, typer.Option(metavar="DB", help="Highest Es/N0 of the trainings in dB.")] = 20.0,
    gentleness: Annotated[float, typer.Option(help="Divides the learning rates of all trainings.")] = 1.0,
    painting: Annotated[int, typer.Option(min=1, max=50, help="Steps of the reverse process.")] = 4,
    at: Annotated[float, typer.Option(metavar="DB", help="Es/N0 in dB at which the arms are judged.")] = 10.0,
    noise_seeds: Annotated[int, typer.Option(min=1, help="Noise seeds of the judgement.")] = 3,
    eve_steps: Annotated[int, typer.Option(min=1, help="Steps for which Eve adapts to each transmitter.")] = 40,
    threads: Annotated[int, typer.Option(min=1, max=64, help="CPU threads.")] = 1,
    seed: SeedOption = 0,
) -> None:
    """Train mask decoder, codec and recovery together (Algorithm 3), with Eve's generator against them.

    Learns from the samples in K and is compared, on each subject's last photograph, with the same parts trained
    separately for as many steps. Writes sam-lite.safetensors, codec.npz, privsc-mini/, log.json, curves.png and .svg,
    pictures.png. The shipped weights stay as they are. An interrupted training goes on when it is repeated.
    """
    import torch

    from privsc.evaluation.endtoend.run import Comparison, read_inputs, run
    from privsc.training.endtoend.trainer import EndToEndTraining

    config = EndToEndTraining(
        steps=steps,
        batch=batch,
        weight=weight,
        snr_db=(snr_low, snr_high),
        painting=painting,
        seed=seed,
        gentleness=gentleness,
    )
    comparison, before = Comparison(at, noise_seeds, eve_steps), torch.get_num_threads()
    read_inputs(database, photos)
    torch.set_num_threads(threads)
    try:
        with stages() as stage:
            outcome = run(database, photos, state, out, config, comparison, stage)
    finally:
        torch.set_num_threads(before)
    for eve in ("adapted", "generic"):
        table = Table(title=f"held-out photographs, {at:g} dB, Eve {eve}; mean and 95 % interval over photographs")
        arms = {name: found[eve] for name, found in outcome.arms.items() if eve in found}
        for column in ("", *arms):
            table.add_column(column, justify="left" if not column else "right")
        for row in zip(*arms.values(), strict=True):
            unit = rf" \[{row[0].unit}]" if row[0].unit else ""
            table.add_row(row[0].name + unit, *map(_shown, row))
        console.print(table)
        for other in arms:
            for figure in outcome.gains.get((other, eve), []):
                console.print(f"joint less {other}, {figure.name}: {_shown(figure)} ({figure.count} photographs)")
    console.print(f"{escape(str(out))}: weights of the joint training, log.json, curves.png, pictures.png")


def _shown(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "–"
    digits = 1 if figure.unit else 4
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"
