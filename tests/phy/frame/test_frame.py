"""Headers, interleaving and CRCs as bytes."""

import struct
import zlib

import numpy as np
import pytest

from phy.errors import FrameError
from phy.frame import frame
from phy.frame.frame import FrameRefused, Header, Kind

HEADER = Header(Kind.BODY, 18, 7, 3, 10, 9_995, b"databas1")


def resealed(raw: bytes, position: int, value: bytes) -> bytes:
    """The header bytes with a field overwritten and a CRC that matches again."""
    fields = bytearray(raw[:20])
    fields[position : position + len(value)] = value
    return bytes(fields) + struct.pack(">I", zlib.crc32(bytes(fields)))


def test_header_round_trip():
    raw = HEADER.pack()
    assert len(raw) == frame.HEADER_BYTES
    assert Header.unpack(raw) == HEADER
    assert HEADER.payload_bytes == 1000


@pytest.mark.parametrize("bit", range(8 * frame.HEADER_BYTES))
def test_any_single_wrong_bit_is_refused(bit):
    raw = bytearray(HEADER.pack())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameRefused) as refused:
        Header.unpack(bytes(raw))
    assert refused.value.cause == "header_crc"


@pytest.mark.parametrize(
    ("position", "value", "cause"),
    [
        (0, b"\xf2", "version"),
        (0, b"\x1f", "kind"),
        (4, struct.pack(">H", 10), "impossible_length"),  # sequence == count
        (6, struct.pack(">H", 0), "impossible_length"),  # count 0
        (8, struct.pack(">I", 0), "impossible_length"),  # nothing at all
        (8, struct.pack(">I", 0xFFFFFFFF), "impossible_length"),  # above MAX_TOTAL
        (8, struct.pack(">I", 10 * 4096 + 1), "impossible_length"),  # payload above MAX_PAYLOAD
        (8, struct.pack(">I", 9), "impossible_length"),  # ten frames for nine bytes
    ],
)
def test_impossible_headers_are_refused_by_cause(position, value, cause):
    with pytest.raises(FrameRefused) as refused:
        Header.unpack(resealed(HEADER.pack(), position, value))
    assert refused.value.cause == cause
    assert cause in frame.CAUSES


def test_random_headers_never_raise_anything_else():
    rng = np.random.default_rng(0)
    for raw in rng.integers(0, 256, (3000, 24)).astype(np.uint8):
        with pytest.raises(FrameRefused):
            Header.unpack(raw.tobytes())
        with pytest.raises(FrameRefused):  # and with a valid CRC: version 1 is 1 in 16 of them, then length decides
            Header.unpack(resealed(raw.tobytes(), 0, b"\x20"))
    with pytest.raises(FrameRefused, match="a header is 24 bytes, got 5"):
        Header.unpack(b"short")


@pytest.mark.parametrize("length", [1, 2, 3, 255, 1024, 1025, 99_991, 196_608])
def test_interleaver_is_a_permutation(length):
    assert np.array_equal(np.sort(frame.interleaver(length)), np.arange(length))


@pytest.mark.parametrize(("length", "width"), [(196_608, 1024), (600_000, 1024), (1_179_648, 1000), (60_001, 1017)])
def test_a_lost_frame_is_scattered(length, width):
    lost = np.sort(frame.interleaver(length)[5 * width : 6 * width])
    gaps = np.diff(lost)
    assert gaps.min() > 0.2 * length / width
    assert gaps.max() < 3 * length / width


@pytest.mark.parametrize(("length", "width"), [(1, 1), (1000, 1), (1000, 7), (1024, 1024), (1025, 1024), (5000, 4096)])
def test_split_and_join(length, width):
    data = np.random.default_rng(length).integers(0, 256, length).astype(np.uint8).tobytes()
    payloads = frame.split(data, width)
    headers = frame.headers_for(payloads, length, kind=Kind.HEAD, codec_id=1, image_id=2, k_digest=b"12345678rest")
    assert all(h.payload_bytes == payloads.shape[1] <= width and h.k_digest == b"12345678" for h in headers)
    got, ok = frame.join(payloads, np.ones(len(payloads), bool), length)
    assert got == data and ok.all()


def test_join_zeroes_and_marks_what_was_lost():
    data = bytes([255]) * 5000
    payloads = frame.split(data, 500)
    present = np.ones(len(payloads), bool)
    present[4] = False
    got, ok = frame.join(payloads, present, len(data))
    assert np.count_nonzero(~ok) == 500
    assert np.array_equal(np.frombuffer(got, np.uint8) == 255, ok)


def test_crc_of_every_row():
    payloads = np.random.default_rng(1).integers(0, 256, (20, 64)).astype(np.uint8)
    bodies = frame.add_crc(payloads)
    assert bodies[0, -4:].tobytes() == struct.pack(">I", zlib.crc32(payloads[0].tobytes()))
    assert frame.crc_ok(bodies).all()
    bodies[7, 12] ^= 1
    assert np.flatnonzero(~frame.crc_ok(bodies)).tolist() == [7]


def test_what_cannot_be_framed():
    with pytest.raises(FrameError, match="at least 1 byte is needed"):
        frame.split(b"", 100)
    with pytest.raises(FrameError, match="payload_bytes must be 1 to 4096, got 5000"):
        frame.split(b"x", 5000)
    with pytest.raises(FrameError, match="the limit is 65535"):
        frame.split(bytes(70_000), 1)
    with pytest.raises(FrameError, match="k_digest must be at least 8 bytes, got 3"):
        frame.short_digest(b"abc")
    with pytest.raises(FrameError, match="image_id must be 0 to 65535, got 65536"):
        Header(Kind.BODY, 1, 65536, 0, 1, 1, bytes(8))
