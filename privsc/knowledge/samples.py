"""S_k: the photographs and silhouettes that K keeps of an entity, decoded; and which photographs are among them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privsc.errors import EntityError
from privsc.images.photo_io import decode_mask, decode_photo, strip_photo
from privsc.knowledge.entity import Entity, Sample

Pair = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""A photograph HWC uint8 and a silhouette [H, W]."""


MAX_SAMPLE_PIXELS = 1 << 21  # of one sample; enrolment stores at most 640 x 640


@lru_cache(maxsize=64)
def _decoded(photo: bytes, mask_png: bytes, name: str) -> Pair:
    image = decode_photo(photo, f"a photograph of {name} in K", max_pixels=MAX_SAMPLE_PIXELS)
    size = (image.shape[1], image.shape[0])
    return image, decode_mask(mask_png, f"a silhouette of {name} in K", size)


def sample_pairs(entity: Entity) -> list[Pair]:
    """The samples of S_k in the order of K; not to be written to.

    Raises:
        PhotoError: for what enrolment would not have stored: no photograph, one that is too large, a silhouette of
            another size.
    """
    return [_decoded(sample.photo, sample.mask_png, entity.name) for sample in entity.samples]


def other_samples(entity: Entity, photo: bytes, name: str) -> tuple[Sample, ...]:
    """S_k without the photograph of that file's contents, if it is in it; ``name`` is for error messages."""
    kept = strip_photo(photo, name)
    return tuple(sample for sample in entity.samples if sample.photo != kept)


def check_test(entity: Entity, path: Path) -> None:
    """Refuse to test with a photograph that is in S_k.

    Raises:
        EntityError: where it is.
    """
    if len(other_samples(entity, path.read_bytes(), str(path))) < len(entity.samples):
        raise EntityError(
            f"{entity.name}: K holds {path.name}, the photograph of the test; enrol all but the last one in a new K"
        )
