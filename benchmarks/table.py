"""What all benchmarks share: one clock, runs in turns, and rows of one table.

    works ──in turns, A B A B──► medians of processor and clock time ──► Row(ours, theirs) ──► JSON, Markdown

Needs the standard library only: both interpreters, .venv's and the distribution's, import it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
ROUNDS = 5
_LARGEST = 1 << 20  # [bytes] of a file of rows


@dataclass(frozen=True)
class Spent:
    """wall: [s] by the clock; processor: [s] of this process, all of its threads together."""

    wall: float
    processor: float


class Clock:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> Spent:
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._processor)


def timed(work: Callable[[], T]) -> tuple[T, Spent]:
    """One call: (what it returned, what it took)."""
    clock = Clock()
    result = work()
    return result, clock.read()


@dataclass(frozen=True)
class Runs(Generic[T]):
    """result: of the last run; spent: median of each kind of time by itself."""

    result: T
    spent: Spent


def in_turns(works: Mapping[str, Callable[[], tuple[T, Spent]]], rounds: int = ROUNDS) -> dict[str, Runs[T]]:
    """Run every work once a round, in the same order, so that what else the machine does meets all alike.

    works: name to a call that gives (result, what is to be counted); ``timed`` makes such a pair.
    """
    if rounds < 1 or not works:
        raise ValueError(f"there must be at least 1 round and 1 work, got {rounds} and {len(works)}")
    done: dict[str, list[tuple[T, Spent]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            done[name].append(work())
    return {
        name: Runs(
            runs[-1][0],
            Spent(*(statistics.median(getattr(spent, kind) for _, spent in runs) for kind in ("wall", "processor"))),
        )
        for name, runs in done.items()
    }


@dataclass(frozen=True)
class Row:
    """One comparison. ours, theirs: in ``unit``, None where there is none; peer: what theirs is; more: more is better
    (a speed), else less (a time, a loss). note: quality beside speed, or why something is missing."""

    what: str
    ours: float | None
    peer: str
    theirs: float | None
    unit: str
    more: bool = True
    note: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        if not self.what:
            raise ValueError("a row must say what it compares")
        for name in ("ours", "theirs"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise ValueError(f"{self.what}: {name} must be a finite number, not negative, or None, got {value!r}")

    @property
    def ratio(self) -> float | None:
        """How many times better ours is: above 1 ours is ahead, below 1 the peer. None where a side is missing or 0."""
        if not self.ours or not self.theirs:
            return None
        return self.ours / self.theirs if self.more else self.theirs / self.ours


def failure(what: str, reason: str, command: str = "") -> Row:
    """The row of a benchmark, or of a part of it, that could not be run."""
    return Row(what, None, "", None, "", note=reason, command=command)


def positive(text: str) -> int:
    """A count on the command line, at least 1."""
    value = int(float(text))
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def parser(text: str | None) -> argparse.ArgumentParser:
    """Options that every benchmark has; text: of its module, whose first line is shown."""
    made = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    made.add_argument("--rounds", type=positive, default=ROUNDS, help="runs of each side, in turns (%(default)s)")
    made.add_argument("--rows", type=Path, help="write the rows for the common table there")
    return made


def write_rows(path: Path | None, rows: Sequence[Row]) -> None:
    """Rows as JSON; nothing without a path."""
    if path:
        path.write_text(json.dumps([asdict(row) for row in rows], allow_nan=False))


def read_rows(path: Path, command: str = "") -> list[Row]:
    """Rows that ``write_rows`` wrote, with the command that made them. Raises ValueError for anything else."""
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path}: rows must be at most {_LARGEST} bytes, got {path.stat().st_size}")
    try:
        return [replace(Row(**entry), command=command) for entry in json.loads(path.read_text())]
    except TypeError as error:
        raise ValueError(f"{path}: holds no rows: {error}") from None


def as_json(rows: Sequence[Row], about: Mapping[str, object]) -> str:
    """The whole table for programs; about: date, processors and their like."""
    return json.dumps({**about, "rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}, indent=1)


def as_markdown(rows: Sequence[Row], about: Mapping[str, object]) -> str:
    """The whole table for people, the commands below it."""
    head = ("what", "ours", "peer", "theirs", "unit", "ratio", "note")
    commands = list(dict.fromkeys(row.command for row in rows))
    cells = [
        (
            f"{row.what} [{commands.index(row.command) + 1}]",
            _number(row.ours),
            row.peer or "–",
            _number(row.theirs),
            row.unit,
            _number(row.ratio),
            row.note,
        )
        for row in rows
    ]
    cells = [tuple(" ".join(cell.replace("|", "/").split()) for cell in line) for line in cells]
    widths = [max(len(line[i]) for line in (head, *cells)) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in cells]
    top = "| " + " | ".join(cell.ljust(w) for cell, w in zip(head, widths, strict=True)) + " |"
    return "\n".join(
        [
            "Ratio: above 1 ours is ahead, below 1 the peer. " + "; ".join(f"{k}: {v}" for k, v in about.items()) + ".",
            "",
            top,
            "| " + " | ".join("-" * w for w in widths) + " |",
            *lines,
            "",
            *(f"[{i + 1}] `{command}`  " for i, command in enumerate(commands)),
            "",
        ]
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0 or (float(value).is_integer() and value < 1e6):
        return str(int(value))
    return f"{value:.3g}" if 1e-3 <= value < 1000 else f"{value:.0f}" if 1000 <= value < 1e6 else f"{value:.2e}"
