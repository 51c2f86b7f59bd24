"""Is a sweep that was killed again and again the same as one that was not?

    .venv/bin/python scripts/kill_sweep.py EXPERIMENT.toml OUT --kills 10 --workers 2 --longest 40

Runs the experiment once without interruption, and once killed (SIGKILL) at random moments and started again until it is
done; compares the tables byte by byte, rows sorted. Every second kill comes at a random moment after a new row, the
others at any moment from the start, when networks are still being loaded or subjects enrolled.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def command(experiment: Path, out: Path, workers: int) -> list[str]:
    return [sys.executable, "-m", "privsc", "sweep", str(experiment), "--out", str(out), "--workers", str(workers)]


def rows_in(out: Path) -> int:
    return len(list((out / "cache" / "units").glob("*/*/row.json")))


def sorted_lines(out: Path) -> list[bytes]:
    head, *rows = (out / "results.csv").read_bytes().splitlines()
    return [head, *sorted(rows)]


def lived(process: subprocess.Popen, seconds: float, out: Path, at_work: bool) -> bool:
    """Let a run live so long, counted from its first new row where it is to be at work; False when it ended itself."""
    before = rows_in(out)
    while at_work and process.poll() is None and rows_in(out) == before:
        time.sleep(0.05)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("experiment", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shortest", type=float, default=1.0, help="[s] that a run lives at least")
    parser.add_argument("--longest", type=float, default=40.0, help="[s] that a run lives before it is killed")
    parser.add_argument("--longest-at-work", type=float, default=8.0, help="[s] the same, after a new row")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, kills = random.Random(given.seed), 0
    environment = os.environ | {"PRIVSC_REVISION": os.environ.get("PRIVSC_REVISION", "killed and whole")}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    while kills < given.kills:
        process = subprocess.Popen(command(given.experiment, given.out / "killed", given.workers), **quiet)
        at_work = kills % 2 == 1
        wait = rng.uniform(0.0 if at_work else given.shortest, given.longest_at_work if at_work else given.longest)
        if not lived(process, wait, given.out / "killed", at_work):
            print(f"finished by itself with code {process.returncode} after {kills} kills", flush=True)
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        since = "its first new row" if at_work else "the start"
        print(f"kill {kills}, {wait:.1f} s after {since}: {rows_in(given.out / 'killed')} rows are there", flush=True)
        time.sleep(1.0)
    for name in ("killed", "whole"):
        subprocess.run(command(given.experiment, given.out / name, given.workers), check=True, **quiet)
    killed, whole = sorted_lines(given.out / "killed"), sorted_lines(given.out / "whole")
    same = killed == whole
    print(f"{kills} kills, {len(whole) - 1} rows: tables are {'equal to the last byte' if same else 'DIFFERENT'}")
    return 0 if same and kills == given.kills else 1


if __name__ == "__main__":
    raise SystemExit(main())
