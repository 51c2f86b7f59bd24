"""The radio process: asked, refused, ended; recordings through its chains."""

import datetime
import os
import signal
import time

import numpy as np
import pytest

from hardware import sigmf_io
from hardware.diagnosis.train import IMAGE_ID, known_train
from hardware.errors import RecordingError, StationError
from hardware.process.chain import Chain
from hardware.process.client import Station
from hardware.process.streaming import to_device
from hardware.profiles.profile import load
from hardware.recordings.opening import open_recording
from hardware.recordings.samples import SampleFormat, SampleSource

pytestmark = pytest.mark.radio("numpy", "scipy", "zmq")


@pytest.fixture(scope="module")
def station():
    with Station() as one:
        yield one


def test_refusals_are_one_line(station):
    with pytest.raises(StationError, match="knows no request 'nonsense'"):
        station.ask("nonsense")
    with pytest.raises(StationError, match="no device is open"):
        station.ask("transmit")
    with pytest.raises(StationError, match=r"gain: bad request|no device is open"):
        station.ask("gain")
    profile = load("pluto").as_dict()
    profile["tx"]["gain"] = 88.0  # whoever speaks to the process cannot talk it out of the ceiling
    with pytest.raises(StationError, match=r"tx.gain: must be at most safety.max_gain = 75 dB"):
        station.ask("open", profile=profile, transmit=True, directions=["tx"])


def test_a_capture_needs_a_device(station):
    with pytest.raises(StationError, match="no device is open"):
        station.ask("capture", samples=1 << 30)


def ends(process, seconds=20.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            return process.returncode
        time.sleep(0.02)
    return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
def test_it_ends_when_told_and_when_nobody_is_left(number):
    with Station() as one:
        with pytest.raises(StationError, match="knows no request"):  # it is up
            one.ask("nonsense")
        process = one._process
        if number is None:
            process.stdin.close()  # as when whoever started it was killed
        else:
            os.kill(process.pid, number)
        assert ends(process) == 0
        with pytest.raises(StationError, match="ended with code 0"):
            one.ask("probe")
        process.stdin.close()


def test_an_interpreter_that_cannot_is_named():
    with pytest.raises(StationError, match="/nowhere/python3 cannot be run"):
        Station(python="/nowhere/python3")


@pytest.fixture(scope="module")
def samples():
    train = known_train(frames=12, payload_bytes=128, gap=300, codec="image8x4")
    rng = np.random.default_rng(9)
    noise = rng.standard_normal(2 * len(train.iq), np.float32).view(np.complex64) * np.float32(0.25)
    return (0.2 * (train.iq + noise)).astype(np.complex64)  # some messages are wrong: knife edges included


@pytest.mark.parametrize("form", ["CF32", "CS16"])
def test_a_recording_gives_the_same_again(tmp_path, samples, form):
    data = sigmf_io.partial_data(tmp_path / "antenna")
    to_device(samples, form).tofile(data)
    events = []
    with Station(lambda fields, buffers: events.append((fields, buffers))) as one:
        source = SampleSource(data, SampleFormat.named(sigmf_io.DATATYPES[form], "test"), ((0, len(samples)),))
        first = one.ask("replay", source=source.as_dict(), chains=[{"name": "bob"}, {"name": "eve", "noise_db": -20.0}])
        frames = [fields for fields, _ in events if fields["chain"] == "bob"]
        meta = sigmf_io.write(
            tmp_path / "antenna",
            data,
            form=form,
            sample_rate=1e6,
            frequency=433.92e6,
            hardware="a test",
            started=datetime.datetime.now(datetime.UTC),
            frames=frames,
            gaps=[{"at": 500, "lost": 20, "why": "overflow"}],
            fields={"seed": 3, "chains": {"bob": {"digest": first["chains"]["bob"]["digest"]}}},
        )
        again = open_recording(meta)
        second = one.ask("replay", source=again.source.as_dict(), chains=[{"name": "bob"}])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["antenna.sigmf-data", "antenna.sigmf-meta"]
    told = first["chains"]["bob"]
    assert told["frames"] == 12 and told["crc_ok"] < 12
    assert second["chains"]["bob"]["digest"] == told["digest"] == again.fields["chains"]["bob"]["digest"]
    assert first["chains"]["eve"]["digest"] != told["digest"]
    assert again.fields["seed"] == 3 and again.samples == len(samples) and again.frequency == 433.92e6
    assert len(again.annotations) == 12
    assert [one["sequence"] for one in again.annotations] == list(range(12))
    assert {one["image_id"] for one in again.annotations} == {IMAGE_ID}


def test_this_interpreter_agrees_with_the_radios(tmp_path, samples):
    path = tmp_path / "samples"
    samples.tofile(path)
    with Station() as one:
        source = SampleSource(path, SampleFormat("f", 32), ((0, len(samples)),))
        told = one.ask("replay", source=source.as_dict(), chains=[{"name": "bob"}])["chains"]["bob"]
    chain = Chain("bob")
    chain.push(samples)
    chain.finish()
    assert chain.tally.frames == told["frames"]


def test_damaged_recordings_are_refused(tmp_path, samples):
    data = sigmf_io.partial_data(tmp_path / "r")
    samples.tofile(data)
    meta = sigmf_io.write(
        tmp_path / "r",
        data,
        form="CF32",
        sample_rate=1e6,
        frequency=1e9,
        hardware="a test",
        started=datetime.datetime.now(datetime.UTC),
        frames=[],
        gaps=[],
        fields={},
    )
    samples_path = tmp_path / "r.sigmf-data"
    whole = samples_path.read_bytes()
    samples_path.write_bytes(whole[:-800] + bytes(800))
    with pytest.raises(RecordingError, match="is damaged or not SigMF"):
        open_recording(meta)
    samples_path.unlink()
    with pytest.raises(RecordingError, match=r"r\.sigmf-data: no such file"):
        open_recording(tmp_path / "r")
    samples_path.write_bytes(whole)
    meta.write_text("{")
    with pytest.raises(RecordingError, match="is damaged or not SigMF"):
        open_recording(meta)
    with pytest.raises(RecordingError, match="no such folder"):
        sigmf_io.partial_data(tmp_path / "gone" / "r")
