"""Every kind of recording gives the samples it was made of, or one line."""

import os
import tracemalloc

import numpy as np
import pytest

from hardware.errors import RecordingError
from hardware.recordings.opening import open_recording
from hardware.recordings.samples import SampleFormat, SampleSource, joined
from tests.hardware.recordings.__main__ import refused_row
from tests.hardware.recordings.cases import LOSSLESS, LOSSY
from tests.hardware.recordings.make import Run, write_sigmf
from tests.hardware.recordings.refusals import REFUSED


@pytest.fixture(scope="module")
def run():
    """Any samples: what is read must be what was written."""
    parts = np.random.default_rng(0).integers(-32767, 32768, (100_000, 2)).astype(np.int16)
    return Run(parts, 1e6)


def read(source, size=4096):
    return list(source.blocks(size))


@pytest.mark.parametrize("case", LOSSLESS, ids=lambda case: case.name)
def test_what_was_written_is_read(case, run, tmp_path):
    recording = open_recording(case.make(run, tmp_path), **case.opening)
    assert recording.sample_rate == 1e6 and recording.samples == len(run.parts)
    blocks = read(recording.source)
    assert {len(block) for block in blocks[:-1]} == {4096}
    got = np.concatenate(blocks)
    assert got.dtype == np.complex64
    bits = recording.source.format.bits
    if recording.source.format.kind == "f" or bits == 16:
        assert np.array_equal(got, run.samples)
    else:  # full scale of wider integers lies beyond that of 16 bits
        assert np.allclose(got, run.samples, atol=4e-5)


@pytest.mark.parametrize("case", LOSSY[:4], ids=lambda case: case.name)
def test_8_bits_are_read_within_half_a_step(case, run, tmp_path):
    got = np.concatenate(read(open_recording(case.make(run, tmp_path), **case.opening).source))
    assert np.abs((got - run.samples).view(np.float32)).max() <= 0.51 / 127


@pytest.mark.radio("numpy", "scipy", "zmq")
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_cannot_be_read_is_one_line(case, run, tmp_path):
    good, told = refused_row(case, run, tmp_path)
    assert good, told


def test_a_part_can_be_read(run, tmp_path):
    source = open_recording(write_sigmf(tmp_path / "r", run.parts.tobytes(), "ci16_le", 1e6)).source
    got = np.concatenate(list(source.blocks(1000, 2500)))
    assert np.array_equal(got, run.samples[:2500])


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "long.cs16"
    with path.open("wb") as file:
        file.truncate(400_000_000)
    source = open_recording(path, sample_rate=1e6).source
    tracemalloc.start()
    try:
        for count, _ in enumerate(source.blocks(1 << 16)):
            if count == 30:
                break
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_a_file_that_became_shorter_is_one_line(run, tmp_path):
    path = tmp_path / "r.cs16"
    path.write_bytes(run.parts.tobytes())
    source = open_recording(path, sample_rate=1e6).source
    os.truncate(path, 1000)
    with pytest.raises(RecordingError, match="became shorter"):
        read(source)
    with pytest.raises(RecordingError, match="do not lie in its 1000 bytes"):
        SampleSource.from_dict(source.as_dict())


def test_what_lies_side_by_side_is_one_stretch():
    assert joined([(0, 10), (40, 5), (60, 0), (60, 3), (100, 1)], 4) == ((0, 18), (100, 1))


def test_24_bits_of_either_order():
    values = np.array([[-(1 << 23), 1], [(1 << 23) - 1, -1]], np.int32)
    little = values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    big = values.astype(">i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    got = SampleFormat("i", 24).decode(little)
    assert np.array_equal(got, SampleFormat("i", 24, big=True).decode(big))
    assert got.real == pytest.approx([-1.0, 1.0], abs=1e-6)
