"""The models side sends through GNU Radio's channel in another process and hears Bob's and Eve's ends."""

from __future__ import annotations

import numpy as np
import pytest

from phy.bridge import Bridge, BridgeLink
from tests.flowgraphs.radio import module
from tests.flowgraphs.test_zmq import Program, free_port

pytestmark = pytest.mark.radio


def test_an_image_crosses_the_channel_flowgraph_twice(tmp_path) -> None:
    done = module("flowgraphs.variants", str(tmp_path), "channel_zmq")
    assert done.returncode == 0, done.stderr
    tx, bob, eve = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    body = np.random.default_rng(0).integers(0, 256, 30000, dtype=np.uint8).tobytes()
    program = Program(tmp_path, "channel_zmq", tx_endpoint=tx, bob_endpoint=bob, eve_endpoint=eve, snr_of_bob=20,
                      snr_of_eve=5)  # fmt: skip
    try:
        with Bridge(tx, {"bob": bob, "eve": eve}, timeout=30) as bridge:
            links = {name: BridgeLink(bridge=bridge, receiver=name) for name in ("bob", "eve")}
            for image_id in (1, 2):
                sent = links["bob"].transmit(b"head", body, image_id=image_id, k_digest=bytes(32))
                heard = {n: link.receive(sent, snr_db=0, seed=0, k_digest=None) for n, link in links.items()}
                assert heard["bob"].body == body and heard["bob"].stats.frames_lost == 0
                assert heard["eve"].head == b"head" and 0.01 < heard["eve"].stats.message_error_rate < 0.5
                assert abs(heard["bob"].snr_db - 20) < 1.5 and abs(heard["eve"].snr_db - 5) < 1.5
    finally:
        program.end()
