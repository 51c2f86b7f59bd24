"""ZMQ sockets as every stream of this project opens them: PUSH to PULL, back-pressure, nothing dropped."""

from __future__ import annotations

import os
import secrets
import select
import socket as sockets
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import zmq

from phy.errors import LinkError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


MAX_MESSAGE = 64 << 20  # [bytes] of one message of a stream
_LONGEST = 100  # [bytes] of a socket's path; the system takes 107


class EndpointError(LinkError):
    """An endpoint that cannot be opened, or that others than this machine could reach."""


@dataclass(frozen=True)
class Address:
    """Where a client connects. key, peer: CURVE key files, own secret and the server's public; both or none."""

    endpoint: str
    key: Path | None = None
    peer: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """``tcp://HOST:PORT``, ``ipc://NAME``, ``ipc://PATH``, the first also with ``?key=FILE&peer=FILE``."""
        endpoint, mark, query = text.partition("?")
        if not mark or endpoint.startswith("ipc://"):
            return cls(resolved(text))
        try:
            files = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
        except ValueError:
            files = {}
        if set(files) != {"key", "peer"} or not all(files.values()):
            raise EndpointError(f"behind ? must stand key=FILE&peer=FILE, CURVE keys of both sides; got {query!r}")
        return cls(resolved(endpoint), Path(files["key"]), Path(files["peer"]))


def private_folder() -> Path:
    """The folder of this user's sockets, made when missing, which nobody else can enter.

    $XDG_RUNTIME_DIR/privsc where there is one, else privsc-UID in the temporary folder.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "privsc" if runtime else Path(tempfile.gettempdir()) / f"privsc-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EndpointError(f"{folder}: no folder for sockets ({error.strerror}); set XDG_RUNTIME_DIR") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EndpointError(f"{folder}: must be your own folder with mode 0700; remove it or set XDG_RUNTIME_DIR")
    return folder


def resolved(endpoint: str) -> str:
    """The endpoint itself; ``ipc://NAME`` (no slash) means NAME in ``private_folder``, ``ipc://*`` any free name."""
    if not endpoint.startswith("ipc://"):
        return endpoint
    place = endpoint.removeprefix("ipc://")
    if place.startswith("@"):
        raise EndpointError(f"endpoint must be ipc://NAME or ipc://PATH, got {endpoint!r}: @ is open to everybody")
    if place and "/" not in place:
        place = str(private_folder() / (secrets.token_hex(8) if place == "*" else place))
    if len(os.fsencode(place)) > _LONGEST:
        raise EndpointError(f"the path of a socket has at most {_LONGEST} bytes; got {len(place)}: {place}")
    return f"ipc://{place}"


def check_loopback(endpoint: str) -> str:
    """The endpoint itself where only this machine can reach it: plain ZMQ has neither passwords nor encryption."""
    parts = urlsplit(endpoint)
    host, _, port = parts.netloc.rpartition(":")
    if (parts.scheme == "ipc" and len(endpoint) > len("ipc://")) or (
        parts.scheme == "tcp" and host in LOOPBACK and port
    ):
        return endpoint
    raise EndpointError(
        f"endpoint must be tcp://127.0.0.1:PORT (or * for any free port) or ipc://PATH; got {endpoint!r}; "
        "for another machine use phy.net.curve_proxy"
    )


def stream_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, high_water: int) -> zmq.Socket[bytes]:
    """A PUSH or PULL socket, not yet bound or connected. high_water: messages at either side."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, high_water)
    socket.setsockopt(zmq.RCVHWM, high_water)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    return socket


def bound(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind; the endpoint with its port where * was asked for. A socket file is for its owner alone."""
    place = resolved(endpoint)
    if place.startswith("ipc://") and _answers(place.removeprefix("ipc://")):
        raise EndpointError(f"{place}: cannot listen there (Address already in use); is another program there?")
    mask = os.umask(0o077)
    try:
        socket.bind(place)
    except zmq.ZMQError as error:
        raise EndpointError(f"{place}: cannot listen there ({error}); is another program there?") from error
    finally:
        os.umask(mask)
    return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def connected(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Connect; a malformed endpoint raises EndpointError, one where nobody listens yet is waited for."""
    try:
        socket.connect(resolved(endpoint))
    except zmq.ZMQError as error:
        raise EndpointError(f"{endpoint}: cannot connect there ({error}); write tcp://HOST:PORT") from error


def _answers(path: str) -> bool:
    """Does a program listen at a socket file. ZMQ would take the name away from it without a word."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(path) == 0


def input_ended() -> bool:
    """Has standard input come to its end: how a program that others start knows that they are gone."""
    return bool(select.select([sys.stdin], [], [], 0)[0]) and not os.read(sys.stdin.fileno(), 4096)
