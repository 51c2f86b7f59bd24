"""The pages of docs/ and the README: commands exist, code runs, figures are those that were published."""

import contextlib
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from privsc.cli.app import main
from scripts import tables

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Every `privsc ...` of the blocks of a page, as arguments."""
    lines = [line.partition("  ")[0] for block in BLOCK.findall(page.read_text()) for line in block.splitlines()]
    found = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("privsc ")]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    for arguments in commands(page):
        words = []
        for word in arguments:
            if not re.fullmatch(r"[a-z]+", word):
                break
            words.append(word)
        while words and main([*words, "--help"]) != 0:  # a name that is an argument, not a command
            words.pop()
        assert words, arguments
        capsys.readouterr()
        assert main([*words, "--help"]) == 0
        said = capsys.readouterr().out
        for option in (word for word in arguments if word.startswith("--")):
            assert option in said, (arguments, option)


def test_there_are_commands_to_look_at():
    assert sum(len(commands(page)) for page in PAGES) >= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        path = page.parent / name if name else page
        assert path.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_navigation():
    def paths(entry):
        if isinstance(entry, str):
            return [entry]
        return [path for value in (entry.values() if isinstance(entry, dict) else entry) for path in paths(value)]

    listed = {path for path in paths(SITE["nav"]) if not path.startswith(("flowgraphs/", "hardware/"))}
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]}
    for path in paths(SITE["nav"]):
        assert (ROOT / "docs" / path).is_file() or (ROOT / path).is_file(), path


def test_tables_are_the_published_ones():
    for page in PAGES:
        assert tables.filled(page.read_text()) == page.read_text(), f"{page.name}: run python -m scripts.tables"


def test_every_published_table_is_shown_and_says_what_printed_it():
    shown = {name for page in PAGES for name in re.findall(r"<!-- table: (\S+) -->", page.read_text())}
    assert shown == {path.stem for path in tables.PUBLISHED.glob("*.json")}
    for name in shown:
        table = tables.load(name)
        assert re.match(r"privsc |PYTHONPATH=", table["command"])


def test_measured_figures_stand_in_marked_tables():
    """A table with three decibels or shares, or more, is measured, and must come from docs/published."""
    for page in PAGES:
        rest = tables.MARKED.sub("", page.read_text())
        for block in re.findall(r"(?:^\|.*\n)+", rest, re.MULTILINE):
            assert len(re.findall(r"\d\.\d dB\b|\d %", block)) < 3, (page.name, block[:80])


def test_a_changed_figure_is_noticed_and_put_right(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs" / "published").mkdir(parents=True)
    (tmp_path / "README.md").write_text("one\n<!-- table: a -->\n| 4 dB |\n<!-- end -->\ntwo\n")
    table = {"command": "privsc demo", "date": "2026-11-28", "columns": ["SNR"], "rows": [["5 dB"]]}
    (tmp_path / "docs" / "published" / "a.json").write_text(json.dumps(table))
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "PUBLISHED", tmp_path / "docs" / "published")
    assert tables.main(["--check"]) == 1
    assert "differ: README.md" in capsys.readouterr().out
    assert tables.main([]) == 0
    text = (tmp_path / "README.md").read_text()
    assert "| 5 dB |\n\nPrinted by `privsc demo`, 28 November 2026.\n<!-- end -->\ntwo" in text
    assert tables.main(["--check"]) == 0
    table["rows"] = [["5 dB", "too wide"]]
    (tmp_path / "docs" / "published" / "a.json").write_text(json.dumps(table))
    capsys.readouterr()
    assert tables.main([]) == 2
    assert "every row must have 1 cells" in capsys.readouterr().err


def test_a_demo_is_published_from_its_report(tmp_path, monkeypatch):
    figures = {"psnr": 20.04, "psnr_private": 19.0, "ssim_private": 0.525, "identified": None}
    runs = [{"link": {"snr_db": 5.0, "message_error_rate": 0.2333}, "bob": figures, "eve": figures}]
    table = tables.demo_table({"runs": runs}, "privsc demo", "2026-11-28")
    assert (
        table["rows"] == [["5 dB", "23 %", *["20.0 / 19.0 dB", "0.53", "nobody"] * 2]] or table["rows"][0][3] == "0.52"
    )
    (tmp_path / "report.json").write_text(json.dumps({"runs": runs}))
    monkeypatch.setattr(tables, "PUBLISHED", tmp_path)
    assert [path.name for path in tables.publish_demo(tmp_path)] == ["demo-chelsea.json"]
    assert tables.load.__doc__ and json.loads((tmp_path / "demo-chelsea.json").read_text())["rows"] == table["rows"]


def test_the_picture_of_the_readme_is_small():
    assert (ROOT / "docs" / "demo.png").stat().st_size < 300_000
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.slow
def test_parts_of_your_own_run_one_after_another(chelsea_folder, chelsea_k, tmp_path, monkeypatch):
    shutil.copy(chelsea_k, tmp_path / "K.db")
    shutil.copy(chelsea_folder / "sent.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    pieces = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    assert len(pieces) == 6
    names: dict = {"__name__": "extending"}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for number, piece in enumerate(pieces):
            exec(compile(piece, f"extending.md, piece {number}", "exec"), names)  # our own text
    said = dict(line.split(": ", 1) for line in out.getvalue().splitlines())
    assert 0 <= float(said["codec"]) < 0.05  # QPSK at 15 dB
    assert 0 <= float(said["channel"]) < 0.05
    assert 0.1 < float(said["guard"]) < 0.9
    assert 5 < float(said["recovery"]) < 40
    assert said["text encoder"] == "['Chelsea']"
    names["k"].close()


@pytest.mark.slow
def test_the_codec_tutorial_runs(capsys):
    (piece,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tutorials" / "codec.md").read_text(), re.DOTALL)
    exec(compile(piece, "codec.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out) < 0.02
