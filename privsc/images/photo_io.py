"""Photographs in: reading with clear errors, bounded before anything is decoded; PNG and JPEG out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from privsc.errors import PhotoError
from privsc.images.photo_formats import Unreadable, foreign, open_image, slimmed
from privsc.images.photo_pixels import to_srgb

MIN_SIDE = 32  # [px]
MAX_PIXELS = 64_000_000  # [px]; a 64-megapixel photograph is 192 MB once decoded
MAX_BYTES = 128 * 1024 * 1024
READ = "give a JPEG, PNG, WebP or AVIF file"


def read_bytes(path: str | Path) -> bytes:
    """Contents of a file that is about to be decoded as a photograph."""
    path = Path(path)
    if not path.exists():
        raise PhotoError(f"{path}: no such file; give the path of a photograph")
    if path.is_dir():
        raise PhotoError(f"{path}: is a folder; give the path of one photograph")
    size = path.stat().st_size
    if size == 0:
        raise PhotoError(f"{path}: the file is empty; give a photograph")
    if size > MAX_BYTES:
        raise PhotoError(f"{path}: {size} bytes are more than the limit of {MAX_BYTES}; give a smaller file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def read_photo(path: str | Path, max_side: int | None = None) -> np.ndarray:
    """Photograph at `path` as it should be seen: HWC uint8 RGB, upright."""
    return decode_photo(read_bytes(path), str(path), max_side)


def decode_photo(
    data: bytes, name: str = "photo", max_side: int | None = None, max_pixels: int | None = None
) -> np.ndarray:
    """Encoded photograph to HWC uint8 RGB.

    Upright by its EXIF orientation, in sRGB by its colour profile, of 8 bits a sample (`privsc.images.photo_pixels` has
    the rules), transparent pixels laid on white, of an animation or several pictures the first one.

    Args:
        data: the encoded file.
        name: what to call it in an error.
        max_side: longest side [px]; a larger photograph is scaled down (Lanczos), a smaller one is left alone.
        max_pixels: refuse a photograph of more, before it is decoded; None for `MAX_PIXELS`.

    Raises:
        PhotoError: in one line, for what is not a photograph that is read, is damaged, too small or too large.
    """
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    if what := foreign(data):
        raise PhotoError(f"{name}: is {what}, not an image that can be read; {READ}")
    try:
        data, facts = slimmed(data)
        with open_image(data) as opened:
            _check_size(*opened.size, name, limit)
            image = to_srgb(opened, data, facts, _fitted(*opened.size, max_side, name))
    except PhotoError:
        raise
    except Unreadable as error:
        raise PhotoError(f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name}: not an image that can be read; {READ}") from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name}: more than the limit of {limit} pixels; scale it down") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PhotoError(f"{name}: the image is damaged ({detail}); give an intact file") from error
    return np.asarray(image, np.uint8).copy()  # [H, W, 3]


def _fitted(width: int, height: int, max_side: int | None, name: str) -> tuple[int, int]:
    """Size [px] at which a photograph is taken."""
    if max_side is None or max(width, height) <= max_side:
        return width, height
    scale = max_side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < MIN_SIDE:
        raise PhotoError(
            f"{name}: scaled to {max_side} px it would be {size[0]}x{size[1]} px, each side must be at least "
            f"{MIN_SIDE} px; crop it"
        )
    return size


def _check_size(width: int, height: int, name: str, limit: int) -> None:
    """Refuse a size before anything of it is decoded."""
    if width * height > limit:
        raise PhotoError(f"{name}: {width}x{height} px are more than the limit of {limit} pixels; scale it down")
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name}: {width}x{height} px are too small, each side must be at least {MIN_SIDE} px; "
            "give a larger photograph"
        )


def encode_png(image: np.ndarray) -> bytes:
    """HWC uint8 image, or HW bool mask (stored as 0 and 255), to PNG bytes."""
    buffer = io.BytesIO()
    pixels = np.uint8(image) * 255 if image.dtype == bool else image
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def decode_mask(data: bytes, name: str = "mask", size: tuple[int, int] | None = None) -> np.ndarray:
    """PNG bytes of `encode_png` back to an HW bool mask.

    Args:
        data: the encoded file.
        name: what to call it in an error.
        size: width and height [px] that it must have; None for any within the limit of photographs.

    Raises:
        PhotoError: for what is no such mask.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            width, height = opened.size
            if (size is not None and size != opened.size) or width * height > MAX_PIXELS:
                wanted = f"at most {MAX_PIXELS} pixels" if size is None else f"{size[0]}x{size[1]} px"
                raise PhotoError(f"{name}: is of {width}x{height} px instead of {wanted}; enrol the entity again")
            return np.asarray(opened.convert("L")) >= 128
    except PhotoError:
        raise
    except Exception as error:  # see decode_photo
        raise PhotoError(f"{name}: not a PNG mask; enrol the entity again") from error


def strip_photo(data: bytes, name: str = "photo", max_side: int = 640, quality: int = 95) -> bytes:
    """Photograph re-encoded as JPEG without metadata (K is shared, a phone's EXIF holds place and time)."""
    buffer = io.BytesIO()
    Image.fromarray(decode_photo(data, name, max_side)).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
