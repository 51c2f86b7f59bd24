"""The models side of a flowgraph: one process that guards, recovers and reports for GNU Radio blocks over ZMQ.

    flowgraph ──DEALER──► ROUTER ──decode, check──► queue (bounded) ──► one thread with the networks ──► answer
                            └──── ping, busy, refusals: answered at once, whatever the networks are doing ────┘

Messages are those of `phy.net.messages`. Operations, by role:

    guard             photo (encoded file) or image [H, W, 3] uint8 → (A, i) as head and body, S, A, M, what was found
    recovery          head, body and which bytes arrived → Â, Ŝ; with K, or (role `generic`) without
    report            S, what Bob and Eve ended with, figures of the link → the files of `privsc run`
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from phy.errors import PhyError
from phy.net import messages
from phy.net.curve import as_server
from phy.net.endpoints import EndpointError, bound, check_loopback, resolved
from phy.net.messages import Message, WireError
from privsc.errors import PrivscError, WorkerError

ROLES = ("guard", "recovery", "generic", "report")
ENDPOINT = "ipc://worker"
"""Where a worker listens and flowgraphs look for it: a socket in the user's own folder (phy.net.endpoints)."""

Operation = Callable[[dict[str, Any], dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]
"""(params, buffers) to (result, buffers)."""


def check_endpoint(endpoint: str, behind_k: bool = True, curve: bool = False) -> str:
    """The endpoint itself, where only those can ask who may.

    A socket file is for its owner. TCP, also on this machine, is open to every user of it: with K behind it, or from
    another machine, it needs CURVE keys.

    Raises:
        WorkerError: for another endpoint.
    """
    try:
        place = resolved(endpoint)
        if place.startswith("ipc://") and curve:
            raise EndpointError(
                f"--key and --allow go with tcp://; got {endpoint!r}, which is for this user only anyway"
            )
        if curve and place.startswith("tcp://") and ":" in place.removeprefix("tcp://"):
            return place
        check_loopback(place)
    except EndpointError as error:
        raise WorkerError(str(error)) from error
    if place.startswith("tcp://") and behind_k and not curve:
        raise WorkerError(
            f"{endpoint}: every user of this machine could ask this worker for K's photographs; listen at ipc://NAME, "
            "or give --key and --allow"
        )
    return place


class Worker:
    """Serves operations until `stop` is called.

    Args:
        operations: name to function; one thread calls them, one at a time.
        endpoint: where to listen.
        queue_size: requests that may wait; one more is answered "busy".
        key: own secret CURVE key file, None without CURVE.
        allow: public key files of those who may ask then.
    """

    def __init__(
        self,
        operations: dict[str, Operation],
        endpoint: str,
        queue_size: int = 4,
        key: Path | None = None,
        allow: Sequence[Path] = (),
    ):
        if not 1 <= queue_size <= 1024:
            raise WorkerError(f"queue size must be 1 to 1024; got {queue_size}")
        self._operations = operations
        self._waiting: queue.Queue[tuple[bytes, Message] | None] = queue.Queue(queue_size)
        self._done: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._context = zmq.Context()
        self._router = self._socket(zmq.ROUTER)
        self._wake_in, self._wake_out = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
        self._wake_in.bind("inproc://answers")
        self._wake_out.connect("inproc://answers")
        self._stop = threading.Event()
        self._instance = secrets.token_hex(8)  # so that a client knows another worker that took this one's place
        self.counts: Counter[str] = Counter()
        self._authenticator: ThreadAuthenticator | None = None
        try:
            if key is not None:
                self._authenticator = as_server(self._context, self._router, key, allow, self.counts)
            self.endpoint = bound(self._router, endpoint)
        except EndpointError as error:
            self.close()
            raise WorkerError(f"{error}; choose another --endpoint") from error
        except BaseException:
            self.close()
            raise

    def _socket(self, kind: int) -> zmq.Socket:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 500)  # [ms]
        socket.setsockopt(zmq.MAXMSGSIZE, messages.MAX_PART)
        socket.setsockopt(zmq.RCVHWM, 16)
        socket.setsockopt(zmq.SNDHWM, 64)
        return socket

    def stop(self) -> None:
        """End `serve` after the request in progress; may be called from a signal handler."""
        self._stop.set()

    def serve(self) -> None:
        """Answer requests until `stop`."""
        thread = threading.Thread(target=self._compute, name="networks", daemon=True)
        thread.start()
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._wake_in, zmq.POLLIN)
        try:
            while not self._stop.is_set():
                ready = dict(poller.poll(200))
                if self._wake_in in ready:
                    self._wake_in.recv()
                    self._router.send_multipart(self._done.get())
                if self._router in ready:
                    self._take(*messages.receive(self._router, envelope=1))
        finally:
            self._stop.set()
            thread.join(timeout=1)
            self.close()

    def close(self) -> None:
        """Release the sockets."""
        if self._authenticator is not None and self._authenticator.is_alive():
            self._authenticator.stop()
        self._context.destroy(linger=500)

    def _take(self, parts: list[bytes], wrong: WireError | None) -> None:
        """One request: refused, answered at once, or queued. wrong: why it cannot even be decoded."""
        client, request = parts[0], None
        self.counts["requests"] += 1
        try:
            if wrong is not None:
                raise wrong
            message = messages.decode(parts[1:])
            request = message.id
            operation = message.header.get("op")
            if operation == "ping":
                return self._answer(client, request, self._state(), {})
            if not isinstance(message.header.get("params", {}), dict):
                raise WireError(messages.MALFORMED, "params must be a JSON object")
            if not isinstance(operation, str) or operation not in (*ROLES, *self._operations):
                known = ", ".join(ROLES)
                raise WireError(messages.UNKNOWN, f"no operation {operation!r}; there are {known} and ping"[:300])
            if operation not in self._operations:
                served = ", ".join(self._operations)
                raise WireError(messages.ROLE, f"this worker serves {served}, not {operation}; start one that does")
            self._waiting.put_nowait((client, message))
        except queue.Full:
            told = f"{self._waiting.maxsize} requests wait already; try again later"
            self._refuse(client, request, messages.BUSY, told)
        except WireError as error:
            self._refuse(client, request if error.request is None else error.request, error.cause, str(error))
        except Exception as error:  # nothing that arrives may end the worker
            self._refuse(client, request, messages.MALFORMED, f"{type(error).__name__}: no request of this format")

    def _compute(self) -> None:
        """The thread that owns the networks."""
        while not self._stop.is_set():
            try:
                item = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            if item is None:
                return
            client, message = item
            self._done.put([client, *self._served(message)])
            if not self._stop.is_set():
                self._wake_out.send(b"")

    def _served(self, message: Message) -> list[bytes]:
        start = time.perf_counter()
        try:
            result, buffers = self._operations[message.header["op"]](message.header.get("params", {}), message.buffers)
            seconds = round(time.perf_counter() - start, 4)
            parts = messages.encode({"id": message.id, "ok": True, "result": result, "seconds": seconds}, buffers)
            self.counts["served"] += 1
            return parts
        except WireError as error:
            cause, text = error.cause, str(error)
        except (PrivscError, PhyError) as error:
            cause, text = messages.FAILED, str(error)
        except Exception as error:  # a request must not end the worker, whatever it provokes in a network
            cause, text = messages.FAILED, f"{type(error).__name__}: {error}"
        self.counts[cause] += 1
        told = " ".join(text.split())[:1000]
        return messages.encode({"id": message.id, "ok": False, "error": cause, "message": told})

    def _state(self) -> dict[str, Any]:
        waiting, counts = self._waiting.qsize(), dict(self.counts)
        return {"instance": self._instance, "roles": list(self._operations), "waiting": waiting, "counts": counts}

    def _answer(self, client: bytes, request: int, result: dict[str, Any], buffers: dict[str, Any]) -> None:
        self._router.send_multipart([client, *messages.encode({"id": request, "ok": True, "result": result}, buffers)])

    def _refuse(self, client: bytes, request: int | None, cause: str, message: str) -> None:
        self.counts[cause] += 1
        header = {"id": request, "ok": False, "error": cause, "message": message}
        self._router.send_multipart([client, *messages.encode(header)])


