"""Pixels of any opened photograph to upright 8-bit sRGB: depth, colour profile, transparency, orientation.

Depth. Samples of more than 8 bits are scaled by the largest value of their depth, which is what the file says where it
does (12 bits in a TIFF; 16 significant bits in a PNG; a PGM's maximum), and else the smallest of 8, 10, 12, 14 and 16
bits that holds the largest sample: cameras store 12 bits in files of 16. Floating-point samples must lie in 0 to 1.

Colour. A profile is followed (relative colorimetric, black point compensated) where it is of the picture's kind and can
be read; otherwise it is ignored and the picture taken as sRGB. One that changes no colour by more than one level is not
applied. CMYK without a profile is 1 - min(1, ink + black); Lab without one is CIE Lab under D50.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from privsc.images.photo_formats import MAX_ICC, Facts, Unreadable, orientation_of

DEPTHS = (8, 10, 12, 14, 16)  # [bit]
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_EXACT = {
    "LAB": ImageCms.Flags.NOOPTIMIZE,
    "CMYK": ImageCms.Flags.HIGHRESPRECALC,
}  # LittleCMS's table of Lab errs by 12
_KINDS = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}  # of ICC, for each of our modes


def to_srgb(opened: Image.Image, data: bytes, facts: Facts, size: tuple[int, int]) -> Image.Image:
    """Decode an opened photograph into an upright RGB image.

    An opaque one is scaled before its colours are changed, which then takes no time.

    Args:
        opened: of `open_image`.
        data: what it was opened from.
        facts: of `slimmed`.
        size: width and height [px] to which it is scaled (Lanczos), before it is turned upright.

    Raises:
        Unreadable: where its values have no agreed range.
    """
    opened.load()
    profile = facts.icc or opened.info.get("icc_profile")
    turn = facts.orientation
    if opened.format in ("WEBP", "AVIF"):
        turn = orientation_of(opened.info.get("exif") or b"")  # TIFF and HEIF come upright
    flat, alpha = _eight_bits(opened, data, facts)
    if alpha is None and flat.size != size:
        flat = flat.resize(size, Image.Resampling.LANCZOS)
    flat = _in_srgb(flat, profile)
    if alpha is not None:
        flat = Image.composite(flat, Image.new("RGB", flat.size, "white"), alpha)
        flat = flat.resize(size, Image.Resampling.LANCZOS) if flat.size != size else flat
    return flat.transpose(_UPRIGHT[turn]) if turn in _UPRIGHT else flat


def _eight_bits(opened: Image.Image, data: bytes, facts: Facts) -> tuple[Image.Image, Image.Image | None]:
    """Image of mode RGB, L, CMYK or LAB and its opacity (None where opaque)."""
    if facts.deep or (opened.format == "TIFF" and _deep_tiff(opened)):
        return _split(_deep_colour(data, opened, facts))
    if opened.mode == "F" or opened.mode.startswith("I"):
        values = np.asarray(opened)
        clear = opened.info.get("transparency")
        alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)) if isinstance(clear, int) else None
        return Image.fromarray(scaled(values, _stated(opened, facts))), alpha
    if opened.mode in ("P", "PA") or "transparency" in opened.info:
        clear = opened.mode == "PA" or "transparency" in opened.info
        return _split(opened.convert("RGBA" if clear else "RGB"))
    return _split(opened)


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        return image.convert("RGB" if image.mode == "RGBA" else "L"), alpha
    if image.mode == "1":
        return image.convert("L"), None
    return image if image.mode in _KINDS else image.convert("RGB"), None


def _stated(opened: Image.Image, facts: Facts) -> int | None:
    """Depth [bit] that the file states, None where it has to be seen from the samples."""
    if opened.format == "PPM" or facts.significant == 16:
        return 16  # Pillow scales a PGM by its maximum
    if opened.format == "TIFF":
        bits = max(opened.tag_v2.get(258, (0,)))  # type: ignore[attr-defined]
        return bits if 8 < bits < 16 else None
    return None


def scaled(values: NDArray[Any], depth: int | None = None) -> NDArray[np.uint8]:
    """Samples of any number to uint8, by the rule above; ``depth`` [bit] is what the file states.

    Raises:
        Unreadable: for negative samples, those of more than 16 bits, and floating-point ones outside 0 to 1.
    """
    if values.dtype.kind == "f":
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= 1):
            raise Unreadable(
                f"floating-point pixels from {low:g} to {high:g} have no agreed range; scale them to 0 to 1"
            )
        return np.rint(values * 255).astype(np.uint8)
    depth = depth_of(values, depth)
    top = (1 << depth) - 1
    table = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)
    return table[values.astype(np.uint16, copy=False)]


def depth_of(values: NDArray[Any], stated: int | None = None) -> int:
    """Depth [bit] of integer samples: as stated where that holds them, else the smallest of `DEPTHS` that does.

    Raises:
        Unreadable: for negative samples and those of more than 16 bits.
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0 or high > 65_535:
        raise Unreadable(f"pixel values from {low} to {high} are not of 8 to 16 bits; save it with 8 or 16 bits")
    if stated is not None and high < 1 << stated:
        return stated
    return next(bits for bits in DEPTHS if high < 1 << bits)


