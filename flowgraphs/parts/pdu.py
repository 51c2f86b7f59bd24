"""PDUs of our blocks: a dictionary of plain values and a vector of bytes (u8) or samples (c32).

What the ports carry (keys; vector):

    photo     image_id, name; the encoded file                                          image source → guard
    image     image_id, height, width, what; [H W 3] pixels                             guard, recovery → sinks
    payload   image_id, k_digest (bytes), head (bytes), coding; body                    guard → frame encoder
    sent      image_id, frames_sent, body_frames, channel_uses, samples, codec; empty   frame encoder → report
    frame     header fields, crc_ok, snr_db, cfo, clock_ppm, evm_db, start; [P + 4]     frame receiver → assembler
    received  image_id, k_digest, head, arrived and exact (packed bits), counts; body   assembler → recovery
    seen      image_id, figures, received and concealed; [H W 3] pixels of Ŝ            recovery → report
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pmt

_intern = functools.cache(pmt.intern)  # of names, of which there are few

Value = bool | int | float | str | bytes | np.ndarray | None


def make(meta: dict[str, Value], vector: bytes | np.ndarray = b"") -> Any:
    """A PDU; vector: bytes, [n] uint8 or [n] complex64; values of meta that are bytes or arrays become u8 or c32."""
    pairs = pmt.make_dict()
    for name, value in meta.items():
        pairs = pmt.dict_add(pairs, _intern(name), _to_pmt(value))
    return pmt.cons(pairs, _vector(vector))


def split(message: Any) -> tuple[dict[str, Value], np.ndarray] | None:
    """(meta, vector) of a PDU of bytes or complex samples; None for anything else, which a block must not trust."""
    if not pmt.is_pair(message) or not pmt.is_dict(pmt.car(message)):
        return None
    vector = _from_pmt(pmt.cdr(message))
    if not isinstance(vector, np.ndarray):
        return None
    meta = {}
    items = pmt.dict_items(pmt.car(message))
    while pmt.is_pair(items):
        pair, items = pmt.car(items), pmt.cdr(items)
        if pmt.is_symbol(pmt.car(pair)):
            meta[pmt.symbol_to_string(pmt.car(pair))] = _from_pmt(pmt.cdr(pair))
    return meta, vector


def pack_flags(flags: np.ndarray) -> np.ndarray:
    """[n] bool to [ceil(n / 8)] uint8."""
    return np.packbits(flags)


def unpack_flags(packed: np.ndarray, count: int) -> np.ndarray:
    """Inverse of ``pack_flags`` for n = count."""
    return np.unpackbits(packed, count=count).astype(bool)


def _vector(value: bytes | np.ndarray) -> Any:
    array = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.ascontiguousarray(value).reshape(-1)
    if array.dtype == np.complex64:
        return pmt.init_c32vector(len(array), array.tolist())  # of an array each element is converted by itself
    if array.dtype != np.uint8:
        raise TypeError(f"a PDU carries uint8 or complex64, got {array.dtype}")
    return pmt.init_u8vector(len(array), array.tolist())


def _to_pmt(value: Value) -> Any:
    if isinstance(value, bytes | np.ndarray):
        return _vector(value)
    if value is None:
        return pmt.PMT_NIL
    if isinstance(value, bool | np.bool_):
        return pmt.from_bool(bool(value))
    if isinstance(value, int | np.integer):
        return pmt.from_long(int(value))
    if isinstance(value, float | np.floating):
        return pmt.from_double(float(value))
    if isinstance(value, str):
        return pmt.intern(value)
    raise TypeError(f"a PDU's value must be plain, got {type(value).__name__}")


def _from_pmt(value: Any) -> Value:
    if pmt.is_bool(value):
        return pmt.to_bool(value)
    if pmt.is_integer(value):
        return pmt.to_long(value)
    if pmt.is_uint64(value):
        return pmt.to_uint64(value)
    if pmt.is_real(value):
        return pmt.to_double(value)
    if pmt.is_symbol(value):
        return pmt.symbol_to_string(value)
    if pmt.is_u8vector(value):
        return np.frombuffer(bytes(pmt.u8vector_elements(value)), np.uint8)
    if pmt.is_c32vector(value):
        return np.array(pmt.c32vector_elements(value), np.complex64)
    return None
