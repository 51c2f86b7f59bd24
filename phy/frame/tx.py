"""Transmitter: frames as bytes to frames as channel symbols, one sample a symbol.

    headers [F] ──pack──► bits ──convolutional code, QPSK──scrambling──┐
    training (known) [64] ─────────────────────────────────────────────┼─► frame symbols [F, 64 + 396 + M n] complex64
    bodies [F, P + 4] ──k-bit messages──► codec ──phase scrambling─────┘

The phase scrambling multiplies each payload symbol by a known power of j: a run of equal bytes (a removed region is
one) then has a flat spectrum, and Euclidean distances, so the codec's cost-aware labels, stay what they were.
"""

from __future__ import annotations

import functools

import numpy as np

from phy.codec import convcode
from phy.codec.codec import Codec
from phy.codec.packing import bytes_to_messages, messages_per_bytes
from phy.frame.frame import CRC_BYTES, HEADER_BYTES, Header, add_crc

TRAINING_SYMBOLS = 64
HEADER_SYMBOLS = convcode.coded_length(8 * HEADER_BYTES) // 2
OVERHEAD_SYMBOLS = TRAINING_SYMBOLS + HEADER_SYMBOLS


@functools.cache
def training_sequence() -> np.ndarray:
    """[64] complex64, unit amplitude: a Zadoff-Chu sequence of root 25."""
    index = np.arange(TRAINING_SYMBOLS)
    return np.exp(-1j * np.pi * 25 * index**2 / TRAINING_SYMBOLS).astype(np.complex64)


@functools.lru_cache(maxsize=16)
def scrambling(length: int) -> np.ndarray:
    """[length] complex64, powers of j from a multiplicative hash of the position (the same with every numpy)."""
    state = np.arange(1, length + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.array([1, 1j, -1, -1j], np.complex64)[(state >> np.uint64(62)).astype(np.intp)]


def payload_symbols(payload_bytes: int, codec: Codec) -> int:
    """Symbols of one frame's payload and its CRC."""
    return messages_per_bytes(payload_bytes + CRC_BYTES, codec.k) * codec.n


def modulate_headers(packed: np.ndarray) -> np.ndarray:
    """packed headers [F, 24] uint8 to [F, 396] complex64: rate 1/4 code, Gray QPSK, scrambled (most fields
    are zero: unscrambled they would be one tone)."""
    coded = convcode.encode(np.unpackbits(packed, axis=1))  # [F, 792]
    signs = (1.0 - 2.0 * coded).astype(np.float32) * np.float32(np.sqrt(0.5))
    return signs.view(np.complex64) * scrambling(HEADER_SYMBOLS)


def header_bits(symbols: np.ndarray) -> np.ndarray:
    """Inverse of ``modulate_headers``: symbols [F, 396] complex to packed headers [F, 24] uint8, soft decoded."""
    soft = np.ascontiguousarray(symbols * scrambling(HEADER_SYMBOLS).conj(), np.complex64).view(np.float32)
    return np.packbits(convcode.decode(soft, 8 * HEADER_BYTES), axis=1)


def modulate_payloads(bodies: np.ndarray, codec: Codec) -> np.ndarray:
    """bodies [F, P + 4] uint8 to scrambled payload symbols [F, M n] complex64."""
    symbols = codec.encode(bytes_to_messages(bodies, codec.k)).reshape(len(bodies), -1)
    return symbols * scrambling(symbols.shape[1])


def modulate(headers: list[Header], payloads: np.ndarray, codec: Codec) -> np.ndarray:
    """Headers and their payloads [F, P] uint8 to frame symbols [F, L] complex64, mean energy 1."""
    packed = np.frombuffer(b"".join(header.pack() for header in headers), np.uint8).reshape(-1, HEADER_BYTES)
    payload = modulate_payloads(add_crc(payloads), codec)
    return with_training(np.concatenate([modulate_headers(packed), payload], axis=1))


def with_training(data: np.ndarray) -> np.ndarray:
    """Header and payload symbols [F, B] to frame symbols [F, 64 + B] complex64."""
    return np.concatenate([np.broadcast_to(training_sequence(), (len(data), TRAINING_SYMBOLS)), data], axis=1)
