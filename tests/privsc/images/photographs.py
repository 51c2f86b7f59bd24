"""Photographs of every kind that people have, and what must become of each: `python -m
tests.privsc.images.photographs`."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from privsc.errors import PhotoError
from privsc.images.photo_io import decode_photo
from tests.privsc.images import profiles
from tests.privsc.images.photo_bytes import bomb_exif, chunk, deep_png, exif, saved, tiff, with_chunks, ycck

COLOURS = [(200, 60, 40), (40, 160, 80), (50, 70, 190), (230, 220, 60), (128, 128, 128), (250, 250, 250),
           (10, 10, 10), (180, 120, 90), (90, 40, 120), (60, 200, 210), (240, 150, 30), (30, 60, 50)]  # fmt: skip
BLOCK = 32  # [px]
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@dataclass(frozen=True)
class Case:
    """A file and what it must become: pixels [H, W, 3] (within 2 levels, in flat places where it is lossy), or a line
    that holds ``words``."""

    name: str
    data: bytes
    pixels: np.ndarray | None = None
    words: str = ""


def chart(height: int = 3, width: int = 4) -> np.ndarray:
    """[96, 128, 3] uint8: twelve flat colours."""
    small = np.array(COLOURS, np.uint8).reshape(height, width, 3)
    return small.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)


def _lossless() -> Iterator[Case]:
    seen = chart()
    clear = np.dstack([seen, np.full(seen.shape[:2], 255, np.uint8)])
    clear[:BLOCK, :, 3] = 0
    white = seen.copy()
    white[:BLOCK] = 255
    half = np.rint(255 + (seen.astype(float) - 255) * (128 / 255))
    grey = seen[:, :, 0]
    grey3 = grey[:, :, None].repeat(3, axis=2)
    yield Case("PNG", saved(seen, "PNG"), seen)
    yield Case("PNG named .jpg, upper case.JPG", saved(seen, "PNG"), seen)
    yield Case("palette PNG", saved(Image.fromarray(seen).quantize(32), "PNG"), seen)
    yield Case("palette GIF", saved(Image.fromarray(seen).quantize(32), "GIF"), seen)
    frames = [Image.fromarray(np.full_like(seen, 77))]
    more = {"save_all": True, "append_images": frames}
    yield Case("animated GIF", saved(Image.fromarray(seen).quantize(32), "GIF", **more), seen)
    yield Case("animated PNG", saved(seen, "PNG", **more), seen)
    yield Case("animated WebP", saved(seen, "WEBP", lossless=True, **more), seen)
    yield Case("RGBA PNG", saved(clear, "PNG"), white)
    yield Case("RGBA PNG, half", saved(np.dstack([seen, np.full(grey.shape, 128, np.uint8)]), "PNG"), half)
    yield Case("grey PNG", saved(grey, "PNG"), grey3)
    yield Case("grey PNG with opacity", saved(clear[:, :, [0, 3]], "PNG"), white[:, :, :1].repeat(3, axis=2))
    one = grey > 100
    yield Case("1-bit PNG", saved(Image.fromarray(one), "PNG"), np.uint8(one)[:, :, None].repeat(3, axis=2) * 255)
    yield Case(
        "1-bit TIFF",
        saved(Image.fromarray(one), "TIFF", compression="group4"),
        np.uint8(one)[:, :, None].repeat(3, axis=2) * 255,
    )
    yield Case("BMP", saved(seen, "BMP"), seen)
    yield Case("PPM", saved(seen, "PPM"), seen)
    yield Case("TIFF, LZW", saved(seen, "TIFF", compression="tiff_lzw"), seen)
    rows, columns = np.mgrid[:501, :37]
    thin = np.stack([rows % 256, columns * 6, (rows + columns) % 256], axis=-1).astype(np.uint8)
    yield Case("37 x 501", saved(thin, "PNG"), thin)
    yield Case("1 x 1", saved(seen[:1, :1], "PNG"), words="1x1 px are too small")


def _jpegs() -> Iterator[Case]:
    seen = chart()
    fine = {"quality": 98, "subsampling": 0}
    yield Case("JPEG .jfif", saved(seen, "JPEG", **fine), seen)
    large = seen.repeat(32, axis=0)[:3000].repeat(32, axis=1)[:, :4000]
    yield Case("JPEG of 12 megapixels", saved(large, "JPEG", **fine), large)
    yield Case("progressive JPEG .jpe", saved(seen, "JPEG", progressive=True, **fine), seen)
    yield Case("MPO", saved(seen, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))], **fine), seen)
    for turn, upright in UPRIGHT.items():
        yield Case(f"JPEG, EXIF {turn}", saved(seen, "JPEG", exif=exif(turn), **fine), upright(seen))
    inverse = 255 - seen
    cmyk = np.dstack([inverse, np.zeros(seen.shape[:2], np.uint8)])
    picture = Image.frombytes("CMYK", seen.shape[1::-1], cmyk.tobytes())
    yield Case("CMYK JPEG", saved(picture, "JPEG", quality=98), seen)
    yield Case("YCCK JPEG", ycck(cmyk), seen)
    yield Case("CMYK TIFF", saved(picture, "TIFF"), seen)
    yield Case("JPEG cut short", saved(seen, "JPEG", **fine)[:1000], words="the image is damaged")
    plain = saved(seen, "JPEG", **fine)
    segment = bomb_exif()
    block = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    yield Case("JPEG with an EXIF bomb", plain[:2] + block * 3 + plain[2:], seen)


def _turned() -> Iterator[Case]:
    seen = chart()
    register_heif_opener()
    fine = {"quality": 100, "subsampling": "4:4:4"}
    yield Case("AVIF", saved(seen, "AVIF", **fine), seen)
    yield Case("AVIF, EXIF 6", saved(seen, "AVIF", exif=exif(6), **fine), UPRIGHT[6](seen))
    yield Case("HEIC", saved(seen, "HEIF", quality=100, chroma=444), seen)
    yield Case("HEIC, EXIF 8", saved(seen, "HEIF", quality=100, chroma=444, exif=exif(8).tobytes()), UPRIGHT[8](seen))
    yield Case("WebP, EXIF 5", saved(seen, "WEBP", lossless=True, exif=exif(5)), UPRIGHT[5](seen))
    yield Case("PNG, EXIF 3", saved(seen, "PNG", exif=exif(3)), UPRIGHT[3](seen))
    for turn, upright in UPRIGHT.items():
        yield Case(f"TIFF, orientation {turn}", tiff(seen, turn, photometric="rgb"), upright(seen))
        yield Case(
            f"16-bit TIFF, orientation {turn}", tiff(np.uint16(seen) * 257, turn, photometric="rgb"), upright(seen)
        )


def _profiled() -> Iterator[Case]:
    seen = chart()
    p3, size = profiles.display_p3(), (64, 64)
    reddish, expected = np.full((*size, 3), (200, 60, 40), np.uint8), np.full((*size, 3), (217, 42, 23))
    yield Case("Display P3 JPEG", saved(reddish, "JPEG", quality=98, subsampling=0, icc_profile=p3), expected)
    yield Case(
        "P3 primaries, gamma 2.2",
        saved(reddish, "PNG", icc_profile=profiles.display_p3(2.2)),
        np.full((*size, 3), (219, 37, 13)),
    )
    yield Case("Display P3 PNG", saved(reddish, "PNG", icc_profile=p3), expected)
    yield Case("Display P3 TIFF", saved(reddish, "TIFF", icc_profile=p3), expected)
    yield Case("Display P3 WebP", saved(reddish, "WEBP", lossless=True, icc_profile=p3), expected)
    yield Case("Display P3 AVIF", saved(reddish, "AVIF", quality=100, subsampling="4:4:4", icc_profile=p3), expected)
    yield Case("Display P3 HEIC", saved(reddish, "HEIF", quality=100, chroma=444, icc_profile=p3), expected)
    opaque = np.dstack([reddish, np.full(size, 255, np.uint8)])
    yield Case("Display P3 RGBA", saved(opaque, "PNG", icc_profile=p3), expected)
    yield Case("Display P3 palette", saved(Image.fromarray(reddish).quantize(4), "PNG", icc_profile=p3), expected)
    deep = chunk(b"iCCP", b"p3\0\0" + zlib.compress(p3))
    yield Case("Display P3, 16 bits", deep_png(np.uint16(reddish) * 257, deep), expected)
    grey = np.full(size, 100, np.uint8)
    light = int(profiles.encoded_srgb(np.array(100 / 255)))
    yield Case(
        "grey with a profile", saved(grey, "PNG", icc_profile=profiles.linear_grey()), np.full((*size, 3), light)
    )
    cyan = Image.new("CMYK", size, (255, 0, 0, 0))
    inked = np.broadcast_to(profiles.lab_to_srgb(profiles.CYAN_LAB), (*size, 3))
    yield Case("CMYK TIFF with a profile", saved(cyan, "TIFF", icc_profile=profiles.inks()), inked)
    yield Case("CMYK JPEG with a profile", saved(cyan, "JPEG", quality=98, icc_profile=profiles.inks()), inked)
    lab = Image.frombytes("LAB", size, bytes((153, 256 - 20, 256 - 30)) * (size[0] * size[1]))
    yield Case("LAB TIFF", saved(lab, "TIFF"), inked)
    yield Case("broken profile", saved(seen, "PNG", icc_profile=p3[:200]), seen)
    yield Case("profile of another kind", saved(seen, "PNG", icc_profile=profiles.linear_grey()), seen)
    yield Case("profile of rubbish", saved(seen, "PNG", icc_profile=b"rubbish" * 40), seen)
    packed = zlib.compress(bytes(50_000_000), 9)
    yield Case("profile bomb", with_chunks(saved(seen, "PNG"), chunk(b"iCCP", b"x\0\0" + packed)), seen)
    text = chunk(b"zTXt", b"note\0\0" + packed)
    yield Case("text bomb", with_chunks(saved(seen, "PNG"), *[text] * 40), seen)


def _deep() -> Iterator[Case]:
    seen = chart()
    grey, size = seen[:, :, 0], seen.shape[:2]
    grey3 = grey[:, :, None].repeat(3, axis=2)
    scaled = {bits: np.rint(seen * (((1 << bits) - 1) / 255)).astype(np.uint16) for bits in (10, 12, 14, 16)}
    bright = {bits: values.copy() for bits, values in scaled.items()}
    for bits, values in bright.items():
        values[0, 0] = (1 << bits) - 1
        first = grey3.copy()
        first[0, 0] = 255
        colours = seen.copy()
        colours[0, 0] = 255
        yield Case(f"grey PNG of a {bits}-bit camera", deep_png(values[:, :, 0]), first)
        yield Case(f"RGB PNG of a {bits}-bit camera", deep_png(values), colours)
        yield Case(f"RGB TIFF of a {bits}-bit camera", tiff(values, photometric="rgb"), colours)
    dark = np.full(size, 4095, np.uint16)
    yield Case("dark PNG that says 16 bits", deep_png(dark, chunk(b"sBIT", b"\x10")), np.full((*size, 3), 16))
    opacity = np.full(size, 65_535, np.uint16)
    opacity[:BLOCK] = 0
    white = colours.copy()
    white[:BLOCK] = 255
    yield Case("16-bit RGBA PNG", deep_png(np.dstack([bright[16], opacity])), white)
    twelve = np.dstack([bright[12], opacity >> 4])
    yield Case("12-bit RGBA PNG", deep_png(twelve), white)
    yield Case(
        "16-bit grey PNG with opacity",
        deep_png(np.dstack([bright[16][:, :, 0], opacity])),
        white[:, :, :1].repeat(3, axis=2),
    )
    yield Case("int32 TIFF of 8 bits", tiff(grey.astype(np.int32)), grey3)
    yield Case("uint16 TIFF of 8 bits", tiff(grey.astype(np.uint16)), grey3)
    yield Case("int32 TIFF, negative", tiff(grey.astype(np.int32) - 100), words="not of 8 to 16 bits")
    yield Case("int32 TIFF, 20 bits", tiff(grey.astype(np.int32) << 12), words="not of 8 to 16 bits")
    yield Case("float TIFF of 0 to 1", tiff(grey.astype(np.float32) / 255), grey3)
    yield Case("float TIFF of 0 to 255", tiff(grey.astype(np.float32)), words="have no agreed range")
    broken = grey.astype(np.float32)
    broken[3, 3] = np.nan
    yield Case("float TIFF, not a number", tiff(broken), words="have no agreed range")
    yield Case(
        "16-bit planes",
        tiff(np.moveaxis(bright[16], 2, 0).copy(), photometric="rgb", planarconfig="separate"),
        words="plane after plane",
    )
    pgm = b"P5 %d %d 4095\n" % size[::-1] + bright[12][:, :, 0].astype(">u2").tobytes()
    yield Case("12-bit PGM", pgm, first)


def _refused() -> Iterator[Case]:
    seen = chart()
    eps = saved(seen, "EPS")
    head = b"\xc5\xd0\xd3\xc6" + struct.pack("<LLLLLLH", 32, len(eps), 0, 0, 0, 0, 0xFFFF) + bytes(2)
    yield Case("EPS named .jpg", eps, words="a PostScript file")
    yield Case("EPS with a preview", head + eps, words="a PostScript file")
    yield Case("PDF", saved(seen, "PDF"), words="is a PDF")
    yield Case("Photoshop", b"8BPS\0\1" + bytes(200), words="a Photoshop file")
    yield Case("WMF", b"\xd7\xcd\xc6\x9a" + bytes(200), words="a Windows metafile")
    yield Case("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", words="an SVG drawing")
    yield Case("JPEG 2000", saved(seen, "JPEG2000"), words="a JPEG 2000 file")
    yield Case("ICO", saved(seen, "ICO"), words="not an image")
    yield Case("TGA", saved(seen, "TGA"), words="not an image")
    yield Case("text", b"this is no image\n", words="not an image")
    huge = bytearray(saved(seen, "PNG"))
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    yield Case("60000 x 60000", bytes(huge), words="more than the limit of 64000000 pixels")
    table = bytearray(tiff(seen, photometric="rgb"))
    rows = b"".join(struct.pack("<HHLL", 0x8000 + n, 7, len(table), 8) for n in range(3000))  # 110 MB
    struct.pack_into("<L", table, 4, len(table))
    yield Case(
        "TIFF whose table overlaps",
        bytes(table) + struct.pack("<H", 3000) + rows + bytes(4),
        words="claim more bytes than the file has",
    )
    with warnings.catch_warnings(action="ignore"):  # the encoder looks at it
        yield Case("AVIF with an EXIF bomb", saved(seen, "AVIF", exif=bomb_exif()), words="claim more bytes")


def cases() -> list[Case]:
    """All of them."""
    return [case for kind in (_lossless, _jpegs, _turned, _profiled, _deep, _refused) for case in kind()]


def off_by(got: np.ndarray, pixels: np.ndarray) -> int:
    """Largest difference [levels] away from edges between flat colours, which lossy formats blur."""
    want = pixels.astype(np.int16)
    flat = np.ones(want.shape[:2], bool)
    edge = np.abs(np.diff(want, axis=0)).max(2) > 12, np.abs(np.diff(want, axis=1)).max(2) > 12
    for shift in range(-8, 9):
        for axis, found in enumerate(edge):
            at = np.argwhere(found)
            at[:, axis] = np.clip(at[:, axis] + shift, 0, want.shape[axis] - 1)
            flat[tuple(at.T)] = False
    flat = flat if flat.any() else np.ones_like(flat)
    return int(np.abs(got.astype(np.int16) - want)[flat].max())


def main() -> None:
    """Print what becomes of each."""
    for number, case in enumerate(cases(), start=1):
        try:
            got = decode_photo(case.data, "photo")
            told = f"{got.shape[1]}x{got.shape[0]}"
            if case.pixels is not None:
                told += f", off by {off_by(got, case.pixels)}" if got.shape == case.pixels.shape else " WRONG SIZE"
            else:
                told += " READ"
        except PhotoError as error:
            told = str(error)
        print(f"{number:3d}  {case.name:34s} {told}")


if __name__ == "__main__":
    main()
