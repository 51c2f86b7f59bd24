"""The chain through the SoapySDR API: virtual radios in real time, with their faults."""

import datetime
import signal
import subprocess
import sys

import numpy as np
import pytest

from hardware import sigmf_io
from hardware.errors import StationError
from hardware.frontend.frontend import Correction
from hardware.profiles.profile import load
from hardware.recordings.opening import open_recording
from phy.link import Link, compare
from privsc.radio.air import Air, payload_digest
from privsc.radio.examination import INJECTIONS, Examination, best_row, injected, practise, sweep, user_profile
from privsc.radio.habits import HABITS, habits
from privsc.radio.habits import exchange as exchange_frames
from privsc.radio.loopback import save, set_noise
from privsc.radio.replay import heard_again
from privsc.radio.setup import BOB, EVE, Setup
from privsc.radio.soak import run_soak, verdict

pytestmark = [pytest.mark.radio("SoapySDR", "numpy", "scipy", "zmq"), pytest.mark.usefixtures("driver")]

SLOW = {"radio": {"sample_rate": 250e3, "frequency": 433.92e6}}
FAST = {"radio": {"sample_rate": 1e6, "frequency": 433.92e6}}
DIGEST = bytes(range(32))


def setup(eve="virtual-eve", noise=None):
    return Setup(load("virtual", SLOW), load("virtual-bob", SLOW), load(eve, SLOW) if eve else None, noise, seed=4)


def transmission():
    body = np.random.default_rng(0).integers(0, 256, 12_000, dtype=np.uint8).tobytes()
    return (
        Link("image8x4", "external", payload_bytes=512)
        .transmitter()
        .send(b"twenty bytes of head", body, image_id=7, k_digest=DIGEST)
    )


def exchange(sent, chosen, snr_db, eve_snr_db=None, record=None):
    """(air, what the receivers said), again where the computer was too busy to feed the transmitter."""
    for _ in range(4):
        with Air(chosen) as air:
            iq, factor = air.scaled(sent.iq)
            set_noise(air, factor, snr_db, eve_snr_db)
            air.listen(record, expect=len(iq))
            air.send(iq)
            ended = air.finish()
        if not any(air.sent_counts.get(name) for name in ("underflow", "late")):
            return air, ended
    pytest.fail("the transmitter ran dry four times in a row")


def test_every_frame_arrives_at_bob_and_eve_with_20_ppm_and_15_db():
    sent = transmission()
    air, ended = exchange(sent, setup(), 15.0)
    for who, ppm in ((BOB, 20.0), (EVE, -15.0)):
        got = air.ears[who].reception().best(DIGEST)
        stats = compare(got, sent)
        assert stats.frames_sent == 8 + 24 and stats.frames_lost == 0
        assert got.head == sent.head and got.made_with(DIGEST)
        assert stats.message_error_rate < 1e-3
        assert got.snr_db == pytest.approx(15.0, abs=0.6)
        told = air.ears[who].summary
        assert told["cfo"] * 250e3 / (2 * np.pi) / 433.92e6 * 1e6 == pytest.approx(-ppm, abs=0.5)
        assert told["clock_ppm"] == pytest.approx(ppm, abs=25.0)  # 32 short frames: 5.5 ppm of standard deviation
        assert payload_digest(air.ears[who]) == told["digest"]
    assert ended[BOB]["radio"].get("overflow", 0) == 0


def test_a_recording_at_bobs_antenna_replays_into_both_chains(tmp_path):
    """Eve has 9 dB: many of her frames hold wrong messages, and they must be the same wrong ones."""
    sent = transmission()
    data = sigmf_io.partial_data(tmp_path / "antenna")
    chosen = setup(eve=None, noise=-21.0)
    air, ended = exchange(sent, chosen, 15.0, record=data)
    meta = save(tmp_path / "antenna", data, air, ended, None, None, datetime.datetime.now(datetime.UTC))
    recording = open_recording(meta)
    assert recording.fields["k_digest_on_air"] == DIGEST[:8].hex()
    assert len(recording.annotations) == air.ears[BOB].summary["frames"] == 32
    assert recording.fields["models"]
    assert air.ears[EVE].summary["snr_db"] < air.ears[BOB].summary["snr_db"] - 2
    assert air.ears[EVE].summary["crc_ok"] < 32
    for who in (BOB, EVE):
        ear, figures = heard_again(recording, who)
        assert figures["identical"] is True
        live, again = (one.reception().best(DIGEST) for one in (air.ears[who], ear))
        assert again.body == live.body and again.head == live.head


