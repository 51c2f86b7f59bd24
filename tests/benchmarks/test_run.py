"""The command behind `make bench`: rows of benchmarks that run, fail, take too long or cannot be run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.run import PLAN, Bench

ROOT = Path(__file__).parents[2]
TINY = Bench("bench_codec", ("--messages", "2000", "--rounds", "1"), radio=False)


def test_every_benchmark_is_in_the_plan_and_make_runs_it():
    assert {bench.name for bench in PLAN} == {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")}
    shown = subprocess.run(["make", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m benchmarks.run" in shown and "driver.sh if-possible" in shown


def test_one_table_of_a_benchmark_that_runs_and_one_that_cannot(tmp_path, capsys):
    absent = Bench("bench_absent", radio=False, path="no/such/folder", hint="make it")
    assert run.main(["--out", str(tmp_path)], (TINY, absent)) == 0
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["what"] for row in rows] == ["nearest codeword, image8x4"] * 2 + ["bench_absent"]
    assert all(row["ours"] > 0 and row["theirs"] > 0 and row["ratio"] > 0 for row in rows[:2])
    assert rows[0]["command"].endswith(".venv/bin/python -m benchmarks.bench_codec --messages 2000 --rounds 1")
    assert rows[2]["note"] == "left out: no/such/folder is not there: run make it" and rows[2]["ratio"] is None
    printed = capsys.readouterr().out
    assert "bench 1/2 bench_codec …" in printed and "bench 2/2 bench_absent … left out" in printed
    assert (tmp_path / "table.md").read_text() in printed
    assert "M messages/s" in (tmp_path / "bench_codec.log").read_text()


def test_benchmarks_that_fail_or_take_too_long_are_rows_that_say_why(tmp_path, capsys):
    plan = (
        Bench("bench_nowhere", radio=False),
        Bench("bench_codec", ("--codec", "nonsense"), radio=False),
        Bench("bench_codec", TINY.arguments, radio=False, limit=0.01),
    )
    assert run.main(["--out", str(tmp_path)], plan) == 1
    notes = [row["note"] for row in json.loads((tmp_path / "table.json").read_text())["rows"]]
    assert "failed with exit code 1" in notes[0] and "No module named benchmarks.bench_nowhere" in notes[0]
    assert "failed with exit code 1" in notes[1] and "nonsense" in notes[1]
    assert notes[2] == "ended after 0.01 s, its limit"


def test_only_those_that_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run.main(["--out", str(tmp_path), "bench_that"], (TINY,))
    assert "no benchmark bench_that; there are bench_codec" in capsys.readouterr().err


def test_what_the_distribution_lacks_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(run, "_PACKAGES", {"no_such_module": "python3-nothing"})
    lacking = run.missing(Bench("bench_burst", modules=("no_such_module",)))
    assert lacking.endswith("lacks no_such_module: sudo apt-get install python3-nothing")
    monkeypatch.setattr(run, "DISTRIBUTION", ("/no/python", "-s"))
    assert run.missing(Bench("bench_burst")) == "/no/python cannot be run (No such file or directory)"
