"""A mask as few bytes: where each row crosses the outline, relative to the row above, deflated.

    M ──rows──► crossings [columns] ──minus the row above's, where it has as many──► int16 ──deflate──► bytes

An outline moves little from row to row, so nearly all differences are -1, 0 and 1.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from privsc.errors import PayloadError

_RAW = -15  # zlib's code for deflate without a header; the payload's head has a CRC of its own


def encode_outline(mask: NDArray[np.bool_]) -> bytes:
    """[H, W] bool to bytes, exactly: some 230 for a large silhouette in a picture of 640 px."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), bool)
    padded[:, 1:-1] = mask
    rows, columns = np.nonzero(padded[:, 1:] != padded[:, :-1])
    counts = np.bincount(rows, minlength=height)
    moved, above = [], np.zeros(0, np.int64)
    for crossings in np.split(columns, np.cumsum(counts)[:-1]):
        same = len(crossings) == len(above)
        moved.append(crossings - above if same else np.diff(crossings, prepend=0))
        above = crossings
    numbers = np.concatenate([counts, *moved])
    zigzag = np.where(numbers < 0, -2 * numbers - 1, 2 * numbers).astype("<u2")  # so that small is small in both signs
    planes = zigzag.view(np.uint8).reshape(-1, 2).T.tobytes()  # low bytes, then high ones, nearly all of them 0
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    return deflate.compress(planes) + deflate.flush()


def decode_outline(data: bytes, height: int, width: int) -> NDArray[np.bool_]:
    """Bytes of `encode_outline` to [H, W] bool.

    Raises:
        PayloadError: where the bytes are no mask of this size.
    """
    inflate = zlib.decompressobj(_RAW)
    limit = 2 * height * (width + 2)  # [bytes], what no mask of this size exceeds
    try:
        planes = inflate.decompress(data, limit)
    except zlib.error as error:
        raise PayloadError("the mask in the payload is damaged and cannot be inflated; send it again") from error
    if not inflate.eof or inflate.unused_data or len(planes) % 2 or len(planes) < 2 * height:
        raise PayloadError(f"the mask in the payload is not one of {width}x{height} pixels; the sender is at fault")
    words = np.frombuffer(planes, np.uint8).reshape(2, -1).T.copy().view("<u2")[:, 0]
    counts = _signed(words[:height])
    adds_up = counts.sum(dtype=np.int64) == len(words) - height
    if counts.min() < 0 or counts.max() > width + 1 or not adds_up or (counts % 2).any():
        raise PayloadError("the rows of the mask in the payload do not add up; the sender is at fault")
    moved = _signed(words[height:])
    steps = np.zeros((height, width + 1), np.uint8)
    above = np.zeros(0, np.int64)
    ends = np.cumsum(counts, dtype=np.int64)
    for row, (first, last) in enumerate(zip(ends - counts, ends, strict=True)):
        part = moved[first:last].astype(np.int64)
        crossings = above + part if len(part) == len(above) else np.cumsum(part)
        if len(crossings) and (crossings[0] < 0 or crossings[-1] > width or (np.diff(crossings) <= 0).any()):
            raise PayloadError(f"row {row} of the mask in the payload leaves the picture; the sender is at fault")
        steps[row, crossings] = 1
        above = crossings
    return np.cumsum(steps[:, :width], axis=1, dtype=np.uint8) % 2 == 1  # 256 is even: the sum may wrap


def _signed(words: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Zigzag numbers back to signed ones."""
    wide = words.astype(np.int32)
    return np.where(wide % 2, -(wide + 1) // 2, wide // 2).astype(np.int32)
