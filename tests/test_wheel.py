"""The wheel: what is in it, and that it works installed, in an empty folder, without the checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import DISTRIBUTION_PYTHON

ROOT = Path(__file__).parents[1]
PACKAGES = ("privsc", "phy", "hardware", "flowgraphs")
SHIPS = (".py", ".yml", ".grc", ".toml", ".npz", ".safetensors", ".json", ".html", ".typed", ".jpg")
LARGEST = 60e6  # [bytes]

pytestmark = pytest.mark.slow


def run(command: list, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that knows nothing of the checkout."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PRIVSC", "VIRTUAL_ENV"))}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=500, cwd=folder,
        env=inherited | environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what the build reads, without the network."""
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("building needs pip and setuptools in the environment: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("build")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-w", folder / "dist"]
    done = run([sys.executable, "-m", "pip", "wheel", *options, "."], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder `bin` of a new environment: the wheel, and the packages of ours but for the checkout itself."""
    folder = tmp_path_factory.mktemp("installed")
    assert run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder).returncode == 0
    python = folder / "venv" / "bin" / "python"
    options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    done = run([sys.executable, "-m", "pip", "--python", python, "install", *options, wheel], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    # *.pth files in a folder that a *.pth file adds are not read: the editable checkout stays out
    site = Path(run([python, "-c", "import site; print(site.getsitepackages()[0])"], folder).stdout.strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    return folder


def test_it_holds_what_is_needed_under_names_of_its_own_and_nothing_else(wheel, capsys):
    size = wheel.stat().st_size
    names = zipfile.ZipFile(wheel).namelist()
    with capsys.disabled():
        print(f"\n{wheel.name}: {size / 1e6:.1f} MB, {len(names)} files")
    assert size < LARGEST
    assert {name.split("/")[0] for name in names} == {"privsc", "privsc.pth", names[-1].split("/")[0]}
    for package in PACKAGES:
        prefix = "" if package == "privsc" else "privsc/_lib/"
        wanted = {
            prefix + path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*")
            if path.suffix in SHIPS and not {"__pycache__", "build"} & set(path.parts)
        }
        assert len(wanted) > 20
        assert wanted - set(names) == set()
    unneeded = [n for n in names if "test" in n.rsplit("/", 1)[-1] or n.endswith((".png", ".svg", ".pyc", ".so"))]
    assert unneeded == []
    assert not any(part in ("tests", "docs", "benchmarks", "scripts") for n in names for part in n.split("/"))


def test_its_packages_come_from_its_folder_whether_privsc_is_imported_or_not(installed, empty):
    lib = "privsc/_lib/"
    for code in ("import phy.link as m", "import hardware.profiles.profile as m", "import privsc, flowgraphs as m"):
        done = run([installed / "python", "-c", f"{code}; print(m.__file__)"], empty)
        assert done.returncode == 0, done.stderr
        assert str(installed.parent) in done.stdout and lib in done.stdout
    other = empty / "other"
    for name in ("phy", "hardware"):
        (other / name).mkdir(parents=True)
        (other / name / "__init__.py").write_text("")
    code = "import privsc, phy, hardware; print(phy.__file__, hardware.__file__)"
    done = run([installed / "python", "-c", code], empty, PYTHONPATH=str(other))
    assert done.stdout.count(lib) == 2, done.stderr
    done = run([installed / "python", "-c", "import phy, privsc"], empty, PYTHONPATH=str(other))
    assert "phy: privsc has a package of this name, but" in done.stderr.splitlines()[-1]


def test_it_works_in_a_folder_that_only_the_path_names(wheel, empty):
    target = empty / "target"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    path = os.pathsep.join([str(target), sysconfig.get_path("purelib")])
    done = run([sys.executable, "-S", "-m", "privsc", "phy", "codecs"], empty, PYTHONPATH=path)  # -S: no *.pth is read
    assert done.returncode == 0, done.stderr
    assert "image8x4" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], "Start with: privsc demo"),
        (["models", "verify"], "match their SHA-256"),
        (["phy", "bler", "real-2-2", "--to", "0", "--errors", "20"], "real-2-2                   0.00 dB"),
        (["phy", "evaluate", "short", "--frames", "2"], "Short frame: 72 bytes"),
        (["radio", "environment"], "privsc/_lib/flowgraphs/blocks"),
    ],
)
def test_commands_run_in_an_empty_folder(arguments, shown, installed, empty):
    done = run([installed / "privsc", *arguments], empty)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_a_photograph_is_guarded(installed, empty, chelsea_folder, chelsea_k):
    shutil.copy(chelsea_k, empty / "K.db")
    command = [installed / "privsc", "guard", chelsea_folder / "sent.jpg", "--db", "K.db", "--out", "out"]
    done = run(command, empty)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (empty / "out").iterdir()) == ["guard.json", "mask.png", "masked.png"]
    assert '"Chelsea"' in (empty / "out" / "guard.json").read_text()


def test_every_profile_codec_and_template_is_read(installed, empty):
    code = """
from importlib import resources
from hardware.profiles.profile import available, load
from phy.codec.codec import available as codecs, shipped
names = [load(name).name for name in available()]
assert len(names) >= 11 and len([shipped(name) for name in codecs()]) >= 9
assert "<html" in resources.files("privsc").joinpath("templates", "experiment.html").read_text()
import privsc
assert privsc.__version__ != "unknown" and privsc.Transmitter and privsc.channels.CHANNELS
print(*names)
"""
    done = run([installed / "python", "-c", code], empty)
    assert done.returncode == 0, done.stderr
    assert "virtual" in done.stdout.split()


@pytest.mark.radio
def test_gnu_radio_compiles_a_flowgraph_with_the_installed_blocks(installed, empty):
    said = run([installed / "privsc", "radio", "environment"], empty).stdout
    (empty / "radio.sh").write_text(said)
    script = (
        '. ./radio.sh && grcc -o . "$PRIVSC_FLOWGRAPHS/stage2_burst.grc" && '
        f"{DISTRIBUTION_PYTHON} -s -c 'import flowgraphs.blocks as b; print(b.__file__, *b.__all__)'"
    )
    done = run(["sh", "-c", script], empty)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (empty / "stage2_burst.py").is_file()
    blocks = done.stdout.splitlines()[-1].split()
    assert "privsc/_lib/" in blocks[0] and "frame_receiver" in blocks


@pytest.mark.radio("numpy", "zmq")
def test_the_radio_process_starts_from_the_installed_package(installed, empty):
    code = "from hardware.process.client import Station\nwith Station() as station: print(sorted(station.ask('probe')))"
    done = run([installed / "python", "-c", code], empty)
    assert done.returncode == 0, done.stderr
    assert "devices" in done.stdout


@pytest.mark.radio("numpy", "zmq", "SoapySDR")
def test_the_virtual_radio_s_driver_is_built_and_found(installed, empty):
    home = {"XDG_DATA_HOME": str(empty / "data")}
    done = run([installed / "privsc", "radio", "driver"], empty, **home)
    if done.returncode and "run sudo apt-get install" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == empty / "data" / "privsc" / "soapy_zmq"
    assert "privsc/soapy_zmq" in run([installed / "privsc", "radio", "environment"], empty, **home).stdout
    code = (
        "from hardware.process.client import Station\n"
        "with Station() as station: print([one['device'].get('driver') for one in station.ask('probe')['devices']])"
    )
    done = run([installed / "python", "-c", code], empty, **home, SOAPY_SDR_ROOT="/nowhere")
    assert "zmq" in done.stdout, done.stderr
