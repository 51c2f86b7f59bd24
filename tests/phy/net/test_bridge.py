"""The bridge against a thread that plays the flowgraph; against GNU Radio see tests/flowgraphs/test_bridge.py."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import zmq

from phy.link import Link
from phy.net.bridge import MESSAGE, Bridge, BridgeChannel, BridgeError


class Echo(threading.Thread):
    """Passes samples from a bridge's transmit end to its receivers, at most ``rate`` messages a second, late."""

    def __init__(self, tx: str, receivers: list[str], delay: float = 0.0, rate: float = np.inf, limit: int = 1 << 40):
        super().__init__(daemon=True)
        self.tx, self.receivers, self.delay, self.rate, self.limit = tx, receivers, delay, rate, limit
        self.ended, self.passed = threading.Event(), 0
        self.start()

    def run(self) -> None:
        context = zmq.Context()
        source = context.socket(zmq.PULL)
        source.setsockopt(zmq.RCVHWM, 2)
        sinks = []
        for place in self.receivers:
            sinks.append(context.socket(zmq.PUSH))
            sinks[-1].bind(place)
        time.sleep(self.delay)
        source.connect(self.tx)
        while not self.ended.is_set() and self.passed < self.limit:
            if source.poll(50):
                message = source.recv()
                for sink in sinks:
                    sink.send(message)
                self.passed += len(message) // 8
                if self.rate < np.inf:
                    time.sleep(1 / self.rate)
        self.ended.wait()
        context.destroy(linger=0)


def places(folder, count: int) -> list[str]:
    return [f"ipc://{folder}/{k}" for k in range(count)]


@pytest.mark.parametrize(("delay", "rate"), [(0.0, np.inf), (0.7, np.inf), (0.0, 40.0)])
def test_no_sample_is_lost(tmp_path, delay, rate) -> None:
    """At full speed, with a flowgraph that starts late, and with one that takes a fraction of what could be sent."""
    tx, bob, eve = places(tmp_path, 3)
    echo = Echo(tx, [bob, eve], delay, rate)
    iq = np.arange(30 * MESSAGE, dtype=np.float32).astype(np.complex64)
    try:
        with Bridge(tx, {"bob": bob, "eve": eve}, timeout=10) as bridge:
            got = bridge.exchange(iq)
            again = bridge.exchange(iq)
            for k in (1, 2, 3):  # later exchanges begin at their own samples
                part = np.full(MESSAGE + k, k, np.complex64)
                assert np.array_equal(bridge.exchange(part)["eve"][: MESSAGE + k], part)
    finally:
        echo.ended.set()
    assert again is got  # one transmission, heard twice
    for samples in got.values():
        assert np.array_equal(samples[: len(iq)], iq) and not samples[len(iq) :].any()
        assert len(samples) >= len(iq) + (1 << 17)


def test_a_link_over_the_bridge(tmp_path) -> None:
    tx, bob, eve = places(tmp_path, 3)
    echo = Echo(tx, [bob, eve])
    body = bytes(range(256)) * 8
    try:
        with Bridge(tx, {"bob": bob, "eve": eve}, timeout=10) as bridge:
            link = Link(channel="external")
            sent = link.transmitter().send(b"head", body, k_digest=bytes(32))
            ends = [sent.through(BridgeChannel(bridge, name)) for name in ("bob", "eve")]
            heard = [link.receiver().receive(samples).best() for samples in ends]
    finally:
        echo.ended.set()
    for one in heard:
        assert one.head == b"head" and one.body == body and one.body_crc_ok


def test_nobody_there_names_the_endpoint(tmp_path) -> None:
    tx, bob = places(tmp_path, 2)
    with Bridge(tx, {"bob": bob}, timeout=0.3) as bridge, pytest.raises(BridgeError, match=f"{tx}: no flowgraph took"):
        bridge.exchange(np.zeros(1000, np.complex64))


def test_a_flowgraph_that_stops_names_the_endpoint(tmp_path) -> None:
    tx, bob = places(tmp_path, 2)
    echo = Echo(tx, [bob], limit=MESSAGE)
    try:
        said = pytest.raises(BridgeError, match=r"65536 of .* for bob, then")
        with Bridge(tx, {"bob": bob}, timeout=0.5) as bridge, said:
            bridge.exchange(np.zeros(4 * MESSAGE, np.complex64))
    finally:
        echo.ended.set()


def test_a_stream_with_tags_is_refused(tmp_path) -> None:
    tx, bob = places(tmp_path, 2)
    context = zmq.Context()
    sink = context.socket(zmq.PUSH)
    sink.bind(bob)
    try:
        with Bridge(tx, {"bob": bob}, timeout=5) as bridge:
            sink.send(b"\0" * 13)
            with pytest.raises(BridgeError, match=r"13 bytes .* pass_tags off"):
                bridge.exchange(np.zeros(10, np.complex64))
    finally:
        context.destroy(linger=0)


def test_nonsense_is_refused(tmp_path) -> None:
    tx, bob = places(tmp_path, 2)
    with pytest.raises(BridgeError, match="needs a receiver"):
        Bridge(tx, {})
    with Bridge(tx, {"bob": bob}) as bridge, pytest.raises(BridgeError, match="no end for 'eve': bob"):
        BridgeChannel(bridge, "eve")
    with pytest.raises(BridgeError, match="cannot open the bridge"):
        Bridge("tcp://127.0.0.1:notaport", {"bob": bob})
