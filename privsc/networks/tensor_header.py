"""The header of a safetensors file, checked against the file's own size before anything is allocated.

length (8 bytes, little-endian) | JSON: name → dtype, shape, data_offsets; __metadata__ | the tensors, end to end
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

SIZES = {"F16": 2, "F32": 4}
"""Types that are read, and their bytes a value."""
MAX_HEADER = 1 << 20  # [bytes]
MAX_TENSORS = 4096
MAX_RANK = 6  # dimensions of a tensor
MAX_TEXT = 10_000  # [characters] of one entry of the metadata


class TensorError(ValueError):
    """Bytes that are no safetensors file of ours; the message says why, in a few words."""


@dataclass(frozen=True)
class TensorFile:
    """What a header says.

    Attributes:
        metadata: text by name.
        shapes: of every tensor, by its name.
        dtypes: "F16" or "F32", by name.
    """

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]


def read_header(data: bytes) -> TensorFile:
    """The header of a safetensors file whose tensors fill the rest of it exactly, without gap or overlap.

    Raises:
        TensorError: for anything else.
    """
    if len(data) < 8:
        raise TensorError(f"a tensor file has at least 8 bytes; got {len(data)}")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(MAX_HEADER, len(data) - 8):
        raise TensorError(f"a header has at most {min(MAX_HEADER, len(data) - 8)} bytes here; it names {length}")
    try:
        head = json.loads(data[8 : 8 + length], object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TensorError(f"the header is not JSON ({type(error).__name__})") from error
    if not isinstance(head, dict) or len(head) > MAX_TENSORS + 1:
        raise TensorError(f"the header must be an object of at most {MAX_TENSORS} tensors")
    metadata = head.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) and len(v) <= MAX_TEXT for v in metadata.values()):
        raise TensorError(f"the metadata must be texts of at most {MAX_TEXT} characters")
    spans, shapes, dtypes = [], {}, {}
    for name, said in head.items():
        dtypes[name], shapes[name], span = _tensor(name, said)
        spans.append(span)
    end = 0
    for begin, last in sorted(spans):
        if begin != end:
            raise TensorError(f"tensors must lie end to end; one begins at byte {begin} instead of {end}")
        end = last
    if end != len(data) - 8 - length:
        raise TensorError(f"the tensors take {end} bytes, the file holds {len(data) - 8 - length}")
    return TensorFile(metadata, shapes, dtypes)


def _tensor(name: str, said: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """(dtype, shape, span in the data) of one entry."""
    if not isinstance(said, dict) or set(said) != {"dtype", "shape", "data_offsets"}:
        raise TensorError(f"{name[:80]!r} must have dtype, shape and data_offsets")
    dtype, shape, span = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise TensorError(f"{name[:80]!r} must be of {' or '.join(SIZES)}")
    if not _whole(shape) or not _whole(span) or len(shape) > MAX_RANK or len(span) != 2:
        raise TensorError(f"{name[:80]!r} must have a shape of at most {MAX_RANK} whole numbers and two offsets")
    if span[1] - span[0] != math.prod(shape) * SIZES[dtype]:
        raise TensorError(f"{name[:80]!r} takes another number of bytes than its shape")
    return dtype, tuple(shape), (span[0], span[1])


def _whole(value: Any) -> bool:
    """Whether a value is a short list of numbers that fit in a file."""
    small = isinstance(value, list) and len(value) <= 16
    return small and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 40 for n in value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
