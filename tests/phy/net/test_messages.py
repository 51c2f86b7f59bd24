"""Hostile messages: bounded before anything is kept, and always a WireError."""

import json
import tracemalloc

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from phy.net import messages
from phy.net.messages import WireError

GOOD = messages.encode(
    {"id": 7, "op": "guard", "params": {"a": 1}}, {"image": np.zeros((3, 4, 3), np.uint8), "f": np.zeros(3, bool)}
)


def described(shape: object, dtype: object = "uint8", name: object = "x") -> bytes:
    return json.dumps({"privsc": 1, "id": 2, "buffers": [{"name": name, "dtype": dtype, "shape": shape}]}).encode()


@pytest.mark.parametrize(
    ("shape", "dtype", "cause"),
    [
        ([0, 10**30], "uint8", "too_large"),
        ([0, 2**40, 2**40, 2**40], "uint8", "too_large"),
        ([0, 2**27], "bool", "too_large"),
        ([2**63, 0], "float32", "too_large"),
        ([-1, 0], "uint8", "malformed"),
        ([0] * 5, "uint8", "malformed"),
        ([0.0], "uint8", "malformed"),
        ([False], "uint8", "malformed"),
        ([], "uint8", "malformed"),
        ([0], "object", "malformed"),
        ([0], ["uint8"], "malformed"),
        ([0], ">f4", "malformed"),
        ([0], "uint8,(1000000000,)uint8", "malformed"),
    ],
)
def test_an_empty_part_may_not_claim_anything(shape, dtype, cause):
    with pytest.raises(WireError) as caught:
        messages.decode([described(shape, dtype), b""])
    assert caught.value.cause == cause and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_an_empty_buffer_within_the_limits_is_read():
    assert messages.decode([described([0, 640, 3]), b""]).buffers["x"].shape == (0, 640, 3)


def test_parts_are_counted_before_they_are_read():
    with pytest.raises(WireError, match="at most 16 buffers; got 1001 parts"):
        messages.decode([GOOD[0], *[b"x"] * 1000])


@pytest.mark.parametrize("count", [17, 200])
def test_parts_beyond_the_limit_are_not_kept(count):
    context = zmq.Context()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    try:
        router.bind("inproc://parts")
        dealer.connect("inproc://parts")
        part = bytes(1 << 20)
        dealer.send_multipart([GOOD[0], *[part] * count], copy=False)
        dealer.send_multipart(GOOD)
        assert router.poll(10_000)
        tracemalloc.start()
        parts, wrong = messages.receive(router, envelope=1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert wrong is not None and wrong.cause == "malformed" and f"got {count + 1}" in str(wrong)
        assert len(parts) == 1 and peak < 20 << 20  # the envelope alone is left
        parts, wrong = messages.receive(router, envelope=1)  # the next message is whole
        assert wrong is None and parts[1:] == GOOD
    finally:
        context.destroy(linger=0)


def test_bytes_beyond_the_limit_are_not_kept(monkeypatch):
    monkeypatch.setattr(messages, "MAX_MESSAGE", 1 << 20)
    context = zmq.Context()
    one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    try:
        one.bind("inproc://bytes")
        other.connect("inproc://bytes")
        other.send_multipart([GOOD[0], *[bytes(1 << 19)] * 3])
        parts, wrong = messages.receive(one)
        assert parts == [] and wrong is not None and wrong.cause == "too_large"
        with pytest.raises(WireError, match="at most 1048576 bytes"):
            messages.decode([GOOD[0], *[bytes(1 << 19)] * 3])
    finally:
        context.destroy(linger=0)


ATOMS = st.sampled_from([
    0, -1, 1, 2**31, 2**53, 2**63, 10**30, 1.5, 1e308, True, None, "uint8", "bool", "float32", "object", [], {}, [0],
    [0, 10**30], [1, 2, 3, 4, 5], "", "x" * 300, "\ud800", [[1]], {"name": "a"},
])  # fmt: skip
JSON = st.recursive(ATOMS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=4))
FIELDS = st.sampled_from(["privsc", "id", "op", "params", "buffers", "name", "dtype", "shape"])


@settings(max_examples=500, deadline=None)
@given(
    changes=st.lists(st.tuples(FIELDS, JSON), max_size=3),
    place=st.integers(0, 1),
    parts=st.lists(st.binary(max_size=40), max_size=18) | st.none(),
)
def test_any_message_is_read_or_refused(changes, place, parts):
    header = json.loads(GOOD[0])
    for name, value in changes:
        if name in ("name", "dtype", "shape"):
            if isinstance(header.get("buffers"), list) and len(header["buffers"]) > place:
                one = header["buffers"][place]
                if isinstance(one, dict):
                    one[name] = value
        else:
            header[name] = value
    message = [json.dumps(header).encode(), *(GOOD[1:] if parts is None else parts)]
    try:
        read = messages.decode(message)
    except WireError as error:
        assert error.cause in messages.ERRORS and "\n" not in str(error)
        str(error).encode("utf-8", "backslashreplace")
    else:
        assert sum(array.nbytes for array in read.buffers.values()) <= sum(map(len, message[1:]))


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_refused(parts):
    with pytest.raises(WireError):
        messages.decode(parts)
