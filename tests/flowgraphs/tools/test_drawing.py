"""Pictures of flowgraphs, drawn by gnuradio-companion's own code on a display that nobody sees."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.conftest import DISTRIBUTION_PYTHON
from tests.flowgraphs.radio import ROOT, environment, module

pytestmark = [
    pytest.mark.radio("gnuradio", "zmq", "yaml", "gi"),
    pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb-run is not installed"),
]


def test_a_flowgraph_becomes_a_picture(tmp_path) -> None:
    command = ["xvfb-run", "-a", DISTRIBUTION_PYTHON, "-m", "flowgraphs.tools.drawing", str(tmp_path), "stage2_burst"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stage2_burst.png"]
    pixels = np.asarray(Image.open(tmp_path / "stage2_burst.png").convert("RGB"))
    assert pixels.shape[0] > 300 and pixels.shape[1] > 1000
    assert 0.05 < np.mean(pixels.min(axis=2) < 250) < 0.6  # blocks on a white ground


def test_an_unknown_flowgraph_is_one_line(tmp_path) -> None:
    done = module("flowgraphs.tools.drawing", str(tmp_path), "stage9")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("flowgraphs.tools.drawing: stage9: no such flowgraph; there are ")
