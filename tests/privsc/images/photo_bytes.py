"""Encoded photographs of kinds that no library writes as it stands."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def saved(image: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deep_png(samples: np.ndarray, *extra: bytes) -> bytes:
    """16-bit PNG of [H, W] or [H, W, 2 to 4] uint16."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if samples.ndim == 2 else samples.shape[2]]
    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks before its pixels."""
    return png[:33] + b"".join(chunks) + png[33:]


def tiff(samples: np.ndarray, orientation: int = 1, **options: object) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, extratags=[(274, "H", 1, orientation, True)], **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def ycck(cmyk: np.ndarray) -> bytes:
    """JPEG of YCCK as Adobe writes it: inks inverted, transform 2. cmyk: [H, W, 4] uint8, 255 is full ink."""
    ycc = np.asarray(Image.fromarray(np.ascontiguousarray(cmyk[:, :, :3])).convert("YCbCr"))
    stored = np.dstack([255 - ycc, cmyk[:, :, 3]])
    data = bytearray(saved(Image.frombytes("CMYK", stored.shape[1::-1], stored.tobytes()), "JPEG", quality=98))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def bomb_exif() -> bytes:
    """An EXIF block of 5000 rows that all point at the same 20 kB: 100 MB."""
    rows = b"".join(struct.pack("<HHLL", 0x8000 + n, 7, 20_000, 8) for n in range(5000))
    return (b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + rows + bytes(4))[:65_000]
