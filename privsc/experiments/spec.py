"""An experiment: axes and photographs in one TOML file, checked before anything runs.

    experiment.toml ──tomllib──► keys ──checked──► Experiment ──× photographs──► a RunConfig for each transmission

Axes and fixed values are the fields of `RunConfig`, so that whatever a run can be told can be an axis. Every error is
one line with the path of the key, as ``axes.snr_db[2]``.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from privsc.errors import ConfigError, ExperimentError
from privsc.experiments.measures import FIGURES
from privsc.system.build import Choice
from privsc.system.config import MEASURED, RunConfig

CARRIERS = {"sionna": None, "zmq": "zmq", "virtual": "radio"}
"""Carrier to the channel that it is; Sionna has channels of its own."""
MAX_POINTS = 1_000_000
Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetTable(_Table):
    """Which photographs.

    Attributes:
        source: `photos` (``subjects/NAME`` of the folder PRIVSC_PHOTOS), `folder` (one folder for each identity) or
            `built-in` (views of the photographs that scikit-image carries).
        path: of the folder, relative to the experiment file.
        subjects: which of them, all if left out; limit: the first so many.
        test: the last so many photographs of each are sent; the others are enrolled, at most `enrol` of them.
        class_word: of every subject; class_words: of single ones.
        personalise: run Algorithm 2; personalise_steps: None for the model's own number.
        k: a K to use instead of enrolling anybody.
    """

    source: Literal["photos", "folder", "built-in"] = "built-in"
    path: str | None = None
    subjects: Annotated[list[Name], Field(min_length=1)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    test: Annotated[int, Field(ge=1, le=1000)] = 1
    enrol: Annotated[int, Field(ge=1, le=1000)] | None = None
    class_word: Name | None = None
    class_words: dict[str, Name] = {}
    personalise: bool = True
    personalise_steps: Annotated[int, Field(ge=1, le=10_000)] | None = None
    k: str | None = None


class NetworksTable(_Table):
    """The options of the command's networks (privsc.system.build)."""

    encoder: str = "lite0"
    checkpoint: str | None = None
    recovery: str = "mini"
    model: str | None = None
    device: str = "cpu"


class ZmqTable(_Table):
    """Endpoints of a flowgraph that is the channel."""

    tx: str = "tcp://127.0.0.1:5560"
    bob: str = "tcp://127.0.0.1:5561"
    eve: str = "tcp://127.0.0.1:5562"


class ReportTable(_Table):
    """What is drawn.

    Attributes:
        x: axis under the curves; the first SNR, or the first axis of numbers, if left out.
        figures: which curves (names of privsc.experiments.measures).
        pictures: subjects whose pictures are shown for every point of the axes, with the first seed.
        claims: hold the result against the paper's.
    """

    x: str | None = None
    figures: Annotated[list[str], Field(min_length=1)] = list(FIGURES)
    pictures: list[Name] = []
    claims: bool = True

    @field_validator("figures")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in FIGURES:
                raise ValueError(f"{name}: no such figure, choose of {', '.join(FIGURES)}")
        return names


