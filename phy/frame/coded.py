"""Payloads with the outer code: what a frame uses where the plain codec would lose it (fading, SNR below the codec's
own).

    bodies [F, B] ──messages──► blocks [F, b, K] ──OuterCode──► [F, b, N] ──block by block, in turn──► codec ──► symbols

Rate about 1/2. A header says so with ``OUTER_FLAG`` in its codec id. All blocks of a frame take turns on air, so a fade
that hits a few symbols hits all of them a little.
"""

from __future__ import annotations

import functools

import numpy as np

from phy.codec.codec import Codec, codec_with_id, opened
from phy.codec.outer import OuterCode
from phy.codec.packing import bytes_to_messages, messages_per_bytes, messages_to_bytes
from phy.errors import CodecError
from phy.frame.tx import scrambling

OUTER_FLAG = 0x80  # of the header's codec id
OUTER_SUFFIX = "+outer"  # of a codec's name
_BLOCK = 128  # information messages of a block at most
_CODES = 16  # codes that are kept
_HOPELESS = 1.5  # noise per symbol (-1.8 dB) at which no payload of any codec can be decoded


def sizes(num_bytes: int, k: int) -> tuple[int, int, int]:
    """(information messages of a block, its coded messages, blocks) for a body of num_bytes; costs nothing."""
    if not 2 <= k <= 8:
        raise CodecError(f"the outer code needs a codec of 2 to 8 bits a message, got {k}")
    messages = messages_per_bytes(num_bytes, k)
    blocks = -(-messages // _BLOCK)
    info = max(8, -(-messages // blocks))
    return info, 2 * info + 2, blocks


@functools.lru_cache(maxsize=_CODES)
def _code(k: int, info: int, total: int) -> OuterCode:
    """Some 20 ms and 1 MiB each, so few are kept: a picture needs two."""
    return OuterCode(k, info, total)


def plan(num_bytes: int, k: int) -> tuple[OuterCode, int]:
    """(code of one block, blocks) for a body of num_bytes."""
    info, total, blocks = sizes(num_bytes, k)
    return _code(k, info, total), blocks


def named(name: str) -> tuple[Codec, bool]:
    """The codec of a name (or path), and whether the name ends in "+outer" and so asks for the outer code."""
    plain = name.removesuffix(OUTER_SUFFIX)
    codec = opened(plain)
    if plain != name and not 2 <= codec.k <= 8:
        raise CodecError(f"codec {plain!r}: the outer code needs 2 to 8 bits a message, got {codec.k}")
    return codec, plain != name


def meant(codec_id: int) -> tuple[Codec | None, bool]:
    """What a header's codec id means: (codec, None where it means none; with the outer code)."""
    codec = codec_with_id(codec_id)
    if codec is not None or not codec_id & OUTER_FLAG:
        return codec, False
    codec = codec_with_id(codec_id & ~OUTER_FLAG)
    return (codec if codec is not None and 2 <= codec.k <= 8 else None), True


def coded_symbols(num_bytes: int, codec: Codec) -> int:
    """Symbols of a coded body of num_bytes."""
    _, total, blocks = sizes(num_bytes, codec.k)
    return total * blocks * codec.n


def modulate_coded(bodies: np.ndarray, codec: Codec) -> np.ndarray:
    """bodies [F, B] uint8 to scrambled symbols [F, coded_symbols(B)] complex64."""
    code, blocks = plan(bodies.shape[1], codec.k)
    messages = bytes_to_messages(bodies, codec.k)
    padded = np.zeros((len(bodies), blocks * code.info), np.uint16)
    padded[:, : messages.shape[1]] = messages
    words = code.encode(padded.reshape(-1, code.info)).reshape(len(bodies), blocks, code.total)
    symbols = codec.encode(words.swapaxes(1, 2)).reshape(len(bodies), -1)
    return symbols * scrambling(symbols.shape[1])


def demodulate_coded(symbols: np.ndarray, noise: np.ndarray, codec: Codec, num_bytes: int) -> np.ndarray:
    """symbols [F, L], noise [F] variance per symbol, to bodies [F, num_bytes] uint8."""
    code, blocks = plan(num_bytes, codec.k)
    likely = descrambled_posteriors(symbols, noise, codec)  # [F, N blocks, 2^k]
    likely = likely.reshape(len(symbols), code.total, blocks, -1).swapaxes(1, 2)
    messages, _ = decode_if_hopeful(code, likely.reshape(-1, code.total, likely.shape[-1]), np.repeat(noise, blocks))
    messages = messages.reshape(len(symbols), -1)[:, : messages_per_bytes(num_bytes, codec.k)]
    return messages_to_bytes(messages, codec.k, num_bytes)


def descrambled_posteriors(symbols: np.ndarray, noise: np.ndarray, codec: Codec) -> np.ndarray:
    """symbols [F, M n] as received, noise [F], to posteriors [F, M, 2^k] float32."""
    words = (symbols * scrambling(symbols.shape[1]).conj()).reshape(len(symbols), -1, codec.n)
    return np.stack([codec.posteriors(word, float(n0)) for word, n0 in zip(words, noise, strict=True)])


def decode_if_hopeful(code: OuterCode, posteriors: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``OuterCode.decode`` of the frames below the noise that no code survives; the others get single-message
    decisions."""
    messages = posteriors.argmax(axis=2)[:, : code.info].astype(np.uint16)
    held = np.zeros(len(messages), bool)
    hopeful = np.flatnonzero(noise < _HOPELESS)
    if len(hopeful):
        messages[hopeful], held[hopeful] = code.decode(posteriors[hopeful])
    return messages, held
