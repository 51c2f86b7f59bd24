"""The bridge's figures: samples lost or wrong, and speed, through a GNU Radio flowgraph between two ZMQ ends.

    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_bridge [SAMPLES] [CASE...]     1e8 and all cases if left out

Every sample carries its own number (64 bits), so that each one that is missing, repeated or changed is counted. Cases:

    plain      writer PUSH → flowgraph PULL → PUSH → reader PULL, as fast as they go
    slow       the reader takes a tenth of the speed that the writer had in the plain case
    late       the flowgraph starts 2 s after the writer, the reader 3 s after that
    exchange   phy.net.bridge.Bridge, both ends in one process, a million samples an exchange
    curve      the plain case with phy.net.curve_proxy on both sides of a CURVE link in front of the reader

Writer, flowgraph, proxies and reader are processes of their own, sockets and message sizes those of the bridge. Cases
take turns, --rounds times. In the common table the exchange and CURVE stand beside the plain case, which is what the
same sockets and flowgraph give without them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zmq

from benchmarks.table import Clock, Row, parser, write_rows
from phy.net.bridge import HIGH_WATER, MESSAGE, Bridge
from phy.net.endpoints import stream_socket

CASES = ("plain", "slow", "late", "exchange", "curve")
_SILENT = 20.0  # [s] without a sample after which what is missing stays missing
_AFTERWARDS = 1.0  # [s] in which nothing more may come
_PIECE = 1_000_000  # samples of an exchange
_processes = multiprocessing.get_context("spawn")


@dataclass
class Count:
    """received: samples; timed: those of them that came in ``seconds``; missing: numbers that did not come; wrong:
    samples that are repeated, out of order or no number of this run."""

    received: int = 0
    timed: int = 0
    missing: int = 0
    wrong: int = 0
    seconds: float = 0.0
    next: int = 0

    def add(self, numbers: np.ndarray, total: int) -> None:
        """numbers [n] uint64 as they came."""
        self.received += len(numbers)
        if len(numbers) and numbers[0] == self.next and numbers[-1] == self.next + len(numbers) - 1:
            steps = np.diff(numbers)
            if (steps == 1).all():
                self.next += len(numbers)
                return
        for number in numbers.tolist():
            if self.next <= number < total:
                self.missing += number - self.next
                self.next = number + 1
            else:
                self.wrong += 1


def numbered(first: int, count: int) -> np.ndarray:
    """Samples that carry the numbers first to first + count - 1, [count] complex64."""
    return np.arange(first, first + count, dtype=np.uint64).view(np.complex64)


def write(endpoint: str, total: int, speed) -> None:
    """The writer; leaves its samples a second in ``speed``."""
    context = zmq.Context()
    socket = stream_socket(context, zmq.PUSH, HIGH_WATER)
    socket.bind(endpoint)
    clock = Clock()
    for first in range(0, total, MESSAGE):
        socket.send(numbered(first, min(MESSAGE, total - first)).tobytes())
    speed.value = total / clock.read().wall
    context.destroy(linger=60000)


def pass_on(source: str, sink: str, delay: float) -> None:
    """A flowgraph with nothing but ZMQ ends, as those of channel_zmq.grc; runs until it is killed."""
    from gnuradio import gr, zeromq

    time.sleep(delay)
    top = gr.top_block()
    top.connect(
        zeromq.pull_source(gr.sizeof_gr_complex, 1, source, 100, False, HIGH_WATER),
        zeromq.push_sink(gr.sizeof_gr_complex, 1, sink, 100, False, HIGH_WATER),
    )
    top.run()


def carry(arguments: list[str]) -> None:
    """A CURVE proxy; runs until it is killed."""
    from phy.net.curve_proxy import main

    with contextlib.redirect_stdout(None):
        main(arguments)


def read(endpoint: str, total: int, rate: float, delay: float) -> Count:
    """The reader, in this process. rate: samples a second at most."""
    time.sleep(delay)
    context = zmq.Context()
    socket = stream_socket(context, zmq.PULL, HIGH_WATER)
    socket.connect(endpoint)
    count, clock = Count(), Clock()
    while count.received < total and socket.poll(int(1000 * _SILENT)):
        message = socket.recv(copy=False)
        clock = clock if count.received else Clock()
        count.add(np.frombuffer(message.buffer, np.uint64), total)
        ahead = count.received / rate - clock.read().wall
        if ahead > 0.01:
            time.sleep(ahead)
    count.seconds, count.timed = clock.read().wall, count.received
    while socket.poll(int(1000 * _AFTERWARDS)):
        count.add(np.frombuffer(socket.recv(), np.uint64), total)
    count.missing += total - count.next
    context.destroy(linger=0)
    return count


def through(
    folder: Path,
    total: int,
    *,
    rate: float = np.inf,
    flowgraph_delay: float = 0.0,
    reader_delay: float = 0.0,
    curve: bool = False,
) -> tuple[Count, float]:
    """(what came, the writer's samples a second)."""
    tx, rx = (f"ipc://{folder}/{name}" for name in ("tx", "rx"))
    speed = _processes.Value("d", 0.0)
    running = [
        _processes.Process(target=write, args=(tx, total, speed), daemon=True),
        _processes.Process(target=pass_on, args=(tx, rx, flowgraph_delay), daemon=True),
    ]
    end = rx
    if curve:
        running += _proxies(folder, rx)
        end = f"ipc://{folder}/decrypted"
    for process in running:
        process.start()
    try:
        count = read(end, total, rate, reader_delay)
        running[0].join(10)
    finally:
        for process in running:
            process.kill()
            process.join()
    return count, speed.value


def _proxies(folder: Path, source: str) -> list:
    from phy.net.curve_proxy import make_keys

    for name in ("alice", "bob"):
        make_keys(folder / name)
    far, end = "tcp://127.0.0.1:57561", f"ipc://{folder}/decrypted"
    sender = ["send", source, far, "--key", f"{folder}/alice.key_secret", "--allow", f"{folder}/bob.key"]
    receiver = ["receive", far, end, "--key", f"{folder}/bob.key_secret", "--peer", f"{folder}/alice.key"]
    return [_processes.Process(target=carry, args=(one,), daemon=True) for one in (sender, receiver)]


def exchanged(folder: Path, total: int) -> Count:
    """Through the bridge's own exchange, Bob's end and no silence counted; timed from the second exchange on, when the
    flowgraph has started."""
    tx, rx = (f"ipc://{folder}/{name}" for name in ("tx", "rx"))
    flowgraph = _processes.Process(target=pass_on, args=(tx, rx, 0.0), daemon=True)
    count = Count()
    flowgraph.start()
    try:
        with Bridge(tx, {"bob": rx}, timeout=30) as bridge:
            piece = min(_PIECE, -(-total // 2))
            clock, before = Clock(), 0
            for first in range(0, total, piece):
                size = min(piece, total - first)
                if first == piece:
                    clock, before = Clock(), count.received
                count.add(bridge.exchange(numbered(first, size))["bob"][:size].view(np.uint64), total)
            count.seconds, count.timed = clock.read().wall, count.received - before
    finally:
        flowgraph.kill()
        flowgraph.join()
    count.missing += total - count.next
    return count


def measure(case: str, total: int, plain: list[float]) -> tuple[Count, float]:
    """(what came, the writer's samples a second) of one case; plain: speeds of the writer in that case so far."""
    with tempfile.TemporaryDirectory(prefix="privsc-") as name:
        folder = Path(name)
        if case == "slow":
            speed = statistics.median(plain) if plain else through(folder, min(total, 20_000_000))[1]
            return through(folder, total, rate=speed / 10)
        if case == "late":
            return through(folder, total, flowgraph_delay=2.0, reader_delay=5.0)
        if case == "exchange":
            return exchanged(folder, total), float("nan")
        return through(folder, total, curve=case == "curve")


def rows_of(speeds: dict[str, list[float]], lost: dict[str, int], total: int) -> list[Row]:
    """The common table's: medians [Msps] of what came, and what was lost, of each case."""
    median = {case: statistics.median(values) for case, values in speeds.items()}
    rows = [
        Row(f"{title}: samples to the reader", median[case], "same ZMQ flowgraph without", median["plain"], "Msps")
        for case, title in (("exchange", "Bridge.exchange"), ("curve", "CURVE proxies"))
        if case in median and "plain" in median
    ]
    return rows + [
        Row(f"ZMQ flowgraph, {case}: lost or wrong", count, "", None, f"samples of {total * len(speeds[case])}", False)
        for case, count in lost.items()
    ]


def main() -> int:
    """Print a table; 1 where a sample was lost."""
    options = parser(__doc__)
    options.set_defaults(rounds=1)
    options.add_argument("words", nargs="*", metavar="SAMPLES or CASE", help=f"cases: {', '.join(CASES)}")
    given = options.parse_args()
    words = list(given.words)
    total = int(float(words.pop(0))) if words and words[0][0].isdigit() else 100_000_000
    if unknown := set(words) - set(CASES):
        options.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    cases = words or list(CASES)
    print(f"{total} samples a case, each with its number in it", flush=True)
    columns = f"{'case':10}{'missing':>10}{'wrong':>8}{'received':>12}{'writer Msps':>13}{'reader Msps':>13}{'s':>8}"
    print(columns, flush=True)
    speeds: dict[str, list[float]] = {case: [] for case in cases}
    lost = dict.fromkeys(cases, 0)
    plain: list[float] = []
    for case in cases * given.rounds:
        count, speed = measure(case, total, plain)
        plain += [speed] if case == "plain" else []
        lost[case] += count.missing + count.wrong
        speeds[case].append(count.timed / count.seconds / 1e6)
        print(
            f"{case:10}{count.missing:10d}{count.wrong:8d}{count.received:12d}{speed / 1e6:13.1f}"
            f"{speeds[case][-1]:13.1f}{count.seconds:8.1f}",
            flush=True,
        )
    write_rows(given.rows, rows_of(speeds, lost, total))
    return int(any(lost.values()))


if __name__ == "__main__":
    sys.exit(main())
