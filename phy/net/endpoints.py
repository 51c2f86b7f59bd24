"""ZMQ sockets as every stream of this project opens them: PUSH to PULL, back-pressure, nothing dropped."""

from __future__ import annotations

import os
import select
import sys
from urllib.parse import urlsplit

import zmq

from phy.errors import LinkError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class EndpointError(LinkError):
    """An endpoint that cannot be opened, or that others than this machine could reach."""


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
    return socket


def bound(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind; the endpoint with its port where * was asked for."""
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise EndpointError(f"{endpoint}: cannot listen there ({error}); is another program there?") from error
    return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def connected(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Connect; a malformed endpoint raises EndpointError, one where nobody listens yet is waited for."""
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise EndpointError(f"{endpoint}: cannot connect there ({error}); write tcp://HOST:PORT") from error


def input_ended() -> bool:
    """Has standard input come to its end: how a program that others start knows that they are gone."""
    return bool(select.select([sys.stdin], [], [], 0)[0]) and not os.read(sys.stdin.fileno(), 4096)
