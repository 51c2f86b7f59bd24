"""`privsc eval eavesdroppers` and `privsc eval baselines`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from privsc.cli.options import OutOption, PhotosOption, SeedOption, WaveformOption, console, number, stages

if TYPE_CHECKING:
    from privsc.evaluation.privacy.judges import Judged, Likeness
    from privsc.stats import Share

BASELINES = "Example: privsc eval baselines --photos DIR --out results/baselines"
EXAMPLE = "Example: privsc eval eavesdroppers --photos DIR --db K.db --out results/eavesdroppers"


def eavesdroppers(
    photos: PhotosOption = None,
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="K.db",
            help="K of all subjects, each enrolled from all photographs but the "
            "last; made and kept under --out if left out.",
        ),
    ] = None,
    personalise: Annotated[
        bool, typer.Option(help="Bob paints with adapters (Algorithm 2). Without: from K's photographs alone.")
    ] = True,
    snr: Annotated[float, typer.Option(metavar="DB", help="Es/N0 at Bob and Eve in dB.")] = 10.0,
    waveform: WaveformOption = "burst",
    max_side: Annotated[int, typer.Option(metavar="PX", help="Longest side of the pictures sent.")] = 384,
    subject: Annotated[
        list[str] | None, typer.Option("--subject", metavar="NAME", help="One subject; repeat for two or more.")
    ] = None,
    seed: SeedOption = 0,
    out: OutOption = Path("results/eavesdroppers"),
) -> None:
    """Whom eavesdroppers, weak to strong, recognise in what they receive, beside Bob, blur and pixelation.

    Every photograph of every subject is sent once; an adaptive attacker trains on those that were enrolled and is
    tested on the last of each. About ten seconds a photograph; interrupted, it goes on where it was when repeated.
    """
    from privsc.datasets.subjects import photos_folder, subjects_in
    from privsc.errors import ConfigError
    from privsc.evaluation.privacy.judges import judge_all, likeness
    from privsc.evaluation.privacy.received_pictures import Settings, open_k, receive_all
    from privsc.files import output_folder
    from privsc.system.build import Models
    from privsc.system.config import RunConfig

    RunConfig.build(snr_db=snr, waveform=waveform, max_side=max_side, seed=seed)
    folder = photos_folder(photos)
    names = subjects_in(folder, subject or ())
    if len(names) < 2:
        raise ConfigError(f"--subject: whoever is to be recognised needs company: give 2 subjects or more; got {names}")
    cache = output_folder(output_folder(out) / "cache")
    settings = Settings(snr, max_side, seed, personalise, waveform)
    with ExitStack() as stack:
        stage = stack.enter_context(stages())
        models = Models.load()
        k = stack.enter_context(open_k(db, folder, names, models, personalise, cache, stage("K")))
        items = receive_all(folder, names, k, models, settings, cache, stage("sent and received"))
        entities = [k.get(name) for name in names]
        judged = list(judge_all(items, entities, models.guard, cache, seed=seed, stage=stage))
        stage("figures")
        close = list(likeness(items))
        _write(out, judged, close, items, chance_with_class([e.class_word for e in entities]))
    adapted = sum(e.adapter is not None for e in entities) if personalise else 0
    console.print(
        f"{len(names)} subjects, {len(items)} photographs, {snr:g} dB, {max_side} px; adapters: {adapted}; "
        f"hidden in the test: {sum(i.info['found'] for i in items if i.test)} of {len(names)}",
        soft_wrap=True,
    )
    _print(judged, close, [e.class_word for e in entities])
    console.print(escape(f"Written: {out}/eavesdroppers.csv, roc.csv, likeness.csv, rank1.svg, roc.svg, pictures.png"))


def baselines(
    photos: PhotosOption = None,
    count: Annotated[int, typer.Option(min=0, help="Photographs of subjects, beside four of scikit-image's.")] = 4,
    max_side: Annotated[int, typer.Option(min=32, max=1024, metavar="PX", help="Longest side of the pictures.")] = 128,
    snr: Annotated[
        str, typer.Option(metavar="LIST", help="Es/N0 in dB, with commas.")
    ] = "0,2.5,5,7.5,10,12.5,15,17.5,20",
    waveform: WaveformOption = "burst",
    seed: SeedOption = 0,
    out: OutOption = Path("results/baselines"),
) -> None:
    """PSNR of whole pictures over AWGN: our raw samples against JPEG, WebP or AVIF with 5G LDPC, on equal channel uses.

    Takes a minute or two a picture; interrupted, it goes on where it was when it is repeated.
    """
    from privsc.datasets.subjects import ENVIRONMENT, photos_folder
    from privsc.errors import ConfigError
    from privsc.evaluation import baselines_report as report
    from privsc.evaluation.baselines import SYSTEMS, pictures
    from privsc.evaluation.privacy.report import picture_bytes
    from privsc.files import ResultFolder, output_folder
    from privsc.system.config import RunConfig

    try:
        snrs = sorted({float(part) for part in snr.split(",")})
    except ValueError as error:
        raise ConfigError(f"--snr: numbers with commas between, such as 0,5,10; got {snr!r}") from error
    RunConfig.build(waveform=waveform)
    if not all(-10 <= value <= 40 for value in snrs):
        raise ConfigError(f"--snr: each must lie in [-10, 40] dB; got {snr!r}")
    folder = photos_folder(photos) if photos is not None or ENVIRONMENT in os.environ else None
    cache = output_folder(output_folder(out) / "cache")
    with stages() as stage:
        images = pictures(folder, count, max_side)
        found = report.run_cells(images, SYSTEMS, snrs, cache, seed, waveform, stage("transmissions"))
        drawn = report.plot(found)
        with ResultFolder(out) as results:
            results.add("baselines.csv", report.cells_csv(found))
            for kind in ("png", "svg"):
                results.add(f"baselines.{kind}", picture_bytes(drawn, kind))
    figures = report.summary(found)
    console.print(
        f"{len(images)} pictures of at most {max_side} px, AWGN; mean PSNR in dB (95 % interval over the "
        f"pictures), {report.EXACT_DB:g} = exact",
        soft_wrap=True,
    )
    for system in dict.fromkeys(cell.system for cell in found):
        table = Table(
            "Es/N0",
            *(report.TITLES[who] for who in report.TITLES),
            "files lost, fixed",
            title=f"{system}, CBR {report.cbr_of(found, system):.3f}",
        )
        for value in snrs:
            shown = [figures[system, who, value] for who in report.TITLES]
            lost = [not c.arrived for c in found if (c.system, c.who, c.snr_db) == (system, "fixed", value)]
            table.add_row(
                f"{value:g} dB",
                *(f"{number(f.value, 1)} ({number(f.low, 1)} to {number(f.high, 1)})" for f in shown),
                f"{sum(lost)} of {len(lost)}",
            )
        console.print(table)
    console.print(escape(f"Written: {out}/baselines.csv, baselines.svg, baselines.png"))


def chance_with_class(words: list[str]) -> float:
    """Expected rank-1 of guessing where the class word is known: the mean of 1 over the class's size."""
    return sum(1 / words.count(word) for word in words) / len(words)


