"""The worker is killed in the middle of a run of loopback.grc, and another one takes its place: what that costs.

    PYTHONPATH=. /usr/bin/python3 -s -m tests.flowgraphs.worker.killed_worker

A photograph goes out every second. The worker (the real one, with fakes for networks) is stopped with a request in its
queue, killed with SIGKILL, and started again at the same endpoint. Printed are the images that arrived before and
after, the losses that the blocks counted and said on their ports ``status``, and whether any image is unaccounted for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gnuradio import blocks

from flowgraphs.parts import pdu, png
from flowgraphs.tools import variants
from flowgraphs.tools.run import MODELS_PYTHON, load

ASKING = ("guard", "recovery_bob", "recovery_eve")


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for it; TimeoutError names it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.002)


def worker(folder: str, endpoint: str) -> subprocess.Popen:
    """A worker process that listens already."""
    command = [str(MODELS_PYTHON), "-m", "tests.fakes.worker_process", folder, endpoint]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if not process.stdout.readline():
        raise RuntimeError("the worker did not start")
    return process


def asked(block) -> bool:
    """Has a request been sent that is not answered yet."""
    counts = block._client.counts
    return counts["sent"] > sum(counts[end] for end in ("answered", "refused", "busy", "lost"))


def kill_during_a_request(process: subprocess.Popen, block) -> None:
    """Stopped, it takes no more requests; killed once one waits for it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        while not asked(block) and time.monotonic() < end:
            time.sleep(0)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1)
        if asked(block):  # else the answer was on its way already
            break
        os.kill(process.pid, signal.SIGCONT)
    process.kill()
    process.wait()


def run(folder: str) -> dict:
    """Counts of the whole run."""
    photo = np.kron(np.random.default_rng(1).integers(32, 255, (5, 8, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    Path(folder, "photo.png").write_bytes(png.encode(photo))
    (program,) = variants.build([variants.HERE / "loopback.grc"], Path(folder))
    endpoint = f"ipc://{folder}/worker"
    top = load(program).loopback(
        image=f"{folder}/photo.png", repeat=1, interval=1.0, worker=endpoint, folder=f"{folder}/{{id}}"
    )
    images, status = blocks.message_debug(False), blocks.message_debug(False)
    top.msg_connect(top.recovery_bob, "image", images, "store")
    for name in (*ASKING, "report"):
        top.msg_connect(getattr(top, name), "status", status, "store")
    first = worker(folder, endpoint)
    top.start()
    try:
        until(lambda: images.num_messages() >= 3, 60, "three images")
        kill_during_a_request(first, top.guard)
        before, killed = images.num_messages(), time.monotonic()
        time.sleep(3)  # photographs go on meanwhile, and wait
        second = worker(folder, endpoint)
        until(lambda: images.num_messages() > before, 90, "an image after the restart")
        back = time.monotonic() - killed
        until(lambda: images.num_messages() >= before + 4, 90, "four images after the restart")
        top.source.stop()  # no more photographs; what is under way arrives
        until(lambda: images.num_messages() + _lost(top) >= top.source.counts["sent"], 90, "the last images")
    finally:
        top.stop()
        top.wait()
        first.kill()
    second.stdin.close()
    second.wait(20)
    said = [pdu.split(status.get_message(i))[0] for i in range(status.num_messages())]
    arrived = [pdu.split(images.get_message(i))[0]["image_id"] for i in range(images.num_messages())]
    counts = {name: dict(getattr(top, name).counts) for name in (*ASKING, "report")}
    return {
        "sent": top.source.counts["sent"],
        "arrived": arrived,
        "before": before,
        "seconds": round(back, 1),
        "lost": _lost(top),
        "said": said,
        "counts": counts,
    }


def _lost(top) -> int:
    """Images that were counted as lost on the way to Bob."""
    return sum(block.counts[name] for block in (top.guard, top.recovery_bob) for name in ("lost", "dropped", "refused"))


def main() -> int:
    """Print what it cost; 1 where an image is neither there nor counted as lost."""
    with tempfile.TemporaryDirectory(prefix="privsc-") as folder:
        got = run(folder)
    arrived, lost = len(got["arrived"]), got["lost"]
    unaccounted = got["sent"] - arrived - lost
    print(
        f"photographs sent {got['sent']}; at Bob {arrived}: {got['before']} before the kill, "
        f"{arrived - got['before']} after it, the first of them {got['seconds']} s after the kill"
    )
    print(f"counted as lost on the way to Bob {lost}; unaccounted for {unaccounted}")
    for one in got["said"]:
        print(f"  {one['block']}: image {one['image_id']} {one['problem']}: {one['message']}")
    print(json.dumps(got))
    return int(unaccounted != 0)


if __name__ == "__main__":
    sys.exit(main())
