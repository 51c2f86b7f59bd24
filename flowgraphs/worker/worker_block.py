"""What the blocks that ask `privsc worker` have in common: a thread, a bounded queue, counters, messages on trouble.

    message ──handler──► queue ──own thread──► worker ──► answer published
                └─ full: dropped, counted            └─ gone, refused: counted, said on port ``status``

The scheduler's threads never wait for the worker, and a worker that is not there never stops the flowgraph.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter

import numpy as np
import pmt
from gnuradio import gr

from flowgraphs.parts import pdu
from flowgraphs.worker.worker_client import WorkerClient, WorkerLost, WorkerRefused
from phy.net.endpoints import Address

_WAITING = 8  # requests


class worker_block(gr.basic_block):
    """A block without streams that serves one input port. endpoint: of the worker; timeout: [s] for one request.

    counts: Counter of ``taken``, ``answered``, ``dropped`` (queue full), ``malformed`` (not a PDU of ours), ``lost``
    (no worker, or gone during the request) and ``refused`` (by the worker).
    """

    def __init__(self, name: str, port: str, endpoint: str, timeout: float):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        if not endpoint.startswith(("tcp://", "ipc://")):
            raise ValueError(f"endpoint must begin with tcp:// or ipc://, got {endpoint!r}")
        Address.parse(endpoint)
        if not timeout > 0:
            raise ValueError(f"timeout must be positive, got {timeout} s")
        self.endpoint, self.timeout = endpoint, timeout
        self.counts: Counter[str] = Counter()
        self._queue: queue.Queue = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._client: WorkerClient | None = None
        self.message_port_register_in(pmt.intern(port))
        self.set_msg_handler(pmt.intern(port), self.take)
        self.message_port_register_out(pmt.intern("status"))

    def serve(self, client: WorkerClient, meta: dict, vector: np.ndarray) -> None:
        """Ask the worker about one PDU and publish what it answers."""
        raise NotImplementedError(f"{type(self).__name__} must say what it asks the worker")

    def set_timeout(self, value: float) -> None:
        """[s] for one request, from the next one on."""
        if not value > 0:
            raise ValueError(f"timeout must be positive, got {value} s")
        self.timeout = value
        if self._client is not None:
            self._client.timeout = value

    def take(self, message) -> None:
        """A PDU to ask the worker about."""
        got = pdu.split(message)
        if got is None:
            self.counts["malformed"] += 1
            return
        try:
            self._queue.put_nowait(got)
            self.counts["taken"] += 1
        except queue.Full:
            self._trouble("dropped", f"{_WAITING} requests wait already", got[0])

    def start(self) -> bool:
        self._client = WorkerClient(self.endpoint, self.timeout)
        self._thread = threading.Thread(target=self._run, args=(self._client,), name=self.name(), daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        if self._client is not None and self._thread is not None:
            self._client.close()
            self._thread.join()
            self._client = self._thread = None
        while not self._queue.empty():
            self._queue.get_nowait()
            self.counts["dropped"] += 1
        return True

    def _run(self, client: WorkerClient) -> None:
        try:
            while not client.closed:
                try:
                    meta, vector = self._queue.get(timeout=0.1)
                except queue.Empty:
                    continue
                self._one(client, meta, vector)
        finally:
            client.release()

    def _one(self, client: WorkerClient, meta: dict, vector: np.ndarray) -> None:
        try:
            self.serve(client, meta, vector)
            self.counts["answered"] += 1
        except WorkerLost as error:
            self._trouble("lost", str(error), meta)
        except WorkerRefused as error:
            self._trouble("refused", f"{error.cause}: {error}", meta)
        except (KeyError, TypeError, ValueError) as error:  # a PDU or an answer without what it should hold
            self._trouble("malformed", f"{type(error).__name__}: {error}", meta)

    def _trouble(self, what: str, why: str, meta: dict) -> None:
        self.counts[what] += 1
        image = meta.get("image_id", -1)
        status = {"block": self.name(), "problem": what, "message": why, "image_id": image, "time": time.time()}
        self.message_port_pub(pmt.intern("status"), pdu.make(status))


def image_pdu(image: np.ndarray, image_id: int, what: str, **more):
    """[H, W, 3] uint8 to an image PDU."""
    height, width = image.shape[:2]
    return pdu.make({"image_id": image_id, "height": height, "width": width, "what": what, **more}, image)


def image_of(meta: dict, vector: np.ndarray) -> np.ndarray:
    """Pixels of an image PDU, [H, W, 3] uint8; ValueError where it is none."""
    return vector.reshape(int(meta["height"]), int(meta["width"]), 3)
