"""`privsc phy`, and what a command says whose packages are in an extra that is not installed."""

import csv
import sys

import pytest

from phy.evaluation import bler, modem
from privsc.cli import app
from privsc.cli.app import EXTRAS, main


@pytest.mark.parametrize("command", ["bler", "cards", "evaluate", "codecs"])
def test_help_has_an_example(command, capsys):
    assert main(["phy", command, "--help"]) == 0
    assert f"Example: privsc phy {command}" in capsys.readouterr().out


def test_bler_writes_the_same_points_as_the_module(tmp_path, capsys):
    options = ["--from", "0", "--to", "2", "--step", "2", "--errors", "20", "--blocks", "100000"]
    assert main(["phy", "bler", "real-2-2", *options, "--out", str(tmp_path / "a")]) == 0
    assert bler.main(["--schemes", "real-2-2", *options, "--out", str(tmp_path / "b")]) == 0
    rows = list(csv.DictReader((tmp_path / "a" / "bler.csv").open(newline="")))
    assert [float(row["eb_n0_db"]) for row in rows] == [0.0, 2.0]
    assert all(int(row["errors"]) >= 20 for row in rows)
    assert (tmp_path / "a" / "bler.csv").read_bytes() == (tmp_path / "b" / "bler.csv").read_bytes()
    assert (tmp_path / "a" / "bler.png").read_bytes()[:4] == b"\x89PNG"
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_evaluate_prints_a_row_of_the_modem(capsys):
    assert main(["phy", "evaluate", "short", "--frames", "3", "--seed", "2"]) == 0
    shown = capsys.readouterr().out
    assert modem.main(["short", "--frames", "3", "--seed", "2"]) == 0
    assert capsys.readouterr().out == shown
    assert "Short frame: 72 bytes in 1439 samples" in shown


def test_codecs_are_listed_with_their_ids(capsys):
    assert main(["phy", "codecs"]) == 0
    assert "image8x4   8 bits in 4 complex channel uses, id 18" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bler", "--step", "0"], "the step must be positive"),
        (["bler", "--step", "nan"], "the step must be positive"),
        (["bler", "--to", "inf"], "the step must be positive"),
        (["bler", "--step", "1e-6"], "at most 1000 points a curve, got 8000000"),
        (["bler", "--errors", "0"], "--errors and --blocks must be positive, got 0 and"),
        (["bler", "real-2-2", "--at", "3"], "--at must be a block error rate of 1e-7 to 0.5, got 3"),
        (["bler", "morse"], "no scheme named 'morse'"),
        (["cards", "morse"], "no codec named 'morse'"),
        (["evaluate", "morse"], "no row named 'morse': choose one of cfo, clock"),
        (["evaluate", "short", "--frames", "0"], "--frames must be at least 1, got 0"),
        (["evaluate", "short", "--seed", "-1"], "--seed must be at least 0, got -1"),
    ],
)
def test_nonsense_ends_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["phy", *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", sorted(EXTRAS))
def test_a_package_that_is_not_installed_is_named_with_its_extra(package, monkeypatch, capsys):
    def needs_it(**options):
        raise ModuleNotFoundError(f"No module named '{package}'", name=f"{package}.inner")

    monkeypatch.setattr(app, "app", needs_it)
    assert main(["sweep"]) == 2
    assert f"{package}: this command needs" in (said := capsys.readouterr().err)
    assert f"pip install 'privsc[{EXTRAS[package]}]'" in said


def test_the_worker_without_zmq_says_so(monkeypatch, capsys):
    for name in [name for name in sys.modules if name == "zmq" or name.startswith(("zmq.", "privsc.worker"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "zmq", None)  # as where it is not installed
    assert main(["worker", "generic"]) == 2
    assert "zmq: this command needs" in capsys.readouterr().err


def test_another_missing_package_is_no_business_of_the_extras(monkeypatch):
    def broken(**options):
        raise ModuleNotFoundError("No module named 'privsc.nothing'", name="privsc.nothing")

    monkeypatch.setattr(app, "app", broken)
    with pytest.raises(ModuleNotFoundError):
        main(["sweep"])
