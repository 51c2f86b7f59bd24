"""What the sub-commands share: the console, options that occur more than once, progress bars."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

PhotosOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of photographs; the environment variable PRIVSC_PHOTOS if left out."),
]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

DatabaseOption = Annotated[Path, typer.Option("--db", metavar="K.db", help="Privacy database K.")]
DatabaseArgument = Annotated[Path, typer.Argument(metavar="K.db", help="Privacy database K.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results; made when missing.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]

FULL = "Full models"  # heading of their options in --help
MaskOption = Annotated[
    str, typer.Option("--mask", metavar="SHAPE", help="What is removed: silhouette, silhouette+N (N px more), or box.")
]
RemoveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--remove",
        metavar="WORDS",
        help="Whom to hide, as 'the cat Vicky' or 'dog'; repeat for more; everybody of K if left out.",
    ),
]
HintOption = Annotated[
    str, typer.Option("--hint", help="pose: tell Bob how a photograph of K lies over the gap; none: the paper's.")
]
SendOption = Annotated[str, typer.Option("--send", help="How i travels: index, or embedding (of the prompt).")]
WaveformOption = Annotated[
    str,
    typer.Option("--waveform", help="burst: receivers find it; symbols: a shortcut, receivers are given frame starts."),
]
MaskInPayloadOption = Annotated[
    bool, typer.Option("--mask-in-payload", help="Send the mask too; else receivers find it in the picture.")
]
EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="NAME",
        rich_help_panel=FULL,
        help="Image encoder and mask decoder: lite0, sam_vit_b, sam_vit_l or sam_vit_h.",
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        rich_help_panel=FULL,
        help="Weights of a SAM encoder; those of 'privsc models fetch' if left out.",
    ),
]
RecoveryOption = Annotated[
    str,
    typer.Option(
        "--recovery",
        metavar="NAME",
        rich_help_panel=FULL,
        help="What paints: mini (privsc-mini) or sd (Stable Diffusion).",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="DIR",
        rich_help_panel=FULL,
        help="Folder of it in diffusers' layout, or an id in the local Hugging Face cache.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", rich_help_panel=FULL, help="cpu or cuda, for the full models only.")
]


class Stages:
    """A progress display of stages that follow one another; call it with a name to begin the next one.

    What the call returns is the callback for that stage: (steps done, steps in all, and for some what is being done).
    """

    def __init__(self, progress: Progress):
        self._progress = progress
        self._task: TaskID | None = None
        self._name = ""

    def __call__(self, name: str) -> Callable[..., None]:
        self.finish()
        self._task, self._name = self._progress.add_task(name, total=None), name
        return self._update

    def _update(self, done: int, total: int, what: object = "", *more: object) -> None:
        if self._task is not None:
            text = f"{self._name}: {what}" if isinstance(what, str) and what else self._name
            if isinstance(what, float):
                text = f"{self._name}, loss {what:.4f}"
            self._progress.update(self._task, completed=done, total=total, description=text)

    def finish(self) -> None:
        """Mark the present stage as done."""
        if self._task is not None:
            total = self._progress.tasks[self._task].total or 1
            self._progress.update(self._task, total=total, completed=total, description=self._name)
            self._progress.stop_task(self._task)


class StageLines:
    """Stages where the output is no terminal: a line when one begins, one every `EVERY` seconds, one when it ends.

    The first line waits `DELAY` seconds: what is refused at once ends in its one line of error and nothing else.
    """

    DELAY, EVERY = 1.0, 15.0  # [s]

    def __init__(self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic):
        self._write, self._clock = write or (lambda line: errors.out(line, highlight=False)), clock
        self._start = self._began = self._said = clock()
        self._name: str | None = None
        self._held: str | None = None  # the first line, until it is written
        self._lock, self._timer = threading.Lock(), threading.Timer(self.DELAY, self._release)
        self._timer.daemon = True

    def __call__(self, name: str) -> Callable[..., None]:
        self.finish()
        first, self._name, self._began = self._name is None and not self._timer.ident, name, self._clock()
        if first and self.DELAY:
            self._held = self._line(name)
            self._timer.start()
        else:
            self._say(name)
        return self._update

    def _release(self) -> None:
        with self._lock:
            line, self._held = self._held, None
            if line is not None:
                self._write(line)

    def cancel(self) -> None:
        """Write nothing more: the command has failed."""
        with self._lock:
            self._held = None
        self._timer.cancel()

    def _update(self, done: int, total: int, what: object = "", *more: object) -> None:
        now = self._clock()
        if now - self._said < self.EVERY or not total:
            return
        left = (now - self._began) * (total - done) / done if done else None
        rest = "" if left is None else f", about {left:.0f} s left"
        detail = f", loss {what:.4f}" if isinstance(what, float) else f", {what}" if what else ""
        self._say(f"{self._name}: {done} of {total}{detail}{rest}")

    def _say(self, text: str) -> None:
        self._release()
        self._write(self._line(text))

    def _line(self, text: str) -> str:
        self._said = self._clock()
        return f"[{self._said - self._start:6.1f} s] {text}"

    def finish(self) -> None:
        """End the present stage; a short one needs no second line."""
        if self._name is not None and self._clock() - self._began >= 1:
            self._say(f"{self._name}: done in {self._clock() - self._began:.1f} s")
        self._name = None


@contextmanager
def stages() -> Iterator[Stages | StageLines]:
    """Progress on stderr while the block runs, so that stdout holds results only."""
    if not errors.is_terminal:
        lines = StageLines()
        try:
            yield lines
        except BaseException:
            lines.cancel()
            raise
        lines.finish()
        lines.cancel()
        return
    columns: list[Any] = [
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=errors) as progress:
        shown = Stages(progress)
        yield shown
        shown.finish()


@contextmanager
def transfer(name: str, size: int) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar of bytes on stderr for a download; yields its callback (bytes done, in all, what)."""
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=errors, transient=not errors.is_terminal) as progress:
        task = progress.add_task(name, total=size)
        yield lambda done, total, what: progress.update(task, completed=done, total=total, description=escape(what))


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """A figure for a table; a dash where it is absent."""
    return "–" if value is None else f"{value:.{digits}f}{unit}"
