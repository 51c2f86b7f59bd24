"""Benchmarks of the radio side: timed to the end of the signal, and every command with tiny sizes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks import table
from tests.conftest import DISTRIBUTION_PYTHON
from tests.flowgraphs.radio import ROOT, environment, module, script
from tests.hardware.conftest import driver  # noqa: F401  (a fixture)

pytestmark = pytest.mark.radio("gnuradio", "zmq")

TO_THE_END = """
import json
import numpy as np
from benchmarks import ofdm_peer
from benchmarks.bench_gnuradio import APART_TAIL, TAIL, VARIANTS, receive_ofdm, receive_ours
from benchmarks.gnuradio_signals import impaired, ours
from benchmarks.signals import Bursts

signal = ours("image8x4", 9, 96)  # shorter than what the Frame Receiver gathers before it looks
short = Bursts(signal.bursts[:, :-300], signal.payloads)
counts = {}
for name, tail in zip(VARIANTS, (TAIL, TAIL, APART_TAIL)):
    counts[name] = [receive_ours(impaired(one, 30.0, tail=tail), name)[0] for one in (signal, short)]
packets = ofdm_peer.packets(9, 96, np.random.default_rng(2))
heard = impaired(packets, 40.0, tail=ofdm_peer.TAIL)
got, spent = ofdm_peer.receive(heard)
print(json.dumps({
    "ours": counts,
    "theirs": receive_ofdm(heard, packets)[0],
    "last of theirs": got[-1] == packets.payloads[-1].tobytes(),
    "spent": [spent.wall, spent.processor],
    "nothing": ofdm_peer.receive(heard[:500])[0],
}))
"""


def test_both_sides_are_timed_to_the_end_of_the_signal():
    """All frames count, the last included, and one that is cut off does not: nothing is left in a receiver."""
    got = script(TO_THE_END)
    assert got["ours"] == {name: [9, 8] for name in got["ours"]} and len(got["ours"]) == 3
    assert got["theirs"] == 9 and got["last of theirs"] and got["nothing"] == []
    assert all(value > 0 for value in got["spent"])


NO_LIQUID = """
import ctypes, json
from benchmarks import bench_burst, liquid_peer

def refuse(name):
    raise OSError(name)

liquid_peer.ctypes.CDLL = refuse
rows = bench_burst.throughput(4, 1)
print(json.dumps([[row.what, row.peer, row.note] for row in rows]))
"""


def test_a_peer_that_is_not_installed_is_named_and_left_out():
    rows = script(NO_LIQUID)
    assert rows[0][2] == "libliquid is not installed: sudo apt-get install libliquid1"
    assert [row[1] for row in rows[1:]] == ["ofdm_rx, QPSK"] * 2


def rows_of(path: Path, done: subprocess.CompletedProcess) -> list[table.Row]:
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table.read_rows(path)
    assert rows and all(row.unit for row in rows if not row.note.endswith("libliquid1"))
    return rows


def test_bench_burst_tiny(tmp_path):
    path = tmp_path / "rows.json"
    done = module("benchmarks.bench_burst", "--frames", "20", "--rounds", "1", "--rows", str(path))
    rows = rows_of(path, done)
    delivered = {row.what: row.ours for row in rows if row.unit.startswith(("frames", "packets"))}
    assert delivered["96-byte packets at 20 dB, 2 bits a symbol, ae8x4"] == 20
    compared = [row for row in rows if row.what.startswith("96 bytes, 2 bits a symbol")]
    assert len(compared) == 2 and all(row.ratio and row.ours > 0 for row in compared)
    assert all(row.note.startswith("frames 20 / ") for row in compared)


@pytest.mark.slow
def test_bench_gnuradio_tiny(tmp_path):
    path = tmp_path / "rows.json"
    rows = rows_of(path, module("benchmarks.bench_gnuradio", "12", "--rounds", "1", "--rows", str(path)))
    speeds = [row for row in rows if row.what.startswith("Frame Receiver")]
    assert [row.unit.split()[0] for row in speeds] == ["Msps", "Msps", "payload"] * 3
    assert all(row.note.startswith(("20 dB, frames 12 / ", "25 dB, frames 8 / ")) for row in speeds)
    assert ["offsets" in row.what for row in speeds] == [False] * 6 + [True] * 3
    assert all(row.ours == 12 for row in rows if "at 20 dB" in row.what)


@pytest.mark.slow
def test_bench_receive_tiny(tmp_path):
    path = tmp_path / "rows.json"
    rows = rows_of(path, module("benchmarks.bench_receive", "1", "--rows", str(path)))
    assert [row.note for row in rows] == ["1 of 1 photographs written"] * 2
    assert all(row.ours > 0 and row.theirs > 0 for row in rows)


@pytest.mark.slow
def test_bench_bridge_tiny(tmp_path):
    path = tmp_path / "rows.json"
    done = module("benchmarks.bench_bridge", "1e6", "plain", "exchange", "--rounds", "2", "--rows", str(path))
    rows = rows_of(path, done)
    assert rows[0].what.startswith("Bridge.exchange") and rows[0].ours > 0 and rows[0].theirs > 0
    assert [(row.ours, row.unit) for row in rows[1:]] == [(0, "samples of 2000000")] * 2


@pytest.mark.slow
@pytest.mark.radio("SoapySDR")
def test_bench_soapy_zmq_tiny(tmp_path, driver):  # noqa: F811
    path = tmp_path / "rows.json"
    done = subprocess.run(
        [DISTRIBUTION_PYTHON, "-m", "benchmarks.bench_soapy_zmq", "0.5", "1", "--rows", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment(), "SOAPY_SDR_PLUGIN_PATH": os.fspath(driver)},
        timeout=240,
    )
    rows = rows_of(path, done)
    assert rows[0].what == "two virtual radios both ways, 1 Msps, 0.5 s: losses" and len(rows) == 4


@pytest.mark.slow
def test_bench_privsc_tiny(tmp_path):
    path = tmp_path / "rows.json"
    words = [".venv/bin/python", "-m", "benchmarks.bench_privsc", "--rounds", "1", "--rows", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=240)
    rows = rows_of(path, done)
    assert [row.peer.split()[0] for row in rows] == ["scikit-image", "komm", "its"]
    assert all(row.ratio for row in rows) and json.loads(path.read_text())[0]["more"] is False
