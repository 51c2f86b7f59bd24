"""All benchmarks one after the other, small, and one table of what they found: ``make bench``.

    PYTHONPATH=. .venv/bin/python -m benchmarks.run [--out results/bench] [NAME…]

Writes OUT/table.md and OUT/table.json, and what each benchmark printed to OUT/NAME.log. What cannot be run, or fails,
is a row that says why.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks import table
from benchmarks.table import Clock, Row

ROOT = Path(__file__).parents[1]
DISTRIBUTION = ("/usr/bin/python3", "-s")
DRIVER = "hardware/soapy_zmq/build"
_PACKAGES = {"gnuradio": "gnuradio", "zmq": "python3-zmq", "scipy": "python3-scipy", "SoapySDR": "python3-soapysdr"}


@dataclass(frozen=True)
class Bench:
    """name: of the module; arguments: sizes that make all of it a matter of minutes; radio: runs under the
    distribution's interpreter, which must have ``modules``; path: must exist, ``hint`` says how it is made."""

    name: str
    arguments: tuple[str, ...] = ()
    radio: bool = True
    modules: tuple[str, ...] = ("gnuradio", "zmq", "scipy")
    path: str = ""
    hint: str = ""
    limit: float = 300.0  # [s]

    @property
    def words(self) -> list[str]:
        """The command; this interpreter where the models side is measured."""
        python = DISTRIBUTION if self.radio else (sys.executable,)
        return [*python, "-m", f"benchmarks.{self.name}", *self.arguments]

    @property
    def shown(self) -> str:
        """The command as one would type it."""
        python = DISTRIBUTION if self.radio else (".venv/bin/python",)
        return shlex.join(["PYTHONPATH=.", *python, *self.words[len(python) :]])


PLAN = (
    Bench("bench_privsc", ("--rounds", "5"), radio=False),
    Bench("bench_codec", ("--messages", "200000", "--rounds", "5"), radio=False),
    Bench("bench_burst", ("--frames", "400", "--rounds", "5"), modules=("scipy",)),
    Bench("bench_gnuradio", ("500", "speed", "--rounds", "5")),
    Bench("bench_bridge", ("1e7", "plain", "exchange", "curve", "--rounds", "3")),
    Bench("bench_receive", ("4", "--rounds", "3")),
    Bench("bench_soapy_zmq", ("3", "4", "10"), modules=("SoapySDR",), path=DRIVER, hint="make driver"),
)


def environment() -> dict[str, str]:
    """Of every benchmark's process. SOAPY_SDR_PLUGIN_PATH stays where it is set."""
    return {
        "SOAPY_SDR_PLUGIN_PATH": str(ROOT / DRIVER),
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONNOUSERSITE": "1",
    }


def missing(bench: Bench) -> str:
    """What a benchmark lacks and how it is got; empty where it can run."""
    if bench.path and not (ROOT / bench.path).is_dir():
        return f"{bench.path} is not there: run {bench.hint}"
    if not bench.radio:
        return ""
    lacking = []
    for module in bench.modules:
        try:
            done = subprocess.run([*DISTRIBUTION, "-c", f"import {module}"], capture_output=True, timeout=120)
        except OSError as error:
            return f"{DISTRIBUTION[0]} cannot be run ({error.strerror})"
        if done.returncode:
            lacking.append(module)
    if not lacking:
        return ""
    packages = " ".join(_PACKAGES[module] for module in lacking)
    return f"{DISTRIBUTION[0]} lacks {', '.join(lacking)}: sudo apt-get install {packages}"


def run(bench: Bench, folder: Path) -> tuple[list[Row], bool]:
    """(rows of one benchmark, whether it ended well); its output goes to folder/NAME.log."""
    with tempfile.TemporaryDirectory(prefix="privsc-") as name:
        path, log = Path(name) / "rows.json", folder / f"{bench.name}.log"
        reason = _execute([*bench.words, "--rows", str(path)], log, bench.limit)
        try:
            rows = table.read_rows(path, bench.shown)
        except (OSError, ValueError) as error:
            rows, reason = [], reason or f"it wrote no rows: {error}"
    if reason:
        rows.append(table.failure(bench.name, reason, bench.shown))
    return rows, not reason


def _execute(words: Sequence[str], log: Path, limit: float) -> str:
    """Run a command, everything that it started ended with it; why it failed, empty where it did not."""
    with log.open("w") as out:
        process = subprocess.Popen(
            words, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=environment(), start_new_session=True
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return f"ended after {limit:g} s, its limit"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code == 0:
        return ""
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"failed with exit code {code}: {lines[-1][:200] if lines else 'it printed nothing'}"


def main(arguments: Sequence[str] | None = None, plan: Sequence[Bench] = PLAN) -> int:
    """Run, write, print; 1 where a benchmark failed. One that cannot be run here is no failure."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("names", nargs="*", metavar="NAME", help="only these")
    options.add_argument("--out", type=Path, default=Path("results/bench"))
    given = options.parse_args(arguments)
    if unknown := sorted(set(given.names) - {bench.name for bench in plan}):
        options.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(bench.name for bench in plan)}")
    chosen = [bench for bench in plan if bench.name in given.names or not given.names]
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    well, began = True, f"{os.getloadavg()[0]:.1f}"
    for number, bench in enumerate(chosen, start=1):
        print(f"bench {number}/{len(chosen)} {bench.name} …", end=" ", flush=True)
        clock = Clock()
        if reason := missing(bench):
            found = [table.failure(bench.name, f"left out: {reason}", bench.shown)]
            print(f"left out: {reason}", flush=True)
        else:
            found, fine = run(bench, given.out)
            well = well and fine
            result = f"{len(found)} rows" if fine else found[-1].note
            print(f"{clock.read().wall:.0f} s, {result}", flush=True)
        rows += found
    about = {
        "date": date.today().isoformat(),
        "processors": os.cpu_count(),
        "load before and after": f"{began} and {os.getloadavg()[0]:.1f}",
    }
    text = table.as_markdown(rows, about)
    (given.out / "table.md").write_text(text)
    (given.out / "table.json").write_text(table.as_json(rows, about))
    print(f"\n{text}\nwritten to {given.out}/table.md and table.json")
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
