"""The models side sends through GNU Radio's channel in another process and hears Bob's and Eve's ends."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phy.link import Link, compare
from phy.net.bridge import Bridge, BridgeChannel
from privsc.cli.run import _carrier
from privsc.knowledge.database import Database
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.report import run_files
from privsc.system.trial import run_trial
from tests.fakes.networks import COLOURS, BoxGuard, ColourRecovery
from tests.fakes.samples import scene
from tests.fakes.worker_process import BOX, make_k
from tests.flowgraphs.radio import module
from tests.flowgraphs.test_zmq import Program, free_port

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")


def test_an_image_crosses_the_channel_flowgraph_twice(programs) -> None:
    tx, bob, eve = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    body = np.random.default_rng(0).integers(0, 256, 30000, dtype=np.uint8).tobytes()
    program = Program(
        programs, "channel_zmq", tx_endpoint=tx, bob_endpoint=bob, eve_endpoint=eve, snr_of_bob=20, snr_of_eve=5
    )
    try:
        with Bridge(tx, {"bob": bob, "eve": eve}, timeout=30) as bridge:
            link = Link(channel="external")
            for image_id in (1, 2):
                sent = link.transmitter().send(b"head", body, image_id=image_id, k_digest=bytes(32))
                samples = {name: sent.through(BridgeChannel(bridge, name)) for name in ("bob", "eve")}
                heard = {name: link.receiver().receive(y).best() for name, y in samples.items()}
                assert heard["bob"].body == body and heard["bob"].lost == 0
                assert heard["eve"].head == b"head"
                assert 0.01 < compare(heard["eve"], sent).message_error_rate < 0.5
                assert abs(heard["bob"].snr_db - 20) < 1.5 and abs(heard["eve"].snr_db - 5) < 1.5
    finally:
        program.end()


def test_a_run_with_a_flowgraph_for_its_channel(programs, tmp_path) -> None:
    """What `privsc run --channel zmq` does, fakes for networks: the SNR reported is the one that was measured."""
    tx, bob, eve = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    image = scene(80, 128)
    x0, y0, x1, y1 = BOX
    image[y0:y1, x0:x1] = COLOURS["Vicky"]
    config = RunConfig.build(channel="zmq", snr_db=33)
    program = Program(
        programs, "channel_zmq", tx_endpoint=tx, bob_endpoint=bob, eve_endpoint=eve, snr_of_bob=20, snr_of_eve=12
    )
    try:
        with _carrier(config, tx, bob, eve) as carrier, Database.open(make_k(tmp_path)) as db:
            trial = run_trial(image, db, Models(BoxGuard({"Vicky": BOX}), ColourRecovery()), config, carrier=carrier)
    finally:
        program.end()
    figures = json.loads(run_files(trial)["report.json"])
    assert abs(figures["link"]["snr_db"] - 20) < 1.5 and abs(figures["link"]["eve_snr_db"] - 12) < 1.5
    assert figures["link"]["frames_lost"] == 0 and figures["link"]["channel"] == "zmq"
    assert (figures["bob"]["identified"], figures["eve"]["identified"]) == ("Vicky", None)


def test_no_sample_is_lost_through_gnu_radio() -> None:
    """The figures' command, with fewer samples: a slow reader, and a CURVE link on the way."""
    done = module("benchmarks.bench_bridge", "3e6", "plain", "slow", "curve")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line.split()[1:4] for line in done.stdout.splitlines()[2:]}
    assert rows == {name: ["0", "0", "3000000"] for name in ("plain", "slow", "curve")}


def test_the_count_sees_what_is_lost_repeated_or_changed() -> None:
    """The command's own arithmetic, against streams that are not whole."""
    from benchmarks.bench_bridge import Count

    whole = np.arange(1000, dtype=np.uint64)
    for numbers, missing, wrong in (
        (whole, 0, 0),
        (np.delete(whole, [3, 4, 700]), 3, 0),
        (whole[:990], 10, 0),
        (np.insert(whole, 500, whole[400:410]), 0, 10),
        (whole[10:], 10, 0),
        (np.where(whole == 5, np.uint64(1 << 60), whole), 1, 1),
    ):
        count = Count()
        for part in np.array_split(numbers, 7):
            count.add(part, 1000)
        assert (count.missing + 1000 - count.next, count.wrong) == (missing, wrong)
