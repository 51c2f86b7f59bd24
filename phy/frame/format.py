"""What the burst modem carries: formats turn decided symbols into frames. The modem knows symbols, a format knows
bytes.

    header symbols [F, H] ──read_headers──► headers, and the header symbols as they were sent (training for the payload)
    payload symbols [F, L] ──read_payloads──► bodies [F, P + 4], CRC verdicts
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from phy.codec.codec import Codec
from phy.errors import FrameError
from phy.frame.coded import OUTER_SUFFIX, coded_symbols, demodulate_coded, meant, modulate_coded
from phy.frame.frame import CRC_BYTES, HEADER_BYTES, FrameRefused, Header, add_crc, crc_ok
from phy.frame.received import demodulate_payloads
from phy.frame.tx import HEADER_SYMBOLS, header_bits, modulate_headers, modulate_payloads, payload_symbols


class FrameFormat(Protocol):
    """header_symbols: H, may be 0 where every frame is the same. look_ahead: data symbols, header included, over which
    the pilots are looked at before a header is believed (at least H; all of a frame that has no header)."""

    header_symbols: int
    look_ahead: int

    def read_headers(self, symbols: np.ndarray, noise: np.ndarray) -> tuple[list[Any], list[str | None], np.ndarray]:
        """symbols [F, H], noise [F] variance, to (headers, None where refused; causes of refusal; [F, H] as sent)."""
        ...

    def payload_symbols(self, header: Any) -> int:
        """Payload symbols L that follow this header."""
        ...

    def group(self, header: Any) -> tuple:
        """Frames of one group are demapped together: equal L, equal codec."""
        ...

    def read_payloads(
        self, headers: list[Any], symbols: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """One group: symbols [F, L], noise [F], to (bodies [F, P + 4] uint8, CRC right [F] bool)."""
        ...

    def codec_name(self, header: Any) -> str: ...


def data_symbols(headers: list[Header], payloads: np.ndarray, codec: Codec, coded: bool) -> np.ndarray:
    """Headers and their payloads [F, P] uint8 in this codec, with the outer code or without, to data symbols [F, H + L]
    complex64."""
    packed = np.frombuffer(b"".join(header.pack() for header in headers), np.uint8).reshape(-1, HEADER_BYTES)
    payload = (modulate_coded if coded else modulate_payloads)(add_crc(payloads), codec)
    return np.concatenate([modulate_headers(packed), payload], axis=1)


class ImageFormat:
    """The frames of ``phy.frame.frame``: coded header of 24 bytes, payload in the header's codec, CRC-32.

    The header's codec id names a shipped codec; with ``coded.OUTER_FLAG`` its payload also has the outer code.
    """

    header_symbols = HEADER_SYMBOLS
    look_ahead = HEADER_SYMBOLS

    def modulate(self, headers: list[Header], payloads: np.ndarray) -> np.ndarray:
        """Headers of one codec and their payloads [F, P] uint8 to data symbols [F, H + L] complex64."""
        if len({(h.codec_id, h.payload_bytes) for h in headers}) != 1 or len(headers) != len(payloads):
            raise FrameError("headers must name one codec and one payload length, one header for each payload")
        return data_symbols(headers, payloads, *self._codec(headers[0]))

    def read_headers(
        self, symbols: np.ndarray, noise: np.ndarray
    ) -> tuple[list[Header | None], list[str | None], np.ndarray]:
        packed = header_bits(symbols)
        headers: list[Header | None] = []
        causes: list[str | None] = []
        for raw in packed:
            header, cause = None, None
            try:
                header = Header.unpack(raw.tobytes())
                if meant(header.codec_id)[0] is None:
                    header, cause = None, "unknown_codec"
            except FrameRefused as refused:
                cause = refused.cause
            headers.append(header)
            causes.append(cause)
        return headers, causes, modulate_headers(packed)

    def payload_symbols(self, header: Header) -> int:
        codec, coded = self._codec(header)
        if coded:
            return coded_symbols(header.payload_bytes + CRC_BYTES, codec)
        return payload_symbols(header.payload_bytes, codec)

    def group(self, header: Header) -> tuple:
        return (header.codec_id, header.payload_bytes)

    def read_payloads(
        self, headers: list[Header], symbols: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        (codec, coded), size = self._codec(headers[0]), headers[0].payload_bytes
        if coded:
            bodies = demodulate_coded(symbols, noise, codec, size + CRC_BYTES)
        else:
            bodies = demodulate_payloads(symbols, codec, size)
        return bodies, crc_ok(bodies)

    def codec_name(self, header: Header) -> str:
        codec, coded = self._codec(header)
        return codec.name + (OUTER_SUFFIX if coded else "")

    @staticmethod
    def _codec(header: Header) -> tuple[Codec, bool]:
        """The header's codec, and whether its payload has the outer code."""
        codec, coded = meant(header.codec_id)
        if codec is None:
            raise FrameRefused("unknown_codec", f"no codec has id {header.codec_id}")
        return codec, coded
