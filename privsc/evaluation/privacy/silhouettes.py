"""What the outline of a removed region tells: descriptors of a mask, for the attacker who sees nothing else."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from privsc.images.regions import bounding_box, crop_box, resize_mask

HARMONICS = 20
ZERNIKE_ORDER = 8
THUMBNAIL = 16  # [px]


def hu_moments(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[7] Hu's invariant moments (1962) of a mask [H, W], on a signed logarithmic scale."""
    moments = cv2.HuMoments(cv2.moments(mask.astype(np.uint8), binaryImage=True)).ravel()
    return (-np.sign(moments) * np.log10(np.maximum(np.abs(moments), 1e-12)) / 12).astype(np.float32)


def fourier_descriptors(mask: NDArray[np.bool_], harmonics: int = HARMONICS) -> NDArray[np.float32]:
    """[2 harmonics] magnitudes of the longest contour's Fourier series, relative to the first: free of place and size.

    Zahn and Roskies 1972, on complex coordinates of 256 points of equal distance along the contour.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(contours, key=len, default=np.empty((0, 1, 2)))[:, 0].astype(float)
    if len(longest) < 3:
        return np.zeros(2 * harmonics, np.float32)
    closed = np.concatenate([longest, longest[:1]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.linspace(0, along[-1], 256, endpoint=False)
    points = np.interp(at, along, closed[:, 0]) + 1j * np.interp(at, along, closed[:, 1])
    spectrum = np.abs(np.fft.fft(points))
    chosen = np.concatenate([spectrum[1 : harmonics + 1], spectrum[-harmonics:]])
    return (chosen / max(float(chosen.max()), 1e-9)).astype(np.float32)


def zernike_moments(mask: NDArray[np.bool_], order: int = ZERNIKE_ORDER) -> NDArray[np.float32]:
    """Magnitudes of the Zernike moments up to `order` (Khotanzad and Hong 1990), free of rotation, place and size.

    The disc's centre is the centroid, its radius the distance of the farthest pixel; divided by the area.
    """
    rows, columns = np.nonzero(mask)
    terms = [(n, m) for n in range(order + 1) for m in range(n + 1) if (n - m) % 2 == 0]
    if rows.size == 0:
        return np.zeros(len(terms), np.float32)
    x, y = columns - columns.mean(), rows - rows.mean()
    rho = np.hypot(x, y)
    rho /= max(float(rho.max()), 1e-9)
    theta = np.arctan2(y, x)
    values = []
    for n, m in terms:
        radial = sum(
            (-1) ** s
            * math.factorial(n - s)
            / (math.factorial(s) * math.factorial((n + m) // 2 - s) * math.factorial((n - m) // 2 - s))
            * rho ** (n - 2 * s)
            for s in range((n - m) // 2 + 1)
        )
        values.append(abs((n + 1) / math.pi * np.mean(radial * np.exp(-1j * m * theta))))
    return np.array(values, np.float32)


def placement(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[8] where and how large: share of the picture, box (centre, width, height), aspect, extent, solidity.

    All but the last two are what a box tells as well.
    """
    height, width = mask.shape
    box = bounding_box(mask)
    if box is None:
        return np.zeros(8, np.float32)
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    hull = cv2.contourArea(cv2.convexHull(points)) if len(points) > 2 else 0.0
    return np.array(
        [
            mask.mean(),
            (x0 + x1) / 2 / width,
            (y0 + y1) / 2 / height,
            w / width,
            h / height,
            math.log(w / h),
            mask.sum() / (w * h),
            min(1.0, mask.sum() / max(hull, 1.0)),
        ],
        np.float32,
    )


def thumbnail(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[256] the silhouette in its box, 16 x 16 pixels, of norm 1."""
    box = bounding_box(mask)
    if box is None:
        return np.zeros(THUMBNAIL**2, np.float32)
    square = crop_box(box, mask.shape[1], mask.shape[0], 0.0)
    small = resize_mask(mask, (THUMBNAIL, THUMBNAIL), square).astype(np.float32).ravel()
    return small / max(float(np.linalg.norm(small)), 1e-9)


def describe(mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
    """Descriptor sets of one mask [H, W]; the attacker chooses among them on her training pictures."""
    moments = np.concatenate([hu_moments(mask), zernike_moments(mask), fourier_descriptors(mask)])
    where, small = placement(mask), thumbnail(mask)
    return {"moments": moments, "placement": where, "thumbnail": small, "all": np.concatenate([moments, where, small])}
