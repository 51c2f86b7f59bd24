"""A numpy that the user installed with pip, which GNU Radio cannot load, stays out of the radio side."""

import os
import subprocess
from pathlib import Path

import pytest

from hardware.process.client import Station
from tests.conftest import DISTRIBUTION_PYTHON

ROOT = Path(__file__).parents[2]
BROKEN = "raise ImportError('numpy.core.multiarray failed to import')\n"


@pytest.fixture
def user_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a user whose own site-packages hold such a numpy."""
    for name in ("PYTHONNOUSERSITE", "PYTHONPATH", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path))
    code = "import site; print(site.getusersitepackages())"
    said = subprocess.run([DISTRIBUTION_PYTHON, "-c", code], capture_output=True, text=True, timeout=60).stdout
    (Path(said.strip()) / "numpy").mkdir(parents=True)
    (Path(said.strip()) / "numpy" / "__init__.py").write_text(BROKEN)
    return dict(os.environ)


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [DISTRIBUTION_PYTHON, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200)


@pytest.mark.radio("numpy")
def test_it_does_break_what_does_not_keep_it_out(user_site):
    assert "multiarray failed to import" in python(user_site, "-c", "import numpy").stderr
    assert python(user_site, "-s", "-c", "import numpy").returncode == 0


@pytest.mark.radio("numpy", "zmq")
def test_the_radio_process_starts(user_site):
    with Station() as station:
        assert isinstance(station.ask("probe")["devices"], list)


@pytest.mark.radio
@pytest.mark.parametrize("options", [(), ("-s",)])
def test_blocks_are_imported(user_site, options):
    done = python(user_site, *options, "-c", "import flowgraphs.blocks as b; print(len(b.__all__))")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.radio("gnuradio", "yaml")
def test_flowgraphs_are_compiled(user_site, tmp_path):
    done = python(user_site, "-m", "flowgraphs.tools.variants", str(tmp_path / "build"), "stage2_burst")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "stage2_burst.py").is_file()


@pytest.mark.radio
@pytest.mark.parametrize("target", ["radio-demo", "companion"])
def test_make_starts_the_distribution_s_programs_without_it(user_site, target):
    shown = subprocess.run(
        ["make", "--dry-run", target], capture_output=True, text=True, cwd=ROOT, env=user_site, timeout=60
    ).stdout
    lines = [line for line in shown.splitlines() if "/usr/bin/python3" in line or "gnuradio-companion" in line]
    assert lines
    for line in lines:
        assert "/usr/bin/python3 -s " in line or "PYTHONNOUSERSITE=1" in line, line


def test_no_documented_command_forgets_it():
    """What people copy from the source and from flowgraphs/README.md."""
    texts = [
        ROOT / "flowgraphs" / "README.md",
        *(ROOT / "flowgraphs").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]
    for path in texts:
        for line in path.read_text().splitlines():
            if "python3 " in line and any(f"-m {name}." in line for name in ("flowgraphs", "tests", "benchmarks")):
                assert "python3 -s " in line, f"{path.name}: {line}"
