"""One format everywhere: the samples in memory, those of the frame encoder block and those of a SigMF recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phy.link import Link
from tests.flowgraphs.blocks.test_blocks import SETUP
from tests.flowgraphs.radio import script

sigmf = pytest.importorskip("sigmf")
pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")

BLOCK = (
    SETUP
    + """
codec, target = sys.argv[1:]
encoder, sink = blocks.frame_encoder(codec, 700, 3, tail=5000), grb.file_sink(8, target, False)
tb = gr.top_block()
tb.connect(encoder, sink)
message, _ = payload(4001, 9, seed=2)
tb.start()
post(encoder, "payload", message)
assert until(lambda: encoder.counts["images"] == 1)
samples = encoder.waveform.count(encoder.framing.image(b"a head", bytes(4001), 9, bytes(32)).groups)
assert until(lambda: encoder.nitems_written(0) == samples + 5000)
tb.stop(); tb.wait()
sink.close()
print(json.dumps({"samples": samples}))
"""
)


def transmitted(codec: str) -> tuple[Link, object]:
    link = Link(codec=codec, channel="external", payload_bytes=700, head_repeats=3)
    body = np.random.default_rng(2).integers(0, 256, 4001, dtype=np.uint8).tobytes()
    return link, link.transmitter().send(b"a head", body, image_id=9, k_digest=bytes(range(32)))


def record(path: Path, samples: np.ndarray) -> None:
    """Write a SigMF recording as the specification has it."""
    data = path.with_suffix(".sigmf-data")
    if not data.exists():
        samples.tofile(data)
    meta = sigmf.SigMFFile(data_file=str(data), global_info={"core:datatype": "cf32_le", "core:sample_rate": 1e6})
    meta.add_capture(0)
    meta.tofile(str(path.with_suffix(".sigmf-meta")))


def recorded(path: Path) -> np.ndarray:
    meta = sigmf.sigmffile.fromfile(str(path.with_suffix(".sigmf-meta")))  # checks the hash of the samples
    assert meta.get_global_field("core:datatype") == "cf32_le"
    return np.asarray(meta.read_samples())


@pytest.mark.parametrize("codec", ["image8x4", "ae8x4+outer"])
def test_memory_block_and_recording_hold_equal_samples(codec: str, tmp_path: Path) -> None:
    link, sent = transmitted(codec)
    assert sent.iq.dtype == np.complex64
    count = script(BLOCK, codec, str(tmp_path / "block.sigmf-data"))["samples"]
    record(tmp_path / "memory", sent.iq)
    record(tmp_path / "block", np.empty(0))  # GNU Radio's file sink has written the samples
    from_memory, from_block = recorded(tmp_path / "memory"), recorded(tmp_path / "block")
    assert count == len(sent.iq) and np.array_equal(from_memory, sent.iq)
    assert np.array_equal(from_block[:count], sent.iq) and not from_block[count:].any()
    heard = link.receiver().receive(from_block).best(bytes(range(32)))
    assert heard.body == sent.body and heard.head == b"a head" and heard.body_crc_ok
