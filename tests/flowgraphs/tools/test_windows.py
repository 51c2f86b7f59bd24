"""Every flowgraph with its window: opened, run, closed and opened again, on a display that nobody sees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DISTRIBUTION_PYTHON
from tests.flowgraphs.blocks.test_blocks import SETUP
from tests.flowgraphs.radio import ROOT, environment, module, script
from tests.flowgraphs.tools.test_run import photo, worker  # noqa: F401  (fixtures)

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml", "PyQt5")

OPEN = (
    SETUP
    + """
import os
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PyQt5 import Qt
from flowgraphs.tools.run import load
from pathlib import Path
application = Qt.QApplication(["test"])

def events(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        application.processEvents()
        time.sleep(0.01)
    return condition()
"""
)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the program of every flowgraph, windows included."""
    folder = tmp_path_factory.mktemp("windows")
    done = module("flowgraphs.tools.variants", str(folder), "--window")
    assert done.returncode == 0, done.stderr
    return folder


def test_every_window_opens_and_closes_twice(windows: Path) -> None:
    """All but those of radios: shown, drawn with something on it, closed, and once more; sliders for both SNRs."""
    code = (
        OPEN
        + """
import yaml
from flowgraphs.tools.variants import HERE
from tests.flowgraphs.restarts import options
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.py")):
    if path.stem.endswith(("_soapy", "_uhd")):
        continue
    drawn = []
    for _ in range(2):
        top = getattr(load(path), path.stem)(**options(yaml.safe_load((HERE / f"{path.stem}.grc").read_text())))
        top.start()
        top.show()
        events(lambda: False, 0.4)
        picture = top.grab().toImage()
        drawn.append(len({picture.pixel(x, y) for x in range(0, picture.width(), 9)
                          for y in range(0, picture.height(), 9)}))
        setters = sorted(name for name in dir(top) if name.startswith("set_") and name.endswith(("_snr", "snr_db")))
        for name in setters:
            getattr(top, name)(7.5)
        top.close()
        top.wait()
    found[path.stem] = {"drawn": drawn, "setters": setters}
print(json.dumps(found), flush=True)
os._exit(0)  # Qt's own teardown at the interpreter's end is not what is looked at
"""
    )
    got = script(code, str(windows))
    both = ["set_bob_snr", "set_eve_snr"]
    assert got.keys() == {
        "loopback",
        "tx_zmq",
        "channel_zmq",
        "rx_bob_zmq",
        "rx_eve_zmq",
        "sionna_channel",
        "stage1_codec",
        "stage2_burst",
    }
    for name in ("loopback", "channel_zmq", "sionna_channel"):
        assert got[name]["setters"] == both
    assert all(min(one["drawn"]) > 5 for one in got.values()), got


def test_the_loopback_window_shows_pictures_and_figures(windows, photo, worker, tmp_path) -> None:  # noqa: F811
    code = (
        OPEN
        + """
program, image, worker, folder = sys.argv[1:]
top = load(Path(program)).loopback(image=image, worker=worker, folder=folder, snr_of_bob=15, snr_of_eve=1)
top.start()
top.show()
shown = [top.picture_original, top.picture_masked, top.picture_bob, top.picture_eve]
assert events(lambda: all(one.counts["shown"] == 1 for one in shown), 60)
assert events(lambda: top.report.counts["answered"] == 1, 30)
events(lambda: False, 0.3)
result = {who: {"text": widget.text(), "label": widget._label.text(), "counts": dict(widget.counts)}
          for who, widget in (("bob", top.figures_bob), ("eve", top.figures_eve))}
result["sizes"] = [[one._label.pixmap().width(), one._label.pixmap().height()] for one in shown]
post(top.figures_bob, "stats", pmt.intern("junk"))
post(top.picture_bob, "image", pdu.make({"height": 3, "width": 3}, b"short"))
assert events(lambda: top.figures_bob.counts["malformed"] == top.picture_bob.counts["malformed"] == 1, 10)
top.close(); top.wait()
print(json.dumps(result), flush=True)
os._exit(0)
"""
    )
    got = script(code, str(windows / "loopback.py"), str(photo), worker, str(tmp_path / "out"))
    bob, eve = got["bob"], got["eve"]
    assert bob["label"] == bob["text"] and bob["counts"] == {"ok": 38}
    assert "<b>38</b> frames right, <b>0</b> wrong" in bob["text"] and "dB</b> SNR" in bob["text"]
    assert eve["counts"]["fail"] > 10 and f"<b>{eve['counts']['fail']}</b> wrong" in eve["text"]
    assert all(width >= 260 and abs(width / height - 128 / 80) < 0.02 for width, height in got["sizes"])


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb-run is not installed")
def test_the_readme_s_picture_is_made_by_its_script(photo, worker, tmp_path) -> None:  # noqa: F811
    """On an X server, as in the README."""
    picture = tmp_path / "window.png"
    command = [
        "xvfb-run",
        "-a",
        DISTRIBUTION_PYTHON,
        "-m",
        "flowgraphs.tools.screenshot",
        str(photo),
        "--worker",
        worker,
        "--out",
        str(picture),
        "--timeout",
        "90",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    from PIL import Image

    assert Image.open(picture).size == (1640, 1000)
    assert len(Image.open(picture).convert("RGB").getcolors(1 << 24)) > 100
