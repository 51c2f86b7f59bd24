"""Heads and bodies that somebody forged: one line, and memory for what arrived, not for what was said."""

import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsc.errors import PayloadError
from privsc.hints.pose_hint import PoseHint
from privsc.transport import payload
from privsc.transport.concealment import conceal
from privsc.transport.head import MAX_PIXELS, Head
from privsc.transport.outline import decode_outline, encode_outline


def with_crc(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def peak_of(work, *args) -> int:
    """Largest memory [bytes] that Python and numpy held during a call which may be refused."""
    tracemalloc.start()
    with suppress(PayloadError):
        work(*args)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("arrived", [0, 1, 4096])
def test_a_head_of_16_million_pixels_costs_nothing_without_them(arrived):
    head = Head("pixels", 4000, 4000, 48_000_000, (1,)).to_bytes()
    with pytest.raises(PayloadError, match=rf"{arrived} bytes arrived of a picture of 4000x4000 pixels"):
        payload.decode(head, bytes(arrived))
    assert peak_of(payload.decode, head, bytes(arrived)) < 1 << 20


def test_a_large_picture_of_which_enough_arrived_is_shown():
    height, width = 1100, 1000
    head = Head("pixels", width, height, 3 * height * width, ()).to_bytes()
    sent = bytes([90]) * (height * width // 32)
    got = payload.decode(head, sent)
    assert got.image.shape == (height, width, 3) and (got.image == 90).all()
    assert got.concealed.sum() == 3 * height * width - len(sent)


@pytest.mark.parametrize("length", [0, 4 * 64 * 48 + 65_536, (1 << 32) - 1])
def test_a_coded_body_is_bounded_by_its_picture(length):
    head = bytearray(Head("webp", 64, 48, 100, ()).to_bytes()[:-4])
    head[6:10] = struct.pack("<I", length)
    if length == 4 * 64 * 48 + 65_536:  # one more than fits
        head[6:10] = struct.pack("<I", length)
    with pytest.raises(PayloadError, match="has a body of 1 to 77823 bytes; the head names"):
        Head.from_bytes(with_crc(bytes(head)))


def test_sizes_beyond_the_limit_are_refused():
    head = struct.pack("<BBHHIB", 1, 0, 65_535, 4096, 0xFFFFFFFF, 0)
    with pytest.raises(PayloadError, match=f"at most {MAX_PIXELS} pixels"):
        Head.from_bytes(with_crc(head))


def test_concealment_takes_memory_for_a_part_at_a_time():
    lost = np.ones((1500, 1500, 3), bool)
    lost[::40, ::40] = False
    peak = peak_of(conceal, np.full(lost.shape, 77, np.uint8), lost)
    assert peak < 150 << 20


def test_an_outline_takes_no_more_than_its_picture_does():
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(2 * 4000 * 4002)) + deflate.flush()
    assert len(bomb) < 65_536
    assert peak_of(decode_outline, bomb, 4000, 4000) < 300 << 20


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=300),
    sizes=st.tuples(st.integers(0, 65_535), st.integers(0, 65_535), st.integers(0, (1 << 32) - 1), st.integers(0, 255)),
    coding=st.integers(0, 5),
    version=st.integers(0, 3),
    body=st.binary(max_size=300),
)
def test_any_head_is_refused_or_decodes(data, sizes, coding, version, body):
    head = with_crc(struct.pack("<BBHHIB", version, coding, *sizes) + data)
    with suppress(PayloadError):
        got = payload.decode(head, body)
        assert got.image.shape[0] * got.image.shape[1] <= MAX_PIXELS


HINT = PoseHint(
    2, False, (1, 2, 30, 40), np.eye(2, 3, dtype=np.float32), np.zeros((2, 4, 4), np.float32),
    np.ones(3, np.float32), np.zeros(3, np.float32),
)  # fmt: skip
MASK = np.zeros((48, 64), bool)
MASK[10:30, 12:44] = True
SEEDS = [
    payload.encode(np.full((48, 64, 3), 99, np.uint8), (1, 7), mask=MASK, poses=[HINT, HINT])[0],
    payload.encode(np.full((48, 64, 3), 99, np.uint8), (3,), "jpeg", boxes=[(0, 0, 9, 9)])[0],
    payload.encode(np.full((48, 64, 3), 99, np.uint8), (), embeddings=np.eye(2, 24, dtype=np.float32))[0],
]


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    places=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=5),
    cut=st.integers(0, 40),
    body=st.binary(max_size=100),
)
def test_a_mutated_head_is_refused_or_decodes(seed, places, cut, body):
    content = bytearray(seed[:-4])
    for place, value in places:
        content[place % len(content)] = value
    with suppress(PayloadError):
        got = payload.decode(with_crc(bytes(content[: len(content) - cut])), body)
        assert got.concealed.shape == got.image.shape


@settings(max_examples=300, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    planes=st.binary(max_size=300) | st.none(),
    seed=st.integers(0, 1 << 30),
    places=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=4),
)
def test_any_outline_is_a_mask_or_one_line(shape, planes, seed, places):
    mask = np.random.default_rng(seed).random(shape) < 0.3
    raw = bytearray(zlib.decompress(encode_outline(mask), -15)) if planes is None else bytearray(planes)
    for place, value in places:
        if raw:
            raw[place % len(raw)] = value
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflate.compress(bytes(raw)) + deflate.flush()
    try:
        got = decode_outline(data, *shape)
    except PayloadError as error:
        assert "\n" not in str(error)
        return
    assert got.shape == shape and got.dtype == bool
    if planes is None and not places:
        assert np.array_equal(got, mask)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(min_size=0, max_size=80))
def test_any_hint_is_refused_or_finite(data):
    with suppress(PayloadError):
        hint = PoseHint.from_bytes(data)
        assert all(np.isfinite(part).all() for part in (hint.matrix, hint.flow, hint.gain, hint.offset))
