"""A flowgraph's end of the connection to `privsc worker`: one request at a time, in the caller's thread.

    request ──wait until the worker answers a ping──► send ──► answer
                                                       └─ connection gone, no pong for `silence` seconds, or a pong of
                                                          another worker: WorkerLost

The sockets belong to the thread that calls; only `close` may come from another one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import zmq
from zmq.utils.monitor import recv_monitor_message

from phy.net import messages
from phy.net.curve import as_client, read_key
from phy.net.endpoints import Address

_PING_EVERY = 0.5  # [s]


class WorkerLost(Exception):
    """No worker answered in time, or it went away during a request."""


class WorkerRefused(Exception):
    """The worker answered with a refusal; ``cause`` is one of ``phy.net.messages.ERRORS``."""

    def __init__(self, cause: str, message: str):
        super().__init__(message)
        self.cause = cause


class WorkerClient:
    """endpoint: where the worker listens: ``ipc://NAME`` (a socket in the user's own folder), ``ipc://PATH``, or
    ``tcp://HOST:PORT?key=FILE&peer=FILE`` with the CURVE keys of both sides (phy.net.endpoints). timeout: [s] for one
    request, waiting for a worker included. silence: [s] without an answer to pings after which a worker counts as gone.
    counts: Counter of ``sent``, ``answered``, ``lost``, ``refused``, ``busy`` (answers after which the request was
    repeated) and ``connections``."""

    def __init__(self, endpoint: str, timeout: float = 120.0, silence: float = 20.0):
        if not (timeout > 0 and silence > 0):
            raise ValueError(f"timeout and silence must be positive, got {timeout} and {silence}")
        self._address = Address.parse(endpoint)
        self.endpoint, self.timeout, self.silence = self._address.endpoint, timeout, silence
        if self._address.key is not None and self._address.peer is not None:
            read_key(self._address.key, secret=True)  # a wrong file is an error now, not at the first request
            read_key(self._address.peer)
        self.counts: Counter[str] = Counter()
        self._context = zmq.Context()
        self._socket: zmq.Socket | None = None
        self._monitor: zmq.Socket | None = None  # tells when the connection ends
        self._next = 0
        self._instance: str | None = None  # which worker answered before the request was sent
        self._closed = threading.Event()

    def close(self) -> None:
        """End the present request, if any, with WorkerLost, and refuse later ones."""
        self._closed.set()

    @property
    def closed(self) -> bool:
        """Has `close` been called."""
        return self._closed.is_set()

    def release(self) -> None:
        """Free the sockets; for the thread that made the requests, or after it has ended."""
        self._disconnect()
        self._context.destroy(linger=0)

    def request(self, op: str, params: dict[str, Any], buffers: dict[str, np.ndarray | bytes]) -> messages.Message:
        """Ask once; a busy worker is asked again until the time is over. Raises WorkerLost or WorkerRefused."""
        end = time.monotonic() + self.timeout
        pause = 0.05
        while True:
            try:
                self._connect(end)
                answer = self._ask(op, params, buffers, end)
            except WorkerLost:
                self.counts["lost"] += 1
                self._disconnect()
                raise
            if answer.header.get("ok") is True:
                self.counts["answered"] += 1
                return answer
            cause, text = str(answer.header.get("error")), str(answer.header.get("message"))
            if cause != messages.BUSY or time.monotonic() + pause > end:
                self.counts["refused"] += 1
                raise WorkerRefused(cause, text)
            self.counts["busy"] += 1
            self._closed.wait(pause)
            pause = min(2 * pause, 1.0)

    def _connect(self, end: float) -> None:
        """A socket at whose other end a worker answers."""
        if self._socket is None:
            self._socket = self._context.socket(zmq.DEALER)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for a worker that is not there
            self._socket.setsockopt(zmq.RECONNECT_IVL, 100)  # [ms]
            self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)  # [ms]
            self._socket.setsockopt(zmq.MAXMSGSIZE, messages.MAX_PART)
            self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            if self._address.key is not None and self._address.peer is not None:
                as_client(self._socket, self._address.key, self._address.peer)
            self._socket.connect(self.endpoint)
            self.counts["connections"] += 1
        first, pinged = self._send("ping", {}, {}), time.monotonic()
        while (answer := self._receive(0.2)) is None or answer.id < first:
            self._check(end)
            if time.monotonic() - pinged > _PING_EVERY:  # the last one may have gone to a worker that was killed
                self._send("ping", {}, {})
                pinged = time.monotonic()
        self._instance = _instance(answer)
        self._gone()  # of connections before this one

    def _ask(self, op: str, params: dict[str, Any], buffers: dict[str, Any], end: float) -> messages.Message:
        number = self._send(op, params, buffers)
        self.counts["sent"] += 1
        heard = pinged = time.monotonic()
        while True:
            answer = self._receive(0.2)
            now = time.monotonic()
            if answer is not None:
                heard = now
                if answer.id == number:
                    return answer
                if _instance(answer) != self._instance:
                    raise WorkerLost(f"the worker at {self.endpoint} was restarted during a request ({op})")
                continue  # what else has come is looked at before the connection is
            if self._gone():
                raise WorkerLost(f"the worker at {self.endpoint} went away during a request ({op})")
            if now - heard > self.silence:
                raise WorkerLost(f"the worker at {self.endpoint} went away during a request ({op})")
            if now - pinged > _PING_EVERY:
                self._send("ping", {}, {})
                pinged = now
            self._check(end)

    def _check(self, end: float) -> None:
        if self._closed.is_set():
            raise WorkerLost("the flowgraph stops")
        if time.monotonic() > end:
            raise WorkerLost(f"no worker answered at {self.endpoint} within {self.timeout:g} s: run privsc worker")

    def _send(self, op: str, params: dict[str, Any], buffers: dict[str, Any]) -> int:
        self._next += 1
        try:
            assert self._socket is not None
            self._socket.send_multipart(
                messages.encode({"id": self._next, "op": op, "params": params}, buffers), zmq.NOBLOCK
            )
        except zmq.Again:
            pass  # no connection and a full queue: the time-outs of the callers end it
        return self._next

    def _receive(self, seconds: float) -> messages.Message | None:
        """The next answer of our format, None after that time."""
        assert self._socket is not None
        if not self._socket.poll(int(1000 * seconds)):
            return None
        try:
            parts, wrong = messages.receive(self._socket)
            if wrong is not None:
                raise wrong
            return messages.decode(parts)
        except messages.WireError:
            self.counts["malformed"] += 1
            return None

    def _gone(self) -> bool:
        """Has a connection ended since this was asked last. A new one could not bring the answer to the old one."""
        ended = False
        while self._monitor is not None and self._monitor.poll(0):
            ended |= recv_monitor_message(self._monitor)["event"] == zmq.EVENT_DISCONNECTED
        return ended

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.disable_monitor()
            self._socket.close(0)
            self._socket = self._monitor = None


def _instance(pong: messages.Message) -> str | None:
    """Which worker answered a ping; an answer that does not say is none's."""
    result = pong.header.get("result")
    return result.get("instance") if isinstance(result, dict) else None