def test_injected_overflows_cost_at_most_their_frames():
    told = run_soak(Setup(load("virtual", SLOW), load("virtual-bob", SLOW)), 6.0, overflows=8)
    assert told.injected == told.overflows == 8
    assert told.frames > 60
    if told.underflows == 0 and told.behind == 0:  # else the computer was too busy to judge
        assert verdict(told) is None, told.lines()
    assert told.hit > 0


def test_the_doctor_names_the_stage_of_each_injected_fault():
    """In real time: what a busy computer added to a fault (lost samples) is looked at once more."""
    faults = [None, *INJECTIONS]
    setup = Setup(load("virtual", FAST), load("virtual-bob", FAST))
    told = list(practise(setup, faults))
    assert len(told) == len(faults) >= 11 and {fault for fault, _, _ in told} == set(faults)
    if doubtful := [fault for fault, expected, one in told if one.verdict != expected]:
        told = [row for row in told if row[0] not in doubtful] + list(practise(setup, doubtful))
    wrong = [
        (fault, expected, one.verdict, [(stage.name, stage.found) for stage in one.stages])
        for fault, expected, one in told
        if one.verdict != expected
    ]
    assert not wrong
    assert "stuck" in next(one.failed.found for fault, _, one in told if fault == "agc")


def test_calibration_finds_the_gain_and_the_oscillator(tmp_path):
    chosen = Setup(load("virtual", FAST), load("virtual-bob", FAST))
    with Air(chosen) as air:
        rows = sweep(Examination(air, snr_db=20.0), [20.0, 60.0])
    assert [row["gain"] for row in rows] == [20.0, 60.0]
    assert rows[1]["verdict"] == "clipping" and rows[0]["snr_db"] == pytest.approx(20.0, abs=0.6)
    best = best_row(rows)
    assert best["gain"] == 20.0
    path = tmp_path / "mine.toml"
    path.write_text(user_profile("virtual-bob", air.setup.bob, "rx", best, rows, "now"))
    mine = load(path)
    assert mine.ppm == pytest.approx(20.0, abs=0.3)
    assert mine.rx.gain == best["gain"] and len(mine.calibration["sweep_gain"]) == 2
    with Air(Setup(load("virtual", FAST), load(path))) as air:  # tuned with it, the carriers agree
        told = Examination(air, snr_db=20.0).diagnose()
    assert abs(told.measures["carrier_ppm"]) < 0.5


def test_radios_that_do_not_hear_each_other_say_so(monkeypatch):
    monkeypatch.setattr("privsc.radio.air._MEETS_WITHIN", 1.0)
    lonely = load("virtual-bob", {**SLOW, "device": {"rx": "ipc://@privsc-test-lonely"}})
    elsewhere = load("virtual", {**SLOW, "device": {"tx": "ipc://@privsc-test-elsewhere"}})
    with Air(Setup(elsewhere, lonely)) as air, pytest.raises(StationError, match="no sample of virtual arrives"):
        air.listen()


def test_an_interrupt_ends_a_recording_in_order(tmp_path):
    """Ctrl-C: the device is off, the process gone, and the recording is whole."""
    command = [
        sys.executable,
        "-c",
        "from privsc.cli.app import main; raise SystemExit(main())",
        "radio",
        "record",
        str(tmp_path / "antenna"),
        "--profile",
        "virtual-bob",
        "--rate",
        "250e3",
        "--seconds",
        "300",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "Msps" in line and not line.startswith("0.00"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err
    assert "0 frames, 0 exact" in " ".join(out.split())
    recording = open_recording(tmp_path / "antenna")
    assert recording.samples > 0 and recording.fields["profile"] == "virtual-bob"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["antenna.sigmf-data", "antenna.sigmf-meta"]


@pytest.mark.parametrize("name", list(HABITS))
def test_habits_of_drivers_do_not_break_a_short_picture(name):
    chosen = Setup(load("virtual", FAST), load("virtual-bob", FAST))
    _, habit, told = next(habits(chosen, [name]))
    assert told.fine(habit), told
    assert told.seconds < 60


@pytest.mark.parametrize("fault", ["dc", "swapped-iq"])
def test_dc_and_exchanged_i_and_q_are_mended_while_it_receives(fault):
    broken = injected(Setup(load("virtual", FAST), load("virtual-bob", FAST)), fault)
    assert exchange_frames(broken).frames == 0
    for _ in range(3):  # a busy computer may starve the transmitter
        told = exchange_frames(broken, None, Correction("auto", "auto"))
        if told.frames == told.sent:
            break
    assert told.frames == told.sent
