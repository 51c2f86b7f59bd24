"""ICC profiles built byte by byte, so that what they mean is known: Display P3, linear grey, four inks."""

from __future__ import annotations

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
_TO_SRGB = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
                     [0.0719453, -0.2289914, 1.4052427]])  # fmt: skip  # XYZ under D50 (Bradford) to linear sRGB
CYAN_LAB = (60.0, -20.0, -30.0)  # of full cyan ink in `inks`


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _profile(space: bytes, pcs: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79), b"wtpt": _xyz(*D50)} | tags
    at, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI", at + len(body), bytes(4), 0x02400000) + kind + space + pcs
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*D50)
    return head.ljust(128, b"\0") + table + body


def display_p3(gamma: float | None = None) -> bytes:
    """The primaries of Display P3 under D50, with sRGB's curve as it has it or a power of ``gamma``."""
    curve = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    if gamma is not None:
        curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    tags = {
        b"rXYZ": _xyz(0.51512, 0.2412, -0.00105),
        b"gXYZ": _xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": _xyz(0.1571, 0.06657, 0.78407),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


def linear_grey() -> bytes:
    """Grey whose samples are proportional to light."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0)})


def inks() -> bytes:
    """Four inks by a table of their 16 corners: paper white, cyan `CYAN_LAB`, everything with black is black."""
    table = b""
    for corner in range(16):  # cyan changes slowest
        c, m, y, k = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        lab = (0.0, 0.0, 0.0) if k else CYAN_LAB if (c, m, y) == (1, 0, 0) else (100.0 - 25 * (c + m + y), 0.0, 0.0)
        table += bytes((round(lab[0] * 2.55), round(lab[1] + 128), round(lab[2] + 128)))
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + table + ramp * 3
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut, b"A2B1": lut})


def encoded_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB in 0 to 1 to uint8 samples (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.rint(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)).astype(
        np.uint8
    )


def lab_to_srgb(lab: tuple[float, float, float]) -> np.ndarray:
    """CIE Lab under D50 to sRGB uint8."""
    y = (lab[0] + 16) / 116
    f = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    xyz = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return encoded_srgb(_TO_SRGB @ xyz)
