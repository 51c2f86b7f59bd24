"""The signal path runs in the distribution's interpreter: numpy and scipy, no torch."""

import subprocess
from pathlib import Path

import pytest

RADIO_PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]


def test_signal_path_needs_no_torch_and_runs_under_the_radio_interpreter():
    there = Path(RADIO_PYTHON).exists()
    if not there or subprocess.run([RADIO_PYTHON, "-s", "-c", "import numpy"], capture_output=True).returncode:
        pytest.skip(f"{RADIO_PYTHON} has no numpy")
    code = """
import sys
import numpy as np
import phy.codec.codec, phy.frame.frame, phy.frame.tx, phy.frame.rx, phy.link
from phy.frame import frame, rx, tx
codec = phy.codec.codec.shipped("image8x4")
data = bytes(range(256)) * 4
payloads = frame.split(data, 500)
headers = frame.headers_for(
    payloads, len(data), kind=frame.Kind.BODY, codec_id=codec.codec_id, image_id=1, k_digest=bytes(8)
)
symbols = tx.modulate(headers, payloads, codec)
frames = list(rx.receive(symbols.reshape(-1), np.arange(len(symbols)) * symbols.shape[1]))
assert all(f.crc_ok for f in frames) and len(frames) == len(payloads)
got, ok = frame.join(np.stack([f.payload for f in frames]), np.ones(len(frames), bool), len(data))
assert got == data and ok.all()
link = phy.link.Link(channel="external")  # bursts, found in the samples by the receiver
sent = link.transmitter().send(b"head", data, k_digest=bytes(8))
heard = link.receiver().receive(np.concatenate([np.zeros(777, np.complex64), 0.3j * sent.iq])).best(bytes(8))
assert heard.head == b"head" and heard.body == data and heard.body_crc_ok and heard.made_with(bytes(8))
print("torch" in sys.modules, "sionna" in sys.modules)
"""
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([RADIO_PYTHON, "-s", "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "False"]
