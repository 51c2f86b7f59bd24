"""What crosses between a flowgraph and the worker: a JSON header and raw buffers, in one ZMQ multipart message.

    [header, buffer, buffer, ...]     header: {"privsc": 1, "id": 7, "op": "guard", "params": {...},
                                               "buffers": [{"name": "image", "dtype": "uint8", "shape": [300, 451, 3]}]}
    [header, buffer, ...]   answer:   {"privsc": 1, "id": 7, "ok": true, "result": {...}, "buffers": [...]}
    [header]                refusal:  {"privsc": 1, "id": 7, "ok": false, "error": "busy", "message": "..."}

Nothing is ever evaluated or unpickled. Both interpreters import this module: Python's own library and numpy only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VERSION = 1
MAX_HEADER = 64 * 1024  # [bytes]
MAX_BUFFERS = 16
MAX_BUFFER = 64 * 1024 * 1024  # [bytes]
MAX_PART = MAX_BUFFER  # [bytes]; ZMQ itself ends a connection that sends a larger one (MAXMSGSIZE)
MAX_MESSAGE = 4 * MAX_BUFFER  # [bytes] of all parts
DTYPES = ("uint8", "bool", "float32")

# Why a request was not served: the values of "error" in a refusal and the keys of the worker's counters.
MALFORMED, VERSION_ERROR, TOO_LARGE, UNKNOWN, ROLE, BUSY, FAILED = ERRORS = (
    "malformed", "version", "too_large", "unknown_op", "role", "busy", "failed",
)  # fmt: skip


class WireError(Exception):
    """A message that is not of this format; ``cause`` is one of ``ERRORS``, ``request`` its id where it can be read."""

    def __init__(self, cause: str, message: str, request: int | None = None):
        super().__init__(message)
        self.cause, self.request = cause, request


@dataclass(frozen=True)
class Message:
    """A decoded message. header: without its buffers; buffers: name to array, read-only views of what was received."""

    header: dict[str, Any]
    buffers: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def id(self) -> int:
        return self.header["id"]


def encode(header: Mapping[str, Any], buffers: Mapping[str, np.ndarray | bytes] | None = None) -> list[bytes]:
    """Header fields and named buffers (bytes, or arrays of uint8, bool or float32) to the parts of a message."""
    described, parts = [], []
    for name, value in (buffers or {}).items():
        array = np.frombuffer(value, np.uint8) if isinstance(value, bytes | bytearray) else np.ascontiguousarray(value)
        if array.dtype.name not in DTYPES:
            raise WireError(MALFORMED, f"buffer {name} must be one of {', '.join(DTYPES)}; got {array.dtype}")
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape)})
        parts.append(array.tobytes())
    whole = {"privsc": VERSION, **header, "buffers": described}
    return [json.dumps(whole, allow_nan=False).encode(), *parts]


def decode(parts: Sequence[bytes]) -> Message:
    """Parts of a message to its header and buffers; whatever `encode` would not have made raises WireError."""
    if not parts:
        raise WireError(MALFORMED, "an empty message")
    if len(parts) > 1 + MAX_BUFFERS:
        raise WireError(MALFORMED, f"a message has a header and at most {MAX_BUFFERS} buffers; got {len(parts)} parts")
    if sum(map(len, parts)) > MAX_MESSAGE:
        raise WireError(TOO_LARGE, f"a message has at most {MAX_MESSAGE} bytes; got {sum(map(len, parts))}")
    if len(parts[0]) > MAX_HEADER:
        raise WireError(TOO_LARGE, f"a header has at most {MAX_HEADER} bytes; got {len(parts[0])}")
    try:
        header = json.loads(parts[0], parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(MALFORMED, f"the header is not JSON ({type(error).__name__})") from error
    if not isinstance(header, dict):
        raise WireError(MALFORMED, f"the header must be a JSON object; got {type(header).__name__}")
    number = header.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**53:
        raise WireError(MALFORMED, "the header needs an id, a whole number from 0 to 2^53 - 1")
    if header.get("privsc") != VERSION:
        got = header.get("privsc")
        raise WireError(VERSION_ERROR, f"this side speaks version {VERSION}; got {got!r}"[:200], number)
    try:
        return Message(header, _buffers(header.pop("buffers", None), parts[1:]))
    except WireError as error:
        raise WireError(error.cause, str(error), number) from None


def _buffers(described: Any, parts: Sequence[bytes]) -> dict[str, np.ndarray]:
    if not isinstance(described, list) or len(described) != len(parts):
        raise WireError(MALFORMED, f"buffers must be a list that describes the {len(parts)} parts (0 to {MAX_BUFFERS})")
    buffers: dict[str, np.ndarray] = {}
    for one, part in zip(described, parts, strict=True):
        if not isinstance(one, dict) or set(one) != {"name", "dtype", "shape"}:
            raise WireError(MALFORMED, "a buffer is described by name, dtype and shape")
        name, dtype, shape = one["name"], one["dtype"], one["shape"]
        if not isinstance(name, str) or name in buffers or dtype not in DTYPES:
            raise WireError(MALFORMED, f"buffers have different names and one of the types {', '.join(DTYPES)}")
        whole = isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in shape)
        if not whole or not 1 <= len(shape) <= 4 or min(shape) < 0:
            raise WireError(MALFORMED, f"shape of buffer {name[:80]} must be 1 to 4 whole numbers")
        if math.prod(max(n, 1) for n in shape) > MAX_BUFFER:  # an axis of 0 must not hide the others from the limit
            raise WireError(
                TOO_LARGE, f"a buffer has at most {MAX_BUFFER} values along its axes; {name[:80]} names more"
            )
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if max(size, len(part)) > MAX_BUFFER:
            raise WireError(TOO_LARGE, f"a buffer has at most {MAX_BUFFER} bytes; {name[:80]} names {size}")
        if size != len(part):
            raise WireError(MALFORMED, f"buffer {name[:80]} has {len(part)} bytes, its shape and type name {size}")
        array = np.frombuffer(part, np.uint8 if dtype == "bool" else dtype)
        buffers[name] = (array != 0).reshape(shape) if dtype == "bool" else array.reshape(shape)
    return buffers


def receive(socket: Any, envelope: int = 0) -> tuple[list[bytes], WireError | None]:
    """The parts of the message that waits at a ZMQ socket, and what is wrong with it.

    What exceeds the limits of a message is read, so that the next one can be, and not kept.

    Args:
        socket: with a message.
        envelope: parts in front of the header that a ROUTER adds.
    """
    parts: list[bytes] = []
    size = count = 0
    while True:
        frame = socket.recv(copy=False)
        count, size = count + 1, size + len(frame)
        within = count <= envelope + 1 + MAX_BUFFERS and size <= MAX_MESSAGE + envelope * 256
        if within:
            parts.append(frame.bytes)
        elif len(parts) > envelope:
            del parts[envelope:]
        if not frame.more:
            break
    if within and len(parts) == count:
        return parts, None
    if count > envelope + 1 + MAX_BUFFERS:
        return parts, WireError(MALFORMED, f"a message has at most {1 + MAX_BUFFERS} parts; got {count - envelope}")
    return parts, WireError(TOO_LARGE, f"a message has at most {MAX_MESSAGE} bytes; got {size}")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
