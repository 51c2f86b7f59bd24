"""The worker as a real process, asked over ZMQ as a flowgraph asks it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from phy.net import messages
from privsc.errors import WorkerError
from privsc.knowledge.database import Database
from privsc.worker import server
from tests.fakes.networks import COLOURS
from tests.fakes.samples import encoded, scene
from tests.fakes.worker_process import BOX

ROOT = Path(__file__).parents[3]


class Client:
    """A DEALER socket that says what it gets."""

    def __init__(self, endpoint: str):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)
        self.next = 0

    def raw(self, parts: list[bytes], seconds: float = 20) -> messages.Message | dict:
        self.socket.send_multipart(parts)
        return self.answer(seconds)

    def answer(self, seconds: float = 20):
        assert self.socket.poll(int(1000 * seconds)), "the worker did not answer"
        parts = self.socket.recv_multipart()
        header = json.loads(parts[0])
        return header if header["id"] is None else messages.decode(parts)

    def send(self, op: str, params: dict | None = None, buffers: dict | None = None) -> int:
        self.next += 1
        self.socket.send_multipart(messages.encode({"id": self.next, "op": op, "params": params or {}}, buffers))
        return self.next

    def ask(self, op: str, params: dict | None = None, buffers: dict | None = None, seconds: float = 120):
        number = self.send(op, params, buffers)
        answer = self.answer(seconds)
        assert answer.id == number
        return answer

    def close(self) -> None:
        self.context.destroy(linger=0)


def start(*command: str) -> tuple[subprocess.Popen, dict]:
    """A worker process, `python -m COMMAND`, and the line that says where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    assert line, f"the worker ended with {process.wait()}"
    return process, json.loads(line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module")
def running(folder: Path):
    """(process, endpoint) of a worker with every role, fakes for networks, and room for one waiting request."""
    process, first = start("tests.fakes.worker_process", str(folder), "ipc://*")
    assert first["roles"] == ["guard", "recovery", "generic", "report"]
    yield process, first["endpoint"]
    process.stdin.close()  # the worker must end with its starter
    assert process.wait(timeout=20) == 0


@pytest.fixture
def client(running):
    one = Client(running[1])
    yield one
    one.close()


def through(client: Client, photo: bytes, max_side: int) -> tuple[messages.Message, dict, dict]:
    """Guard, both recoveries and the report, as a flowgraph asks for them, over a channel that loses nothing."""
    guarded = client.ask("guard", {"max_side": max_side}, {"photo": photo})
    assert guarded.header["ok"], guarded.header
    body = guarded.buffers["body"]
    everything = np.ones(len(body), bool)
    received = {"head": guarded.buffers["head"], "body": body, "arrived": everything, "exact": everything}
    digest = guarded.header["result"]["k_digest"][:16]
    seen = {
        "bob": client.ask("recovery", {"k_digest": digest, "seed": 3}, received),
        "eve": client.ask("generic", {"class_word": "cat", "seed": 3}, received),
    }
    buffers = {"image": guarded.buffers["image"]}
    for who, one in seen.items():
        assert one.header["ok"], one.header
        buffers |= {f"{who}_{name}": one.buffers[name] for name in ("received", "restored", "concealed")}
    link = {"channel": "test", "snr_db": 10.0, "eve_snr_db": 10.0, "message_error_rate": 0.0, "frames_sent": 3,
            "frames_lost": 0, "channel_uses": body.size, "eve_message_error_rate": 0.0}  # fmt: skip
    seconds = {"guard": 0.1, "transmit": 0.1, "recover": 0.1}
    report = client.ask("report", {"link": link, "seconds": seconds, "bob": {"failure": None}}, buffers)
    assert report.header["ok"], report.header
    files = {"masked.png", "mask.png", "received.png", "bob.png", "eve.png", "report.png", "report.json"}
    assert set(report.buffers) == files
    return guarded, seen, json.loads(report.buffers["report.json"].tobytes())


def test_an_image_goes_through_guard_recovery_and_report(client: Client, folder: Path) -> None:
    picture = scene(80, 128)
    x0, y0, x1, y1 = BOX
    picture[y0:y1, x0:x1] = COLOURS["Vicky"]
    guarded, seen, figures = through(client, encoded(picture), 640)
    assert guarded.header["result"]["entities"] == [{"name": "Vicky", "index": 1, "score": 0.9, "box": [*BOX]}]
    with Database.open(folder / "K.db") as db:
        assert guarded.header["result"]["k_digest"] == db.digest().hex()
    mask, kept = guarded.buffers["mask"], ~guarded.buffers["mask"]
    assert mask.sum() == (x1 - x0) * (y1 - y0)
    assert np.array_equal(guarded.buffers["image"], picture)
    assert not guarded.buffers["masked"][mask].any()
    assert np.array_equal(guarded.buffers["masked"][kept], picture[kept])
    for one in seen.values():
        assert one.header["result"]["indices"] == [1] and one.header["result"]["failure"] is None
        assert np.abs(one.buffers["restored"].astype(int) - picture)[kept].max() <= 1  # half a level of rounding
    assert (figures["bob"]["identified"], figures["eve"]["identified"]) == ("Vicky", None)
    assert np.array_equal(seen["bob"].buffers["restored"][mask], picture[mask])
    assert figures["bob"]["psnr_private"] is None  # infinite: nothing that JSON has a number for
    assert 0 < figures["eve"]["psnr_private"] < 30
    assert figures["link"]["cbr"] == 1.0 and figures["eve_class_word"] == "cat"


def test_lost_bytes_are_concealed_and_a_coded_body_needs_every_byte(client: Client) -> None:
    picture = scene(80, 128)
    for coding, words in (("pixels", None), ("webp", "bytes of the webp image were lost")):
        guarded = client.ask("guard", {"coding": coding}, {"image": picture})
        body = guarded.buffers["body"]
        arrived, exact = np.ones(len(body), bool), np.ones(len(body), bool)
        exact[5] = False  # a byte of a frame whose payload CRC failed: usable as a pixel only
        received = {"head": guarded.buffers["head"], "body": body, "arrived": arrived, "exact": exact}
        result = client.ask("recovery", {}, received).header["result"]
        assert (result["failure"] is None) == (words is None) and (words or "") in (result["failure"] or "")
        assert result["concealed_share"] == (0 if words is None else 1)
    arrived[:100] = False
    guarded = client.ask("guard", {}, {"image": picture})
    body, head = guarded.buffers["body"], guarded.buffers["head"]
    arrived = np.arange(len(body)) >= 100
    result = client.ask("recovery", {}, {"head": head, "body": body, "arrived": arrived, "exact": arrived})
    assert result.header["result"]["concealed_share"] == pytest.approx(100 / len(body))


@pytest.mark.slow
def test_the_shipped_networks_serve_the_command(tmp_path: Path) -> None:
    """`privsc worker all` with K of Chelsea, enrolled from two views without personalisation."""
    from skimage import data

    from privsc.datasets.builtin import views
    from privsc.networks.image_encoder import load_encoder
    from privsc.networks.text_encoder import load_text_encoder
    from privsc.system.enrol import enrol

    path = tmp_path / "K.db"
    with Database.create(path, load_encoder().identity, load_text_encoder().identity) as db:
        photos = [encoded(view) for view in views(data.chelsea(), 2, seed=0)]
        enrol(db, "Chelsea", photos, prompt="a photo of the cat Chelsea", class_word="cat", personalise=False)
    process, first = start(
        "privsc", "worker", "all", "--db", str(path), "--steps", "2", "--until-eof", "--endpoint", f"ipc://{tmp_path}/w"
    )
    client = Client(first["endpoint"])
    try:
        guarded, seen, figures = through(client, encoded(data.chelsea()), 256)
    finally:
        client.close()
        process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert [e["name"] for e in guarded.header["result"]["entities"]] == ["Chelsea"]
    assert guarded.buffers["image"].shape == (170, 256, 3) and 0.1 < guarded.buffers["mask"].mean() < 0.97
    assert not np.array_equal(seen["bob"].buffers["restored"], seen["eve"].buffers["restored"])
    assert figures["bob"]["psnr_private"] is not None and figures["eve_class_word"] == "cat"


def test_a_sender_with_another_k_is_refused(client: Client) -> None:
    nothing = np.zeros(0, np.uint8)
    buffers = {"head": nothing, "body": nothing, "arrived": nothing.astype(bool), "exact": nothing.astype(bool)}
    answer = client.ask("recovery", {"k_digest": "00" * 8}, buffers)
    assert answer.header["error"] == "failed" and "another version of K" in answer.header["message"]
    lost = client.ask("recovery", {"k_digest": None, "size": [40, 60]}, buffers)
    assert lost.header["ok"] and lost.header["result"]["failure"] == "the head of the payload was lost"
    assert lost.buffers["restored"].shape == (40, 60, 3)


def _header(**changed) -> bytes:
    return json.dumps({"privsc": 1, "id": 5, "op": "guard", "params": {}, "buffers": [], **changed}).encode()


@pytest.mark.parametrize(
    ("parts", "cause"),
    [
        ([b"\x80\x04not json"], "malformed"),
        ([b"[1, 2]"], "malformed"),
        ([b"{" * 20000], "malformed"),
        ([b"x" * (messages.MAX_HEADER + 1)], "too_large"),
        ([_header(privsc=2)], "version"),
        ([_header(id=-1)], "malformed"),
        ([_header(id="one")], "malformed"),
        ([_header(params=[1])], "malformed"),
        ([_header(op="dance")], "unknown_op"),
        ([_header(op=None)], "unknown_op"),
        ([_header(), b"undescribed"], "malformed"),
        ([_header(buffers=[{"name": "image", "dtype": "object", "shape": [1]}]), b"x"], "malformed"),
        ([_header(buffers=[{"name": "image", "dtype": "uint8", "shape": [2]}]), b"x"], "malformed"),
        ([_header(buffers=[{"name": "image", "dtype": "uint8", "shape": [-1]}]), b"x"], "malformed"),
        ([_header(buffers=[{"name": "image", "dtype": "uint8", "shape": [1 << 40]}]), b"x"], "too_large"),
        ([_header(buffers=[{"name": "image", "dtype": "uint8", "shape": [1]}] * 17), *[b"x"] * 17], "malformed"),
        ([_header()], "malformed"),  # neither photo nor image
        ([_header(buffers=[{"name": "photo", "dtype": "uint8", "shape": [3]}]), b"GIF"], "failed"),
        (
            [
                _header(params={"max_side": 10**9}),
            ],
            "malformed",
        ),
        (
            [
                _header(
                    op="recovery",
                    params={"size": [10**6, 10**6]},
                    buffers=[
                        {"name": name, "dtype": kind, "shape": [0]}
                        for name, kind in (("head", "uint8"), ("body", "uint8"), ("arrived", "bool"), ("exact", "bool"))
                    ],
                ),
                b"",
                b"",
                b"",
                b"",
            ],
            "too_large",
        ),
    ],
)
def test_what_is_not_a_request_is_refused_and_counted(client: Client, parts: list[bytes], cause: str) -> None:
    before = client.ask("ping").header["result"]["counts"].get(cause, 0)
    answer = client.raw(parts)
    header = answer if isinstance(answer, dict) else answer.header
    assert header["ok"] is False and header["error"] == cause and header["message"]
    assert "\n" not in header["message"]
    assert client.ask("ping").header["result"]["counts"][cause] == before + 1


def test_clients_share_a_bounded_queue(running) -> None:
    """Five clients ask at once: each gets an answer to each of its own requests, some of them busy."""
    clients = [Client(running[1]) for _ in range(5)]
    image = np.random.default_rng(0).integers(0, 255, (600, 600, 3), np.uint8)
    try:
        for number, one in enumerate(clients):
            one.next = 100 * number
            for _ in range(20):
                one.send("guard", {}, {"image": image})
        answers = [one.answer(60) for one in clients for _ in range(20)]
        ids = sorted(answer.id for answer in answers)
        assert ids == [100 * number + k for number in range(5) for k in range(1, 21)]
        busy = [a for a in answers if not a.header["ok"]]
        assert busy and len(busy) < 100
        assert all(a.header["error"] == "busy" and "try again" in a.header["message"] for a in busy)
        served = [a for a in answers if a.header["ok"]]
        assert all(np.array_equal(a.buffers["image"], image) for a in served)
    finally:
        for one in clients:
            one.close()


def test_ping_is_answered_while_the_networks_work() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(params: dict, buffers: dict) -> tuple[dict, dict]:
        begun.set()
        go_on.wait(20)
        return {}, {}

    one = server.Worker({"guard": slow}, "tcp://127.0.0.1:*")
    thread = threading.Thread(target=one.serve)
    thread.start()
    client = Client(one.endpoint)
    try:
        number = client.send("guard")
        assert begun.wait(10)
        began = time.monotonic()
        state = client.ask("ping").header["result"]
        assert state["roles"] == ["guard"] and len(state["instance"]) == 16
        assert time.monotonic() - began < 5
        assert client.ask("recovery").header["error"] == "role"
        go_on.set()
        assert client.answer().id == number
    finally:
        go_on.set()
        one.stop()
        thread.join(10)
        client.close()
    assert not thread.is_alive()


def test_a_crash_in_an_operation_is_an_answer() -> None:
    def broken(params: dict, buffers: dict) -> tuple[dict, dict]:
        raise RuntimeError("first line\nsecond line")

    one = server.Worker({"guard": broken}, "tcp://127.0.0.1:*")
    thread = threading.Thread(target=one.serve)
    thread.start()
    client = Client(one.endpoint)
    try:
        for _ in range(2):
            answer = client.ask("guard")
            assert answer.header["error"] == "failed"
            assert answer.header["message"] == "RuntimeError: first line second line"
    finally:
        one.stop()
        thread.join(10)
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/w"
    process, first = start("tests.fakes.worker_process", str(tmp_path), endpoint)
    assert first["endpoint"] == endpoint
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert json.loads(process.stdout.read()) == {"counts": {}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["guard"], "--db: the role guard needs K"),
        (["recovery", "--generic", "--db", "K.db"], "--generic: goes with"),
        (["cook"], "choose of guard, recovery, generic, report or all; got 'cook'"),
        (["guard", "--db", "no/K.db"], "no such database"),
        (["generic", "--endpoint", "tcp://0.0.0.0:5757"], "for another machine use phy.net.curve_proxy"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], said: str, capfd: pytest.CaptureFixture) -> None:
    from privsc.cli.app import main

    assert main(["worker", *arguments]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1


def test_an_endpoint_in_use_is_refused(running) -> None:
    with pytest.raises(WorkerError, match="cannot listen there"):
        server.Worker({}, running[1])


@pytest.mark.parametrize("shape", [[0, 10**30], [0, 2**40, 2**40, 2**40]])
def test_a_shape_that_numpy_does_not_take_does_not_end_the_worker(client: Client, shape: list[int]) -> None:
    head = {"privsc": 1, "id": 2, "op": "generic", "buffers": [{"name": "x", "dtype": "uint8", "shape": shape}]}
    answer = client.raw([json.dumps(head).encode(), b""])
    assert answer.header["error"] == "too_large"
    assert client.ask("ping").header["ok"]


def test_parts_without_number_are_refused_and_counted(client: Client) -> None:
    before = client.ask("ping").header["result"]["counts"].get("malformed", 0)
    client.socket.send_multipart([_header(), *[bytes(1 << 16)] * 1500])
    assert client.answer()["error"] == "malformed"
    assert client.ask("ping").header["result"]["counts"]["malformed"] == before + 1


def test_a_part_larger_than_any_buffer_ends_its_connection_only(running) -> None:
    hostile, honest = Client(running[1]), Client(running[1])
    try:
        hostile.socket.send_multipart([_header(), bytes(messages.MAX_PART + 1)])
        assert not hostile.socket.poll(500)
        assert honest.ask("ping").header["ok"]
    finally:
        hostile.close()
        honest.close()


def test_tcp_with_k_behind_it_needs_keys(tmp_path: Path) -> None:
    for place in ("tcp://127.0.0.1:*", "tcp://localhost:5757"):
        with pytest.raises(WorkerError, match="every user of this machine could ask this worker for K's photographs"):
            server.check_endpoint(place)
        assert server.check_endpoint(place, behind_k=False) == place
    with pytest.raises(WorkerError, match="--key and --allow: give both"):
        server.run(("generic",), None, "tcp://127.0.0.1:*", 1, False, key=tmp_path / "k")


def test_with_keys_only_who_is_allowed_is_answered(tmp_path: Path) -> None:
    """CURVE on loopback: a client with an unknown key, and one without any, get nothing."""
    from flowgraphs.worker.worker_client import WorkerClient, WorkerLost
    from phy.net.curve import make_keys

    files = {name: make_keys(tmp_path / name) for name in ("worker", "bob", "eve")}
    one = server.Worker(
        {"guard": lambda params, buffers: ({"hello": 1}, {})},
        "tcp://127.0.0.1:*",
        key=files["worker"][1],
        allow=[files["bob"][0]],
    )
    thread = threading.Thread(target=one.serve)
    thread.start()
    peer = files["worker"][0]
    clients = {
        "bob": WorkerClient(f"{one.endpoint}?key={files['bob'][1]}&peer={peer}", timeout=20),
        "eve": WorkerClient(f"{one.endpoint}?key={files['eve'][1]}&peer={peer}", timeout=1.5),
        "plain": WorkerClient(one.endpoint, timeout=1.5),
    }
    try:
        assert clients["bob"].request("guard", {}, {}).header["result"] == {"hello": 1}
        for name in ("eve", "plain"):
            with pytest.raises(WorkerLost, match="no worker answered"):
                clients[name].request("guard", {}, {})
        assert one.counts["served"] == 1 and one.counts["refused"] >= 1
    finally:
        for client in clients.values():
            client.release()
        one.stop()
        thread.join(10)


@pytest.mark.parametrize("endpoint", ["tcp://*:5757", "tcp://10.0.0.1:1", "udp://127.0.0.1:1", "tcp://127.0.0.1", "x"])
def test_only_this_machine_may_ask(endpoint: str) -> None:
    with pytest.raises(WorkerError, match="endpoint must be"):
        server.check_endpoint(endpoint)


@pytest.mark.parametrize("value", [np.zeros((2, 3), np.float32), np.eye(3, dtype=bool), b"bytes", b""])
def test_wire_round_trip(value) -> None:
    message = messages.decode(messages.encode({"id": 1, "op": "x", "params": {"a": [1, None]}}, {"b": value}))
    expected = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
    assert message.buffers["b"].dtype == expected.dtype and np.array_equal(message.buffers["b"], expected)
    assert message.header["params"] == {"a": [1, None]}


def test_wire_refuses_to_encode_objects() -> None:
    with pytest.raises(messages.WireError, match="must be one of"):
        messages.encode({"id": 1}, {"b": np.array([None])})