def run(
    roles: tuple[str, ...],
    database: Path | None,
    endpoint: str,
    queue_size: int,
    until_eof: bool,
    steps: int | None = None,
    load: Callable[..., Any] | None = None,
    key: Path | None = None,
    allow: Sequence[Path] = (),
) -> None:
    """Load what the roles need, say where the worker listens (one JSON line on stdout), and serve until a signal.

    Args:
        until_eof: also end when standard input does, so that a worker never outlives the program that started it.
        load: (roles, database, steps) to the operations; None for the shipped networks.
        key, allow: CURVE keys, as for `Worker`.
    """
    if (key is None) != (not allow):
        raise WorkerError(
            "--key and --allow: give both, the worker's own secret key and the public keys of who may ask"
        )
    endpoint = check_endpoint(endpoint, database is not None, key is not None)
    if load is None:
        from privsc.worker.operations import Operations

        load = Operations.load
    operations = load(roles, database, steps)
    worker = Worker(operations.table(), endpoint, queue_size, key, allow)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    if until_eof:
        threading.Thread(target=_watch_input, args=(worker,), daemon=True).start()
    print(json.dumps({"endpoint": worker.endpoint, "roles": list(roles)}), flush=True)
    worker.serve()
    print(json.dumps({"counts": dict(worker.counts)}), flush=True)


def _watch_input(worker: Worker) -> None:
    while select.select([sys.stdin], [], [])[0] and os.read(sys.stdin.fileno(), 4096):
        pass
    worker.stop()
