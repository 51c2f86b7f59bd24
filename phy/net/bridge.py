"""IQ into a flowgraph and back over ZMQ: a channel that is whatever runs between two sockets.

    Transmission.iq ──PUSH (binds)──► flowgraph, e.g. flowgraphs/channel_zmq.grc ──PUSH──► PULL (connects) ──► Bob
                                                                                  └──PUSH──► PULL ──► Eve

Raw complex64 samples, no header and no tags (``pass_tags`` off), in messages of 64 Ki samples; a high-water mark of 16
messages holds the writer back where the reader is slow, and nothing is dropped. A stream has no end mark, since the
flowgraph's own blocks would not pass it on: silence follows the samples. An exchange has all it needs when each
receiver has as many samples as were sent and half of the silence, which allows for clocks that differ (0.1 % of the
samples at most); it then takes the rest of the silence too, so that the next exchange begins at its own samples.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import zmq

from phy.errors import LinkError
from phy.net.endpoints import EndpointError, check_loopback, stream_socket

MESSAGE = 1 << 16  # [samples]
HIGH_WATER = 16  # messages, either side
_SILENCE = 1 << 18  # [samples] at least
_QUIET = 0.5  # [s] without a sample after which the rest of the silence is taken to have come


class BridgeError(LinkError):
    """No flowgraph at an endpoint, or it stopped in the middle."""


class Bridge:
    """Both ends of a flowgraph. tx: endpoint that is bound; receivers: name to endpoint that is connected to; timeout:
    [s] without a single sample in or out after which BridgeError names the endpoint."""

    def __init__(self, tx: str, receivers: Mapping[str, str], timeout: float = 30.0):
        if not receivers or not timeout > 0:
            raise BridgeError(f"a bridge needs a receiver and a positive timeout, got {dict(receivers)} and {timeout}")
        self.tx, self.receivers, self.timeout = tx, dict(receivers), timeout
        self._context = zmq.Context()
        self._lock = threading.Lock()
        self._latest: tuple[np.ndarray, dict[str, np.ndarray]] | None = None
        try:
            self._out = self._open(zmq.PUSH, tx)
            self._in = {name: self._open(zmq.PULL, place) for name, place in self.receivers.items()}
        except EndpointError:
            self.close()
            raise
        except zmq.ZMQError as error:
            self.close()
            raise BridgeError(f"{tx}: cannot open the bridge ({error}); is another program there?") from error

    def _open(self, kind: int, endpoint: str) -> zmq.Socket:
        check_loopback(endpoint)
        socket = stream_socket(self._context, kind, HIGH_WATER)
        socket.bind(endpoint) if kind == zmq.PUSH else socket.connect(endpoint)
        return socket

    def close(self) -> None:
        """Release the sockets."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def exchange(self, iq: np.ndarray) -> dict[str, np.ndarray]:
        """iq [N] complex64 to what each receiver's end gave, [at least N] complex64 each; the same samples once only:
        Bob and Eve hear one transmission."""
        with self._lock:
            if self._latest is None or self._latest[0] is not iq:
                self._latest = (iq, self._exchange(iq))
            return self._latest[1]

    def _exchange(self, iq: np.ndarray) -> dict[str, np.ndarray]:
        silence = max(_SILENCE, len(iq) // 500)
        wanted = len(iq) + silence // 2
        stream = np.concatenate([iq, np.zeros(silence, np.complex64)])
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self._in}
        got = dict.fromkeys(self._in, 0)
        names = {socket: name for name, socket in self._in.items()}
        poller = zmq.Poller()
        for socket in self._in.values():
            poller.register(socket, zmq.POLLIN)
        poller.register(self._out, zmq.POLLOUT)
        at, moved = 0, time.monotonic()
        while min(got.values()) < len(stream):
            for socket, _ in poller.poll(100):
                if socket is self._out:
                    self._out.send(stream[at : at + MESSAGE].tobytes())
                    at += MESSAGE
                    if at >= len(stream):
                        poller.unregister(self._out)
                else:
                    samples = _samples(socket.recv(), self.receivers[names[socket]])
                    parts[names[socket]].append(samples)
                    got[names[socket]] += len(samples)
                moved = time.monotonic()
            still = time.monotonic() - moved
            if still > _QUIET and at >= len(stream) and min(got.values()) >= wanted:
                break
            if still > self.timeout:
                raise BridgeError(self._silent(at, got, wanted))
        return {name: np.concatenate(pieces) for name, pieces in parts.items()}

    def _silent(self, sent: int, got: dict[str, int], wanted: int) -> str:
        if sent == 0:
            return f"{self.tx}: no flowgraph took a sample within {self.timeout:g} s; start one that connects there"
        name = min(got, key=lambda one: got[one])
        return (
            f"{self.receivers[name]}: {got[name]} of {wanted} samples came for {name}, then none for "
            f"{self.timeout:g} s; is the flowgraph still running?"
        )


@dataclass(frozen=True)
class BridgeChannel:
    """A bridge as a channel: what one of its ends gives for the samples put in. The flowgraph has its own SNR.

    bridge: open; receiver: which of its ends.
    """

    bridge: Bridge
    receiver: str = "bob"

    def __post_init__(self) -> None:
        if self.receiver not in self.bridge.receivers:
            raise BridgeError(f"the bridge has no end for {self.receiver!r}: {', '.join(self.bridge.receivers)}")

    def __call__(self, x: np.ndarray, block_starts: np.ndarray | None = None) -> np.ndarray:
        """x [N] complex64 to [at least N] complex64."""
        return self.bridge.exchange(x)[self.receiver]


def _samples(message: bytes, endpoint: str) -> np.ndarray:
    """A message of raw samples, [n] complex64."""
    if len(message) % 8:
        raise BridgeError(f"{endpoint}: a message of {len(message)} bytes is no complex64; switch pass_tags off there")
    return np.frombuffer(message, np.complex64)
