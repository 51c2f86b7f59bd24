"""Adapters as bytes."""

import json
import struct

import torch
from safetensors.torch import load, save

from privsc.networks.adapters import ordered


def test_the_same_tensors_and_metadata_are_the_same_bytes():
    tensors = {"b": torch.arange(6).half(), "a": torch.ones(2, 3)}
    metadata = {name: name * 3 for name in ("rank", "targets", "model", "x", "y", "z")}
    written = {ordered(save(tensors, metadata)) for _ in range(20)}
    assert len(written) == 1
    (data,) = written
    back = load(data)
    assert set(back) == {"a", "b"}
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    assert list(json.loads(data[8 : 8 + length])["__metadata__"]) == ["model", "rank", "targets", "x", "y", "z"]
