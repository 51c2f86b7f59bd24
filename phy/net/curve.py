"""CURVE keys of ZMQ sockets: files, and who may connect.

    server: own secret key, the public keys of those it takes     client: own secret key, the server's public key

A connection is encrypted and both ends know each other; plain ZMQ sockets have neither. Both interpreters have it.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from phy.errors import PhyError


class CurveError(PhyError):
    """A key file that cannot be used, a peer that is not who it should be."""


def make_keys(path: Path) -> tuple[Path, Path]:
    """A new pair of keys, PATH.key and PATH.key_secret (mode 0600); files that exist are not overwritten."""
    public, secret = path.with_name(path.name + ".key"), path.with_name(path.name + ".key_secret")
    for one in (public, secret):
        if one.exists():
            raise CurveError(f"{one}: exists already; choose another name, a lost key cannot be made again")
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = [key.decode() for key in zmq.curve_keypair()]
    _write(secret, keys, 0o600)
    _write(public, keys[:1], 0o644)
    return public, secret


def _write(path: Path, keys: list[str], mode: int) -> None:
    """A certificate as ``zmq.auth.load_certificate`` reads it; never readable by others, not even for a moment."""
    names = ("public-key", "secret-key")
    text = "metadata\ncurve\n" + "".join(f'    {name} = "{key}"\n' for name, key in zip(names, keys, strict=False))
    partial = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
        partial.rename(path)
    except OSError as error:
        raise CurveError(f"{path}: cannot be written ({error.strerror})") from error


def read_key(path: Path, secret: bool = False) -> tuple[bytes, bytes | None]:
    """(public, secret) key of a file; one with a secret must be private to its owner."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        public, private = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise CurveError(f"{path}: no key file ({error}); make one with 'keys'") from error
    if secret and private is None:
        raise CurveError(f"{path}: holds no secret key; give the file that ends in .key_secret")
    if private is not None and mode & 0o077:
        raise CurveError(f"{path}: others may read this secret key (mode {mode:04o}); run: chmod 600 {path}")
    for key in (public, private):
        if key is not None and len(key) != 40:
            raise CurveError(f"{path}: a key has 40 characters, got {len(key)}")
    return public, private


class Guests:
    """Who may connect, for pyzmq's authenticator; counts those who may not."""

    def __init__(self, allowed: set[bytes], counts: Counter[str]):
        self.allowed, self._counts = allowed, counts

    def callback(self, domain: str, key: bytes) -> bool:
        """key: [40] characters, in Z85 as in the files."""
        known = key in self.allowed
        self._counts["connected" if known else "refused"] += 1
        if not known:
            print(f"phy.net.curve: refused an unknown key, {key.decode(errors='replace')}", file=sys.stderr)
        return known


def as_server(
    context: zmq.Context, socket: zmq.Socket, key: Path, allow: Sequence[Path], counts: Counter[str]
) -> ThreadAuthenticator:
    """Make a socket, before it is bound, take the owners of the public keys in ``allow`` and nobody else.

    Args:
        context: of the socket; one authenticator for each context.
        socket: the listening socket.
        key: own secret key file.
        allow: public key files.
        counts: ``connected`` and ``refused`` are counted here.

    Returns:
        The authenticator, to be stopped before the context ends.
    """
    if not zmq.has("curve"):
        raise CurveError("this libzmq was built without CURVE; install the distribution's python3-zmq")
    socket.curve_publickey, socket.curve_secretkey = read_key(key, secret=True)
    guests = Guests({read_key(path)[0] for path in allow}, counts)
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback("*", guests)
    socket.curve_server = True
    return authenticator


def as_client(socket: zmq.Socket, key: Path, peer: Path) -> None:
    """Make a socket, before it connects, speak with the owner of the public key in ``peer`` and nobody else."""
    if not zmq.has("curve"):
        raise CurveError("this libzmq was built without CURVE; install the distribution's python3-zmq")
    socket.curve_publickey, socket.curve_secretkey = read_key(key, secret=True)
    socket.curve_serverkey = read_key(peer)[0]
