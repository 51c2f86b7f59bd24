"""Bytes to messages of k bits and back, most significant bit first."""

from __future__ import annotations

import numpy as np

from phy.errors import CodecError

MAX_BITS = 12


def messages_per_bytes(num_bytes: int, k: int) -> int:
    """Messages of k bits that carry num_bytes bytes."""
    return -(-8 * num_bytes // k)


def bytes_to_messages(data: np.ndarray, k: int) -> np.ndarray:
    """data [..., B] uint8 to messages [..., ceil(8B/k)] uint16, most significant bit first, zeros fill the last."""
    data = np.asarray(data, dtype=np.uint8)
    if not 1 <= k <= MAX_BITS:
        raise CodecError(f"k must be 1 to {MAX_BITS}, got {k}")
    if k == 8:
        return data.astype(np.uint16)
    count = messages_per_bytes(data.shape[-1], k)
    bits = np.zeros((*data.shape[:-1], count * k), np.uint8)
    bits[..., : 8 * data.shape[-1]] = np.unpackbits(data, axis=-1)
    wide = np.zeros((*data.shape[:-1], count, 16), np.uint8)
    wide[..., 16 - k :] = bits.reshape(*data.shape[:-1], count, k)
    pairs = np.packbits(wide, axis=-1).astype(np.uint16)  # [..., count, 2]
    return (pairs[..., 0] << 8) | pairs[..., 1]


def messages_to_bytes(messages: np.ndarray, k: int, num_bytes: int) -> np.ndarray:
    """Inverse of ``bytes_to_messages``: messages [..., N] to bytes [..., num_bytes] uint8."""
    messages = np.asarray(messages)
    if not 1 <= k <= MAX_BITS:
        raise CodecError(f"k must be 1 to {MAX_BITS}, got {k}")
    if messages.shape[-1] != messages_per_bytes(num_bytes, k):
        raise CodecError(f"{num_bytes} bytes are {messages_per_bytes(num_bytes, k)} messages, got {messages.shape[-1]}")
    if k == 8:
        return messages.astype(np.uint8)
    words = messages.astype(">u2")[..., None].view(np.uint8)  # [..., N, 2]
    bits = np.unpackbits(words, axis=-1)[..., 16 - k :]
    flat = bits.reshape(*messages.shape[:-1], -1)[..., : 8 * num_bytes]
    return np.packbits(flat, axis=-1)
