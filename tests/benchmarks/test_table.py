"""The table's own arithmetic: turns, medians, ratios, rows to files and back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import ONE_THREAD, table
from benchmarks.table import Row, Spent

ROOT = Path(__file__).parents[2]


def test_works_take_turns_and_medians_are_taken_of_each_kind_of_time():
    order: list[str] = []
    times = {"a": iter([(1.0, 9.0), (5.0, 1.0), (3.0, 2.0)]), "b": iter([(7.0, 7.0)] * 3)}

    def work(name: str):
        order.append(name)
        return f"{name}{len(order)}", Spent(*next(times[name]))

    runs = table.in_turns({"a": lambda: work("a"), "b": lambda: work("b")}, 3)
    assert order == ["a", "b"] * 3
    assert runs["a"].spent == Spent(3.0, 2.0) and runs["b"].spent == Spent(7.0, 7.0)
    assert runs["a"].result == "a5"  # of the last round


@pytest.mark.parametrize(("works", "rounds"), [({}, 3), ({"a": lambda: (0, Spent(1, 1))}, 0)])
def test_no_rounds_or_no_works_are_refused(works, rounds):
    with pytest.raises(ValueError, match="at least 1 round and 1 work"):
        table.in_turns(works, rounds)


def test_timed_gives_the_result_and_counts_waiting_by_the_clock_only():
    result, spent = table.timed(lambda: time.sleep(0.2) or "done")
    assert result == "done"
    assert spent.wall >= 0.2 > spent.processor >= 0


def test_a_ratio_above_one_says_that_ours_is_ahead_whatever_the_unit():
    assert Row("speed", 6.0, "peer", 2.0, "Msps").ratio == 3
    assert Row("time", 6.0, "peer", 2.0, "ms", more=False).ratio == pytest.approx(1 / 3)
    assert Row("alone", 6.0, "", None, "Msps").ratio is None
    assert Row("nothing delivered", 6, "peer", 0, "frames").ratio is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "3"])
def test_a_figure_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="ours must be a finite number"):
        Row("x", value, "peer", 1.0, "ms")


def test_rows_come_back_from_their_file_with_the_command(tmp_path):
    rows = [Row("a", 1.5, "peer", 3, "ms", more=False, note="n"), table.failure("b", "not there")]
    table.write_rows(tmp_path / "rows.json", rows)
    got = table.read_rows(tmp_path / "rows.json", "make it")
    assert [row.command for row in got] == ["make it"] * 2
    assert [(r.what, r.ours, r.theirs, r.ratio, r.note) for r in got] == [
        ("a", 1.5, 3, 2.0, "n"),
        ("b", None, None, None, "not there"),
    ]


@pytest.mark.parametrize("text", ["{", "[1]", '[{"what": "a"}]', '[{"nonsense": 1}]', "7", " " * (1 << 21)])
def test_what_is_no_file_of_rows_is_refused(tmp_path, text):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(ValueError):
        table.read_rows(tmp_path / "rows.json")


def test_the_markdown_table_holds_every_row_and_the_commands_once():
    rows = [
        Row("one | two", 4.0, "peer", 2.0, "Msps", note="a\nb", command="first"),
        Row("three", 0, "", None, "lost", more=False, command="first"),
        table.failure("four", "left out: no peer", "second"),
    ]
    text = table.as_markdown(rows, {"processors": 2})
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["what", "ours", "peer", "theirs", "unit", "ratio", "note"]
    assert cells[2] == ["one / two [1]", "4", "peer", "2", "Msps", "2", "a b"]
    assert cells[3] == ["three [1]", "0", "–", "–", "lost", "–", ""]
    assert cells[4] == ["four [2]", "–", "–", "–", "", "–", "left out: no peer"]
    assert "[1] `first`" in text and text.count("`first`") == 1 and "processors: 2" in text
    stored = json.loads(table.as_json(rows, {"processors": 2}))
    assert [row["ratio"] for row in stored["rows"]] == [2.0, None, None] and stored["processors"] == 2


def test_there_is_one_clock():
    """Whoever times something uses it: no benchmark reads the processor's or the precise clock by itself."""
    own = [p.name for p in (ROOT / "benchmarks").glob("*.py") if re.search(r"perf_counter|process_time", p.read_text())]
    assert own == ["table.py"]


def test_a_command_pins_its_threads_and_an_import_changes_nothing():
    code = "import sys; sys.argv = [{!r}]; import benchmarks, os; print([os.environ[n] for n in benchmarks.ONE_THREAD])"
    given = {**os.environ, **dict.fromkeys(ONE_THREAD, "2")}
    for first, threads in (("-m", "1"), ("pytest", "2")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(first)], capture_output=True, text=True, cwd=ROOT, env=given, check=True
        )
        assert done.stdout.strip() == str([threads] * len(ONE_THREAD))


def test_a_commands_numerical_library_runs_on_one_thread():
    """`python -m benchmarks.…` itself: seen by what numpy's BLAS says when it is loaded."""
    code = (
        "import sys\n"
        "sys.argv = ['-m']\n"
        "import benchmarks, numpy, threadpoolctl\n"
        "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info()])\n"
    )
    given = {**os.environ, **dict.fromkeys(ONE_THREAD, "2")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=given, check=True)
    pools = json.loads(done.stdout)
    assert pools and set(pools) == {1}
