"""Short packets: a fixed number of bytes, no header, an outer code over the learned codec's messages.

    payload [F, P] ──CRC-32──► messages ──OuterCode──► codec ──scrambling──► data symbols [F, L]        (and back)

The receiver knows the size, so preamble, pilots and coded payload are all there is. The default carries 72 bytes in 708
channel uses, 1439 samples at 2 samples per symbol: 155 messages of 8 bits, each 4 complex uses of the codec ``ae8x4``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from phy.codec.codec import shipped
from phy.codec.outer import OuterCode
from phy.errors import FrameError
from phy.frame.coded import decode_if_hopeful, descrambled_posteriors
from phy.frame.frame import CRC_BYTES, add_crc, crc_ok
from phy.frame.tx import scrambling
from phy.modem.burst import Layout

SHORT_LAYOUT = Layout(spacing=27)


class ShortHeader(NamedTuple):
    """What every frame of the format has in common."""

    payload_bytes: int
    codec: str


class ShortFormat:
    """A ``FrameFormat`` of fixed frames. payload_bytes: P; total: messages of a frame, outer code included."""

    header_symbols = 0

    def __init__(self, payload_bytes: int = 72, total: int = 155, codec: str = "ae8x4") -> None:
        self.codec = shipped(codec)
        if self.codec.k != 8:
            raise FrameError(f"short frames need a codec of 8 bits a message, {codec} has {self.codec.k}")
        if not 1 <= payload_bytes <= 2048:
            raise FrameError(f"payload_bytes must be 1 to 2048, got {payload_bytes}")
        self.payload_bytes = payload_bytes
        self.outer = OuterCode(8, payload_bytes + CRC_BYTES, total)
        self.data_symbols = total * self.codec.n
        self.look_ahead = self.data_symbols
        self._header = ShortHeader(payload_bytes, f"{codec}+outer")

    def modulate(self, payloads: np.ndarray) -> np.ndarray:
        """payloads [F, P] uint8 to data symbols [F, data_symbols] complex64."""
        payloads = np.asarray(payloads)
        if payloads.ndim != 2 or payloads.shape[1] != self.payload_bytes or payloads.dtype != np.uint8:
            shape = list(payloads.shape)
            raise FrameError(f"payloads must be [F, {self.payload_bytes}] uint8, got {payloads.dtype} of shape {shape}")
        messages = self.outer.encode(add_crc(payloads))
        symbols = self.codec.encode(messages).reshape(len(payloads), -1)
        return symbols * scrambling(self.data_symbols)

    def read_headers(self, symbols: np.ndarray, noise: np.ndarray) -> tuple[list[Any], list[str | None], np.ndarray]:
        frames = len(symbols)
        return [self._header] * frames, [None] * frames, np.empty((frames, 0), np.complex64)

    def payload_symbols(self, header: ShortHeader) -> int:
        return self.data_symbols

    def group(self, header: ShortHeader) -> tuple[int | str, ...]:
        return header

    def read_payloads(
        self, headers: list[Any], symbols: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        posteriors = descrambled_posteriors(symbols, noise, self.codec)
        bodies, held = decode_if_hopeful(self.outer, posteriors, noise)
        bodies = bodies.astype(np.uint8)
        return bodies, held & crc_ok(bodies)

    def codec_name(self, header: ShortHeader) -> str:
        return header.codec
