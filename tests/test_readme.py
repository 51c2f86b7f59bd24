"""What the README shows is what works."""

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest

from privsc.cli.app import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_example_runs_as_it_stands(chelsea_folder, chelsea_k, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    statements = [line for line in code.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(statements) <= 11
    shutil.copy(chelsea_k, tmp_path / "K.db")
    shutil.copy(chelsea_folder / "sent.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    names: dict = {}
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), names)  # our own text, read from the repository
    truth = names["sent"].truth
    shape, mask = truth.image.shape, truth.guarded.mask
    first, second = printed.getvalue().strip().splitlines()
    assert first == f"['Chelsea'] {shape} {shape}"
    of_bob, of_eve = map(float, second.split())
    assert of_bob > of_eve
    error = {who: abs(names[who].restored[mask].astype(int) - truth.image[mask]).mean() for who in ("bob", "eve")}
    assert error["bob"] < error["eve"]


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "radio-demo", "docs"])
def test_make_targets_of_the_readme_exist(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_commands_of_the_readme_exist(capsys):
    rows = re.findall(r"^\| `privsc ([a-z]+)(.*?)\|", README, re.MULTILINE)
    assert len(rows) >= 6
    for group, rest in rows:
        commands = [(rest.split("`")[0].split(" --")[0].strip(), *re.findall(r"`([a-z]+)`", rest.partition("`")[2]))]
        for command in filter(None, commands[0]):
            assert main([group, command, "--help"]) == 0
        assert main([group, "--help"]) == 0
    capsys.readouterr()


def test_pictures_and_files_named_in_the_readme_exist():
    named = [
        *re.findall(r"!\[.*?\]\((.*?)\)", README),
        "LICENSE",
        "flowgraphs/LICENSE",
        "privsc/system/chain.py",
        "phy/link.py",
    ]
    for name in named:
        assert (ROOT / name).is_file(), name
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "flowgraphs/LICENSE").read_text()
