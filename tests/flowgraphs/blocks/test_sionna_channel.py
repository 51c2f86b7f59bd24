"""Sionna's impulse responses applied in GNU Radio: the block, a server that goes, the flowgraph with Bob and Eve."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from phy.link import Link
from phy.net.bridge import Bridge, BridgeChannel
from tests.flowgraphs.blocks.test_blocks import SETUP
from tests.flowgraphs.radio import ROOT, script
from tests.flowgraphs.test_zmq import Program, free_port

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")

SERVED = (
    SETUP
    + """
import threading, zmq
from phy.channel.impulses import Segment, encode
rng = np.random.default_rng(3)
def noise(*shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
context = zmq.Context()
push = context.socket(zmq.PUSH)
place = f"ipc://{sys.argv[1]}/taps"
push.bind(place)
"""
)


def test_an_impulse_in_brings_the_streamed_response_out(tmp_path) -> None:
    """Responses that change every 50,000 samples, an impulse in each; odd buffer sizes; a response late by a second."""
    code = (
        SERVED
        + """
taps = noise(4, 1, 9)
x = np.zeros(200000, np.complex64)
x[[1000, 60000, 149999, 190000]] = 1
block, sink = blocks.sionna_channel(place, timeout=20), grb.vector_sink_c()
tb = gr.top_block()
tb.connect(grb.vector_source_c(x.tolist()), block, sink)
def serve():
    for k in range(4):
        time.sleep(1.0 if k == 2 else 0)
        push.send_multipart(encode(Segment(taps[k], 50000, 1, -6, "s", k, "tdl-c")))
thread = threading.Thread(target=serve)
thread.start()
tb.run(777)
thread.join()
y = np.array(sink.data(), np.complex64)
wanted = np.zeros(len(x), np.complex64)
for at, k in ((1000, 0), (60000, 1), (190000, 3)):
    wanted[at : at + 9] = taps[k, 0]
wanted[149999] = taps[2, 0, 0]                     # the last sample of a response, the rest through the next one
wanted[150000:150008] = taps[3, 0, 1:]
context.destroy(linger=0)
print(json.dumps({"equal": bool(np.allclose(y, wanted, atol=1e-6)), "length": len(y), "counts": block.counts}))
"""
    )
    got = script(code, str(tmp_path))
    assert got["equal"] and got["length"] == 200000
    assert got["counts"] == {"segments": 4, "draws": 1}


def test_a_server_that_is_gone_is_a_message_and_a_counter_and_may_come_back(tmp_path) -> None:
    code = (
        SERVED
        + """
block, sink, status = blocks.sionna_channel(place, timeout=0.4), grb.vector_sink_c(), grb.message_debug(False)
throttle = grb.throttle(8, 2e6)
tb = gr.top_block()
tb.connect(grb.vector_source_c([1.0] * 1000, True), throttle, block, sink)
tb.msg_connect(block, "status", status, "store")
tb.start()
assert until(lambda: block.counts["silent"] > 100000, 20)
push.send_multipart([b"junk"])
for k in (0, 2):                                   # one of this server's segments does not come
    push.send_multipart(encode(Segment(np.full((1, 2), 0.5, np.complex64), 20000, 1, 0, "one", k, "rayleigh")))
assert until(lambda: block.counts["held"] > 100000, 20)
push.send_multipart(encode(Segment(np.full((1, 1), 2, np.complex64), 1000, 1, 0, "two", 0, "rayleigh")))
assert until(lambda: block.counts["starved"] == 3, 20)
began = time.monotonic()
tb.stop(); tb.wait()
seconds = time.monotonic() - began
context.destroy(linger=0)
levels = sorted({round(float(v), 3) for v in np.abs(np.array(sink.data()))})
said = [(m["problem"], m["message"]) for m, _ in messages(status)]
print(json.dumps({"counts": block.counts, "levels": levels, "said": said, "seconds": seconds}))
"""
    )
    got = script(code, str(tmp_path))
    counts = got["counts"]
    names = ("starved", "segments", "draws", "gaps", "malformed")
    assert [counts[name] for name in names] == [3, 3, 2, 1, 1]
    assert set(got["levels"]) == {0.0, 1.0, 2.0} and got["seconds"] < 3
    said = [what for what, _ in got["said"]]
    assert said.count("starved") == 3 and said.count("back") == 2 and said.count("malformed") == 1
    assert "is phy.net.sionna_taps running?" in got["said"][0][1] and "silence until" in got["said"][0][1]


def test_bob_and_eve_hear_one_input_through_channels_of_their_own(programs) -> None:
    """sionna_channel.grc with its server: frames arrive, and each receiver has its own draw."""
    tx, bob, eve = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    command = [sys.executable, "-m", "phy.net.sionna_taps", "tdl-d", "--bob", "tcp://127.0.0.1:*", "--eve",
               "tcp://127.0.0.1:*", "--seed", "2", "--speed", "1.5", "--hold", "300000", "--until-eof"]  # fmt: skip
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    body = np.random.default_rng(0).integers(0, 256, 20000, dtype=np.uint8).tobytes()
    try:
        taps = json.loads(server.stdout.readline())["endpoints"]
        program = Program(
            programs,
            "sionna_channel",
            tx_endpoint=tx,
            bob_endpoint=bob,
            eve_endpoint=eve,
            snr_of_bob=25,
            snr_of_eve=25,
            bob_impulses=taps["bob"],
            eve_impulses=taps["eve"],
        )
        try:
            with Bridge(tx, {"bob": bob, "eve": eve}, timeout=30) as bridge:
                link = Link(channel="external", codec="ae8x8")
                sent = link.transmitter().send(b"head", body, image_id=1, k_digest=bytes(32))
                samples = {name: sent.through(BridgeChannel(bridge, name)) for name in ("bob", "eve")}
                heard = {name: link.receiver().receive(y).best() for name, y in samples.items()}
                iq = bridge.exchange(sent.iq)
        finally:
            said = program.end()
    finally:
        server.stdin.close()
        assert server.wait(20) == 0
    assert "Traceback" not in said
    for one in heard.values():
        assert one.head == b"head" and one.lost <= 2  # a draw may end inside a frame
    gains = {name: np.sqrt(np.mean(np.abs(one[: len(sent.iq)]) ** 2)) for name, one in iq.items()}
    assert abs(gains["bob"] / gains["eve"] - 1) > 0.01
