"""PNG files from pixels, without a library: the radio side has none it could count on.

Source: W3C Recommendation, Portable Network Graphics, 3rd ed., sections 5 (chunks) and 9 (filter type 0).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np


def encode(image: np.ndarray) -> bytes:
    """[H, W, 3] uint8 to a PNG file."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image must be [H, W, 3] uint8, got {image.dtype} {list(image.shape)}")
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
