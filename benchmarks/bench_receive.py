"""The whole receive flowgraph, rx_bob_zmq.grc as it is, beside GNU Radio's ofdm_rx behind the same ZMQ source.

    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_receive [IMAGES] [--rounds R]

Photographs of 320 x 240 pixels, guarded by a worker, framed, through a channel at 25 dB, pushed to the flowgraph as
fast as it takes them, received, recovered by the worker, written as PNG. The worker has fakes for networks and is a
process of its own, not counted. ofdm_rx gets as many samples of its own packets (512 bytes, QPSK) through the same
channel; neither has offsets, and both send 2 bits a symbol. Counted is the processor time of the flowgraph's process,
all threads, from the first sample until it has nothing left to do. The sides take turns.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zmq

from benchmarks import ofdm_peer
from benchmarks.gnuradio_signals import impaired
from benchmarks.signals import Bursts
from benchmarks.table import Clock, Row, Spent, in_turns, parser, positive, write_rows
from flowgraphs.parts import png
from flowgraphs.tools import variants
from flowgraphs.tools.run import MODELS_PYTHON, load
from flowgraphs.worker.worker_client import WorkerClient
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform
from phy.net.bridge import HIGH_WATER, MESSAGE
from phy.net.endpoints import stream_socket

SIZE = (240, 320)
SNR = 25.0  # [dB]
PACKET = 512  # [bytes] of ofdm_rx's packets
SILENCE = 1 << 18  # samples after the last photograph, timed and not counted
PEER = "ofdm_rx, QPSK, same ZMQ source"
_LATEST = 120.0  # [s] after which a photograph counts as lost
_IDLE = 0.6  # [s] in which a process used hardly any processor time: it has nothing left to do
_processes = multiprocessing.get_context("spawn")


def photograph(number: int) -> bytes:
    """A picture nobody has seen before, as a PNG file."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(32, 255, (SIZE[0] // 16, SIZE[1] // 16, 3), np.uint8)
    return png.encode(np.kron(coarse, np.ones((16, 16, 1), np.uint8)))


def signal(worker: str, images: int) -> tuple[np.ndarray, int]:
    """What arrives of so many photographs, [N] complex64, and the bytes of their bodies."""
    framing, client, parts, size = Framing(), WorkerClient(worker), [], 0
    for number in range(1, images + 1):
        photo = np.frombuffer(photograph(number), np.uint8)
        params = {"coding": "pixels", "quality": 80, "max_side": 640}
        answer = client.request("guard", params, {"photo": photo})
        digest = bytes.fromhex(answer.header["result"]["k_digest"])
        head, body = (answer.buffers[name].tobytes() for name in ("head", "body"))
        clean = BurstWaveform().send(framing.image(head, body, number, digest).groups).iq
        parts.append(impaired(Bursts(clean[None], np.empty((0, 0), np.uint8)), SNR))
        size += len(body)
    client.release()
    return np.concatenate([*parts, np.zeros(SILENCE, np.complex64)]), size


def push(endpoint: str, samples: np.ndarray) -> None:
    """All of it, as fast as the reader takes it."""
    context = zmq.Context()
    socket = stream_socket(context, zmq.PUSH, HIGH_WATER)
    socket.bind(endpoint)
    for first in range(0, len(samples), MESSAGE):
        socket.send(samples[first : first + MESSAGE].tobytes())
    context.destroy(linger=60000)


def used(source, total: int, done: Callable[[], bool] = lambda: True) -> Spent:
    """From the first sample of a running flowgraph until all is in, what it waits for is done, and it is idle."""
    while source.nitems_written(0) == 0:
        time.sleep(0.001)
    clock = Clock()
    seen = [clock.read()]
    while True:
        time.sleep(0.05)
        seen.append(now := clock.read())
        past = next((one for one in reversed(seen) if one.wall <= now.wall - _IDLE), seen[0])
        through = source.nitems_written(0) >= total and (done() or now.wall > _LATEST)
        if not through:
            seen = seen[-1:]  # idle counts from then on
        elif past is not seen[0] and now.processor - past.processor < 0.05 * _IDLE:
            return past


