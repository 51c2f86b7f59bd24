"""Which files are photographs, and how one is opened: a fixed list of decoders, and no metadata but what pixels need.

Before a decoder sees a JPEG or a PNG all blocks are dropped that do not say how its pixels look, so that texts, maker
notes, previews and further pictures can neither take memory nor reach a parser. Of EXIF the orientation alone is read,
by this module. The tables of a TIFF, and of the EXIF block in an AVIF, must not claim more bytes than the file has.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image

DECODERS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "PPM")
"""Pillow's decoders that a photograph may reach; HEIF is pillow-heif's."""
PHOTO_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif", ".hif", ".bmp", ".dib",
    ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pnm",
})  # fmt: skip
MAX_ICC = 4 * 1024 * 1024  # [bytes]; profiles of printers have up to 3 MB
MAX_BLOCKS = 200_000  # chunks of a PNG, segments of a JPEG
MAX_BURIED = 16  # EXIF blocks in an AVIF
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"})
_JPEG_DROPPED = frozenset({0xE1, 0xED, 0xFE})  # EXIF and XMP, Photoshop, comment
_ALIEN = (
    (b"%PDF", "a PDF"), (b"%!PS", "a PostScript file"), (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"8BPS", "a Photoshop file"), (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"\x01\x00\x09\x00", "a Windows metafile"), (b"\x00\x05\x16\x07", "the macOS companion of a file"),
    (b"\xff\x0a", "a JPEG XL file"), (b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"), (b"FUJIFILM", "a raw file"), (b"SIMPLE  =", "a FITS file"),
    (b"v/1\x01", "an OpenEXR file"), (b"#?RADIANCE", "a Radiance file"), (b"PK\x03\x04", "an archive"),
    (b"<svg", "an SVG drawing"), (b"<?xml", "an XML file"), (b"<!DOCTYPE html", "a web page"),
    (b"<html", "a web page"),
)  # fmt: skip
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


class Unreadable(Exception):
    """A photograph that is not read: the reason and the remedy, without the name of the file."""


@dataclass(frozen=True)
class Facts:
    """What a file says about its pixels.

    Attributes:
        orientation: EXIF's, 1 to 8.
        icc: colour profile, None without one (or with one that is too large or cannot be unpacked).
        significant: bits of a sample that carry something, where the file says it (PNG's sBIT).
        deep: colour samples of more than 8 bits, which Pillow would cut.
    """

    orientation: int = 1
    icc: bytes | None = None
    significant: int | None = None
    deep: bool = False


def foreign(data: bytes) -> str | None:
    """What the file is, where it is none of ours and its beginning says so."""
    return next((what for magic, what in _ALIEN if data.startswith(magic)), None)


def slimmed(data: bytes) -> tuple[bytes, Facts]:
    """The file without what its pixels do not need, and what it says about them.

    Raises:
        Unreadable: where its blocks or tables are hostile or broken.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _slim_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _slim_png(data)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_tables(data)
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        _check_buried_tables(data)
    return data, Facts()


def open_image(data: bytes) -> Image.Image:
    """Open with one of `DECODERS`; nothing is decoded yet.

    Raises:
        Unreadable: a HEIC file where pillow-heif is not installed.
        PIL.UnidentifiedImageError: for what none of them reads.
    """
    if data[4:8] == b"ftyp" and (data[8:12] in _HEIF_BRANDS or b"heic" in data[16:64]) and not _heif():
        raise Unreadable("HEIC is read by pillow-heif, which is not installed; install privsc again or give a JPEG")
    Image.preinit()
    Image.init()
    return Image.open(io.BytesIO(data), formats=[name for name in DECODERS if name in Image.OPEN])


@cache
def _heif() -> bool:
    """Make Pillow read HEIC; whether it can. Only called for such files: the import takes time."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True


def orientation_of(exif: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 where the block does not hold one. Reads the first table's 12-byte rows only."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (rows,) = struct.unpack_from(f"{order}H", exif, start)
        for row in range(rows):
            tag, kind, _, value = struct.unpack_from(f"{order}HHLH", exif, start + 2 + 12 * row)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:  # cut short
        pass
    return 1


def _slim_jpeg(data: bytes) -> tuple[bytes, Facts]:
    """A JPEG without EXIF, XMP, comments, Photoshop's block and the index of further pictures (MPO)."""
    kept, at, orientation = [data[:2]], 2, 1
    for _ in range(MAX_BLOCKS):
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if data[at : at + 1] != b"\xff":
            raise Unreadable("the image is damaged (no JPEG marker where one must be); give an intact file")
        marker = data[at + 1] if at + 1 < len(data) else 0xDA
        if marker in (0xDA, 0xD9):  # the scan: all the rest
            return b"".join([*kept, data[at:]]), Facts(orientation)
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 4 or at + length > len(data):
            raise Unreadable("the image is damaged (a JPEG segment is cut short); give an intact file")
        body = data[at + 4 : at + length]
        if marker == 0xE1 and orientation == 1 and body.startswith(b"Exif\0\0"):
            orientation = orientation_of(body)
        if marker not in _JPEG_DROPPED and not (marker == 0xE2 and not body.startswith(b"ICC_PROFILE\0")):
            kept.append(data[at : at + length])
        at += length
    raise Unreadable(f"more than {MAX_BLOCKS} JPEG segments; give the file as a camera wrote it")


def _slim_png(data: bytes) -> tuple[bytes, Facts]:
    """A PNG of its critical chunks and tRNS."""
    kept, at = [data[:8]], 8
    orientation, icc, significant = 1, None, None
    for _ in range(MAX_BLOCKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        body = data[at + 8 : end - 4]
        if kind in _PNG_KEPT or end > len(data):  # Pillow says what is wrong with a cut one
            kept.append(data[at:end])
        elif kind == b"eXIf":
            orientation = orientation_of(body)
        elif kind == b"iCCP":
            icc = _unpacked(body.partition(b"\0")[2][1:])
        elif kind == b"sBIT" and body:
            significant = max(body)
        if kind == b"IEND" or end >= len(data):
            deep = len(data) > 25 and data[24] == 16 and data[25] in (2, 4, 6)
            return b"".join(kept), Facts(orientation, icc, significant, deep)
        at = end
    raise Unreadable(f"more than {MAX_BLOCKS} PNG chunks; save it again")


def _unpacked(packed: bytes) -> bytes | None:
    """A deflated profile, None where it is broken or of more than `MAX_ICC` bytes."""
    unpack = zlib.decompressobj()
    try:
        plain = unpack.decompress(packed, MAX_ICC)
    except zlib.error:
        return None
    return plain if unpack.eof else None


def _check_tables(data: bytes | memoryview) -> None:
    """Refuse a TIFF whose first table, or a table of EXIF in it, claims more bytes than there are (overlaps)."""
    left, seen = [0], 0
    while left:
        start = left.pop()
        claimed, inner = 0, []
        for tag, size, value in _rows(data, start):
            claimed += size if size <= len(data) else 0  # more cannot be read, and is not
            inner += [value] if tag in (34665, 34853, 40965) else []
        seen += 1
        if claimed > len(data) or seen > 16:
            raise Unreadable("its tables claim more bytes than the file has; save it again without metadata")
        left += inner


def _rows(data: bytes | memoryview, start: int) -> Iterator[tuple[int, int, int]]:
    """(tag, bytes of its value, value or offset) of one TIFF table; start 0 stands for the first."""
    order, big = ("<" if data[:2] == b"II" else ">"), data[2:4] in (b"+\0", b"\0+")
    row, count = (f"{order}HHQQ", f"{order}Q") if big else (f"{order}HHLL", f"{order}H")
    width = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
    try:
        if start == 0:
            (start,) = struct.unpack_from(f"{order}Q", data, 8) if big else struct.unpack_from(f"{order}L", data, 4)
        (rows,) = struct.unpack_from(count, data, start)
        at = start + struct.calcsize(count)
        for number in range(min(rows, 65_536)):
            tag, kind, length, value = struct.unpack_from(row, data, at + number * struct.calcsize(row))
            yield tag, length * width.get(kind, 1), value if kind in (4, 13, 16, 18) else 0
    except (struct.error, OverflowError):  # the table ends where the file ends
        return


def _check_buried_tables(data: bytes) -> None:
    """The same for EXIF blocks inside another file, wherever they lie."""
    whole, found = memoryview(data), 0
    for magic in (b"II*\0", b"MM\0*"):
        at = data.find(magic)
        while at >= 0:
            found += 1
            if found > MAX_BURIED:
                raise Unreadable(f"holds more than {MAX_BURIED} blocks of EXIF; save it again without metadata")
            _check_tables(whole[at:])
            at = data.find(magic, at + 4)
