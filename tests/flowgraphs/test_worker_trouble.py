"""The worker is killed while a flowgraph runs, and another one takes its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.flowgraphs.radio import script
from tests.flowgraphs.test_blocks import SETUP
from tests.privsc.samples import encoded, scene

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")


def test_images_go_on_after_the_worker_was_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle; the loss is counted and said on ``status``; the images after the restart arrive."""
    (tmp_path / "photo.png").write_bytes(encoded(scene(40, 48)))
    code = SETUP + """
import os, signal, socket, subprocess
python, folder = sys.argv[1:]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"

def worker():
    process = subprocess.Popen([python, "-m", "tests.privsc.worker_process", folder, endpoint], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    return process

first = worker()
source = blocks.image_source(folder + "/photo.png", True, 0.4)
guard, recovery = blocks.guard(endpoint, timeout=40), blocks.recovery(endpoint, timeout=40)
encoder, receiver, assembler = blocks.frame_encoder(), blocks.frame_receiver(), blocks.image_assembler()
images, status = grb.message_debug(False), grb.message_debug(False)
tb = gr.top_block()
tb.connect(encoder, receiver)
for a, ap, b, bp in ((source, "photo", guard, "image"), (guard, "payload", encoder, "payload"),
                     (receiver, "ok", assembler, "ok"), (assembler, "received", recovery, "received"),
                     (recovery, "image", images, "store"), (guard, "status", status, "store"),
                     (recovery, "status", status, "store")):
    tb.msg_connect(a, ap, b, bp)
tb.start()
assert until(lambda: images.num_messages() >= 2, 40)

def asked():                           # a request has been sent and is not answered
    counts = guard._client.counts
    return counts["sent"] > sum(counts[end] for end in ("answered", "refused", "busy", "lost"))

def stopped_during_a_request():        # the worker takes requests no more, and is then killed with one in its queue
    while not asked():
        time.sleep(0)
    os.kill(first.pid, signal.SIGSTOP)
    time.sleep(1)
    if not asked():                    # the answer was on its way already
        os.kill(first.pid, signal.SIGCONT)
    return asked()

assert until(stopped_during_a_request, 60)
first.kill(); first.wait()
before = images.num_messages()
second = worker()
assert until(lambda: images.num_messages() >= before + 3, 60)
tb.stop(); tb.wait()
second.stdin.close(); second.wait(20)
said = [meta for meta, _ in messages(status)]
ids = [meta["image_id"] for meta, _ in messages(images)]
print(json.dumps({"ids": ids, "guard": guard.counts, "recovery": recovery.counts, "said": said}))
"""
    got = script(code, sys.executable, str(tmp_path))
    lost = [one for one in got["said"] if one["problem"] == "lost" and "the flowgraph stops" not in one["message"]]
    assert lost and all("was restarted" in one["message"] or "went away" in one["message"] for one in lost)
    assert got["ids"] == sorted(got["ids"]) and len(set(got["ids"])) == len(got["ids"])
    assert all(one["image_id"] not in got["ids"] for one in lost)
    assert max(got["ids"]) > max(one["image_id"] for one in lost)
    assert got["guard"].get("lost", 0) + got["recovery"].get("lost", 0) >= len(lost)
