"""A stream of IQ from one machine to another, encrypted and authenticated with ZMQ CURVE.

The distribution's GNU Radio blocks cannot do that themselves, and plain ZMQ sockets belong on loopback. On each
machine one proxy stands between the plain link and the other proxy:

    flowgraph ──PUSH──► PULL │ send ══PUSH, CURVE══► PULL │ receive ──PUSH──► flowgraph
       127.0.0.1             │      the network           │       127.0.0.1

    python -m phy.net.curve_proxy keys keys/alice                      makes alice.key (public), alice.key_secret (0600)
    python -m phy.net.curve_proxy keys keys/bob
    python -m phy.net.curve_proxy send tcp://127.0.0.1:5561 tcp://0.0.0.0:7561 --key keys/alice.key_secret
        --allow keys/bob.key                                          listens; takes bob and nobody else
    python -m phy.net.curve_proxy receive tcp://alice.example:7561 tcp://127.0.0.1:5561 --key keys/bob.key_secret
        --peer keys/alice.key                                         connects; speaks with alice and nobody else

Which side listens is free: the one with --allow does, the one with --peer connects. Only public keys travel between
people. High-water marks hold the writer back here as everywhere; nothing is dropped while a link lasts. Both
interpreters can run this.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from phy.errors import PhyError
from phy.net.curve import CurveError, as_client, as_server, make_keys, read_key
from phy.net.endpoints import EndpointError, bound, check_loopback, connected, input_ended, stream_socket

HIGH_WATER = 16  # messages
MAX_MESSAGE = 64 << 20  # [bytes]
_HANDSHAKE = 10.0  # [s]
_TRIES = 3  # handshakes in a row that may break off, as they do while the other side restarts
_LINGER = 2000  # [ms] for what is on its way when the proxy is stopped


class Proxy:
    """Carries messages from one endpoint to the other until ``stop``.

    send: True where the plain end is the source. plain: loopback endpoint of the flowgraph; far: endpoint of the CURVE
    link. key: own secret key file. allow: public keys that may connect (this side listens); peer: public key of the
    side that this one connects to; exactly one of the two. plain_binds: listen at the plain end (as a PUSH of this
    project's flowgraphs does; a PULL connects). counts: Counter of messages, bytes, connected, refused.
    """

    def __init__(
        self, send: bool, plain: str, far: str, key: Path, allow: list[Path] | None = None, peer: Path | None = None
    ):
        if bool(allow) == (peer is not None):
            raise CurveError("give either --allow (this side listens) or --peer (this side connects)")
        self.counts: Counter[str] = Counter()
        read_key(key, secret=True)  # a wrong file is an error before a socket is opened
        for one in [*(allow or []), *([peer] if peer is not None else [])]:
            read_key(one)
        self._stopped, self._failures = threading.Event(), 0
        self._context = zmq.Context()
        self._authenticator: ThreadAuthenticator | None = None
        try:
            self._source = stream_socket(self._context, zmq.PULL, HIGH_WATER)
            self._sink = stream_socket(self._context, zmq.PUSH, HIGH_WATER)
            near, curve = (self._source, self._sink) if send else (self._sink, self._source)
            curve.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
            curve.setsockopt(zmq.HANDSHAKE_IVL, int(1000 * _HANDSHAKE))
            self._monitor = curve.get_monitor_socket()
            if peer is None:
                self._authenticator = as_server(self._context, curve, key, allow or [], self.counts)
                self.far = bound(curve, far)
            else:
                as_client(curve, key, peer)
                connected(curve, far)
                self.far = far
            if send:
                connected(near, check_loopback(plain))
                self.plain = plain
            else:
                self.plain = bound(near, check_loopback(plain))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the sockets."""
        if self._authenticator is not None and self._authenticator.is_alive():
            self._authenticator.stop()
        self._context.destroy(linger=_LINGER if self.counts["messages"] else 0)

    def stop(self) -> None:
        """End ``run``; may be called from another thread or a signal handler."""
        self._stopped.set()

    def run(self, until_eof: bool = False) -> None:
        """Carry messages until ``stop``; raises CurveError where the side that this one connects to is not ``peer``, or
        does not know this side's key."""
        poller, waiting = zmq.Poller(), None
        poller.register(self._source, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while not self._stopped.is_set() and not (until_eof and input_ended()):
            ready = dict(poller.poll(200))
            if self._monitor in ready:
                self._event(recv_monitor_message(self._monitor))
            if waiting is None and self._source in ready:
                waiting = self._source.recv(copy=False)
                self.counts["messages"] += 1
                self.counts["bytes"] += len(waiting)
                poller.unregister(self._source)
                poller.register(self._sink, zmq.POLLOUT)
            if waiting is not None:
                try:
                    self._sink.send(waiting, zmq.NOBLOCK, copy=False)
                except zmq.Again:  # the reader is slow, or not there yet
                    continue
                waiting = None
                poller.unregister(self._sink)
                poller.register(self._source, zmq.POLLIN)

    def _event(self, event: Mapping[str, Any]) -> None:
        """What libzmq says about the CURVE link."""
        kind = event["event"]
        if kind == zmq.EVENT_HANDSHAKE_SUCCEEDED and self._authenticator is None:
            self.counts["connected"] += 1
            self._failures = 0
        if self._authenticator is not None:
            if kind in (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL):
                self.counts["refused"] += 1  # it does not even speak CURVE with this side's key
            return
        if kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise CurveError(f"{self.far}: the other side does not know this key; it needs --allow with its .key file")
        self._failures += kind == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        if kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL or self._failures >= _TRIES:
            raise CurveError(f"{self.far}: the other side is not the owner of the key in --peer, or no curve_proxy")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m phy.net.curve_proxy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="make a pair of keys")
    keys.add_argument("path", type=Path, metavar="PATH", help="PATH.key and PATH.key_secret are made")
    for name, plain_first in (("send", True), ("receive", False)):
        one = commands.add_parser(name, help="IQ from here" if plain_first else "IQ to here")
        places = ["plain", "far"] if plain_first else ["far", "plain"]
        for place in places:
            words = "loopback end at the flowgraph" if place == "plain" else "end on the network"
            one.add_argument(place, metavar=place.upper(), help=words)
        one.add_argument("--key", type=Path, required=True, metavar="FILE", help="own .key_secret")
        one.add_argument("--allow", type=Path, action="append", metavar="FILE", help="listen, and take this .key")
        one.add_argument("--peer", type=Path, metavar="FILE", help="connect, and expect the owner of this .key")
        one.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    try:
        if not zmq.has("curve"):
            raise CurveError("this libzmq was built without CURVE; install the distribution's python3-zmq")
        if given.command == "keys":
            print("\n".join(map(str, make_keys(given.path))))
            return 0
        proxy = Proxy(given.command == "send", given.plain, given.far, given.key, given.allow, given.peer)
    except (PhyError, EndpointError) as error:
        print(f"phy.net.curve_proxy: {error}", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: proxy.stop())
    began, code = time.monotonic(), 0
    try:
        print(json.dumps({"plain": proxy.plain, "far": proxy.far}), flush=True)
        proxy.run(given.until_eof)
    except CurveError as error:
        print(f"phy.net.curve_proxy: {error}", file=sys.stderr)
        code = 2
    finally:
        proxy.close()
    counts = proxy.counts
    print(
        f"phy.net.curve_proxy: {counts['bytes'] // 8} samples in {counts['messages']} messages, "
        f"{counts['connected']} connections, {counts['refused']} refused, {time.monotonic() - began:.1f} s",
        file=sys.stderr,
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
