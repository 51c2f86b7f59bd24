"""`privsc eval`: how good guard and recovery are on photographs that nobody trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from privsc.cli import evaluate_privacy
from privsc.cli.options import (
    CheckpointOption,
    DeviceOption,
    EncoderOption,
    HintOption,
    MaskOption,
    ModelOption,
    PhotosOption,
    RecoveryOption,
    SeedOption,
    WaveformOption,
    console,
    number,
    stages,
)

app = typer.Typer(
    no_args_is_help=True, help="Measure guard, recovery, privacy and coding on photographs that nobody trained on."
)

KOption = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="K.db",
        help="K of the subjects; made, or completed with those that it lacks, so that "
        "an interrupted evaluation goes on. A temporary one if left out.",
    ),
]
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
    photos: PhotosOption = None,
    database: KOption = None,
    subject: SubjectOption = None,
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Identity, false alarms, masks and latency of the guard."""
    from privsc.evaluation.guard import evaluate_guard
    from privsc.system.build import Choice

    choice = Choice(encoder, checkpoint, device=device)
    with stages() as stage:
        figures = list(
            evaluate_guard(photos, database=database, only=subject or (), progress=stage("guard"), choice=choice)
        )
    console.print(_table(figures))


@app.command(epilog="Example: privsc eval recovery --photos DIR --db K.db --subject cat --subject dog --snr 10")
def recovery(
    photos: PhotosOption = None,
    database: KOption = None,
    subject: SubjectOption = None,
    snr: Annotated[float, typer.Option(metavar="DB", help="Es/N0 at Bob and Eve in dB.")] = 10.0,
    waveform: WaveformOption = "burst",
    init: Annotated[str, typer.Option(help="Where Bob's recovery starts: reference or noise.")] = "reference",
    steps: Annotated[int | None, typer.Option(help="Denoising steps; the model's own number if left out.")] = None,
    hint: HintOption = "pose",
    mask: MaskOption = "silhouette",
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
    from privsc.evaluation.recovery import evaluate_recovery, summarise
    from privsc.files import write_atomic
    from privsc.system.build import Choice

    choice = Choice(encoder, checkpoint, painter, model, device)
    rows, shown = [], []
    with stages() as stage:
        for row, trial in evaluate_recovery(
            photos,
            database=database,
            personalise=personalise,
            only=subject or (),
            progress=stage("recovery"),
            choice=choice,
            snr_db=snr,
            waveform=waveform,
            init=init,
            steps=steps,
            hint=hint,
            mask=mask,
            seed=seed,
        ):
            rows += row
            if pictures is not None:
                shown.append((row[0].name, trial[0]))
    table = Table("subject", "PSNR private Bob", "Eve", "OpenCV", "SSIM private Bob", "Eve", "Bob sees", "Eve sees")
    for one in rows:
        table.add_row(
            one.name if one.found else f"{one.name} (missed)",
            number(one.bob_psnr),
            number(one.eve_psnr),
            number(one.blur_psnr),
            number(one.bob_ssim, 3),
            number(one.eve_ssim, 3),
            one.bob_is or "–",
            one.eve_is or "–",
        )
    console.print(table)
    console.print(_table(summarise(rows)))
    if pictures is not None:
        from privsc.evaluation.pages import page_picture

        write_atomic(pictures, page_picture(shown))


@app.command(epilog="Example: privsc eval modes --photos DIR --db K.db --mode default --mode 'no hint'")
def modes(
    photos: PhotosOption = None,
    database: KOption = None,
    subject: SubjectOption = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            metavar="NAME",
            help="One mode; repeat for more, the first is what the others are "
            "compared with; all if left out (a wrong name lists them).",
        ),
    ] = None,
    snr: Annotated[float, typer.Option(metavar="DB", help="Es/N0 at Bob and Eve in dB.")] = 10.0,
    waveform: WaveformOption = "burst",
    personalise: Annotated[bool, typer.Option(help="Run Algorithm 2 at enrolment (minutes a subject).")] = True,
    seed: SeedOption = 0,
) -> None:
    """Hints, starts, steps, shapes of the mask and ways to send i, compared on the same photographs and noise."""
    from privsc.errors import ConfigError
    from privsc.evaluation.recovery import MODES, compare, evaluate_recovery

    chosen = list(dict.fromkeys(mode or MODES))
    if unknown := [name for name in chosen if name not in MODES]:
        raise ConfigError(f"--mode: choose of {', '.join(MODES)}; got {unknown[0]!r}")
    rows: dict[str, list] = {name: [] for name in chosen}
    with stages() as stage:
        for row, _ in evaluate_recovery(
            photos,
            database=database,
            personalise=personalise,
            only=subject or (),
            progress=stage("modes"),
            modes=[MODES[name] for name in chosen],
            snr_db=snr,
            waveform=waveform,
            seed=seed,
        ):
            for name, one in zip(chosen, row, strict=True):
                rows[name].append(one)
    table = Table(
        "mode",
        "PSNR private Bob",
        f"beside {chosen[0]}",
        "Eve",
        "SSIM private Bob",
        "Bob identified",
        "Eve identified",
        "recovery",
    )
    for each in compare(rows):
        gap = each.difference
        table.add_row(
            each.name,
            number(each.bob_psnr.value, 2, " dB"),
            f"{number(gap.value, 2, ' dB')} ({number(gap.low)} to {number(gap.high)})",
            number(each.eve_psnr.value, 2, " dB"),
            number(each.bob_ssim.value, 3),
            number(each.bob.value, 1, " %"),
            number(each.eve.value, 1, " %"),
            number(each.seconds.value, 2, " s"),
        )
    console.print(table)
    count = len(rows[chosen[0]])
    console.print(f"{count} photographs at {snr:g} dB; means, 95 % intervals of differences in brackets")


@app.command(epilog="Example: privsc eval compute")
def compute(
    steps: Annotated[int, typer.Option(min=2, help="Steps of Algorithm 2 that are timed in each format.")] = 4,
) -> None:
    """Speed of enrolment and recovery here: number format, threads and seconds, with bfloat16 forced on and off.

    Where the processor has no bfloat16, that row takes minutes: it shows why it is not chosen.
    """
    from privsc.compute import timing
    from privsc.evaluation.compute import evaluate_compute

    with stages() as stage:
        rows = evaluate_compute(steps, stage("enrolment and recovery"))
    found = timing()
    table = Table("format", "chosen", "threads", "subject", "step", "enrolment", "recovery")
    for row in rows:
        table.add_row(
            row.dtype,
            "yes" if row.chosen else "",
            str(row.threads),
            number(row.subject, 2, " s"),
            number(row.step, 2, " s"),
            number(row.enrolment, 0, " s"),
            number(row.recovery, 2, " s"),
        )
    console.print(table)
    measured = {"float32": found.float32, "bfloat16": found.bfloat16}
    times = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in measured.items() if value is not None)
    native = "bfloat16 in hardware or oneDNN" if found.native else "no bfloat16 kernels"
    console.print(f"{found.capability}, {native}; a small convolution: {times or 'not timed'}")


app.command(epilog=evaluate_privacy.EXAMPLE)(evaluate_privacy.eavesdroppers)
app.command(epilog=evaluate_privacy.BASELINES)(evaluate_privacy.baselines)
