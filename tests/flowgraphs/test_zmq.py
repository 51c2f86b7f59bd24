"""Transmitter, channel, Bob and Eve as four programs with ZMQ between them; start and stop of each."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import DISTRIBUTION_PYTHON
from tests.flowgraphs.radio import ROOT, environment, module
from tests.flowgraphs.test_run import photo, worker  # noqa: F401  (fixtures)
from tests.privsc.fakes import COLOURS
from tests.privsc.worker_process import BOX

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")
NAMES = ("rx_bob_zmq", "rx_eve_zmq", "channel_zmq", "tx_zmq")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the four programs, headless."""
    folder = tmp_path_factory.mktemp("programs")
    done = module("flowgraphs.variants", str(folder), *NAMES)
    assert done.returncode == 0, done.stderr
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A flowgraph's program; it ends when its standard input does."""

    def __init__(self, folder: Path, name: str, **options: object):
        named = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
        self.process = subprocess.Popen([DISTRIBUTION_PYTHON, str(folder / f"{name}.py"), *named], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
                                        env=environment())  # fmt: skip

    def end(self, seconds: float = 30) -> str:
        """Close it; what it wrote on stderr."""
        _, errors = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, errors
        return errors


def test_a_photograph_crosses_four_programs(programs, photo, worker, tmp_path) -> None:  # noqa: F811
    tx, bob, eve = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    files = {who: tmp_path / f"{who}-1.png" for who in ("bob", "eve")}
    running = [
        Program(programs, f"rx_{who}_zmq", rx_endpoint=place, worker=worker, image_file=tmp_path / f"{who}-{{id}}.png")
        for who, place in (("bob", bob), ("eve", eve))
    ]
    running.append(Program(programs, "channel_zmq", tx_endpoint=tx, bob_endpoint=bob, eve_endpoint=eve, snr_of_bob=15))
    running.append(Program(programs, "tx_zmq", image=photo, worker=worker, tx_endpoint=tx))
    try:
        end = time.monotonic() + 90
        while not all(path.exists() for path in files.values()) and time.monotonic() < end:
            time.sleep(0.2)
    finally:
        said = [program.end() for program in running]
    assert all(path.exists() for path in files.values()), said
    sent = np.asarray(Image.open(photo))
    got = {who: np.asarray(Image.open(path)).astype(int) for who, path in files.items()}
    x0, y0, x1, y1 = BOX
    kept = np.ones(sent.shape[:2], bool)
    kept[y0 - 4 : y1 + 4, x0 - 4 : x1 + 4] = False  # the region found may differ at its border
    for picture in got.values():
        assert np.abs(picture - sent)[kept].max() <= 1
    inside = np.s_[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4]
    assert (got["bob"][inside] == COLOURS["Vicky"]).all() and (got["eve"][inside] == 128).all()


def test_each_flowgraph_starts_and_stops_twenty_times(programs) -> None:
    """In one process: no hang; threads and descriptors at the end as at the beginning."""
    code = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
state = {}
for name in sys.argv[2:]:
    module = __import__(name)
    binds = {"channel_zmq": ("bob_endpoint", "eve_endpoint"), "tx_zmq": ("tx_endpoint",)}.get(name, ())
    options = {end: "tcp://127.0.0.1:*" for end in binds}
    state[name] = []
    for _ in range(20):
        top = getattr(module, name)(**options)
        top.start()
        top.stop()
        top.wait()
        del top
        state[name].append([len(list(Path(f"/proc/self/{kind}").iterdir())) for kind in ("task", "fd")])
print(json.dumps(state))
"""
    from tests.flowgraphs.radio import script

    state = script(code, str(programs), *NAMES)
    assert len(state) == 4
    for name, counts in state.items():
        assert len(counts) == 20
        for one in zip(*counts, strict=True):  # ZMQ's own threads take a moment to go; a leak would be one each time
            assert min(one[-3:]) <= max(one[:3]), (name, counts)
