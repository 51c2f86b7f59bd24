"""Every script and every notebook of examples/ runs, in a folder of its own, and says what it should."""

import contextlib
import io
import json
import re
import runpy
import sys
from pathlib import Path

import matplotlib
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def printed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a script prints."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name])
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return out.getvalue()


def numbers(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


def test_phy_alone(tmp_path, monkeypatch):
    said = printed("phy_alone.py", tmp_path, monkeypatch)
    (wrong,) = numbers(r"codec: ([\d.]+) %", said)
    (snr,) = numbers(r"measured ([\d.]+) dB", said)
    assert 0 < wrong < 2
    assert abs(snr - 10) < 0.5
    assert said.count("body exact: True") == 2


def test_own_codec(tmp_path, monkeypatch):
    said = printed("own_codec.py", tmp_path, monkeypatch)
    qpsk, learned = numbers(r"([\d.]+) dB$".replace("$", r"\n"), said)
    assert learned > qpsk + 3  # a wrong message of the learned one is nearly right


def test_own_channel(tmp_path, monkeypatch):
    said = printed("own_channel.py", tmp_path, monkeypatch)
    assert said.startswith("echo at -20 dB: 100 % of the bytes exact")
    assert len(said.splitlines()) == 4


@pytest.mark.slow
def test_own_photographs(tmp_path, monkeypatch):
    said = printed("own_photographs.py", tmp_path, monkeypatch)
    assert "hidden: ['Biscuit'], 3" in said
    bob, eve = numbers(r": ([\d.]+) dB in the private", said)
    assert bob > eve + 3
    assert {"K.db", "bob.png", "eve.png"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_eve(tmp_path, monkeypatch):
    lines = printed("eve.py", tmp_path, monkeypatch).splitlines()
    assert [line.rpartition("recognised as ")[2] for line in lines] == ["nobody", "nobody", "Biscuit"] * 2
    assert len(list(tmp_path.glob("eve-*.png"))) == 6


@pytest.mark.slow
def test_sweep(tmp_path, monkeypatch):
    rows = [line for line in printed("sweep.py", tmp_path, monkeypatch).splitlines() if "in the private region" in line]
    assert len(rows) == 4 and sum("box" in row for row in rows) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["puppy.ipynb", "radio.ipynb"])
def test_notebooks(name, tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / name).read_text())
    assert all(not cell.get("outputs") for cell in notebook["cells"])  # made when it is run, not committed
    names: dict = {"__name__": "__main__"}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), names)
    if name == "puppy.ipynb":
        assert [d.name for d in names["guarded"].detections] == ["Biscuit"]
        assert names["measure"](names["bob"], names["sent"])["psnr_private"] > 15
    else:
        assert names["rates"][0] > 0.3 > 0.01 > names["rates"][-1]
        assert abs(names["image"].snr_db - 12) < 0.5


def test_the_list_of_examples_is_complete():
    listed = set(re.findall(r"^\| `([^`]+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
