"""Low-rank adapters of U_theta (Hu et al. 2021): what personalisation adds for one entity, as bytes in K."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load, save

from privsc.errors import DatabaseError, Notice
from privsc.networks.tensor_header import TensorError, TensorFile, read_header

NAME = "entity"
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_in", "conv_out")

MAX_RANK = 64
"""Of an adapter; Algorithm 2 trains 8."""


def attach(unet: UNet2DConditionModel, rank: int, targets: tuple[str, ...] = TARGETS) -> list[torch.nn.Parameter]:
    """Add a fresh adapter of ``rank`` to the network and return its parameters; everything else is frozen."""
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets)), adapter_name=NAME)
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


def detach(unet: UNet2DConditionModel) -> None:
    """Take the adapter off again: the network is the generic one."""
    unet.unload_lora()
    unet._hf_peft_config_loaded = False


def to_bytes(unet: UNet2DConditionModel, rank: int, identity: str, targets: tuple[str, ...] = TARGETS) -> bytes:
    """The attached adapter in fp16, equal adapters to equal bytes; ``identity`` names the model it was trained on."""
    state = get_peft_model_state_dict(unet, adapter_name=NAME)
    metadata = {"rank": str(rank), "targets": json.dumps(targets), "model": identity}
    return ordered(save({name: value.half().contiguous() for name, value in state.items()}, metadata))


def ordered(data: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the library writes them in an order that is another every time."""
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    text = json.dumps({**head, "__metadata__": dict(sorted(head["__metadata__"].items()))}, separators=(",", ":"))
    text += " " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    return struct.pack("<Q", len(text)) + text.encode() + data[8 + length :]


@dataclass(frozen=True)
class Head:
    """What an adapter says of itself: its rank, the layers that it adapts, the model (None where it does not say)."""

    rank: int
    targets: tuple[str, ...]
    model: str | None


def read_head(adapter: bytes) -> Head:
    """The head of an adapter; the file is checked against its own size, its rank and layers against what we train.

    Raises:
        DatabaseError: where the bytes are no adapter.
    """
    return _read(adapter)[0]


def _read(adapter: bytes) -> tuple[Head, TensorFile]:
    try:
        file = read_header(adapter)
        said = file.metadata
        rank, targets = int(said["rank"]), json.loads(said["targets"])
    except (KeyError, ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, TensorError) else type(error).__name__
        raise DatabaseError(f"an adapter in K is damaged ({why}); enrol the entity again") from error
    if not 1 <= rank <= MAX_RANK:
        raise DatabaseError(f"an adapter in K must have rank 1 to {MAX_RANK}; got {rank}: enrol the entity again")
    known = isinstance(targets, list) and 1 <= len(targets) <= len(TARGETS) and all(t in TARGETS for t in targets)
    if not known:
        raise DatabaseError("an adapter in K is for layers that this program does not adapt; enrol the entity again")
    return Head(rank, tuple(targets), said.get("model")), file


def expected_shapes(unet: UNet2DConditionModel, rank: int, targets: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of an adapter of ``rank`` for this network, by name, without making one."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in unet.named_modules():
        if not any(name == target or name.endswith(f".{target}") for target in targets):
            continue
        down: tuple[int, ...]
        up: tuple[int, ...]
        if isinstance(layer, torch.nn.Linear):
            down = (rank, layer.in_features)
            up = (layer.out_features, rank)
        elif isinstance(layer, torch.nn.Conv2d):
            down = (rank, layer.in_channels // layer.groups, *layer.kernel_size)
            up = (layer.out_channels, rank, 1, 1)
        else:
            continue
        shapes[f"{name}.lora_A.weight"], shapes[f"{name}.lora_B.weight"] = down, up
    return shapes


def fits(adapter: bytes | None, identity: str, name: str) -> bytes | None:
    """The adapter where it was made for the model ``identity``; None, with a notice, where for another one.

    An adapter without a model's name is taken as one of privsc-mini.
    """
    if adapter is None:
        return None
    made_for = read_head(adapter).model
    if made_for == identity or (made_for is None and identity.startswith("privsc-mini")):
        return adapter
    warnings.warn(
        f"{name}: the adapter in K was made for {made_for or 'privsc-mini'}, not for {identity}; painting without it "
        "(enrol the entity again with the options of this run)",
        Notice,
        stacklevel=2,
    )
    return None


@contextmanager
def applied(unet: UNet2DConditionModel, adapter: bytes | None) -> Iterator[None]:
    """The network with an entity's adapter for the length of a block; with None, the generic network.

    Raises:
        DatabaseError: where the bytes are not an adapter of this network.
    """
    if adapter is None:
        yield
        return
    head, file = _read(adapter)
    if file.shapes != expected_shapes(unet, head.rank, head.targets):
        raise DatabaseError("an adapter in K is of another U_theta; enrol the entity again")
    try:
        tensors = load(adapter)
    except (ValueError, SafetensorError) as error:
        raise DatabaseError(f"an adapter in K is damaged ({type(error).__name__}); enrol the entity again") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise DatabaseError("an adapter in K holds values that are not finite; enrol the entity again")
    attach(unet, head.rank, head.targets)
    try:
        try:
            outcome = set_peft_model_state_dict(unet, {n: t.float() for n, t in tensors.items()}, adapter_name=NAME)
        except RuntimeError as error:
            raise DatabaseError("an adapter in K is of another U_theta; enrol the entity again") from error
        if outcome.unexpected_keys:
            raise DatabaseError("an adapter in K is of another U_theta; enrol the entity again")
        yield
    finally:
        detach(unet)
