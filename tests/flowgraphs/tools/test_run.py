"""Every flowgraph compiles, with its window and without; loopback runs from a photograph to report.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privsc.knowledge.database import Database
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.report import run_files
from privsc.system.trial import run_trial
from tests.fakes.networks import COLOURS, BoxGuard, ColourRecovery
from tests.fakes.samples import encoded, scene
from tests.fakes.worker_process import BOX, make_k
from tests.flowgraphs.radio import ROOT, module

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")
FILES = {"masked.png", "mask.png", "received.png", "bob.png", "eve.png", "report.png", "report.json"}
GRAPHS = sorted(path.stem for path in (ROOT / "flowgraphs").glob("*.grc"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A scene with Vicky's colour where the fake guard looks for her."""
    picture = scene(80, 128)
    x0, y0, x1, y1 = BOX
    picture[y0:y1, x0:x1] = COLOURS["Vicky"]
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(picture))
    return path


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory):
    """Endpoint of a worker process with fakes for networks."""
    folder = str(tmp_path_factory.mktemp("worker"))
    command = [sys.executable, "-m", "tests.fakes.worker_process", folder, "ipc://*"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())["endpoint"]
    process.stdin.close()
    assert process.wait(20) == 0


@pytest.mark.parametrize("window", [False, True])
def test_every_flowgraph_compiles(window: bool, programs: Path, tmp_path: Path) -> None:
    if window:
        done = module("flowgraphs.tools.variants", str(tmp_path), "--window")
        assert done.returncode == 0, done.stderr
    made = {path.stem: path.read_text() for path in (tmp_path if window else programs).glob("*.py")}
    assert sorted(made) == GRAPHS
    for name, text in made.items():
        assert ("PyQt5" in text) == ("qtgui" in text) == window, name
    loopback = made["loopback"]
    assert "set_noise_voltage" in loopback
    assert loopback.count("picture(") == (4 if window else 0) and loopback.count("RangeWidget(") == 2 * window


def test_what_grcc_does_not_accept_is_an_error(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from flowgraphs.tools import variants
source = Path(sys.argv[1], "broken.grc")
text = (variants.HERE / "tx_zmq.grc").read_text()
for old, new in (("- payload\\n  - encoder", "- pay\\n  - encoder"), ("head_repeats: '8'", "head_repeats: '0'")):
    wrong = text.replace(old, new)
    assert wrong != text
    source.write_text(wrong)
    try:
        variants.build([source], Path(sys.argv[1], "out"))
    except variants.CompileError as error:
        print(error)
"""
    command = ["/usr/bin/python3", "-s", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("broken.grc: grcc refuses it")]) == 2


def test_loopback_carries_a_photograph_to_bob_and_eve(photo: Path, worker: str, tmp_path: Path) -> None:
    """15 dB, CFO 0.1 rad/sample, 50 ppm, a random fractional delay: all frames, the report of `privsc run`."""
    out = tmp_path / "out"
    done = module(
        "flowgraphs.tools.run",
        str(photo),
        "--worker",
        worker,
        "--out",
        str(out),
        "--snr",
        "15",
        "--cfo",
        "0.1",
        "--clock-ppm",
        "50",
        "--seed",
        "4",
        "--timeout",
        "120",
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == FILES
    figures = json.loads((out / "report.json").read_text())
    link = figures["link"]
    assert (link["frames_sent"], link["frames_lost"], link["eve_frames_lost"]) == (38, 0, 0)
    assert link["message_error_rate"] == 0 and link["cbr"] == link["channel_uses"] / (80 * 128 * 3)
    assert (figures["bob"]["identified"], figures["eve"]["identified"]) == ("Vicky", None)
    assert figures["bob"]["ssim_private"] > 0.9 > figures["eve"]["ssim_private"]
    assert abs(link["measured_snr_db"] - 15) < 1
    usual = figures_of_privsc_run(photo, tmp_path)
    assert figures.keys() == usual.keys()
    assert all(figures[part].keys() >= usual[part].keys() for part in ("bob", "eve", "link", "seconds"))
    assert all(value > 0 for value in figures["seconds"].values())


def figures_of_privsc_run(photo: Path, folder: Path) -> dict:
    """report.json of the same photograph over a channel in memory, with the fakes of the worker."""
    config = RunConfig.build(snr_db=15)
    with Database.open(make_k(folder)) as db:
        models = Models(BoxGuard({"Vicky": BOX}), ColourRecovery())  # type: ignore[arg-type]
        return json.loads(run_files(run_trial(np.asarray(Image.open(photo)), db, models, config))["report.json"])


def test_no_worker_is_a_message_and_an_end(photo: Path, tmp_path: Path) -> None:
    done = module(
        "flowgraphs.tools.run",
        str(photo),
        "--worker",
        "tcp://127.0.0.1:1",
        "--out",
        str(tmp_path / "out"),
        "--timeout",
        "3",
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("flowgraphs.tools.run: no report within 3 s; counters: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.jpg", "--db", "K.db"], "no.jpg: no such file"),
        (["README.md"], "--db: give the privacy database"),
        (["README.md", "--db", "K.db", "--snr", "nan"], "--snr: must be a finite number; got nan"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], said: str) -> None:
    done = module("flowgraphs.tools.run", *arguments)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_demo_over_the_channel_model(tmp_path: Path) -> None:
    """The shipped networks and the scene of the demo: Bob sees Biscuit, Eve nobody."""
    made = subprocess.run([sys.executable, "-m", "privsc.cli.radio.demo", str(tmp_path)], cwd=ROOT, env={**os.environ})
    assert made.returncode == 0
    out = tmp_path / "out"
    done = module(
        "flowgraphs.tools.run",
        str(tmp_path / "photo.png"),
        "--db",
        str(tmp_path / "K.db"),
        "--out",
        str(out),
        timeout=580,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((out / "report.json").read_text())
    assert figures["link"]["frames_lost"] == 0
    assert (figures["bob"]["identified"], figures["eve"]["identified"]) == ("Biscuit", None)
