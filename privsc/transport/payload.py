"""(A, i) to bytes and back.

    (A, i) ──encode──► head: version, coding, size of A, i, M and hints if they are sent, CRC-32 (few, well protected)
                       body: the pixels of A, between two copies of the embeddings where i travels as embeddings

    head, body, body_ok ──decode──► (Â, î) and which samples had to be concealed

Coding `pixels` sends raw 8-bit samples, so that a wrong message costs one sample and a lost frame a scatter of
samples, which are concealed from their neighbours: always an image. The other codings (`webp`, `avif`, `jpeg`) are
smaller and break when one byte is lost.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, features

from privsc.errors import PayloadError
from privsc.hints.pose_hint import SIZE as HINT_SIZE
from privsc.hints.pose_hint import PoseHint
from privsc.images.regions import Box
from privsc.transport import embeddings as vectors
from privsc.transport.concealment import GREY, conceal
from privsc.transport.head import CODINGS, MAX_PIXELS, MAX_SIDE, Head, check_size
from privsc.transport.outline import decode_outline, encode_outline

__all__ = ["CODINGS", "GREY", "MAX_PIXELS", "MAX_SIDE", "Head", "Received", "available_codings", "conceal", "decode",
           "encode", "grey"]  # fmt: skip

FREE_PIXELS = 1 << 20  # [px] that are shown however little of them arrived
PIXELS_PER_BYTE = 64  # [px] beyond that for each byte that arrived: memory and time follow what came, not what was said


@dataclass(frozen=True)
class Received:
    """What the receiver holds.

    Attributes:
        image: Â, [H, W, 3] uint8.
        indices: î, numbers of entities of K.
        concealed: [H, W, 3] bool, samples that did not arrive and were made up from their neighbours.
        mask: M as it was sent, [H, W] bool, None where the receiver finds M̂ itself.
        boxes: one for each region, where the head names them.
        vectors: received embeddings [n, d] float32, None in index mode.
        poses: one for each region, or none.
    """

    image: np.ndarray
    indices: tuple[int, ...]
    concealed: np.ndarray
    mask: np.ndarray | None = None
    boxes: tuple[Box, ...] = ()
    vectors: np.ndarray | None = None
    poses: tuple[PoseHint, ...] = ()


def available_codings() -> tuple[str, ...]:
    """Codings that this installation of Pillow can write and read."""
    return tuple(c for c in CODINGS if c in ("pixels", "jpeg") or features.check(c))


def encode(
    image: np.ndarray,
    indices: Sequence[int],
    coding: str = "pixels",
    quality: int = 80,
    *,
    mask: np.ndarray | None = None,
    boxes: Sequence[Box] = (),
    embeddings: np.ndarray | None = None,
    poses: Sequence[PoseHint] = (),
) -> tuple[bytes, bytes]:
    """A, [H, W, 3] uint8, and i to (head, body).

    Args:
        quality: 1 (small) to 100 (faithful), of the lossy codings; `pixels` is exact.
        mask: M, [H, W] bool, to be sent in the head.
        boxes: one for each index, to be sent in the head.
        embeddings: [n, d] float32 of unit norm, instead of indices; with the coding `pixels` only.
        poses: a hint for each region, in their order.
    """
    if coding not in available_codings():
        raise PayloadError(f"coding '{coding}' is not available; choose one of {', '.join(available_codings())}")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise PayloadError(f"an image must be [H, W, 3] uint8; got {got}")
    check_size(image.shape[0], image.shape[1])
    if coding == "pixels":
        body = np.ascontiguousarray(image).tobytes()
    else:
        if not 1 <= quality <= 100:
            raise PayloadError(f"quality must lie in [1, 100]; got {quality}")
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, coding.upper(), quality=quality)
        body = buffer.getvalue()
    count, dim, copies = 0, 0, 0
    if embeddings is not None and len(embeddings):
        if len(indices):
            raise PayloadError(f"i travels as indices or as embeddings; got {len(indices)} and {len(embeddings)}")
        (count, dim), copies = embeddings.shape, vectors.COPIES
        state = vectors.to_bytes(embeddings).tobytes()
        body = state + body + (copies - 1) * state
    if mask is not None and (mask.shape != image.shape[:2] or mask.dtype != bool):
        raise PayloadError(f"a mask must be {image.shape[:2]} bool; got {mask.dtype} {mask.shape}")
    head = Head(
        coding,
        image.shape[1],
        image.shape[0],
        len(body),
        tuple(int(k) for k in indices),
        None if mask is None else encode_outline(mask),
        tuple(tuple(int(v) for v in box) for box in boxes),  # type: ignore[misc]
        count,
        dim,
        copies,
        b"".join(pose.to_bytes() for pose in poses),
    )
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
    _check_arrived(fields, int(arrived.sum()))
    mask = None if fields.mask is None else decode_outline(fields.mask, fields.height, fields.width)
    poses = _poses(fields)
    if fields.coding == "pixels":
        missing = fields.body_length - len(body)
        everything = np.frombuffer(body + bytes(missing), np.uint8)
        there = np.concatenate([arrived, np.zeros(missing, bool)])
        first = fields.regions * fields.dim
        last = first + fields.height * fields.width * 3
        samples, lost = everything[first:last].reshape(shape), ~there[first:last].reshape(shape)
        state = _state(everything, there, first, last, fields) if fields.regions else None
        return Received(conceal(samples, lost), fields.indices, lost, mask, fields.boxes, state, poses)
    intact = int(arrived.sum())
    if intact != fields.body_length:
        raise PayloadError(
            f"{fields.body_length - intact} of {fields.body_length} bytes of the {fields.coding} image were lost; "
            "raise the SNR or send it with the coding 'pixels'"
        )
    return Received(_decode_file(body, fields), fields.indices, np.zeros(shape, bool), mask, fields.boxes, poses=poses)


def _check_arrived(fields: Head, arrived: int) -> None:
    """Refuse a picture that is large and of which next to nothing came."""
    most = max(FREE_PIXELS, PIXELS_PER_BYTE * arrived)
    if fields.coding == "pixels" and fields.height * fields.width > most:
        raise PayloadError(
            f"{arrived} bytes arrived of a picture of {fields.width}x{fields.height} pixels, enough for {most} pixels "
            "at most; send it again or raise the SNR"
        )


def _poses(fields: Head) -> tuple[PoseHint, ...]:
    data = fields.poses
    poses = tuple(PoseHint.from_bytes(data[k : k + HINT_SIZE]) for k in range(0, len(data), HINT_SIZE))
    if stray := [pose.box for pose in poses if pose.box[2] > fields.width or pose.box[3] > fields.height]:
        raise PayloadError(
            f"a pose hint's box must lie in the picture of {fields.width}x{fields.height} pixels; got {stray[0]}"
        )
    return poses


def _state(body: np.ndarray, there: np.ndarray, first: int, last: int, fields: Head) -> np.ndarray:
    """Embeddings [n, d] of a body whose pixels lie in [first, last)."""
    shape = (fields.copies, fields.regions, fields.dim)
    copies, ok = (np.concatenate([part[:first], part[last:]]).reshape(shape) for part in (body, there))
    return vectors.from_bytes(copies, ok)


def grey(height: int, width: int, indices: Sequence[int] = ()) -> Received:
    """What stands for an image of which nothing can be shown: mid-grey, all of it marked as concealed."""
    check_size(height, width)
    shape = (height, width, 3)
    return Received(np.full(shape, GREY, np.uint8), tuple(indices), np.ones(shape, bool))


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
