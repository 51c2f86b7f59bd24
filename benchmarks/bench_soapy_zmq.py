"""The virtual radio under load: two of them in two processes, each sending to and hearing the other.

    export PYTHONPATH=. SOAPY_SDR_PLUGIN_PATH=hardware/soapy_zmq/build
    /usr/bin/python3 -s -m benchmarks.bench_soapy_zmq [SECONDS] [MSPS...]

20 ppm between the clocks (every sample is interpolated), noise, a carrier offset. Prints for each rate what both ends
lost, the processors' time, and the memory that was added; then how steadily samples come, and how late.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time

import numpy as np

from benchmarks.table import Clock, Row, parser, write_rows
from tests.hardware.lab import Receiver, Transmitter, lab, noise

RATES = (4.0, 10.0, 20.0, 30.0)


def memory() -> int:
    """Resident pages of this process [bytes]."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def losses(rx: Receiver, tx: Transmitter) -> tuple[int, int, int]:
    """Overflows, underflows, packets that did not arrive."""
    return (
        rx.sensor("rx_overflows"),
        tx.sensor("tx_underflows"),
        tx.sensor("tx_dropped_packets") + rx.sensor("rx_lost_packets"),
    )


def side(here: str, there: str, rate: float, seconds: float, ppm: float) -> dict:
    """One radio, both directions, for some seconds; what it lost."""
    with lab() as bench:
        common = {"rate": rate, "frequency": 2.44e9}
        rx = Receiver({"rx": here, "tx": "none", "noise_floor": -80, "rx_buffer_ms": 250, "ppm": ppm, **common}, "CF32")
        tx = Transmitter({"rx": "none", "tx": there, "serial": "tx", "ppm": ppm, **common}, "CF32")
        bench.radios += [rx, tx]
        rx.activate(), tx.activate()
        time.sleep(1.0)  # the other one starts
        stop = threading.Event()
        sending = threading.Thread(target=tx.repeat, args=(noise(1 << 16, 1), None, stop))
        sending.start()
        out = rx.empty(1 << 14)
        begin = time.monotonic()
        total = reads = 0
        arrivals = np.ones((int(rate * seconds / 1024), 2))  # not a list: what grows must be the driver's
        started: tuple = ()
        while (now := time.monotonic() - begin) < seconds + 1:
            got = rx.device.readStream(rx.stream, [out], len(out))
            if now < 1:  # settling
                started, clock = (*losses(rx, tx), memory()), Clock()
                continue
            if got.ret > 0:
                total += got.ret
                arrivals[reads % len(arrivals)] = time.monotonic(), total
                reads += 1
        figures = {
            "overflows": rx.sensor("rx_overflows") - started[0],
            "underflows": tx.sensor("tx_underflows") - started[1],
            "packets": losses(rx, tx)[2] - started[2],
            "grown": memory() - started[3],
            "cpu": clock.read().processor / seconds,
        }
        stop.set()
        sending.join()
        time.sleep(2.0)  # the other one, which began later, is heard to its end
    at, count = arrivals[: min(reads, len(arrivals))].T
    late = at - count / rate
    tenth = len(late) // 10  # samples are never early: the least late ones show the clock
    drift = (late[-tenth:].min() - late[:tenth].min()) / (at[-1] - at[0]) * 10 / 9
    jitter = np.percentile(late, [50, 99, 100]) - late.min()
    return figures | {"drift": drift, "jitter_ms": (jitter * 1e3).tolist()}