def _write(out: Path, judged: list[Judged], close: list[Likeness], items: list, chance: float) -> None:
    from privsc.evaluation.privacy import report as report
    from privsc.files import ResultFolder

    with ResultFolder(out) as results:
        results.add("eavesdroppers.csv", report.table_csv(judged))
        results.add("roc.csv", report.roc_csv(judged))
        results.add("likeness.csv", report.likeness_csv(close))
        results.add("pictures.png", report.picture_page(items))
        for name, figure in (("rank1", report.rank1_figure(judged, chance)), ("roc", report.roc_figure(judged))):
            for kind in ("png", "svg"):
                results.add(f"{name}.{kind}", report.picture_bytes(figure, kind))


def _share(share: Share) -> str:
    if share.interval is None or share.value is None:
        return "–"
    low, high = share.interval
    text = f"{100 * share.value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
    return f"[bold]{text}[/bold]" if share.above_chance else text


def _print(judged: list[Judged], close: list[Likeness], words: list[str]) -> None:
    first = judged[0].figures
    table = Table("what is seen", "judge", "rank-1", "in its class", "AUC", "chosen in training")
    last = ""
    for row in judged:
        low, high = row.figures.auc_interval
        table.add_row(
            row.kind if row.kind != last else "",
            row.judge,
            _share(row.figures.rank1),
            _share(row.figures.in_class),
            f"{row.figures.auc:.2f} ({low:.2f} to {high:.2f})",
            row.how,
        )
        last = row.kind
    console.print(table)
    console.print(
        f"Chance: rank-1 {100 * first.rank1.chance:.1f} %, {100 * chance_with_class(words):.0f} % for who "
        f"knows the class word; in its class {100 * first.in_class.chance:.0f} % ({first.in_class.trials} "
        "pictures). Bold: the 95 % interval lies above chance.",
        soft_wrap=True,
    )
    table = Table("what is seen", "PSNR private", "SSIM private")
    for r in close:
        table.add_row(
            r.kind,
            f"{number(r.psnr.value, 1, ' dB')} ({number(r.psnr.low, 1)} to {number(r.psnr.high, 1)})",
            f"{number(r.ssim.value)} ({number(r.ssim.low)} to {number(r.ssim.high)})",
        )
    console.print(table)
