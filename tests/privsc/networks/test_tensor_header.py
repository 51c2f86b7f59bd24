"""Adapters that somebody else has written: refused by their headers, before anything is allocated."""

import json
import struct
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load, save

from privsc.errors import DatabaseError
from privsc.networks import adapters
from privsc.networks.tensor_header import TensorError, read_header

GOOD = save({"a": torch.zeros(3, 4).half(), "b": torch.ones(5)}, {"rank": "8"})


def file(head: object, tail: bytes = b"") -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + tail


def test_a_good_file_is_read():
    read = read_header(GOOD)
    assert read.shapes == {"a": (3, 4), "b": (5,)} and read.dtypes == {"a": "F16", "b": "F32"}
    assert read.metadata == {"rank": "8"}


def one(**changes: object) -> dict:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "at least 8 bytes"),
        (struct.pack("<Q", 1 << 62) + b"{}", "at most 2 bytes here; it names 4611686018427387904"),
        (file(b"[" * 100_000), "not JSON"),
        (file(b'{"a": NaN}'), "not JSON"),
        (file(b'{"a": 1, "a": 2}'), "not JSON"),
        (file([1]), "must be an object"),
        (file({str(k): 0 for k in range(5000)}), "at most 4096 tensors"),
        (file({"__metadata__": {"rank": 8}}), "must be texts"),
        (file({"__metadata__": {"rank": "8" * 10_001}}), "must be texts"),
        (file({"a": 1}), "must have dtype"),
        (file(one(dtype="U8"), bytes(8)), "must be of F16 or F32"),
        (file(one(shape=[1 << 31, 1 << 31]), bytes(8)), "another number of bytes"),
        (file(one(shape=[1 << 41]), bytes(8)), "whole numbers"),
        (file(one(shape=[-2]), bytes(8)), "whole numbers"),
        (file(one(shape=[0] * 7), bytes(8)), "whole numbers"),
        (file(one(shape=[True, 2]), bytes(8)), "whole numbers"),
        (file(one(data_offsets=[8, 0]), bytes(8)), "another number of bytes"),
        (file(one(data_offsets=[8, 16]), bytes(16)), "begins at byte 8 instead of 0"),
        (file(one(), bytes(4)), "take 8 bytes, the file holds 4"),
        (file(one(), bytes(12)), "take 8 bytes, the file holds 12"),
        (file({**one(), "b": one()["a"]}, bytes(8)), "begins at byte 0 instead of 8"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(data, match):
    with pytest.raises(TensorError, match=match):
        read_header(data)


@settings(max_examples=400, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, len(GOOD)),
)
def test_mutations_are_refused_or_load(places, cut):
    data = bytearray(GOOD)
    for place, value in places:
        data[place] = value
    data = bytes(data[:cut]) if cut else bytes(data)
    try:
        read = read_header(data)
    except TensorError:
        return
    with suppress(SafetensorError):  # the library may refuse more (an alignment), never less memory
        assert {name: tuple(t.shape) for name, t in load(data).items()} == read.shapes


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(32, 64), cross_attention_dim=16,
        attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


def made(unet: UNet2DConditionModel, rank: int, targets: tuple[str, ...] = adapters.TARGETS) -> bytes:
    adapters.attach(unet, rank, targets)
    try:
        return adapters.to_bytes(unet, rank, "privsc-mini:0123", targets)
    finally:
        adapters.detach(unet)


@pytest.mark.parametrize("targets", [adapters.TARGETS, ("to_q", "to_k", "to_v", "to_out.0"), ("conv_in",)])
def test_the_expected_shapes_are_those_of_a_trained_adapter(unet, targets):
    data = made(unet, 4, targets)
    assert read_header(data).shapes == adapters.expected_shapes(unet, 4, targets)
    with adapters.applied(unet, data):
        pass


def claimed(rank: object, targets: object = adapters.TARGETS) -> bytes:
    """200 bytes that say they are an adapter."""
    return file({"__metadata__": {"rank": str(rank), "targets": json.dumps(targets), "model": "privsc-mini:0123"}})


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (claimed(200_000), "must have rank 1 to 64; got 200000"),
        (claimed(0), "must have rank 1 to 64; got 0"),
        (claimed("1" * 5000), "damaged"),
        (claimed(4, ["nothing_is_called_so"]), "layers that this program does not adapt"),
        (claimed(4, ["to_q"] * 9), "layers that this program does not adapt"),
        (claimed(4, [["to_q"]]), "layers that this program does not adapt"),
        (claimed(4, 7), "layers that this program does not adapt"),
        (claimed(64), "of another U_theta"),
        (b"adapter bytes", "damaged"),
    ],
)
def test_a_small_adapter_cannot_ask_for_gigabytes(unet, data, match):
    tracemalloc.start()
    with pytest.raises(DatabaseError, match=match), adapters.applied(unet, data):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    assert not any("lora" in name for name, _ in unet.named_modules())


def test_values_that_are_not_finite_are_refused(unet):
    data = bytearray(made(unet, 1, ("conv_in",)))
    data[-2:] = np.float16(np.nan).tobytes()
    with pytest.raises(DatabaseError, match="not finite"), adapters.applied(unet, bytes(data)):
        pass