def _deep_tiff(opened: Image.Image) -> bool:
    tags = opened.tag_v2  # type: ignore[attr-defined]
    colour = tags.get(262) == 2 or (tags.get(262) == 1 and tags.get(277, 1) == 2)
    if not colour or max(tags.get(258, (8,))) <= 8:
        return False
    if tags.get(284) == 2:
        raise Unreadable("colours of more than 8 bits that lie plane after plane are not read; save it with 8 bits")
    return True


def _deep_colour(data: bytes, opened: Image.Image, facts: Facts) -> Image.Image:
    """Colour samples of more than 8 bits, which Pillow cuts to their upper 8, through OpenCV."""
    import cv2

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.shape[:2] != (opened.height, opened.width):
        raise Unreadable("its depth of more than 8 bits is not read; save it with 8 bits")
    if values.ndim == 2:
        return Image.fromarray(scaled(values, _stated(opened, facts)))
    grey = values.shape[2] == 2
    depth = depth_of(values[:, :, : 1 if grey else 3], _stated(opened, facts))
    colour = scaled(values[:, :, :1].repeat(3, axis=2) if grey else values[:, :, 2::-1], depth)
    if values.shape[2] == 3:
        return Image.fromarray(colour)
    opacity = scaled(values[:, :, -1], depth)  # of the same depth, or of 16 bits
    return Image.frombytes(
        "RGBa" if opened.mode == "RGBa" else "RGBA", opened.size, np.dstack([colour, opacity]).tobytes()
    )


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, L, CMYK or LAB to RGB, by its profile."""
    change = _change(profile, image.mode) if profile and len(profile) <= MAX_ICC else None
    if change is None and image.mode == "LAB":
        change = _change(None, "LAB")
    if change is None:
        return image.convert("RGB")
    return ImageCms.applyTransform(image, change) or image


@lru_cache(maxsize=8)
def _change(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile (None: CIE Lab) to sRGB; None where it is of another kind, broken, or changes nothing to see."""
    try:
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        source = lab if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _KINDS[mode]:
            return None
        change = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | _EXACT.get(mode, 0),
        )
        if mode not in ("RGB", "L"):
            return change
        probe = _probe(mode)
        after = ImageCms.applyTransform(probe, change)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    moved = np.abs(np.asarray(after, np.int16) - np.asarray(probe.convert("RGB"), np.int16)).max()
    return change if moved > 1 else None


def _probe(mode: str) -> Image.Image:
    """Colours of the whole range: 9 x 9 x 9 of RGB, or every grey."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3))
