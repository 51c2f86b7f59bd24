"""`privsc sweep` and `privsc compare`: experiments from a file, and what they say beside the paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from privsc.cli.options import OutOption, console, stages
from privsc.files import private_folder

if TYPE_CHECKING:
    from privsc.experiments.spec import Experiment
    from privsc.experiments.sweep import Effort, Plan

ExperimentArgument = Annotated[Path, typer.Argument(metavar="EXPERIMENT.toml", help="Axes and photographs.")]


def sweep(
    experiment: ExperimentArgument,
    out: OutOption,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=1024, help="Processes of this machine; one a core if left out, 0 none but this one."
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler that runs already, as tcp://host:8786.")
    ] = None,
    db: Annotated[
        Path | None, typer.Option("--db", metavar="K.db", help="K that exists already: nobody is enrolled.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of finished work, to share between experiments; OUT/cache if left out."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what there is to do and how long it takes.")
    ] = False,
) -> None:
    """Run an experiment: results.csv, results.parquet, figures, report.html. Killed or interrupted, it goes on when
    the command is repeated."""
    from privsc.errors import ExperimentError
    from privsc.experiments.spec import read_experiment, with_k

    plan_of = read_experiment(experiment)
    if db is not None:
        plan_of = with_k(plan_of, db)
    if workers and scheduler:
        raise ExperimentError("--workers: with --scheduler the cluster says how many there are; leave one out")
    if plan_of.carrier != "sionna":
        if scheduler is not None or (workers or 0) > 1:
            raise ExperimentError(
                f"--workers: one flowgraph or radio serves one worker; carrier {plan_of.carrier} "
                "runs with --workers 1 or none"
            )
        workers = 0 if workers is None else workers

    from privsc.experiments.enrolment import given_k
    from privsc.experiments.subjects import collect

    with _about(experiment):
        subjects = collect(plan_of, None)  # what is not there is an error before networks are loaded
        if plan_of.dataset.k is not None and plan_of.dataset.source != "built-in":
            given_k(plan_of, subjects, None)

    from privsc.experiments import sweep as sweeps

    with sweeps.alone_in(out) as folder:
        place = folder / "cache" if cache is None else cache
        private_folder(place)
        sweeps.remove_partial(place)
        with stages() as stage, _about(experiment):
            plan = sweeps.make_plan(plan_of, place, stage)
        expected = sweeps.cores() if workers is None else max(workers, 1)
        for line in _told(plan, expected):
            console.print(escape(line), soft_wrap=True)
        if dry_run:
            return
        effort = None
        if plan.to_enrol or plan.bench is None or plan.to_measure:
            plan, effort = _work(plan, sweeps.cores() if workers is None and scheduler is None else workers, scheduler)
        rows = _results(folder, plan)
    _finish(folder, plan, rows, effort)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Errors that name a key name the file, too."""
    from privsc.errors import ExperimentError

    try:
        yield
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from error


def _work(plan: Plan, workers: int | None, scheduler: str | None) -> tuple[Plan, Effort]:
    from privsc.cli.options import errors
    from privsc.experiments import sweep as sweeps
    from privsc.experiments.cluster import spread

    try:
        with spread(workers, scheduler) as (run, count), stages() as stage:
            return sweeps.carry_out(plan, run, count, stage)
    except KeyboardInterrupt:
        done = len(plan.units) - len(plan.to_measure)
        errors.print(f"privsc: {done} of {plan.count} transmissions are kept; the same command goes on", soft_wrap=True)
        raise


def _told(plan: Plan, workers: int) -> list[str]:
    """What there is to do, in words."""
    photos, s = sum(len(subject.tests) for subject in plan.subjects), "s" if workers > 1 else ""
    done = len(plan.units) - len(plan.to_measure)
    each, known = plan.seconds_each()
    lines = [
        f"{plan.experiment.name}: {photos} photographs x {plan.experiment.points} points = {plan.count} "
        f"transmissions, {done} of them there already"
    ]
    if plan.parts:
        too = " and to personalise" if plan.experiment.dataset.personalise and plan.to_enrol else ""
        lines.append(f"K: {len(plan.parts)} subjects, {len(plan.to_enrol)} still to enrol{too}")
    left = plan.estimate(workers)
    if left > 0:
        lines.append(
            f"estimate: {_clock(left)} on {workers} worker{s}, {each:.1f} s a transmission "
            f"({'as measured here' if known else 'a guess; measured as it runs'})"
        )
    return lines


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _results(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """Tables, figures and the page."""
    from privsc.experiments import sweep as sweeps
    from privsc.experiments.galleries import galleries
    from privsc.experiments.report import write_report
    from privsc.experiments.summary import summarise

    rows = sweeps.rows_of(plan)
    with stages() as stage:
        stage("tables, figures, report")
        sweeps.write_tables(folder, plan, rows)
        write_report(folder, plan.experiment, rows, summarise(rows, plan.experiment), galleries(plan))
    return rows


def _finish(folder: Path, plan: Plan, rows: list[dict[str, Any]], effort: Effort | None) -> None:
    if effort is not None and effort.made:
        each = effort.busy / effort.made
        console.print(
            f"{effort.made} transmissions in {effort.wall:.1f} s on {effort.workers} "
            f"worker{'s' if effort.workers > 1 else ''}; {effort.busy:.1f} s of processor time, {each:.2f} s "
            f"each: {effort.busy / max(effort.wall, 1e-9):.2f} times as fast as on one idle core",
            soft_wrap=True,
        )
    if len(revisions := sorted({row["revision"] for row in rows})) > 1:
        console.print(
            f"rows are of {len(revisions)} revisions of the code ({', '.join(revisions)}); for one of them "
            "only, give another --out"
        )
    _compare(rows, plan.experiment)
    console.print(
        f"table: {escape(str(folder / 'results.csv'))}; report: {escape(str(folder / 'report.html'))}", soft_wrap=True
    )


def _compare(rows: list[dict[str, Any]], experiment: Experiment) -> None:
    from privsc.experiments.claims import show_verdicts
    from privsc.experiments.summary import summarise

    show_verdicts(summarise(rows, experiment), experiment, lambda item: console.print(item))


def compare(
    results: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that a sweep has written (its --out).")],
) -> None:
    """Print the figures of a finished sweep beside the paper's claims, met or not."""
    from privsc.experiments.spec import read_experiment
    from privsc.experiments.table import read_table

    rows = read_table(results / "results.parquet")
    _compare(rows, read_experiment(results / "experiment.toml", name=rows[0]["experiment"], files=False))
