"""scripts/setup.sh with a Python, a pip and an apt-get that only write down what they were asked."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
echo "python $*" >>"$CALLS"
echo "$PYTHONPATH$PYTHONHOME$PIP_TARGET$PIP_PREFIX user=$PIP_USER" >>"$CALLS.environment"
case "$1 $2" in
"-c import sys; sys.exit(sys.version_info < (3, 11))") [ -z "$OLD_PYTHON" ] ;;
"-c import ensurepip, venv") [ -z "$NO_VENV" ] || { [ -e "$INSTALLED" ] && [ -z "$NEVER_VENV" ]; } ;;
"-c import sys; print"*) echo python3.12-venv ;;
"-m venv") [ -z "$VENV_FAILS" ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip")
    if [ "$3" = --version ]; then
        [ -e "$INSTALLED.pip" ] && PIP_VERSION=25.0
        echo "pip ${PIP_VERSION:-22.3} from /somewhere"
    else
        case "$*" in *--upgrade*) [ -z "$NO_UPGRADE" ] && touch "$INSTALLED.pip" ;; *) [ -z "$PIP_FAILS" ] ;; esac
    fi ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
touch "$INSTALLED"
"""


BACKEND = """
import zipfile
def build_editable(folder, *rest):
    with zipfile.ZipFile(f"{folder}/empty-1-py3-none-any.whl", "w") as wheel:
        about = {"METADATA": ("Metadata-Version: 2.1", "Name: empty", "Version: 1", "Provides-Extra: dev"),
                 "WHEEL": ("Wheel-Version: 1.0", "Generator: none", "Root-Is-Purelib: true", "Tag: py3-none-any"),
                 "RECORD": ()}
        for name, lines in about.items():
            wheel.writestr(f"empty-1.dist-info/{name}", "".join(line + chr(10) for line in lines))
    return "empty-1-py3-none-any.whl"
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
    shutil.copy(ROOT / "constraints.txt", folder)
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
    return [call for call in calls if "pip install" in call and "--upgrade" not in call]


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


def test_constraints_are_for_those_who_ask(project):
    assert set_up(project, CONSTRAINTS="1")[0] == 0
    assert set_up(project, CONSTRAINTS="1") == set_up(project) == (0, "", [])  # serves without them too
    (project / "pyproject.toml").touch()
    (project / ".venv" / ".privsc-ready").unlink()
    assert pip_installs(set_up(project)[2])[0].endswith("--quiet -e .[dev]")
    assert pip_installs(set_up(project, CONSTRAINTS="1")[2])[0].endswith("-c constraints.txt -e .[dev]")
    (project / "constraints.txt").unlink()
    code, said, _ = set_up(project, CONSTRAINTS="1")
    assert code == 1 and "constraints.txt is missing; run without CONSTRAINTS" in said


def test_constraints_name_versions_and_no_machine():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in ("radio", "sweep", "train", "full") for one in extras[name])]
    assert {re.split(r"[<>=]", one)[0].lower() for one in wanted} <= pinned
    assert not [name for name in pinned if name.startswith(("nvidia", "cuda", "privsc"))]


@pytest.mark.parametrize("version", ["20.3.4", "22.2.2", "9.0.1"])
def test_an_old_pip_is_renewed_before_it_installs(project, version):
    set_up(project)
    (project / ".venv" / ".privsc-ready").unlink()
    code, _, calls = set_up(project, PIP_VERSION=version)
    assert code == 0
    assert [c for c in calls if "--upgrade" in c] and not any("-m venv" in call for call in calls)
    assert len(pip_installs(calls)) == 1


def test_where_an_old_pip_cannot_be_renewed_the_environment_is_made_anew(project):
    set_up(project)
    (project / ".venv" / ".privsc-ready").unlink()
    code, _, calls = set_up(project, PIP_VERSION="20.3.4", NO_UPGRADE="1")
    assert code == 0
    assert any("-m venv --clear .venv" in call for call in calls)
    assert len(pip_installs(calls)) == 1


def test_a_package_that_does_not_bring_venv_ends_in_one_line(project):
    code, said, _ = set_up(project, NO_VENV="1", NEVER_VENV="1")
    assert code == 1
    assert "python3 has no venv module, and python3.12-venv did not bring it; set PRIVSC_PYTHON" in said


def test_a_python_that_makes_no_environment_ends_in_one_line(project):
    code, said, calls = set_up(project, VENV_FAILS="1")
    assert code == 1
    assert said.splitlines()[-1] == "setup: python3 cannot make .venv; set PRIVSC_PYTHON to another Python"
    assert pip_installs(calls) == []


def test_paths_and_pip_settings_of_other_programs_stay_out(project):
    set_up(project, PYTHONPATH="/ros", PYTHONHOME="/h", PIP_TARGET="/t", PIP_PREFIX="/p", PIP_USER="1")
    seen = (project.parent.parent / "calls.environment").read_text().splitlines()
    assert set(seen) == {" user=0"}


def test_a_real_environment_is_made_on_a_system_that_pip_must_not_touch(tmp_path):
    """PEP 668: where the Python is marked as managed by others, everything goes into .venv, whatever pip.conf says."""
    if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip, venv"], capture_output=True).returncode:
        pytest.skip("/usr/bin/python3 has no venv module")
    folder = tmp_path / "privsc"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup.sh", folder / "scripts")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "empty"\nbackend-path = ["."]\n'
        '[project]\nname = "empty"\nversion = "1"\n[project.optional-dependencies]\ndev = []\n'
    )
    (folder / "empty.py").write_text(BACKEND)
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\nno-index = true\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PRIVSC_PYTHON": "/usr/bin/python3"}
    done = subprocess.run(
        ["sh", str(folder / "scripts" / "setup.sh")], capture_output=True, text=True, timeout=300, cwd="/",
        env=environment | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PRIVSC_NO_APT": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((folder / ".venv").rglob("empty-1.dist-info"))
    assert (folder / ".venv" / ".privsc-ready").is_file()
