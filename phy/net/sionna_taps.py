"""Serves Sionna's impulse responses to sionna_channel.grc: drawn ahead, pushed as fast as they are taken.

    .venv/bin/python -m phy.net.sionna_taps tdl-c --bob tcp://127.0.0.1:5570 --eve tcp://127.0.0.1:5571 --speed 1.5

    Sionna TDL/CDL ──draw, then another──► Segment ──PUSH (binds)──► Sionna Channel block of Bob
                                              └──────PUSH (binds)──► Sionna Channel block of Eve

One draw holds for --hold samples; within it the channel moves as --speed says, the next one is independent. Bob's and
Eve's draws are independent of each other unless --correlation says otherwise. Runs on the models side (Sionna needs
torch). The flowgraph's high-water marks decide how far ahead the draws are.
"""

from __future__ import annotations

import argparse
import itertools
import json
import secrets
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import zmq

from phy.channel.impulses import MAX_BUFFER, MAX_KNOTS, ImpulseError, Segment, encode
from phy.channel.sionna_channel import CHANNELS, FIRST_LAG, KNOTS_PER_DOPPLER_PERIOD, Channel
from phy.errors import PhyError
from phy.net.endpoints import bound, check_loopback, input_ended, stream_socket

AHEAD = 4  # segments that wait in the server's end of a connection


def segments(
    name: str, *, seed: int, hold: int, correlated_with: int | None = None, correlation: float = 0.0, **parameters: Any
) -> Iterator[Segment]:
    """Endless draws of a channel. seed: of the whole series. correlated_with: seed of the series to correlate with.
    parameters: further fields of ``phy.channel.sionna_channel.Channel``."""
    stream, sequence = secrets.token_hex(4), 0
    while True:
        own, other = (_seed(one, sequence) for one in (seed, seed if correlated_with is None else correlated_with))
        if correlated_with is not None:
            parameters |= {"correlated_with": other, "correlation": correlation}
        channel = Channel(name, 0.0, own, **parameters)
        knots = hold * KNOTS_PER_DOPPLER_PERIOD * channel.doppler / channel.sample_rate
        if knots > MAX_KNOTS - 2:  # Sionna would need gigabytes for them
            most = int(hold * MAX_KNOTS / knots)
            raise ImpulseError(f"--hold: at this speed a draw can hold for at most {most} samples, got {hold}")
        taps, spacing = channel.taps(1, hold)
        first_lag = 0 if taps.shape[3] == 1 else FIRST_LAG
        yield Segment(
            np.ascontiguousarray(taps[0, 0]), hold, spacing, first_lag, stream, sequence, name, channel.sample_rate
        )
        sequence += 1


def _seed(seed: int, sequence: int) -> int:
    return int(np.random.SeedSequence([seed, sequence]).generate_state(1)[0])


class Server:
    """One PUSH socket a receiver. sources: name to segments; endpoints: name to where it binds."""

    def __init__(self, sources: dict[str, Iterator[Segment]], endpoints: dict[str, str]):
        self._sources = sources
        self._context = zmq.Context()
        self._stopped = threading.Event()
        self.counts: Counter[str] = Counter()
        self.endpoints: dict[str, str] = {}
        self._sockets: dict[zmq.Socket[bytes], str] = {}
        try:
            for name in sources:
                socket = stream_socket(self._context, zmq.PUSH, AHEAD)
                self._sockets[socket] = name
                self.endpoints[name] = bound(socket, check_loopback(endpoints[name]))
        except PhyError:
            self.close()
            raise

    def close(self) -> None:
        """Release the sockets; segments that nobody has taken are dropped."""
        self._context.destroy(linger=0)

    def stop(self) -> None:
        """End ``serve``; may be called from another thread."""
        self._stopped.set()

    def serve(self, until_eof: bool = False) -> None:
        """Push until ``stop``, or until standard input ends."""
        ready = {name: encode(next(source)) for name, source in self._sources.items()}
        poller = zmq.Poller()
        for socket in self._sockets:
            poller.register(socket, zmq.POLLOUT)
        while not self._stopped.is_set() and not (until_eof and input_ended()):
            for socket, _ in poller.poll(200):
                name = self._sockets[socket]
                try:
                    socket.send_multipart(ready[name], zmq.NOBLOCK)
                except zmq.Again:  # the receiver has gone since
                    continue
                self.counts[name] += 1
                ready[name] = encode(next(self._sources[name]))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m phy.net.sionna_taps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("channel", choices=CHANNELS, metavar="CHANNEL", help=", ".join(CHANNELS))
    parser.add_argument("--bob", default="tcp://127.0.0.1:5570", metavar="ENDPOINT", help="where Bob's responses go")
    parser.add_argument("--eve", default="tcp://127.0.0.1:5571", metavar="ENDPOINT", help="where Eve's go")
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    parser.add_argument("--delay-spread", type=float, default=300e-9, help="RMS [s]")
    parser.add_argument("--carrier", type=float, default=2.4e9, help="[Hz]")
    parser.add_argument("--speed", type=float, default=0.0, help="of the receivers [m/s]; 0: each draw stands still")
    parser.add_argument("--sample-rate", type=float, default=1e6, help="of the flowgraph [Hz]")
    parser.add_argument("--hold", type=int, default=1_000_000, help="samples until the next, independent draw")
    parser.add_argument("--correlation", type=float, default=0.0, help="of Eve's amplitudes with Bob's, 0 to 1")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    given = parser.parse_args(arguments)
    if not 1 <= given.hold <= 1 << 30:
        parser.error(f"--hold must be 1 to {1 << 30} samples, got {given.hold}")
    if given.seed < 0:
        parser.error(f"--seed must not be negative, got {given.seed}")
    return given


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    parameters = {"hold": given.hold, "delay_spread": given.delay_spread, "carrier": given.carrier,
                  "speed": given.speed, "sample_rate": given.sample_rate}  # fmt: skip
    bob, eve = 2 * given.seed, 2 * given.seed + 1
    try:
        sources: dict[str, Iterator[Segment]] = {
            "bob": segments(given.channel, seed=bob, **parameters),
            "eve": segments(
                given.channel,
                seed=eve,
                correlated_with=bob if given.correlation else None,
                correlation=given.correlation,
                **parameters,
            ),
        }
        for name, source in sources.items():
            first = next(source)  # an impossible parameter ends here, before anybody listens
            if first.taps.nbytes > MAX_BUFFER:
                raise PhyError(f"--hold: a draw has {first.taps.nbytes} bytes, at most {MAX_BUFFER} go: shorten it")
            sources[name] = itertools.chain([first], source)
        server = Server(sources, {"bob": given.bob, "eve": given.eve})
    except PhyError as error:
        print(f"phy.net.sionna_taps: {error}", file=sys.stderr)
        return 2
    try:
        print(json.dumps({"endpoints": server.endpoints, "channel": given.channel}), flush=True)
        server.serve(given.until_eof)
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    said = ", ".join(f"{count} to {name}" for name, count in server.counts.items()) or "none taken"
    print(f"phy.net.sionna_taps: segments served: {said}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
