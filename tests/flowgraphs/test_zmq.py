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
from tests.fakes.networks import COLOURS
from tests.fakes.worker_process import BOX
from tests.flowgraphs.radio import ROOT, environment, module, script
from tests.flowgraphs.tools.test_run import GRAPHS, photo, worker  # noqa: F401  (fixtures)

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A flowgraph's program; it ends when its standard input does."""

    def __init__(self, folder: Path, name: str, **options: object):
        named = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
        self.process = subprocess.Popen(
            [DISTRIBUTION_PYTHON, str(folder / f"{name}.py"), *named],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment(),
        )

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


def test_each_flowgraph_starts_stops_and_starts_again() -> None:
    """The figures' command, two rounds: no hang, no thread, descriptor, socket or process left."""
    done = module("tests.flowgraphs.restarts", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "left behind: 0"
    named = {line.split()[0] for line in lines[2:-1]}
    assert named >= set(GRAPHS)


def test_what_is_left_behind_is_counted() -> None:
    """A thread, a socket and a process, one of each a round."""
    code = """
import json, socket, subprocess, threading
from tests.flowgraphs import restarts
before, kept = restarts.state(), []
kept += [socket.socket(), open("/dev/null"), subprocess.Popen(["sleep", "20"])]
thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
after = restarts.state()
kept[2].kill()
print(json.dumps([after[kind] - before[kind] for kind in restarts.KINDS]))
"""
    assert script(code) == [1, 2, 1, 1]
