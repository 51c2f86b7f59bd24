"""(A, i) to bytes and back.

    (A, i) ──encode──► head: version, coding, size of A, indices i, length of the body, CRC-32   (few, well protected)
                       body: the pixels of A

    head, body, body_ok ──decode──► (Â, î) and which samples had to be concealed

Coding `pixels` sends raw 8-bit samples, so that a wrong message costs one sample and a lost frame a scatter of
samples, which are concealed from their neighbours: always an image. The other codings (`webp`, `avif`, `jpeg`) are
smaller and break when one byte is lost.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, features
from scipy import ndimage

from privsc.entity import MAX_ENTITIES
from privsc.errors import PayloadError

VERSION = 1
CODINGS = ("pixels", "webp", "avif", "jpeg")  # the number on the air is the place in this tuple
MAX_SIDE = 16_384  # [px]
MAX_PIXELS = 16_000_000  # [px]
MAX_INDICES = 32
GREY = 128  # what stands for an image of which nothing arrived

_FIXED = struct.Struct("<BBHHIB")  # version, coding, width, height, body length, number of indices
_CRC = struct.Struct("<I")

# Concealment: neighbours (row, column in a 3x3 window), the second four opposite the first; what a pair counts for by
# its distance; and the difference of levels up to which two samples pass for alike.
_AROUND = ((0, 1), (1, 0), (0, 0), (0, 2), (2, 1), (1, 2), (2, 2), (2, 0))
_PAIR_WEIGHT = np.array([1, 1, 0.25, 0.25], np.float32)[:, None]
_LIKE = 8.0


@dataclass(frozen=True)
class Head:
    """What the receiver must know before it can look at the body."""

    coding: str
    width: int
    height: int
    body_length: int
    indices: tuple[int, ...]

    def to_bytes(self) -> bytes:
        fixed = _FIXED.pack(
            VERSION, CODINGS.index(self.coding), self.width, self.height, self.body_length, len(self.indices)
        )
        content = fixed + struct.pack(f"<{len(self.indices)}H", *self.indices)
        return content + _CRC.pack(zlib.crc32(content))

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Head of a received payload; anything that `to_bytes` would not write is refused."""
        if len(data) < _FIXED.size + _CRC.size:
            raise PayloadError(
                f"the payload's head has {len(data)} bytes, at least {_FIXED.size + _CRC.size} are needed"
            )
        if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
            raise PayloadError("the payload's head is damaged (wrong CRC-32); the image is lost, send it again")
        version, coding, width, height, body_length, count = _FIXED.unpack(data[: _FIXED.size])
        if version != VERSION:
            raise PayloadError(
                f"the payload has version {version}, this program reads {VERSION}; use the sender's version"
            )
        if coding >= len(CODINGS):
            raise PayloadError(f"the payload's coding {coding} is unknown; known are 0 to {len(CODINGS) - 1}")
        if len(data) != _FIXED.size + 2 * count + _CRC.size:
            raise PayloadError(f"the payload's head names {count} indices but has {len(data)} bytes")
        indices = struct.unpack(f"<{count}H", data[_FIXED.size : -_CRC.size])
        head = cls(CODINGS[coding], width, height, body_length, indices)
        head.check()
        return head

    def check(self) -> None:
        """Refuse sizes and indices that no sender of ours would name."""
        _check_size(self.height, self.width)
        if len(self.indices) > MAX_INDICES:
            raise PayloadError(f"a payload carries at most {MAX_INDICES} indices; got {len(self.indices)}")
        if any(not 1 <= k <= MAX_ENTITIES for k in self.indices) or len(set(self.indices)) != len(self.indices):
            raise PayloadError(f"indices must differ and lie in [1, {MAX_ENTITIES}]; got {self.indices}")
        samples = 3 * self.width * self.height
        if self.coding == "pixels" and self.body_length != samples:
            raise PayloadError(
                f"{self.width}x{self.height} pixels need a body of {samples} bytes; the head names {self.body_length}"
            )


@dataclass(frozen=True)
class Received:
    """What the receiver holds.

    Attributes:
        image: Â, [H, W, 3] uint8.
        indices: î, numbers of entities of K.
        concealed: [H, W, 3] bool, samples that did not arrive and were made up from their neighbours.
    """

    image: np.ndarray
    indices: tuple[int, ...]
    concealed: np.ndarray


def available_codings() -> tuple[str, ...]:
    """Codings that this installation of Pillow can write and read."""
    return tuple(c for c in CODINGS if c in ("pixels", "jpeg") or features.check(c))


def encode(image: np.ndarray, indices: Sequence[int], coding: str = "pixels", quality: int = 80) -> tuple[bytes, bytes]:
    """A, [H, W, 3] uint8, and i to (head, body).

    Args:
        quality: 1 (small) to 100 (faithful), of the lossy codings; `pixels` is exact.
    """
    if coding not in available_codings():
        raise PayloadError(f"coding '{coding}' is not available; choose one of {', '.join(available_codings())}")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise PayloadError(f"an image must be [H, W, 3] uint8; got {got}")
    _check_size(image.shape[0], image.shape[1])
    if coding == "pixels":
        body = np.ascontiguousarray(image).tobytes()
    else:
        if not 1 <= quality <= 100:
            raise PayloadError(f"quality must lie in [1, 100]; got {quality}")
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, coding.upper(), quality=quality)
        body = buffer.getvalue()
    head = Head(coding, image.shape[1], image.shape[0], len(body), tuple(int(k) for k in indices))
    head.check()
    return head.to_bytes(), body


