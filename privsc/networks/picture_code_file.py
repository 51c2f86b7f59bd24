"""The picture code's file: networks as float16, the linear code and the 256 points as float32, in one safetensors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from privsc.compute import initial_values
from privsc.errors import PrivscError, WeightsError
from privsc.files import atomic_path
from privsc.networks.picture_code import PictureCode, PictureCodeConfig
from privsc.networks.picture_mixing import Points

FORMAT = "picture-code-1"
DIGEST_BYTES = 4
MAX_BYTES = 64 << 20
_EXACT = ("mean", "basis", "energies")


@dataclass(frozen=True)
class PictureCodeFile:
    """What is needed to send and to receive: networks, the points of a message, digest of the file [4 bytes]."""

    model: PictureCode
    points: Points
    digest: bytes


def save_picture_code(path: Path, model: PictureCode, points: Points) -> None:
    """Write networks and points; half a file is never left behind."""
    tensors = {
        f"net.{name}": (value.detach().float() if name in _EXACT else value.detach().half()).contiguous()
        for name, value in model.state_dict().items()
    }
    tensors["points"] = torch.view_as_real(torch.from_numpy(points.codebook.astype(np.complex64))).contiguous()
    tensors["prior"] = torch.from_numpy(points.prior.astype(np.float32))
    about = {"format": FORMAT, "config": json.dumps(asdict(model.config)), "rounding": repr(points.rounding)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=about)


def load_picture_code(path: Path) -> PictureCodeFile:
    """Read a picture code, on the processor and in float32.

    Raises:
        WeightsError: no file, a damaged one, or one of another format.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; give a picture code's safetensors")
    if path.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{path}: {path.stat().st_size} bytes are more than a picture code's limit of {MAX_BYTES}")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about.get("format") != FORMAT:
            raise WeightsError(f"{path}: is not a {FORMAT} file; give a picture code's safetensors")
        config = PictureCodeConfig(**json.loads(about["config"]))
        exact = [tensors[f"net.{name}"].float() for name in _EXACT]
        with initial_values(0):  # which the file then replaces
            model = PictureCode(config, *exact)
        model.load_state_dict({name: tensors[f"net.{name}"].float() for name in model.state_dict()})
        if not all(torch.isfinite(value).all() for value in model.state_dict().values()):
            raise WeightsError(f"{path}: the picture code holds NaN or Inf; get the file again")
        codebook = torch.view_as_complex(tensors["points"].float()).numpy()
        points = Points(codebook, tensors["prior"].float().numpy(), float(about["rounding"]))
    except WeightsError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError, PrivscError) as error:
        raise WeightsError(
            f"{path}: the picture code is damaged ({type(error).__name__}); get the file again"
        ) from error
    return PictureCodeFile(model.eval(), points, _digest(about["config"], tensors))


def _digest(config: str, tensors: dict[str, torch.Tensor]) -> bytes:
    """Of what the file says, whatever the order in which it says it."""
    found = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].contiguous().numpy().tobytes())
    return found.digest()[:DIGEST_BYTES]