class Experiment(_Table):
    """A checked experiment file; `axes` maps fields of RunConfig (and not `subject`) to their values."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    title: str = ""
    carrier: Literal["sionna", "zmq", "virtual"] = "sionna"
    dataset: DatasetTable = DatasetTable()
    networks: NetworksTable = NetworksTable()
    zmq: ZmqTable = ZmqTable()
    fixed: dict[str, Any] = {}
    axes: dict[str, list[Any]] = {}
    report: ReportTable = ReportTable()
    folder: Path = Path()
    text: str = ""
    subjects_key: str = "dataset.subjects"

    @property
    def choice(self) -> Choice:
        """The networks."""
        options = self.networks.model_dump()
        if options["checkpoint"] is not None:
            options["checkpoint"] = self.folder / options["checkpoint"]
        return Choice(**options)

    def configs(self) -> Iterator[RunConfig]:
        """Every point of the axes; the seed varies slowest, so that neighbours share what does not depend on SNR."""
        names = sorted(self.axes, key=lambda name: name != "seed")
        for values in itertools.product(*(self.axes[name] for name in names)):
            yield RunConfig(**self.fixed, **dict(zip(names, values, strict=True)))

    @property
    def x(self) -> str | None:
        """The axis under the curves; None where no axis has numbers."""
        if self.report.x is not None:
            return self.report.x
        numbers = [name for name in self.axes if name != "seed" and _numbers(self.axes[name])]
        return next((name for name in ("snr_db", "eve_snr_db") if name in numbers), numbers[0] if numbers else None)

    @property
    def series(self) -> tuple[str, ...]:
        """Axes that tell curves apart: all but x and the seed."""
        return tuple(name for name in self.axes if name not in ("seed", self.x))

    @property
    def points(self) -> int:
        """Transmissions of each photograph."""
        count = 1
        for values in self.axes.values():
            count *= len(values)
        return count


def _numbers(values: list[Any]) -> bool:
    return len(values) > 1 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def read_experiment(path: Path, *, name: str | None = None, files: bool = True) -> Experiment:
    """The experiment of a TOML file.

    Args:
        name: where the file does not say it; that of the file if left out.
        files: check that what it names is there; False for the copy beside results.

    Raises:
        ExperimentError: for a file that cannot be read, a key that is unknown, a value that is impossible.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ExperimentError(f"{path}: no such file; give the path of an experiment file") from error
    except IsADirectoryError as error:
        raise ExperimentError(f"{path}: is a folder; give the path of an experiment file") from error
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{path}: is not UTF-8 text; give a TOML file") from error
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        keys = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExperimentError(f"{path}: is not TOML: {error}") from error
    try:
        return _checked({"name": name or path.stem, **keys}, path.absolute().parent, text, files)
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from error


def with_k(experiment: Experiment, k: Path) -> Experiment:
    """The experiment with a K that exists; its text says so.

    Raises:
        ExperimentError: where there is no such file.
    """
    if not k.is_file():
        raise ExperimentError(f"--db: {k}: no such file; make it with 'privsc db'")
    dataset = experiment.dataset.model_copy(update={"k": str(k.absolute())})
    text = f"# privsc sweep --db {k.name}: this K instead of enrolling\n{experiment.text}"
    return experiment.model_copy(update={"dataset": dataset, "text": text})


def key_path(*parts: str | int) -> str:
    """The path of a key as it is printed: ``axes.snr_db[2]``."""
    out = ""
    for part in parts:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _first(error: ValidationError, *before: str | int) -> ExperimentError:
    """The first fault that pydantic found, as one line."""
    fault = error.errors()[0]
    reason = fault["msg"].removeprefix("Value error, ")
    where = key_path(*before, *fault["loc"])
    if fault["type"] == "extra_forbidden":
        return ExperimentError(f"{where}: no such key; is it misspelt?")
    got = f"; got {fault['input']!r}" if fault["loc"] else ""  # of values together there is not one that is wrong
    return ExperimentError(f"{where}: {reason[0].lower()}{reason[1:]}{got}")


def _checked(keys: dict[str, Any], folder: Path, text: str, files: bool) -> Experiment:
    for taken in ("folder", "text", "subjects_key"):
        if taken in keys:
            raise ExperimentError(f"{taken}: no such key; is it misspelt?")
    plain = _with_subjects(keys)
    try:
        experiment = Experiment(
            **plain, folder=folder, text=text, subjects_key="dataset.subjects" if plain is keys else "axes.subject"
        )
    except ValidationError as error:
        raise _first(error) from error
    experiment = _with_channel(experiment)
    _check_values(experiment)
    if files:
        _check_files(experiment)
    try:
        _ = experiment.choice
    except ConfigError as error:
        raise ExperimentError("networks." + str(error).removeprefix("--")) from error
    return experiment


def _with_subjects(keys: dict[str, Any]) -> dict[str, Any]:
    """`axes.subject` is another way to write `dataset.subjects`."""
    axes, dataset = keys.get("axes"), keys.get("dataset", {})
    if not (isinstance(axes, dict) and "subject" in axes and isinstance(dataset, dict)):
        return keys
    if "subjects" in dataset:
        raise ExperimentError("axes.subject: dataset.subjects says it already; leave one out")
    given = axes["subject"]
    if not isinstance(given, list) or not given or not all(isinstance(name, str) and name for name in given):
        raise ExperimentError(f"axes.subject: must be a list of names; got {given!r}")
    rest = {name: values for name, values in axes.items() if name != "subject"}
    return {**keys, "axes": rest, "dataset": {**dataset, "subjects": given}}


