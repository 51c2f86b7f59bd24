"""S_k decoded: the photographs and silhouettes that K keeps of an entity."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from privsc.entity import Entity
from privsc.files import decode_mask, decode_photo

Pair = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""A photograph HWC uint8 and a silhouette [H, W]."""


@lru_cache(maxsize=64)
def _decoded(photo: bytes, mask_png: bytes) -> Pair:
    return decode_photo(photo, "sample"), decode_mask(mask_png)


def sample_pairs(entity: Entity) -> list[Pair]:
    """The samples of S_k in the order of K; not to be written to."""
    return [_decoded(sample.photo, sample.mask_png) for sample in entity.samples]
