"""Sweeps: rows that survive kills, work that is not done twice, tables that do not depend on the number of workers."""

import csv
import io
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from privsc.cli import sweep as cli_sweep
from privsc.cli.app import main
from privsc.experiments import transmissions
from privsc.experiments.sweep import groups
from privsc.experiments.table import read_table, to_csv
from privsc.knowledge.database import Database
from tests.fakes.networks import COLOURS
from tests.fakes.samples import make_entity, scene
from tests.fakes.sweep_process import BOX, use_fakes

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
[dataset]
source = "folder"
path = "pets"
k = "K.db"
[axes]
snr_db = [6, 30, 40]
eve_snr_db = [6, 12]
seed = [0, 1]
[report]
figures = ["psnr_private"]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An experiment on two photographs with a box in the colour that the fakes know, and its K."""
    monkeypatch.setenv("PRIVSC_REVISION", "test")
    for number, name in enumerate(("Tom", "Vicky")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        picture = scene(48, 64, number)
        x0, y0, x1, y1 = BOX
        picture[y0:y1, x0:x1] = COLOURS[name]
        Image.fromarray(picture).save(tmp_path / "pets" / name / "0.png")
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db.add(make_entity("Vicky", 1))
        db.add(make_entity("Tom", 2))
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    return tmp_path


@pytest.fixture
def fakes(monkeypatch):
    monkeypatch.setattr(transmissions, "load_models", None)
    monkeypatch.setattr("privsc.experiments.provenance.identities", None)
    yield use_fakes()
    transmissions.laboratory.cache_clear()


def sweep(place, out="out", **options):
    told = {"workers": 0, "scheduler": None, "cache": None, "dry_run": False} | options
    cli_sweep.sweep(place / "mine.toml", place / out, **told)
    return place / out


def test_a_row_for_each_transmission_with_all_that_it_was_made_with(place, fakes):
    out = sweep(place)
    rows = read_table(out / "results.parquet")
    assert len(rows) == 2 * 3 * 2 * 2
    assert len({(r["subject"], r["snr_db"], r["eve_snr_db"], r["seed"]) for r in rows}) == len(rows)
    last = next(r for r in rows if r["subject"] == "Vicky" and r["snr_db"] == 40)
    assert (last["bob_identified"], last["bob_rank"], last["eve_identified"], last["found"]) == ("Vicky", 1, None, True)
    assert last["revision"] == "test"
    assert len(last["k_digest"]) == 64
    assert last["numpy"] and last["sionna"] and last["torch"]
    assert len({r["run_seed"] for r in rows}) == 4  # photographs of one axis seed see channels of their own
    text = list(csv.DictReader(io.StringIO((out / "results.csv").read_text())))
    assert [float(r["bob_ssim"]) for r in text] == [r["bob_ssim"] for r in rows]
    assert all(row.get("experiment") == "mine" for row in text)
    assert not any("second" in name or "time" in name for name in text[0])  # clocks have a table of their own
    assert len(list(csv.DictReader((out / "seconds.csv").open()))) == len(rows)


def test_what_is_equal_is_not_painted_twice(place, fakes):
    sweep(place)
    # Eve: 2 photographs x 2 seeds x (6 and 12 dB). Bob: one at 6 dB, one at 30 and 40 dB, which receive all exactly.
    assert len(fakes) == 8 + 8


def test_a_second_sweep_makes_nothing_and_a_new_value_only_its_rows(place, fakes):
    first = (sweep(place) / "results.csv").read_bytes()
    made = len(fakes)
    assert (sweep(place) / "results.csv").read_bytes() == first
    assert len(fakes) == made
    other = place / "mine.toml"
    other.write_text(EXPERIMENT.replace("[6, 30, 40]", "[6, 8, 30, 40]"))
    rows = read_table(sweep(place) / "results.parquet")
    assert len(rows) == 32
    assert len(fakes) == made + 4  # 8 dB at Bob; what Eve received has been seen


def test_two_experiments_share_a_cache(place, fakes):
    sweep(place, "one")
    made = len(fakes)
    rows = read_table(sweep(place, "two", cache=place / "one" / "cache") / "results.parquet")
    assert len(fakes) == made
    assert rows == read_table(place / "one" / "results.parquet")


def test_a_k_that_exists_takes_the_place_of_enrolment(place, fakes, capsys):
    first = read_table(sweep(place) / "results.parquet")
    (place / "mine.toml").write_text(EXPERIMENT.replace('k = "K.db"\n', ""))
    out = sweep(place, "given", db=place / "K.db")
    assert read_table(out / "results.parquet") == first
    assert (out / "experiment.toml").read_text().startswith("# privsc sweep --db K.db")
    assert main(["sweep", str(place / "mine.toml"), "--out", str(place / "no"), "--db", str(place / "none.db")]) == 2
    assert f"--db: {place / 'none.db'}: no such file" in capsys.readouterr().err


def test_what_is_removed_is_an_axis_of_lists(place, fakes):
    text = EXPERIMENT.replace("[6, 30, 40]", "[30]").replace("[6, 12]", "[12]").replace("[0, 1]", "[0]")
    (place / "mine.toml").write_text(text.replace("[axes]", '[axes]\nremove = [[], ["Vicky"]]'))
    rows = read_table(sweep(place) / "results.parquet")
    assert {(row["subject"], row["remove"], row["found"]) for row in rows} == {
        ("Tom", "", True),
        ("Vicky", "", True),
        ("Tom", "Vicky", False),
        ("Vicky", "Vicky", True),
    }


def test_who_is_to_be_removed_must_be_in_k(place, fakes, capsys):
    (place / "mine.toml").write_text(EXPERIMENT.replace("[axes]", '[axes]\nremove = [[], ["Tom", "?"]]'))
    assert main(["sweep", str(place / "mine.toml"), "--out", str(place / "out"), "--workers", "0"]) == 2
    assert "mine.toml: axes.remove[1]: '?' has no word" in capsys.readouterr().err
    assert not fakes


def test_a_damaged_row_is_made_again(place, fakes):
    out = sweep(place)
    first = (out / "results.csv").read_bytes()
    broken = sorted((out / "cache" / "units").rglob("row.json"))[3]
    broken.unlink()
    transmissions.laboratory.cache_clear()
    made = len(fakes)
    assert (sweep(place) / "results.csv").read_bytes() == first
    assert len(fakes) > made


def test_the_report_stands_alone(place, fakes):
    text = EXPERIMENT.replace('figures = ["psnr_private"]', 'pictures = ["Vicky"]').replace("[6, 12]", "[6]")
    (place / "mine.toml").write_text(text)
    page = (sweep(place) / "report.html").read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", page)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert page.count("<svg") == 6
    assert page.count("data:image/webp;base64,") == 2 + 2 * 3  # original and sent; Bob and Eve at each point
    assert "snr_db = [6, 30, 40]" in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    files = {path.name for path in (place / "out" / "figures").iterdir()}
    assert {"psnr_private.svg", "psnr_private.pdf", "psnr_private.csv"} <= files
    assert {path.suffix for path in (place / "out" / "pictures").iterdir()} == {".png", ".svg", ".pdf"}


def test_dry_run_says_what_there_is_to_do(place, fakes, capsys):
    sweep(place, dry_run=True)
    said = capsys.readouterr().out
    assert "2 photographs x 12 points = 24 transmissions, 0 of them there already" in said
    assert not fakes
    assert not (place / "out" / "results.csv").exists()


def test_one_sweep_at_a_time_in_a_folder(place, fakes, capsys):
    from privsc.experiments.sweep import alone_in

    with alone_in(place / "out"):
        assert main(["sweep", str(place / "mine.toml"), "--out", str(place / "out"), "--workers", "0"]) == 2
    assert "another sweep is at work here" in capsys.readouterr().err


def test_compare_prints_the_verdicts_again(place, fakes, capsys):
    out = sweep(place)
    printed = capsys.readouterr().out
    assert "near 100 %" in printed
    (place / "pets").rename(place / "gone")  # the photographs are not needed any more
    assert main(["compare", str(out)]) == 0
    again = capsys.readouterr().out
    assert "near 100 %" in again
    assert again.strip() in printed


def test_where_claims_are_not_wanted_only_the_dependence_on_eves_channel_is_told(place, fakes, capsys):
    text = EXPERIMENT.replace("[6, 30, 40]", "[30]").replace("[report]", '[report]\nx = "eve_snr_db"\nclaims = false')
    (place / "mine.toml").write_text(text)
    page = (sweep(place) / "report.html").read_text()
    said = capsys.readouterr().out
    for told in (said, page):
        assert "near 100 %" not in told
    assert re.search(r"Eve identifies 0.0 % at 12 dB, within\s+the interval at 6 dB", said)
    assert "within the interval" in page


def test_a_killed_sweep_goes_on_and_its_table_is_the_same(place):
    def start(out, pause):
        command = [sys.executable, "-m", "tests.fakes.sweep_process", str(place / "mine.toml"), str(out), str(pause)]
        return subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"COLUMNS": "200"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    reference = start(place / "whole", 0)
    assert reference.wait(120) == 0
    rng, kills, rows = random.Random(1), 0, place / "killed" / "cache" / "units"
    for target in (1, 7, 13):  # killed when so many rows are there, and a random moment later
        process = start(place / "killed", 0.15)
        until = time.monotonic() + 60
        while process.poll() is None and len(list(rows.rglob("row.json"))) < target and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        kills += process.wait(60) == -signal.SIGKILL
        assert not (place / "killed" / "results.csv").exists()
    assert kills == 3
    last = start(place / "killed", 0)
    told = last.communicate(timeout=120)[0].decode()
    there = int(re.search(r"transmissions, (\d+) of them there already", told)[1])
    assert 13 <= there < 24
    for name in ("results.csv", "results.parquet", "summary.csv", "figures/psnr_private.svg"):
        assert (place / "killed" / name).read_bytes() == (place / "whole" / name).read_bytes(), name


def test_groups_keep_a_photograph_together_and_give_everybody_work():
    class One:
        def __init__(self, group):
            self.group = group

    units = [One(number // 6) for number in range(12)]
    assert [len(part) for part in groups(units, 2)] == [6, 6]
    four = groups(units, 4)
    assert [len(part) for part in four] == [3, 3, 3, 3]
    assert sorted(id(unit) for part in four for unit in part) == sorted(map(id, units))
    assert len(groups(units, 40)) == 12


def test_a_csv_is_the_same_for_the_same_rows():
    rows = [{"a": 1, "b": None}, {"a": 0.1 + 0.2, "c": "x, y"}]
    assert to_csv(rows) == b'a,b,c\n1,,\n0.30000000000000004,,"x, y"\n'


@pytest.mark.slow
def test_dask_workers_give_the_table_of_one_process(tmp_path, monkeypatch):
    """The real networks, in this process and on two workers."""
    monkeypatch.setenv("PRIVSC_REVISION", "test")
    (tmp_path / "mine.toml").write_text(
        '[dataset]\nsubjects = ["Coffee"]\npersonalise = false\nenrol = 2\n[fixed]\nmax_side = 128\nsteps = 1\n'
        "[axes]\nsnr_db = [5, 20]\n"
    )
    for out, workers in (("one", "0"), ("two", "2")):
        assert main(["sweep", str(tmp_path / "mine.toml"), "--out", str(tmp_path / out), "--workers", workers]) == 0
    assert (tmp_path / "one" / "results.csv").read_bytes() == (tmp_path / "two" / "results.csv").read_bytes()
    assert len(read_table(tmp_path / "two" / "results.parquet")) == 2


def test_no_scheduler_is_one_line(place, fakes, capsys, monkeypatch):
    monkeypatch.setattr("privsc.experiments.cluster._CONNECT", "1s")
    address = "tcp://127.0.0.1:9"
    assert main(["sweep", str(place / "mine.toml"), "--out", str(place / "out"), "--scheduler", address]) == 2
    assert f"--scheduler: nothing answers at {address}" in capsys.readouterr().err
