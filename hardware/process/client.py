"""The other side of the radio process: start one, ask it, hear its events. Runs in both interpreters.

    with Station() as station:
        station.ask("open", profile=profile.as_dict(), transmit=True, directions=["tx", "rx"])
        station.load(iq)
        station.ask("transmit", delay=0.2)

The socket is a file in a folder that only this user can enter; no port is opened.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from hardware.drivers.virtual import driver_folder
from hardware.errors import StationError
from phy.net import messages

ROOT = Path(__file__).parents[2]
RADIO_PYTHON = "/usr/bin/python3"
_PIECE = 1 << 22  # [samples] loaded with one request: 32 MiB
_STARTS_WITHIN = 30.0  # [s]

Event = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


def radio_python() -> str:
    """The interpreter that has SoapySDR and UHD: the distribution's, or the one that PRIVSC_RADIO_PYTHON names."""
    return os.environ.get("PRIVSC_RADIO_PYTHON", RADIO_PYTHON)


def environment() -> dict[str, str]:
    """For programs of the radio side: our packages on the path, one thread a library, the virtual radio's driver."""
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), found.get("PYTHONPATH", "")]))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        found.setdefault(name, "1")
    folder = driver_folder()
    if folder is not None:
        paths = [str(folder), found.get("SOAPY_SDR_PLUGIN_PATH", "")]
        found["SOAPY_SDR_PLUGIN_PATH"] = os.pathsep.join(filter(None, paths))
    found["PYTHONNOUSERSITE"] = "1"  # a numpy 2 that the user installed with pip breaks GNU Radio and SoapySDR
    found.pop("PYTHONHOME", None)
    return found


class Station:
    """A radio process. on_event: called with the fields and buffers of each event, in the thread that asks or waits."""

    def __init__(self, on_event: Event = lambda fields, buffers: None, python: str | None = None):
        self.on_event = on_event
        self._python = python or radio_python()
        self._number = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.mkdtemp(prefix="privsc-radio-")
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, messages.MAX_MESSAGE)
        self._socket.setsockopt(zmq.RCVHWM, 8192)
        try:
            endpoint = f"ipc://{self._folder}/station"
            self._socket.bind(endpoint)
            command = [self._python, "-m", "hardware.process.station", "--endpoint", endpoint]
            # a group of its own: Ctrl-C in the terminal reaches us, and we end it in order
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            self.close()
            raise StationError(
                f"{self._python} cannot be run ({error.strerror}); the radio side needs the "
                "distribution's Python with python3-numpy, -scipy and -zmq"
            ) from error
        except zmq.ZMQError as error:
            self.close()
            raise StationError(f"no socket can be made in {self._folder} ({error})") from error

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process is not None
        return self._process.pid

    def ask(
        self, op: str, *, buffers: Mapping[str, np.ndarray] | None = None, timeout: float = 60.0, **params: Any
    ) -> dict[str, Any]:
        """A request's result; raises StationError with the radio process's own line where it refuses."""
        return self.ask_for(op, buffers=buffers, timeout=timeout, **params)[0]

    def ask_for(
        self, op: str, *, buffers: Mapping[str, np.ndarray] | None = None, timeout: float = 60.0, **params: Any
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """As ``ask``, with the buffers of the answer. timeout: [s], begun anew when progress is told."""
        self._number += 1
        until = time.monotonic() + timeout
        while not self._socket.poll(100, zmq.POLLOUT):  # a socket without a peer would wait for ever
            self._still_there(op)
            if time.monotonic() > until:
                raise StationError(f"{op}: the radio process takes no request within {timeout:g} s")
        self._socket.send_multipart(messages.encode({"id": self._number, "op": op, "params": params}, buffers))
        while (left := until - time.monotonic()) > 0:
            message = self._receive(min(left, 0.2))
            if message is None:
                self._still_there(op)
            elif message.header.get("event") == "progress":
                until = time.monotonic() + timeout
            elif message.id == self._number:
                if not message.header.get("ok"):
                    raise StationError(str(message.header.get("message", "the radio process refused")))
                return message.header["result"], message.buffers
        raise StationError(f"{op}: the radio process did not answer within {timeout:g} s; is the device still there?")

    def wait(self, seconds: float) -> None:
        """Let events come in for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._receive(min(left, 0.2)) is None:
                self._still_there("waiting")

    def load(self, samples: np.ndarray) -> None:
        """Samples to be sent, [N] complex64."""
        samples = np.ascontiguousarray(samples, np.complex64)
        for first in range(0, len(samples), _PIECE):
            part = samples[first : first + _PIECE].view(np.float32)
            self.ask("load", buffers={"samples": part}, first=first == 0)

    def capture(
        self, count: int, *, skip: float = 0.0, settings: Sequence[tuple[int, str, str]] = (), timeout: float = 60.0
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The next samples, [at most count] complex64, and what the device said about them. skip: [s] thrown away
        first. settings: (after so many samples, name, value) for the driver."""
        told, buffers = self.ask_for(
            "capture", samples=count, skip=skip, settings=[list(one) for one in settings], timeout=timeout
        )
        return buffers["samples"].view(np.complex64), told

    def _receive(self, seconds: float) -> messages.Message | None:
        if not self._socket.poll(max(1, int(seconds * 1000))):
            return None
        try:
            message = messages.decode(self._socket.recv_multipart())
        except messages.WireError as error:
            raise StationError(f"the radio process sent what is no message ({error})") from error
        if message.id == 0:
            self.on_event(message.header, message.buffers)
        return message

    def _still_there(self, what: str) -> None:
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise StationError(
                f"{what}: the radio process ended with code {code}; its message is above (it needs "
                "python3-numpy, python3-scipy and python3-zmq)"
            )

    def close(self) -> None:
        """End the process: device off, files closed."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                try:
                    self._socket.send_multipart(messages.encode({"id": 0, "op": "quit"}), flags=zmq.NOBLOCK)
                except zmq.ZMQError:
                    process.terminate()
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._context.destroy(linger=0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Station:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self.close()
