"""The state of a training in a folder: networks, average and AdamW's moments as safetensors, the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from privsc.errors import ConfigError, WeightsError
from privsc.files import atomic_path, output_folder, write_atomic

FILE = "state.json"


def save_state(
    folder: Path,
    step: int,
    network: nn.Module,
    optimisers: Mapping[str, torch.optim.Optimizer],
    settings: dict,
    history: list,
    average: EMAModel | None = None,
) -> None:
    """Write everything needed to go on; the previous state is removed only when the new one is complete.

    Args:
        folder: made when missing.
        step: steps done.
        network: all parameters and buffers are kept.
        optimisers: by a label of letters.
        settings: what `load_state` must be given again.
        history: learning curve, any JSON.
        average: moving average of the network's parameters.
    """
    output_folder(folder)
    tensors = {f"net.{name}": value.contiguous() for name, value in network.state_dict().items()}
    if average is not None:
        tensors |= {f"ema.{number}": value.contiguous() for number, value in enumerate(average.shadow_params)}
    for label, optimiser in optimisers.items():
        for number, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"opt.{label}.{number}.{key}": value.contiguous() for key, value in moments.items()}
    path = folder / f"state-{step}.safetensors"
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)
    state = {"step": step, "settings": settings, "history": history}
    write_atomic(folder / FILE, json.dumps(state).encode())
    for old in folder.glob("state-*.safetensors"):
        if old != path:
            old.unlink()


def load_state(
    folder: Path,
    network: nn.Module,
    optimisers: Mapping[str, torch.optim.Optimizer],
    settings: dict,
    average: EMAModel | None = None,
) -> tuple[int, list]:
    """Fill network, optimisers and average from ``folder``; steps done and history, (0, []) where nothing was saved.

    Raises:
        ConfigError: where the state is one of other settings.
        WeightsError: where its files are damaged.
    """
    if not (folder / FILE).is_file():
        return 0, []
    try:
        state: dict[str, Any] = json.loads((folder / FILE).read_text())
        tensors = load_file(folder / f"state-{state['step']}.safetensors")
        found = state["settings"]
    except (ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
        raise WeightsError(f"{folder}: the training's state is damaged ({type(error).__name__}); remove it") from error
    wanted = json.loads(json.dumps(settings))
    if found != wanted:
        other = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        raise ConfigError(
            f"{folder}: this training was begun with other settings ({', '.join(other)}); "
            "repeat them, or choose another --state"
        )
    try:
        network.load_state_dict({name: tensors[f"net.{name}"] for name in network.state_dict()})
        for label, optimiser in optimisers.items():
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith(f"opt.{label}."):
                    number, key = name.split(".")[2:]
                    moments.setdefault(int(number), {})[key] = value.clone()
            optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
        if average is not None:
            average.shadow_params = [tensors[f"ema.{n}"].clone() for n in range(len(average.shadow_params))]
            average.optimization_step = int(state["step"])
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{folder}: the training's state is of another network; remove it") from error
    return int(state["step"]), list(state["history"])