def _with_channel(experiment: Experiment) -> Experiment:
    """A carrier that is no simulation is the channel."""
    channel = CARRIERS[experiment.carrier]
    if channel is None:
        return experiment
    for where, keys in (("axes", experiment.axes), ("fixed", experiment.fixed)):
        if "channel" in keys:
            raise ExperimentError(f"{where}.channel: the carrier {experiment.carrier} is the channel; leave it out")
        for name in ("snr_db", "eve_snr_db"):
            if name in keys and experiment.carrier == "zmq":
                raise ExperimentError(f"{where}.{name}: with carrier zmq the flowgraph sets the SNR; leave it out")
    return experiment.model_copy(update={"fixed": {**experiment.fixed, "channel": channel}})


def _check_values(experiment: Experiment) -> None:
    """Every value for itself, then every combination."""
    for name, value in experiment.fixed.items():
        _check_value(experiment, value, name, "fixed", name)
        if name in experiment.axes:
            raise ExperimentError(f"fixed.{name}: is an axis too; leave one out")
    for name, values in experiment.axes.items():
        if name not in RunConfig.model_fields:
            raise ExperimentError(f"axes.{name}: no such axis; choose of {', '.join(RunConfig.model_fields)}, subject")
        if not values:
            raise ExperimentError(f"axes.{name}: must hold at least one value; got none")
        for number, value in enumerate(values):
            _check_value(experiment, value, name, "axes", name, number)
            if value in values[:number]:
                raise ExperimentError(f"axes.{name}[{number}]: {value!r} is there already; give each value once")
    if experiment.points > MAX_POINTS:
        raise ExperimentError(f"axes: {experiment.points} combinations are more than the limit of {MAX_POINTS}")
    try:
        list(experiment.configs())
    except ValidationError as error:
        raise _first(error, "axes") from error
    if experiment.report.x is not None and not _numbers(experiment.axes.get(experiment.report.x, [])):
        raise ExperimentError(f"report.x: must be an axis of two numbers or more; got {experiment.report.x!r}")


def _check_value(experiment: Experiment, value: Any, name: str, *path: str | int) -> None:
    if name not in RunConfig.model_fields:
        raise ExperimentError(f"{key_path(*path)}: no such key; choose of {', '.join(RunConfig.model_fields)}")
    try:
        RunConfig.model_validate({name: value}, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        reason = fault["msg"].removeprefix("Value error, ").replace("valid tuple", "list of descriptions")
        message = f"{key_path(*path)}: {reason[0].lower()}{reason[1:]}; got {value!r}"
        raise ExperimentError(message) from error
    if name == "channel" and value in MEASURED and CARRIERS[experiment.carrier] != value:
        carrier = next(carrier for carrier, channel in CARRIERS.items() if channel == value)
        raise ExperimentError(f'{key_path(*path)}: is no simulated channel; write carrier = "{carrier}" instead')


def _check_files(experiment: Experiment) -> None:
    """Files and folders that are named must be there."""
    dataset, networks, folder = experiment.dataset, experiment.networks, experiment.folder
    if dataset.source == "folder" and dataset.path is None:
        raise ExperimentError("dataset.path: is missing; name the folder with one folder for each identity")
    if dataset.source == "built-in" and dataset.path is not None:
        raise ExperimentError("dataset.path: the built-in photographs have none; leave it out")
    if dataset.path is not None and not (folder / dataset.path).is_dir():
        raise ExperimentError(f"dataset.path: {folder / dataset.path}: no such folder")
    if dataset.k is not None and not (folder / dataset.k).is_file():
        raise ExperimentError(f"dataset.k: {folder / dataset.k}: no such file; make it with 'privsc db'")
    if networks.checkpoint is not None and not (folder / networks.checkpoint).is_file():
        raise ExperimentError(f"networks.checkpoint: {folder / networks.checkpoint}: no such file")