def decode(head: bytes, body: bytes, ok: Sequence[bool] | np.ndarray | None = None) -> Received:
    """Received bytes to (Â, î).

    Args:
        head: as `encode` made it; a damaged one is refused.
        body: received bytes; what is missing at its end counts as lost.
        ok: [len(body)] bool, False where a byte was lost; None when all arrived.

    Raises:
        PayloadError: the head is damaged, or the coding cannot be decoded from what arrived.
    """
    fields = Head.from_bytes(head)
    arrived = np.ones(len(body), bool) if ok is None else np.asarray(ok)
    if arrived.dtype != bool or arrived.shape != (len(body),):
        raise PayloadError(f"ok must be [{len(body)}] bool, one flag a byte; got {arrived.dtype} {arrived.shape}")
    if len(body) > fields.body_length:
        raise PayloadError(f"the body has {len(body)} bytes, its head names {fields.body_length}")
    shape = (fields.height, fields.width, 3)
    if fields.coding == "pixels":
        missing = fields.body_length - len(body)
        samples = np.frombuffer(body + bytes(missing), np.uint8).reshape(shape)
        lost = ~np.concatenate([arrived, np.zeros(missing, bool)]).reshape(shape)
        return Received(conceal(samples, lost), fields.indices, lost)
    intact = int(arrived.sum())
    if intact != fields.body_length:
        raise PayloadError(
            f"{fields.body_length - intact} of {fields.body_length} bytes of the {fields.coding} image were lost; "
            "raise the SNR or send it with the coding 'pixels'"
        )
    return Received(_decode_file(body, fields), fields.indices, np.zeros(shape, bool))


def grey(height: int, width: int, indices: Sequence[int] = ()) -> Received:
    """What stands for an image of which nothing can be shown: mid-grey, all of it marked as concealed."""
    _check_size(height, width)
    shape = (height, width, 3)
    return Received(np.full(shape, GREY, np.uint8), tuple(indices), np.ones(shape, bool))


def conceal(image: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Fill lost samples, each colour on its own, from the known samples around them.

    A sample is the mean of the opposite neighbours on its left and right, above and below, and on the diagonals, each
    pair weighing the less the more its two samples differ: across an edge, and so across the border of a removed
    region, hardly at all. Where no pair is whole, it is the lower median of the neighbours. Holes are filled inwards
    over a few passes; what is deeper takes the nearest known sample.

    Args:
        image: [H, W, 3] uint8; values under `lost` are ignored.
        lost: [H, W, 3] bool.
    """
    filled = np.array(image, np.uint8)
    for c in range(filled.shape[2]):
        plane, known = filled[:, :, c], ~lost[:, :, c]
        if not known.any():
            plane[:] = GREY
            continue
        for _ in range(3):
            if known.all():
                break
            known = _fill_rim(plane, known)
        if not known.all():
            rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
            plane[:] = plane[rows, columns]
    return filled


def _fill_rim(plane: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill, in place, each unknown sample that has a known one among its eight neighbours; [H, W] bool known now."""
    rows, columns = np.nonzero(~known)
    padded, inside = np.pad(plane.astype(np.float32), 1), np.pad(known, 1)
    values = np.stack([padded[rows + dy, columns + dx] for dy, dx in _AROUND])  # [8, n]
    there = np.stack([inside[rows + dy, columns + dx] for dy, dx in _AROUND])  # [8, n]
    a, b = values[:4], values[4:]  # opposite neighbours
    weight = _PAIR_WEIGHT * (there[:4] & there[4:]) / (np.abs(a - b) + _LIKE) ** 2  # [4, n]
    total = weight.sum(axis=0)  # [n]
    mean = (weight * (a + b) / 2).sum(axis=0) / np.maximum(total, 1e-12)
    count = there.sum(axis=0)  # [n]
    ranked = np.sort(np.where(there, values, 256), axis=0)
    median = ranked[np.maximum(count - 1, 0) // 2, np.arange(len(rows))]
    some = count > 0
    plane[rows[some], columns[some]] = np.rint(np.where(total > 0, mean, median)[some]).astype(np.uint8)
    now_known = known.copy()
    now_known[rows[some], columns[some]] = True
    return now_known


def _decode_file(body: bytes, fields: Head) -> np.ndarray:
    """Body of a coded payload to [H, W, 3] uint8 of exactly the head's size."""
    try:
        with Image.open(io.BytesIO(body), formats=[fields.coding.upper()]) as opened:
            size = opened.size
            image = np.asarray(opened.convert("RGB")) if size == (fields.width, fields.height) else None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes
        raise PayloadError(f"the {fields.coding} image is damaged and cannot be decoded; send it again") from error
    if image is None:
        raise PayloadError(
            f"the {fields.coding} image has {size[0]}x{size[1]} pixels, its head names {fields.width}x{fields.height}"
        )
    return np.array(image, np.uint8)


def _check_size(height: int, width: int) -> None:
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and height * width <= MAX_PIXELS):
        raise PayloadError(
            f"an image must have sides of 1 to {MAX_SIDE} px and at most {MAX_PIXELS} pixels; got {width}x{height}"
        )