def load(rate: float, seconds: float) -> list[Row]:
    """One line of the printed table; its rows in the common one."""
    ends = [f"ipc://@privsc-bench-{time.monotonic_ns()}-{name}" for name in "ab"]
    command = [sys.executable, "-m", "benchmarks.bench_soapy_zmq", "side"]
    other = subprocess.Popen(
        [*command, ends[1], ends[0], str(rate), str(seconds), "20"], stdout=subprocess.PIPE, text=True
    )
    one = side(ends[0], ends[1], rate, seconds, 0)
    text, _ = other.communicate(timeout=seconds + 30)
    two = json.loads(text.splitlines()[-1])
    both = {name: one[name] + two[name] for name in ("overflows", "underflows", "packets", "cpu", "grown")}
    worst = max(one["jitter_ms"][2], two["jitter_ms"][2])
    print(
        f"{rate / 1e6:5.1f} {both['overflows']:10d} {both['underflows']:11d} {both['packets']:8d} "
        f"{both['cpu']:8.2f} {both['grown'] / 1e6:9.1f} {-one['drift'] * 1e6:12.2f} {one['jitter_ms'][0]:8.2f} "
        f"{one['jitter_ms'][1]:8.2f} {worst:8.2f}",
        flush=True,
    )
    what = f"two virtual radios both ways, {rate / 1e6:g} Msps, {seconds:g} s"
    lost = both["overflows"] + both["underflows"] + both["packets"]
    return [
        Row(f"{what}: losses", lost, "", None, "overflows, underflows, packets", False),
        Row(
            f"{what}: processors", both["cpu"], "", None, "processors", False, f"samples late by {worst:.0f} ms at most"
        ),
    ]


def latency(rate: float = 4e6, bursts: int = 50) -> list[Row]:
    """From writeStream of a burst without a time to the return of the readStream that holds its first sample."""
    rows = []
    with lab() as bench:
        for options in ({"latency_ms": 20, "tx_start_ms": 10}, {"latency_ms": 3, "tx_start_ms": 2}):
            rx = bench.receiver("rx", rate=rate, **{k: v for k, v in options.items() if k == "latency_ms"})
            tx = bench.transmitter("rx", rate=rate, **{k: v for k, v in options.items() if k == "tx_start_ms"})
            found = []
            burst = np.full(2000, 0.5, np.complex64)
            out = rx.empty(1024)
            for _ in range(bursts):
                deadline = time.monotonic() + 0.02
                while time.monotonic() < deadline:  # read what is there
                    rx.device.readStream(rx.stream, [out], 1024)
                begin = time.monotonic()
                tx.device.writeStream(tx.stream, [burst], len(burst), 2)
                while time.monotonic() - begin < 1:
                    got = rx.device.readStream(rx.stream, [out], 1024)
                    if got.ret > 0 and np.abs(out[: got.ret]).max() > 0.1:
                        found.append((time.monotonic() - begin) * 1e3)
                        break
            rx.close(), tx.close()
            shown = ", ".join(f"{k}={v}" for k, v in options.items())
            worst = max(found, default=np.nan)
            print(f"latency, {shown}: median {np.median(found):.1f} ms, worst of {len(found)} {worst:.1f} ms")
            what = f"virtual radio, write to read, {shown}"
            median = float(np.median(found)) if found else None
            rows.append(Row(what, median, "", None, "ms", False, f"worst {worst:.1f} ms"))
    return rows


def main() -> int:
    if sys.argv[1:2] == ["side"]:
        here, there, *numbers = sys.argv[2:]
        print(json.dumps(side(here, there, *map(float, numbers))))
        return 0
    options = parser(__doc__)
    options.add_argument("seconds", nargs="?", type=float, default=5.0)
    options.add_argument("rates", nargs="*", type=float, default=RATES, metavar="MSPS")
    given = options.parse_args()
    seconds, rates, rows = given.seconds, given.rates or RATES, []
    print(f"two radios in two processes, both ways, {seconds:g} s; overflows, underflows and packets of both together")
    print(
        f"{'Msps':>5} {'overflows':>10} {'underflows':>11} {'packets':>8} {'CPUs':>8} "
        f"{'MB added':>9} {'clock ppm':>12} "
        f"{'late: 50%':>8} {'99% ms':>8} {'worst':>8}"
    )
    for rate in rates:
        rows += load(rate * 1e6, seconds)
    write_rows(given.rows, rows + latency())
    return 0


if __name__ == "__main__":
    sys.exit(main())
