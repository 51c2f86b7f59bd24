"""The worker is killed while a flowgraph runs, and another takes its place; a worker that is slow, busy or wrong."""

from __future__ import annotations

import json

import pytest

from tests.flowgraphs.blocks.test_blocks import SETUP
from tests.flowgraphs.radio import module, script

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")


def test_images_go_on_after_the_worker_was_killed() -> None:
    """SIGKILL in the middle of loopback.grc, by the figures' command: the flowgraph goes on, the loss is counted and
    said on ``status``, the images after the restart arrive, and none is unaccounted for."""
    done = module("tests.flowgraphs.worker.killed_worker")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    got = json.loads(done.stdout.splitlines()[-1])
    lost = [one for one in got["said"] if one["problem"] == "lost" and one["block"] == "privsc guard"]
    assert len(lost) == 1 and ("went away" in lost[0]["message"] or "was restarted" in lost[0]["message"])
    ids = got["arrived"]
    assert ids == sorted(set(ids)) and lost[0]["image_id"] not in ids and max(ids) > lost[0]["image_id"]
    assert len(ids) - got["before"] >= 4 and len(ids) + got["lost"] == got["sent"]
    counts = got["counts"]["guard"]
    assert counts["lost"] == 1
    said = [one["image_id"] for one in got["said"] if one["block"] == "privsc guard"]
    assert len(said) == len(set(said)) == 1 + counts.get("dropped", 0)  # one message for each image that it lost


STRANGE = (
    SETUP
    + """
import threading, zmq
from phy.net import messages as wire
endpoint = f"ipc://{sys.argv[1]}/worker"
context = zmq.Context()
router = context.socket(zmq.ROUTER)
router.bind(endpoint)
ended = threading.Event()

def serve(answer):                      # pings are answered by the book, requests by ``answer``
    while not ended.is_set():
        if not router.poll(50):
            continue
        parts = router.recv_multipart()
        message = wire.decode(parts[1:])
        if message.header["op"] == "ping":
            reply = wire.encode({"id": message.id, "ok": True, "result": {"instance": "one"}})
        else:
            reply = answer(message)
        if reply is not None:
            router.send_multipart([parts[0], *reply])

def image(number):
    return pdu.make({"image_id": number, "height": 4, "width": 4, "what": "x"}, bytes(48))

def run(answer, timeout, images, done):
    ended.clear()
    thread = threading.Thread(target=serve, args=(answer,))
    thread.start()
    guard = blocks.guard(endpoint, timeout=timeout)
    status, payloads = grb.message_debug(False), grb.message_debug(False)
    tb = gr.top_block()
    tb.msg_connect(guard, "status", status, "store")
    tb.msg_connect(guard, "payload", payloads, "store")
    tb.start()
    for number in range(images):
        post(guard, "image", image(number))
    assert until(lambda: done(guard.counts), 30), guard.counts
    client = dict(guard._client.counts)
    began = time.monotonic()
    tb.stop(); tb.wait()
    stopped = time.monotonic() - began
    ended.set(); thread.join()
    return {"counts": dict(guard.counts), "client": client, "stopped": stopped, "payloads": payloads.num_messages(),
            "said": [[m["problem"], m["message"]] for m, _ in messages(status)]}
"""
)


def test_a_worker_that_is_slow_busy_or_wrong_is_a_message_and_a_counter(tmp_path) -> None:
    """Never an end, never a wait: a request without an answer, refusals, answers that are none, and twelve at once."""
    code = (
        STRANGE
        + """
def refuse(cause):
    return lambda m: wire.encode({"id": m.id, "ok": False, "error": cause, "message": "so it is"})
tries = []
def busy_twice(message):
    tries.append(message.id)
    return refuse("busy" if len(tries) < 3 else "failed")(message)
result = {
    "silent": run(lambda m: None, 1.0, 1, lambda c: c["lost"] == 1),
    "version": run(refuse("version"), 20, 2, lambda c: c["refused"] == 2),
    "busy": run(busy_twice, 20, 1, lambda c: c["refused"] == 1),
    "always busy": run(refuse("busy"), 1.0, 1, lambda c: c["refused"] == 1),
    "wrong answer": run(lambda m: wire.encode({"id": m.id, "ok": True, "result": {}}), 20, 1,
                        lambda c: c["malformed"] == 1),
    "junk": run(lambda m: [b"junk"], 1.0, 1, lambda c: c["lost"] == 1),
    "too many": run(lambda m: None, 60, 12, lambda c: c["dropped"] >= 3),
}
context.destroy(linger=0)
print(json.dumps(result))
"""
    )
    got = script(code, str(tmp_path))
    assert got["silent"]["said"][0][0] == "lost" and "within 1 s: run privsc worker" in got["silent"]["said"][0][1]
    assert got["version"]["said"] == [["refused", "version: so it is"]] * 2
    assert got["busy"]["client"]["busy"] == 2 and got["busy"]["said"] == [["refused", "failed: so it is"]]
    assert got["always busy"]["client"]["busy"] >= 2 and got["always busy"]["said"][0][1].startswith("busy:")
    assert got["wrong answer"]["said"][0][0] == "malformed"
    assert got["junk"]["client"]["malformed"] == 1 and got["junk"]["counts"]["lost"] == 1
    assert got["too many"]["counts"]["taken"] + got["too many"]["counts"]["dropped"] >= 12
    assert "8 requests wait already" in got["too many"]["said"][0][1]
    assert all(one["payloads"] == 0 and one["stopped"] < 3 for one in got.values()), got
