"""Text embeddings as state bytes: i as a vector on the air, where an error bends it and does not break it.

    i [d] ──one byte a value, 128 for 0──► learned codec, no CRC that could drop it ──► bytes ──mean over copies──► î
    î ──cosine similarity──► the nearest entity of K

A wrong message of the codec for pictures is a byte of nearly the right value, so noise on the channel is noise on î.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from privsc.errors import PayloadError
from privsc.knowledge.entity import Entity

COPIES = 2
"""One before the picture and one behind it: in different frames."""
NOBODY = 0
"""Stands among indices, which begin at 1, where an embedding means no entity."""
RANGE = 4.0
"""Largest value on the air, in units of 1 / sqrt(d): what four standard deviations of a value are."""


def to_bytes(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Embeddings [n, d] of unit norm to bytes [n, d]: a value v becomes 128 + 127 v sqrt(d) / RANGE, rounded."""
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise PayloadError(f"embeddings must be [n, d] finite numbers; got {vectors.shape}")
    scaled = 127 / RANGE * np.sqrt(vectors.shape[1]) * vectors
    return np.clip(np.rint(128 + scaled), 1, 255).astype(np.uint8)


def from_bytes(copies: NDArray[np.uint8], ok: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Received bytes [c, n, d] and which of them arrived to î [n, d] of unit norm; zeros where nothing arrived."""
    values = (copies.astype(np.float32) - 128) * ok
    mean = values.sum(axis=0) / np.maximum(ok.sum(axis=0), 1)
    norm = np.linalg.norm(mean, axis=1, keepdims=True)
    return (mean / np.maximum(norm, 1e-6)).astype(np.float32)


def nearest(vectors: NDArray[np.float32], entities: Sequence[Entity]) -> tuple[int, ...]:
    """Indices of the entities of K that received embeddings [n, d] mean, each entity at most once.

    The sum of the cosine similarities is the largest possible. Embeddings of which nothing arrived, and those beyond
    the number of entities, mean nobody: they are NOBODY, so that the others keep their regions.
    """
    if not entities:
        return (NOBODY,) * len(vectors)
    arrived = np.flatnonzero(vectors.any(axis=1))
    known = np.stack([entity.text_embedding for entity in entities])  # [K, d]
    if known.shape[1] != vectors.shape[1]:
        raise PayloadError(
            f"embeddings of {vectors.shape[1]} values were received, this K has {known.shape[1]}; copy the sender's K"
        )
    rows, columns = linear_sum_assignment(-(vectors[arrived] @ known.T))
    indices = [NOBODY] * len(vectors)
    for row, column in zip(arrived[rows], columns, strict=True):
        indices[row] = entities[column].index
    return tuple(indices)
