"""A frame as it was received, and its payload's messages: one demapping, or several repetitions combined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phy.codec.codec import Codec, codec_with_id
from phy.codec.packing import messages_to_bytes
from phy.frame.frame import CRC_BYTES, Header, crc_ok
from phy.frame.tx import scrambling


@dataclass(frozen=True)
class ReceivedFrame:
    """A frame whose header is valid.

    body: [P + 4] uint8, payload and CRC as decided; start: sample index; snr_db: [dB] after combining; symbols: [M n]
    complex64 equalised payload, still scrambled: of head frames, for combining repetitions, of features, and of bursts.
    """

    header: Header
    body: np.ndarray
    crc_ok: bool
    start: int
    snr_db: float
    symbols: np.ndarray | None = None

    @property
    def payload(self) -> np.ndarray:
        """[P] uint8."""
        return self.body[:-CRC_BYTES]


def demodulate_payloads(symbols: np.ndarray, codec: Codec, payload_bytes: int) -> np.ndarray:
    """Equalised payload symbols [F, M n], still scrambled, to bodies [F, P + 4] uint8."""
    codewords = (symbols * scrambling(symbols.shape[1]).conj()).reshape(len(symbols), -1, codec.n)
    return messages_to_bytes(codec.demap(codewords), codec.k, payload_bytes + CRC_BYTES)


def combine_repetitions(frames: list[ReceivedFrame]) -> ReceivedFrame:
    """Repetitions of one head frame, each with its symbols, to one frame decided on their SNR-weighted mean."""
    best = max(frames, key=lambda frame: frame.snr_db)
    codec = codec_with_id(best.header.codec_id)
    kept = [frame.symbols for frame in frames if frame.symbols is not None]
    if codec is None or len(kept) != len(frames) or len({symbols.shape for symbols in kept}) != 1:
        return best
    weights = np.array([10 ** (frame.snr_db / 10) for frame in frames], np.float32)
    stack = np.stack(kept)
    mean = np.tensordot(weights / weights.sum(), stack, axes=1)[None]  # [1, M n]
    body = demodulate_payloads(mean.astype(np.complex64), codec, best.header.payload_bytes)
    snr_db = float(10 * np.log10(weights.sum()))
    return ReceivedFrame(best.header, body[0], bool(crc_ok(body)[0]), best.start, snr_db, mean[0])
