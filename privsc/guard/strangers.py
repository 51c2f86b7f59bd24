"""Photographs of nobody in K, as patch features: what a threshold must not let through.

The shipped file holds, for each of a set of photographs, a few patches that differ most from one another. Enrolment
compares a new f_k with them and puts Gamma above what strangers reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from privsc.errors import WeightsError
from privsc.networks.image_encoder import Encoder

WEIGHTS = Path(__file__).parents[1] / "weights" / "strangers.safetensors"
PATCHES = 20


def diverse_patches(patches: NDArray[np.float32], count: int = PATCHES) -> NDArray[np.float32]:
    """``count`` rows of [n, d] that are farthest from one another, starting from the one nearest the mean."""
    chosen = [int((patches @ patches.mean(0)).argmax())]
    closeness = patches @ patches[chosen[0]]
    while len(chosen) < min(count, len(patches)):
        chosen.append(int(closeness.argmin()))
        closeness = np.maximum(closeness, patches @ patches[chosen[-1]])
    return patches[chosen]


def build(encoder: Encoder, photographs: Iterable[NDArray[np.uint8]], path: Path = WEIGHTS) -> None:
    """Make the file from HWC uint8 photographs."""
    rows = [diverse_patches(encoder(photo).patches.reshape(-1, encoder.dim)) for photo in photographs]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({encoder.identity: np.stack(rows).astype(np.float16)}, path)


@lru_cache(maxsize=2)
def load_strangers(identity: str, path: Path = WEIGHTS) -> NDArray[np.float32]:
    """Patches [photographs, 20, d] float32 made with the encoder ``identity``; [0, 20, 0] where there are none."""
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(f"no file {path}: reinstall privsc or run `privsc train strangers`") from error
    except SafetensorError as error:
        raise WeightsError(f"{path} is truncated or not safetensors ({error}): restore the file") from error
    if identity not in tensors:
        return np.zeros((0, PATCHES, 0), np.float32)
    return tensors[identity].astype(np.float32)


def stranger_scores(f_k: NDArray[np.float32], strangers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Best cosine similarity of each stranger's photograph with ``f_k`` [d]: [photographs]."""
    if strangers.shape[0] == 0:
        return np.zeros(0, np.float32)
    return (strangers @ f_k).max(axis=1)
