"""The radio process: one device, driven over a ZMQ socket by whoever started it.

    /usr/bin/python3 -s -m hardware.process.station --endpoint ipc:///...   (started by hardware.process.client)

Messages are those of ``phy.net.messages``: a JSON header and raw buffers. Each request is answered; frames and, once a
second, statistics are told in between with id 0. It ends when told to, on SIGINT and SIGTERM, and when whoever started
it is gone (its standard input ends): the device is then off, files are closed.

Requests: probe, open, receive, load, transmit, sent, silence, stop, capture, gain, setting, sensors, counts, replay,
find_rate, close.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import threading

import zmq

from hardware.errors import HardwareError
from hardware.process.requests import Station
from phy.errors import PhyError
from phy.net import messages

_TICK = 10  # [ms]
_SWITCH = 2e-4  # [s] after which a thread that waits gets the interpreter: the device's is not to wait 5 ms for it


class Server:
    """The socket, and a station behind it. Requests run in a thread of their own, so that events keep flowing."""

    def __init__(self, endpoint: str):
        self.station = Station()
        self._requests: queue.SimpleQueue[messages.Message | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._held: list[list[bytes]] = []  # answers that wait for the events before them
        self.ending = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.LINGER, 1000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, messages.MAX_MESSAGE)
        self._socket.connect(endpoint)

    def serve(self) -> None:
        worker = threading.Thread(target=self._work, name="requests", daemon=True)
        worker.start()
        try:
            while not self.ending.is_set():
                if self._socket.poll(_TICK):
                    self._take(self._socket.recv_multipart())
                self.station.tick()
                self._flush()
        finally:
            self._requests.put(None)
            worker.join(timeout=20)
            self.station.close()
            self._flush()
            self._context.destroy(linger=500)

    def _take(self, parts: list[bytes]) -> None:
        try:
            message = messages.decode(parts)
        except messages.WireError as error:
            self._answers.put(messages.encode({"id": error.request or 0, "ok": False, "message": str(error)}))
            return
        if message.header.get("op") == "quit":
            self.ending.set()
            return
        self._requests.put(message)

    def _flush(self) -> None:
        """Events before answers: when a request has been answered, all that it caused has been told."""
        while not self._answers.empty():
            self._held.append(self._answers.get())
        while self._socket.poll(0, zmq.POLLOUT):
            try:
                self._socket.send_multipart(self.station.outbox.get_nowait())
            except queue.Empty:
                for answer in self._held:
                    self._socket.send_multipart(answer)
                self._held = []
                return

    def _work(self) -> None:
        while (message := self._requests.get()) is not None:
            try:
                result, buffers = self.station.request(message)
                answer = messages.encode({"id": message.id, "ok": True, "result": result}, buffers)
            except (HardwareError, PhyError, OSError) as error:
                answer = messages.encode({"id": message.id, "ok": False, "message": " ".join(str(error).split())})
            except (KeyError, TypeError, ValueError, messages.WireError) as error:
                told = f"{message.header.get('op')}: bad request ({type(error).__name__}: {error})"
                answer = messages.encode({"id": message.id, "ok": False, "message": told})
            except Exception as error:  # an answer all the same: whoever asked would wait for a thread that is gone
                told = (
                    f"{message.header.get('op')}: failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
                )
                answer = messages.encode({"id": message.id, "ok": False, "message": told})
            self._answers.put(answer)


def main() -> int:
    parser = argparse.ArgumentParser(prog="hardware.process.station", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endpoint", required=True, help="ZMQ endpoint that the starter has bound")
    given = parser.parse_args()
    sys.setswitchinterval(_SWITCH)
    server = Server(given.endpoint)

    def end(*_: object) -> None:
        server.ending.set()

    def watch() -> None:
        while os.read(0, 4096):
            pass
        end()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    threading.Thread(target=watch, name="watch", daemon=True).start()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
