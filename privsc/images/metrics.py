"""How close a received picture is to the one sent: over the whole and over the private region M."""

from __future__ import annotations

import math

import numpy as np
from skimage.metrics import structural_similarity

from privsc.errors import PrivscError

MAX_VALUE = 255.0


def psnr(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None = None) -> float | None:
    """Peak signal-to-noise ratio [dB], MaxValue 255, over all colour samples where `mask` is True.

    The mean squared error is taken over the samples counted, i.e. 255² · C · H · W normalises the sum; the paper's
    eq. (7) prints 255 · C · H · W, which does not keep its value below 1.

    Args:
        reference: [H, W, 3] uint8.
        image: [H, W, 3] uint8.
        mask: [H, W] bool, None for the whole image.

    Returns:
        inf for identical samples, None when the mask is empty.
    """
    _check(reference, image, mask)
    difference = reference.astype(np.float64) - image.astype(np.float64)  # [H, W, 3]
    if mask is not None:
        difference = difference[mask]  # [n, 3]
    if difference.size == 0:
        return None
    error = float(np.mean(difference**2))
    return math.inf if error == 0 else 10 * math.log10(MAX_VALUE**2 / error)


def ssim(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None = None) -> float | None:
    """Structural similarity in [-1, 1], as scikit-image computes it on RGB with `channel_axis`.

    With a mask: the mean of the SSIM map over the pixels where `mask` is True, None when there are none.
    """
    _check(reference, image, mask)
    mean, ssim_map = structural_similarity(reference, image, channel_axis=2, data_range=MAX_VALUE, full=True)
    if mask is None:
        return float(mean)
    return float(ssim_map[mask].mean()) if mask.any() else None


def quality(reference: np.ndarray, image: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """The four figures of a report; `psnr` [dB] is None where it would be infinite (identical) or the mask is empty."""
    _check(reference, image, mask)
    # One SSIM map serves both figures: on a large photograph it takes longer than the channel.
    mean, ssim_map = structural_similarity(reference, image, channel_axis=2, data_range=MAX_VALUE, full=True)
    figures = {
        "psnr": psnr(reference, image),
        "psnr_private": psnr(reference, image, mask),
        "ssim": float(mean),
        "ssim_private": float(ssim_map[mask].mean()) if mask.any() else None,
    }
    return {key: value if value is not None and math.isfinite(value) else None for key, value in figures.items()}


def leakage(mask_true: np.ndarray, mask: np.ndarray) -> float | None:
    """Share of truly private pixels that a mask leaves uncovered, None when nothing is private."""
    private = int(mask_true.sum())
    return float((mask_true & ~mask).sum() / private) if private else None


def _check(reference: np.ndarray, image: np.ndarray, mask: np.ndarray | None) -> None:
    for name, array in (("reference", reference), ("image", image)):
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
            raise PrivscError(f"{name} must be [H, W, 3] uint8; got {array.dtype} {array.shape}")
    if reference.shape != image.shape:
        raise PrivscError(f"pictures to compare must have one shape; got {reference.shape} and {image.shape}")
    if mask is not None and (mask.shape != reference.shape[:2] or mask.dtype != bool):
        raise PrivscError(f"mask must be {reference.shape[:2]} bool; got {mask.dtype} {mask.shape}")
