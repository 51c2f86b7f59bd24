"""Sionna channel: the stream through impulse responses that the models side draws and streams here."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter

import numpy as np
import pmt
import zmq
from gnuradio import gr

from flowgraphs.parts import pdu
from phy.channel.impulses import ImpulseError, Segment, decode
from phy.channel.varying import VaryingFilter
from phy.net.endpoints import EndpointError, connected, stream_socket

_AHEAD = 4  # segments in the socket, and again in the block
_WAIT = 0.05  # [s] in the scheduler's thread, at most


class sionna_channel(gr.sync_block):
    """Stream of complex64 → the same number of samples, y[n] = sum over j of h[n, j] x[n - j].

    endpoint: where ``python -m phy.net.sionna_taps`` pushes this receiver's impulse responses. They are fetched ahead
    by a thread of the block's own; where they are late the stream waits (back-pressure). After ``timeout`` seconds
    without any the stream goes on through the last response, or as silence where none ever came, and the port
    ``status`` says so; when responses come again they are used.

    counts: ``segments``, ``draws`` (servers seen), ``gaps`` (segments that a server sent and that did not come),
    ``malformed``, ``starved`` (times the time-out passed), ``held`` and ``silent`` (samples without a response of
    their own).
    """

    def __init__(self, endpoint: str = "tcp://127.0.0.1:5570", timeout: float = 30.0):
        gr.sync_block.__init__(self, name="privsc sionna channel", in_sig=[np.complex64], out_sig=[np.complex64])
        if not endpoint.startswith(("tcp://", "ipc://")):
            raise ValueError(f"endpoint must begin with tcp:// or ipc://, got {endpoint!r}")
        if not timeout > 0:
            raise ValueError(f"timeout must be positive, got {timeout} s")
        self.endpoint, self.timeout = endpoint, timeout
        self.counts: Counter[str] = Counter()
        self._filter = VaryingFilter()
        self._queue: queue.Queue[Segment] = queue.Queue(_AHEAD)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._since: float | None = None  # when the block began to wait
        self._starved = False
        self.message_port_register_out(pmt.intern("status"))

    def set_timeout(self, value: float) -> None:
        """[s], also for the present wait."""
        if not value > 0:
            raise ValueError(f"timeout must be positive, got {value} s")
        self.timeout = value

    def start(self) -> bool:
        context = zmq.Context()
        try:
            socket = stream_socket(context, zmq.PULL, _AHEAD)
            connected(socket, self.endpoint)
        except EndpointError:
            context.destroy(linger=0)
            raise
        self._ended.clear()
        self._thread = threading.Thread(target=self._fetch, args=(context, socket), name=self.name(), daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        while not self._queue.empty():
            self._queue.get_nowait()
        return True

    def work(self, input_items, output_items):
        x, y = input_items[0], output_items[0]
        done = 0
        while done < len(x):
            if self._filter.left == 0 and not self._next(wait=done == 0):
                if done or not self._starved:
                    return done
                y[:] = self._filter.hold(x)
                self.counts["held" if self._filter.loaded else "silent"] += len(x)
                return len(x)
            part = min(len(x) - done, self._filter.left)
            y[done : done + part] = self._filter(x[done : done + part])
            done += part
        return done

    def _next(self, wait: bool) -> bool:
        """Load the next segment; False where there is none yet."""
        try:
            segment = self._queue.get(timeout=_WAIT) if wait and not self._starved else self._queue.get_nowait()
        except queue.Empty:
            now = time.monotonic()
            self._since = now if self._since is None else self._since
            if wait and not self._starved and now - self._since >= self.timeout:
                self._starved = True
                self.counts["starved"] += 1
                how = "the last one is kept" if self._filter.loaded else "silence until the first one comes"
                self._say(
                    "starved",
                    f"no impulse response from {self.endpoint} for {self.timeout:g} s: {how}; "
                    "is phy.net.sionna_taps running?",
                )
            return False
        if self._starved:
            self._say("back", f"impulse responses from {self.endpoint} again")
        self._since, self._starved = None, False
        self._filter.load(segment)
        self.counts["segments"] += 1
        return True

    def _fetch(self, context: zmq.Context, socket: zmq.Socket) -> None:
        """The thread that owns the socket."""
        stream, sequence = "", 0
        try:
            while not self._ended.is_set():
                if not socket.poll(100):
                    continue
                try:
                    segment = decode(socket.recv_multipart())
                except ImpulseError as error:
                    self.counts["malformed"] += 1
                    self._say("malformed", str(error))
                    continue
                if segment.stream != stream:
                    stream, sequence = segment.stream, segment.sequence
                    self.counts["draws"] += 1
                    length, rate, delay = segment.taps.shape[1], segment.sample_rate, -segment.first_lag
                    self._say("channel", f"{segment.channel}: {length} taps at {rate:g} Hz, {delay} samples of delay")
                if segment.sequence > sequence:
                    self.counts["gaps"] += segment.sequence - sequence
                sequence = segment.sequence + 1
                self._put(segment)
        finally:
            context.destroy(linger=0)

    def _put(self, segment: Segment) -> None:
        while not self._ended.is_set():
            try:
                return self._queue.put(segment, timeout=0.1)
            except queue.Full:
                continue

    def _say(self, what: str, why: str) -> None:
        status = {"block": self.name(), "problem": what, "message": why, "time": time.time()}
        self.message_port_pub(pmt.intern("status"), pdu.make(status))
