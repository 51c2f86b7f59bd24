"""scripts/setup.sh with a Python, a pip and an apt-get that only write down what they were asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
echo "python $*" >>"$CALLS"
case "$1 $2" in
"-c import sys; sys.exit(sys.version_info < (3, 11))") [ -z "$OLD_PYTHON" ] ;;
"-c import ensurepip, venv") [ -z "$NO_VENV" ] || [ -e "$INSTALLED" ] ;;
"-c import sys; print"*) echo python3.12-venv ;;
"-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip") [ "$3" = --version ] || [ -z "$PIP_FAILS" ] ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
touch "$INSTALLED"
"""


@pytest.fixture
def project(tmp_path):
    """A folder with the set-up script in it, in a path with spaces, and the fakes on PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("python3", PYTHON), ("apt-get", APT), ("sudo", '#!/bin/sh\nexec "$@"\n')):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    folder = tmp_path / "a folder with spaces" / "privsc"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup.sh", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def set_up(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Exit code, what was said, and the calls that were made."""
    above = folder.parent.parent
    calls = above / "calls"
    calls.unlink(missing_ok=True)
    inherited = {"PATH": f"{above / 'tools'}:{os.environ['PATH']}", "CALLS": str(calls)}
    done = subprocess.run(
        ["sh", str(folder / "scripts" / "setup.sh"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env=inherited | {"INSTALLED": str(above / "installed")} | environment,
    )
    return done.returncode, done.stderr, calls.read_text().splitlines() if calls.exists() else []


def pip_installs(calls: list[str]) -> list[str]:
    return [call for call in calls if "pip install" in call]


def test_one_pip_command_installs_everything_and_a_second_run_does_nothing(project):
    code, _, calls = set_up(project)
    assert code == 0
    assert len(pip_installs(calls)) == 1
    assert pip_installs(calls)[0].endswith("-e .[dev]")
    assert set_up(project) == (0, "", [])


def test_a_change_of_the_dependencies_installs_again(project):
    set_up(project)
    with (project / "pyproject.toml").open("a") as file:
        file.write("\n# another dependency\n")
    _, _, calls = set_up(project)
    assert len(pip_installs(calls)) == 1
    assert not any("-m venv" in call for call in calls)


def test_a_folder_that_moved_is_installed_again(project):
    set_up(project)
    moved = project.with_name("elsewhere")
    project.rename(moved)
    assert len(pip_installs(set_up(moved)[2])) == 1


def test_a_failed_or_interrupted_installation_is_tried_again(project):
    code, _, _ = set_up(project, PIP_FAILS="1")
    assert code != 0
    assert len(pip_installs(set_up(project)[2])) == 1


def test_a_python_without_venv_gets_its_package(project):
    code, said, calls = set_up(project, NO_VENV="1")
    assert code == 0, said
    assert any(
        call.startswith("apt-get") and call.endswith("install --no-install-recommends python3.12-venv")
        for call in calls
    )
    assert len(pip_installs(calls)) == 1


def test_without_leave_to_install_it_says_what_is_missing(project):
    code, said, calls = set_up(project, NO_VENV="1", PRIVSC_NO_APT="1")
    assert code == 1
    assert "has no venv module; run: sudo apt-get install python3.12-venv" in said
    assert not any(call.startswith("apt-get") for call in calls)
    assert not (project / ".venv").exists()


def test_a_python_that_was_asked_for_and_is_none_is_refused(project):
    code, said, _ = set_up(project, PRIVSC_PYTHON="/no/such/python")
    assert code == 1
    assert "PRIVSC_PYTHON=/no/such/python is not a Python of version 3.11 or newer" in said


def test_the_radio_side_never_stops_the_set_up(project):
    code, said, calls = set_up(project, "radio", PRIVSC_NO_APT="1")
    assert code == 0
    assert said.count("\n") <= 2
    assert not any(call.startswith("apt-get") for call in calls)
