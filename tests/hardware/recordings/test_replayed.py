"""Recordings of others through the chain: rates, DC and exchanged I and Q are mended, and said."""

import numpy as np
import pytest

from hardware.errors import HardwareError, RecordingError
from hardware.recordings.opening import open_recording
from privsc.radio import replay
from privsc.radio.replay import ReplayOptions, front_end_lines, heard_again
from tests.hardware.recordings.cases import LOSSLESS, LOSSY, changed, exchanged, with_dc
from tests.hardware.recordings.loss import losses
from tests.hardware.recordings.make import resampled
from tests.hardware.recordings.runs import FRAMES, made_run

pytestmark = pytest.mark.radio("numpy", "scipy", "zmq")
NAMED = {case.name: case for case in [*LOSSLESS, *LOSSY]}


@pytest.fixture(scope="module")
def run():
    return made_run()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("2.4 times the rate", "resampled from 2.4e+06 to 1e+06"),
        ("conjugate, DC +6 dB, 2.4 times the rate", "I and Q are exchanged"),
        ("NaN, infinite and huge samples", "300 samples were no numbers"),
        ("raw .cu8", ""),
    ],
)
def test_every_frame_is_found_and_what_was_mended_is_said(run, tmp_path, name, words):
    case = NAMED[name]
    _, figures = heard_again(open_recording(case.make(run, tmp_path), **case.opening), "bob")
    assert figures["frames"] == figures["crc_ok"] == FRAMES
    assert figures["payload_sha256"] == run.digests["bob"] and figures["identical"] is None
    assert words in " ".join(front_end_lines(figures))


@pytest.mark.parametrize("change", [with_dc, exchanged, np.conj])
def test_without_the_front_end_nothing_is_found(run, tmp_path, change):
    recording = open_recording(changed(change)(run, tmp_path))
    _, plain = heard_again(recording, "bob", ReplayOptions(1e6, "no", "no"))
    _, mended = heard_again(recording, "bob", ReplayOptions(1e6))
    assert plain["frames"] == 0 and mended["frames"] == FRAMES


def test_what_was_live_is_held_against_the_live_run_and_nothing_else(run, tmp_path):
    recording = open_recording(NAMED["SigMF cf64_be"].make(run, tmp_path))
    for who in ("bob", "eve"):
        _, figures = heard_again(recording, who)
        assert figures["identical"] is True and figures["payload_sha256"] == run.digests[who]
    assert run.digests["bob"] != run.digests["eve"]
    _, part = heard_again(recording, "bob", ReplayOptions(seconds=0.1))
    assert part["identical"] is None and 0 < part["frames"] < FRAMES


def test_a_signal_at_no_known_rate_is_said(run, tmp_path):
    recording = open_recording(changed(lambda x: resampled(x, 1.3), 1.7)(run, tmp_path))
    _, figures = heard_again(recording, "bob")
    assert figures["frames"] == 0
    assert "--signal-rate says the sender's" in front_end_lines(figures)[0]
    _, figures = heard_again(recording, "bob", ReplayOptions(signal_rate=1.7e6 / 1.3))
    assert figures["frames"] == FRAMES


def test_options_are_checked_first(run, tmp_path, monkeypatch):
    for options, words in (
        ({"dc_block": "maybe"}, "--dc-block must be one of auto, yes, no"),
        ({"swap_iq": "maybe"}, "--swap-iq must be one of"),
        ({"signal_rate": float("nan")}, "--signal-rate: the sample rate must be"),
        ({"seconds": 0.0}, "--seconds: must be above 0"),
    ):
        with pytest.raises(HardwareError, match=words):
            ReplayOptions(**options)
    monkeypatch.setattr(replay, "MAX_SAMPLES", 1000)
    with pytest.raises(RecordingError, match="at most 1000 are replayed at once; --seconds takes a part"):
        heard_again(open_recording(NAMED["raw .cs16"].make(run, tmp_path), sample_rate=1e6), "bob")


@pytest.mark.slow
def test_the_resampler_costs_at_most_0_3_db():
    """400 frames: 0.1 dB of standard deviation."""
    _, rows = losses(400, (2.4,))
    assert all(row.loss_db <= 0.3 for row in rows), rows
