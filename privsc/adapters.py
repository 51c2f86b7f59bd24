"""Low-rank adapters of U_theta (Hu et al. 2021): what personalisation adds for one entity, as bytes in K."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load, save

from privsc.errors import DatabaseError

NAME = "entity"
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_in", "conv_out")


def attach(unet: UNet2DConditionModel, rank: int) -> list[torch.nn.Parameter]:
    """Add a fresh adapter of ``rank`` to the network and return its parameters; everything else is frozen."""
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(TARGETS)), adapter_name=NAME)
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


def detach(unet: UNet2DConditionModel) -> None:
    """Take the adapter off again: the network is the generic one."""
    unet.delete_adapters(NAME)
    unet._hf_peft_config_loaded = False


def to_bytes(unet: UNet2DConditionModel, rank: int) -> bytes:
    """The attached adapter in fp16."""
    state = get_peft_model_state_dict(unet, adapter_name=NAME)
    metadata = {"rank": str(rank), "targets": json.dumps(TARGETS)}
    return save({name: value.half().contiguous() for name, value in state.items()}, metadata)


def _rank(adapter: bytes) -> int:
    (length,) = struct.unpack("<Q", adapter[:8])
    return int(json.loads(adapter[8 : 8 + length])["__metadata__"]["rank"])


@contextmanager
def applied(unet: UNet2DConditionModel, adapter: bytes | None) -> Iterator[None]:
    """The network with an entity's adapter for the length of a block; with None, the generic network.

    Raises:
        DatabaseError: where the bytes are not an adapter of this network.
    """
    if adapter is None:
        yield
        return
    try:
        rank, tensors = _rank(adapter), load(adapter)
    except (struct.error, KeyError, ValueError, SafetensorError) as error:
        raise DatabaseError(f"an adapter in K is damaged ({type(error).__name__}); enrol the entity again") from error
    attach(unet, rank)
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
