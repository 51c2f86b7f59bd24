"""The whole receive flowgraph, rx_bob_zmq.grc as it is, beside GNU Radio's ofdm_rx behind the same ZMQ source.

    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_receive [IMAGES]

Photographs of 320 x 240 pixels, guarded by a worker, framed, through a channel at 20 dB (carrier 0.1 rad/sample, 50
ppm, a fractional delay), pushed to the flowgraph as fast as it takes them, received, recovered by the worker, written
as PNG. The worker has fakes for networks and is a process of its own, not counted. ofdm_rx gets as many samples of its
own packets (96 bytes, QPSK, 20 dB, no offset). Counted is the processor time of the flowgraph's process, all threads,
from the first sample until it has nothing left to do.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zmq

from benchmarks.bench_gnuradio import OCCUPIED, impaired, ofdm
from flowgraphs.parts import png
from flowgraphs.tools import variants
from flowgraphs.tools.run import MODELS_PYTHON, load
from flowgraphs.worker.worker_client import WorkerClient
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform
from phy.net.bridge import HIGH_WATER, MESSAGE
from phy.net.endpoints import stream_socket

SIZE = (240, 320)
_IDLE = 0.6  # [s] in which a process used hardly any processor time: it has nothing left to do
_processes = multiprocessing.get_context("spawn")


def photograph(number: int) -> bytes:
    """A picture nobody has seen before, as a PNG file."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(32, 255, (SIZE[0] // 16, SIZE[1] // 16, 3), np.uint8)
    return png.encode(np.kron(coarse, np.ones((16, 16, 1), np.uint8)))


def signal(worker: str, images: int) -> np.ndarray:
    """What arrives of so many photographs, [N] complex64."""
    framing, client, parts = Framing(), WorkerClient(worker), []
    for number in range(1, images + 1):
        photo = np.frombuffer(photograph(number), np.uint8)
        params = {"coding": "pixels", "quality": 80, "max_side": 640}
        answer = client.request("guard", params, {"photo": photo})
        digest = bytes.fromhex(answer.header["result"]["k_digest"])
        head, body = (answer.buffers[name].tobytes() for name in ("head", "body"))
        clean = BurstWaveform().send(framing.image(head, body, number, digest).groups).iq
        parts.append(impaired(clean, 20.0, 1.0, offsets=True))
    client.release()
    return np.concatenate([*parts, np.zeros(1 << 18, np.complex64)])


def push(endpoint: str, samples: np.ndarray) -> None:
    """All of it, as fast as the reader takes it."""
    context = zmq.Context()
    socket = stream_socket(context, zmq.PUSH, HIGH_WATER)
    socket.bind(endpoint)
    for first in range(0, len(samples), MESSAGE):
        socket.send(samples[first : first + MESSAGE].tobytes())
    context.destroy(linger=60000)


def used(source, total: int) -> tuple[float, float]:
    """(processor seconds, seconds by the clock) from the first sample of a running flowgraph until it is idle."""
    while source.nitems_written(0) == 0:
        time.sleep(0.001)
    began, clock = time.process_time(), time.monotonic()
    seen = [(clock, began)]
    while True:
        time.sleep(0.05)
        seen.append((time.monotonic(), time.process_time()))
        at, spent = next(one for one in reversed(seen) if one[0] <= seen[-1][0] - _IDLE or one is seen[0])
        if source.nitems_written(0) >= total and at > clock and seen[-1][1] - spent < 0.05 * _IDLE:
            return spent - began, at - clock


def bob(program: str, endpoint: str, worker: str, folder: str, total: int, told) -> None:
    """The flowgraph's program in a process of its own."""
    top = load(Path(program)).rx_bob_zmq(rx_endpoint=endpoint, worker=worker, image_file=f"{folder}/{{id}}.png")
    top.start()
    seconds, wall = used(top.iq_in, total)
    counts = {name: dict(getattr(top, name).counts) for name in ("receiver_bob", "assembler_bob", "files")}
    top.stop()
    top.wait()
    told.send((seconds, wall, counts))


def ofdm_rx(endpoint: str, total: int, told) -> None:
    """GNU Radio's receiver in a process of its own."""
    from gnuradio import blocks, digital, gr, zeromq

    top = gr.top_block()
    source = zeromq.pull_source(gr.sizeof_gr_complex, 1, endpoint, 100, False, HIGH_WATER)
    sink = blocks.vector_sink_b()
    top.connect(source, digital.ofdm_rx(packet_length_tag_key="length", bps_header=1, bps_payload=2), sink)
    top.start()
    seconds, wall = used(source, total)
    top.stop()
    top.wait()
    told.send((seconds, wall, {"packets": len(sink.data()) // 96}))


def measured(target, arguments: tuple, endpoint: str, samples: np.ndarray) -> tuple[float, float, dict]:
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


def main(images: int) -> int:
    """Print a table; 1 where an image did not arrive."""
    with tempfile.TemporaryDirectory(prefix="privsc-") as name:
        folder = Path(name)
        (program,) = variants.build([variants.HERE / "rx_bob_zmq.grc"], folder)
        command = [str(MODELS_PYTHON), "-m", "tests.fakes.worker_process", name, f"ipc://{name}/worker"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            worker = json.loads(process.stdout.readline())["endpoint"]
            heard = signal(worker, images)
            rows = [
                (
                    "rx_bob_zmq.grc",
                    heard,
                    measured(bob, (str(program), f"ipc://{name}/bob", worker, name), f"ipc://{name}/bob", heard),
                )
            ]
        finally:
            process.stdin.close()
            process.wait(30)
        written = len(list(folder.glob("[0-9]*.png")))
        one, _ = ofdm(500)
        noise = float(np.mean(np.abs(one) ** 2)) / OCCUPIED
        theirs = np.tile(impaired(one, 20.0, noise, offsets=False), 1 + len(heard) // len(one))
        rows.append(("ofdm_rx", theirs, measured(ofdm_rx, (f"ipc://{name}/ofdm",), f"ipc://{name}/ofdm", theirs)))
    reference = len(theirs) / rows[1][2][0]
    print(f"{images} photographs of {SIZE[1]} x {SIZE[0]}, {len(heard) / 1e6:.1f} million samples; {written} written")
    print(f"{'flowgraph':16}{'Msps of processor':>19}{'times ofdm_rx':>15}{'by the clock':>14}  counts")
    for title, samples, (seconds, wall, counts) in rows:
        rate = len(samples) / seconds
        print(
            f"{title:16}{rate / 1e6:19.2f}{rate / reference:15.2f}{len(samples) / wall / 1e6:14.2f}"
            f"  {json.dumps(counts)}"
        )
    return int(written != images)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
