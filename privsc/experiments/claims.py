"""Our figures beside the paper's claims, met or not.

Chang, Chen, Wang and Zhang, "Privacy Preserving Semantic Communications Using Vision Language Models: A Segmentation
and Generation Approach", arXiv:2509.08142:
over 5 to 20 dB on 13,536 photographs of 518 cats, with SAM and Stable Diffusion. A claim is met where it holds at
every SNR that was measured; where it holds at some, the line says at how many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from privsc.experiments.measures import FIGURES
from privsc.experiments.spec import Experiment
from privsc.experiments.summary import Cell
from privsc.stats import Estimate

PAPER = "Chang et al., arXiv:2509.08142"
RANGE = (5.0, 20.0)  # [dB] of the paper


@dataclass(frozen=True)
class Claim:
    """One claim. figure: in FIGURES; of: `lead`, `bob` or `eve`; limit: what the value is held against."""

    what: str
    paper: str
    figure: str
    of: str
    limit: float
    below: bool = False

    def holds(self, value: float) -> bool:
        return value < self.limit if self.below else value >= self.limit

    @property
    def test(self) -> str:
        """The criterion in words."""
        unit = "%" if self.of == "lead" and FIGURES[self.figure].ratio else FIGURES[self.figure].unit
        return f"{'<' if self.below else '≥'} {self.limit:g} {unit}"


CLAIMS = (
    Claim("PSNR whole, Bob over Eve", "at least 2 dB higher", "psnr", "lead", 2.0),
    Claim("PSNR private, Bob over Eve", "more than 5 dB higher", "psnr_private", "lead", 5.0),
    Claim("SSIM whole, Bob over Eve", "about 10 % higher", "ssim", "lead", 10.0),
    Claim("SSIM private, Bob over Eve", "about 25 % higher", "ssim_private", "lead", 25.0),
    Claim("identified in Bob's picture", "near 100 %", "identified", "bob", 95.0),
    Claim("identified in Eve's picture", "under 50 %", "identified", "eve", 50.0, below=True),
)


@dataclass(frozen=True)
class Verdict:
    """How one claim fares in one series: our value at each x, their mean, and at how many the claim holds."""

    series: tuple[Any, ...]
    claim: Claim
    points: tuple[tuple[Any, Estimate], ...]

    @property
    def values(self) -> list[float]:
        return [one.value for _, one in self.points if one.value is not None]

    @property
    def mean(self) -> float | None:
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def held(self) -> int:
        return sum(self.claim.holds(value) for value in self.values)

    @property
    def word(self) -> str:
        """`met`, `not met`, `met at 3 of 4`, or `no figure`."""
        if not self.values:
            return "no figure"
        if self.held == len(self.points):
            return "met"
        return "not met" if self.held == 0 else f"met at {self.held} of {len(self.points)}"


def verdicts(cells: Sequence[Cell], experiment: Experiment) -> list[Verdict]:
    """Every claim in every series, where Bob's SNR lies in the paper's range."""
    found = []
    for series in dict.fromkeys(cell.series for cell in cells):
        for claim in CLAIMS:
            points = tuple(
                (cell.x, getattr(cell, claim.of))
                for cell in cells
                if cell.series == series and cell.figure == claim.figure and _in_range(experiment, cell)
            )
            if points:
                found.append(Verdict(series, claim, points))
    return found


def _in_range(experiment: Experiment, cell: Cell) -> bool:
    named = dict(zip(experiment.series, cell.series, strict=True)) | {experiment.x: cell.x}
    snr = named.get("snr_db", experiment.fixed.get("snr_db", 10.0))
    return RANGE[0] <= snr <= RANGE[1]


@dataclass(frozen=True)
class Dependence:
    """Whether what Eve identifies depends on her channel: her figure at the highest SNR, and at `reference` dB."""

    series: tuple[Any, ...]
    reference: float
    highest: float
    at_reference: Estimate
    at_highest: Estimate

    @property
    def inside(self) -> bool | None:
        """Is the highest within the interval of the reference? None where there are no figures."""
        one, other = self.at_reference, self.at_highest
        if one.low is None or one.high is None or other.value is None:
            return None
        return one.low <= other.value <= one.high


def dependence(cells: Sequence[Cell], experiment: Experiment, figure: str = "identified") -> list[Dependence]:
    """For experiments over Eve's SNR; the reference is 10 dB, or the lowest there is."""
    if experiment.x != "eve_snr_db":
        return []
    found = []
    for series in dict.fromkeys(cell.series for cell in cells):
        eve = {cell.x: cell.eve for cell in cells if cell.series == series and cell.figure == figure}
        if len(eve) >= 2:
            reference = 10.0 if 10.0 in eve else min(eve)
            found.append(Dependence(series, reference, max(eve), eve[reference], eve[max(eve)]))
    return found


def show_verdicts(cells: Sequence[Cell], experiment: Experiment, show: Callable[[Any], None]) -> None:
    """Print the comparison; show: prints a rich renderable."""
    from rich.table import Table

    for series in dict.fromkeys(cell.series for cell in cells):
        label = series_label(experiment, series)
        table = Table(
            "figure",
            "the paper",
            "ours (over the points)",
            "test",
            "verdict",
            title=f"{experiment.name}{': ' + label if label else ''}, beside {PAPER}",
            title_justify="left",
        )
        for one in verdicts([cell for cell in cells if cell.series == series], experiment):
            unit = " " + one.claim.test.rsplit(" ", 1)[1] if one.claim.test.endswith(("%", "dB")) else ""
            low, high = (min(one.values), max(one.values)) if one.values else (None, None)
            colour = {"met": "green", "not met": "red"}.get(one.word, "yellow")
            table.add_row(
                one.claim.what,
                one.claim.paper,
                f"{_number(one.mean, unit)} ({_number(low, '')} to {_number(high, '')})",
                one.claim.test,
                f"[{colour}]{one.word}[/{colour}]",
            )
        if table.row_count and experiment.report.claims:
            show(table)
    for found in dependence(cells, experiment):
        said = {True: "within", False: "outside", None: "no figure against"}[found.inside]
        base = found.at_reference
        show(
            f"Eve identifies {_number(found.at_highest.value, ' %')} at {found.highest:g} dB, {said} the interval at "
            f"{found.reference:g} dB: {_number(base.value, ' %')} ({_number(base.low, '')} to "
            f"{_number(base.high, ' %')})"
        )


def series_label(experiment: Experiment, series: tuple[Any, ...]) -> str:
    """The values that tell a curve apart, in words."""
    return ", ".join(in_words(name, value) for name, value in zip(experiment.series, series, strict=True))


IN_WORDS = {"snr_db": "{} dB", "eve_snr_db": "Eve {} dB", "hint": "hint {}", "send": "{} sent", "coding": "{}",
            "codec": "{}", "channel": "{}", "mask": "{}", "init": "from {}"}  # fmt: skip


def in_words(name: str, value: Any) -> str:
    """One value of an axis, so that it can be understood without the name of the axis."""
    if name == "remove":
        return f"without {value}" if value else "everybody removed"
    if isinstance(value, bool):
        return f"{'' if value else 'no '}{name}".replace("_", " ")
    return IN_WORDS.get(name, name + " {}").format(plain(value))


def plain(value: Any) -> str:
    """A value of an axis as it was written: 5 for 5.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f}{unit}"