def bob(program: str, endpoint: str, worker: str, folder: str, images: int, total: int, told) -> None:
    """The flowgraph's program in a process of its own."""
    top = load(Path(program)).rx_bob_zmq(rx_endpoint=endpoint, worker=worker, image_file=f"{folder}/{{id}}.png")
    top.start()
    spent = used(top.iq_in, total, lambda: top.files.counts["written"] >= images)
    counts = {name: dict(getattr(top, name).counts) for name in ("receiver_bob", "assembler_bob", "files")}
    top.stop()
    top.wait()
    told.send((counts, spent))


def ofdm_rx(endpoint: str, total: int, told) -> None:
    """GNU Radio's receiver in a process of its own."""
    from gnuradio import blocks, gr, zeromq

    top = gr.top_block()
    source = zeromq.pull_source(gr.sizeof_gr_complex, 1, endpoint, 100, False, HIGH_WATER)
    sink = blocks.vector_sink_b()
    top.connect(source, ofdm_peer.receiver(), sink)
    top.start()
    spent = used(source, total)
    top.stop()
    top.wait()
    told.send(({"packets": len(sink.data()) // PACKET}, spent))


def measured(target, arguments: tuple, endpoint: str, samples: np.ndarray) -> tuple[dict, Spent]:
    """Run a receiver's process and push to it; what it told."""
    here, there = _processes.Pipe()
    running = _processes.Process(target=target, args=(*arguments, len(samples), there), daemon=True)
    running.start()
    push(endpoint, samples)
    if not here.poll(300):
        running.kill()
        raise TimeoutError(f"{target.__name__}: nothing within 300 s")
    told = here.recv()
    running.join()
    return told


def measure(images: int, rounds: int) -> tuple[list[Row], int]:
    """Print a table; (its rows, photographs written)."""
    with tempfile.TemporaryDirectory(prefix="privsc-") as name:
        folder = Path(name)
        (program,) = variants.build([variants.HERE / "rx_bob_zmq.grc"], folder)
        command = [str(MODELS_PYTHON), "-m", "tests.fakes.worker_process", name, f"ipc://{name}/worker"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            worker = json.loads(process.stdout.readline())["endpoint"]
            heard, body = signal(worker, images)
            packets = ofdm_peer.packets(100, PACKET, np.random.default_rng(2))
            repeats = max(1, round(len(heard) / packets.bursts.size))
            theirs = np.tile(impaired(packets, SNR), repeats)
            ends = f"ipc://{name}/bob", f"ipc://{name}/ofdm"
            program_of = (str(program), ends[0], worker, name, images)
            works = {
                "rx_bob_zmq.grc": lambda: measured(bob, program_of, ends[0], heard),
                PEER: lambda: measured(ofdm_rx, (ends[1],), ends[1], theirs),
            }
            runs = in_turns(works, rounds)
        finally:
            process.stdin.close()
            process.wait(30)
    written = runs["rx_bob_zmq.grc"].result["files"].get("written", 0)
    carried = {"rx_bob_zmq.grc": body, PEER: runs[PEER].result["packets"] * PACKET}
    print(f"{images} photographs of {SIZE[1]} x {SIZE[0]}, {len(heard) / 1e6:.1f} million samples; {written} written")
    print(f"{'flowgraph':32}{'Msps of processor':>19}{'by the clock':>14}{'payload Mbit/s':>16}  counts")
    figures = {}
    for title, samples in (("rx_bob_zmq.grc", heard[:-SILENCE]), (PEER, theirs)):
        spent = runs[title].spent
        rate, payload = len(samples) / spent.processor / 1e6, carried[title] * 8 / spent.processor / 1e6
        figures[title] = rate, payload
        clock = len(samples) / spent.wall / 1e6
        print(f"{title:32}{rate:19.2f}{clock:14.2f}{payload:16.2f}  {json.dumps(runs[title].result)}", flush=True)
    units = ("Msps of processor time", "payload Mbit per processor second")
    what, note = "rx_bob_zmq.grc, ZMQ to PNG files", f"{written} of {images} photographs written"
    sides = zip(units, figures["rx_bob_zmq.grc"], figures[PEER], strict=True)
    return [Row(what, here, PEER, there, unit, note=note) for unit, here, there in sides], written


def main() -> int:
    """1 where an image did not arrive."""
    options = parser(__doc__)
    options.set_defaults(rounds=1)
    options.add_argument("images", nargs="?", type=positive, default=10)
    given = options.parse_args()
    rows, written = measure(given.images, given.rounds)
    write_rows(given.rows, rows)
    return int(written != given.images)


if __name__ == "__main__":
    sys.exit(main())
