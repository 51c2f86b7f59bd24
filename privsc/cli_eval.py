"""`privsc eval`: how good guard and recovery are on photographs that nobody trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from privsc import cli_eval_privacy
from privsc.cli_common import (
    CheckpointOption,
    DeviceOption,
    EncoderOption,
    ModelOption,
    RecoveryOption,
    SeedOption,
    console,
    number,
    stages,
)
from privsc.cli_train import PhotosOption

app = typer.Typer(
    no_args_is_help=True, help="Measure guard, recovery, privacy and coding on photographs that nobody trained on."
)

SubjectOption = Annotated[
    list[str] | None, typer.Option("--subject", metavar="NAME", help="One subject; repeat for more; all if left out.")
]


def _table(figures: Iterable) -> Table:
    table = Table("figure", "value", "95 % interval", "pictures")
    for row in figures:
        interval = "" if row.low is None else f"{number(row.low)} to {number(row.high)}"
        table.add_row(row.name, number(row.value, 2, f" {row.unit}" if row.unit else ""), interval, str(row.count))
    return table


@app.command(epilog="Example: privsc eval guard --photos DIR")
def guard(
    photos: PhotosOption = None, subject: SubjectOption = None, encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None, device: DeviceOption = "cpu",
) -> None:  # fmt: skip
    """Identity, false alarms, masks and latency of the guard."""
    from privsc.choice import Choice
    from privsc.evaluate_guard import evaluate_guard

    choice = Choice(encoder, checkpoint, device=device)
    with stages() as stage:
        figures = list(evaluate_guard(photos, only=subject or (), progress=stage("guard"), choice=choice))
    console.print(_table(figures))


@app.command(epilog="Example: privsc eval recovery --photos DIR --subject cat --subject dog --snr 10")
def recovery(
    photos: PhotosOption = None,
    subject: SubjectOption = None,
    snr: Annotated[float, typer.Option(metavar="DB", help="Es/N0 at Bob and Eve in dB.")] = 10.0,
    init: Annotated[str, typer.Option(help="Where Bob's recovery starts: reference or noise.")] = "reference",
    personalise: Annotated[bool, typer.Option(help="Run Algorithm 2 at enrolment (minutes a subject).")] = True,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Page of pictures: sent, masked, Bob, Eve.")
    ] = None,
    seed: SeedOption = 0,
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
    painter: RecoveryOption = "mini",
    model: ModelOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """The whole chain on the last photograph of each subject, all subjects in one K."""
    from privsc.choice import Choice
    from privsc.evaluate_recovery import evaluate_recovery, summarise

    choice = Choice(encoder, checkpoint, painter, model, device)
    with stages() as stage:
        rows = list(evaluate_recovery(
            photos, snr_db=snr, init=init, personalise=personalise, only=subject or (), seed=seed, pictures=pictures,
            progress=stage("recovery"), choice=choice,
        ))  # fmt: skip
    table = Table("subject", "PSNR private Bob", "Eve", "OpenCV", "SSIM private Bob", "Eve", "Bob sees", "Eve sees")
    for row in rows:
        table.add_row(
            row.name if row.found else f"{row.name} (missed)", number(row.bob_psnr), number(row.eve_psnr),
            number(row.blur_psnr), number(row.bob_ssim, 3), number(row.eve_ssim, 3), row.bob_is or "–",
            row.eve_is or "–",
        )  # fmt: skip
    console.print(table)
    console.print(_table(summarise(rows)))


app.command(epilog=cli_eval_privacy.EXAMPLE)(cli_eval_privacy.eavesdroppers)
app.command(epilog=cli_eval_privacy.BASELINES)(cli_eval_privacy.baselines)
