"""What a receiver ended with against what was sent: the experimenter's comparison, after everything was received."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from phy.frame.compare import LinkStats
from phy.link import compare
from privsc.images import metrics
from privsc.system.chain import Heard, Seen, Sent


def measure(seen: Seen, sent: Sent) -> dict[str, Any]:
    """Figures of one receiver.

    A picture of another size than was sent (grey, where not even the head arrived) is brought to that size first.

    Returns:
        psnr, psnr_private [dB] and ssim, ssim_private of Ŝ against S; exact, concealed_share, failure; of the link
        message_error_rate, frames_lost and crc_failures.
    """
    seen = fitted(seen, sent.truth.image.shape[:2])
    stats = link_stats(seen.heard, sent)
    return {
        **picture_figures(seen, sent.truth.image, sent.truth.guarded.mask),
        "message_error_rate": stats.message_error_rate,
        "frames_lost": stats.frames_lost,
        "crc_failures": stats.crc_failures,
    }


def picture_figures(seen: Seen, image: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Figures of Ŝ against S and M; both of one size."""
    return {
        **metrics.quality(image, seen.restored, mask),
        "exact": bool(np.array_equal(image, seen.restored)),
        "concealed_share": float(seen.heard.concealed.mean()),
        "failure": seen.heard.failure,
    }


def link_stats(heard: Heard, sent: Sent) -> LinkStats:
    """Errors and losses of what one receiver heard."""
    return compare(heard.received, sent.truth.on_air, wrong_frames_used=heard.wrong_frames_used)


def fitted(seen: Seen, size: tuple[int, int]) -> Seen:
    """What a receiver ended with at (H, W) = `size`, unchanged where it has that size."""
    return replace(seen, restored=_resized(seen.restored, size), heard=fitted_heard(seen.heard, size))


def fitted_heard(heard: Heard, size: tuple[int, int]) -> Heard:
    """What a receiver heard at (H, W) = `size`, unchanged where it has that size."""
    if heard.image.shape[:2] == size:
        return heard
    return replace(
        heard,
        image=_resized(heard.image, size),
        region=_resized(heard.region, size),
        concealed=_resized(heard.concealed, size),
    )


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if values.shape[:2] == size:
        return values
    planes = values[:, :, None] if values.ndim == 2 else values
    done = [
        np.asarray(Image.fromarray(planes[:, :, c].astype(np.uint8)).resize(size[::-1], Image.Resampling.NEAREST))
        for c in range(planes.shape[2])
    ]
    return np.stack(done, axis=2).reshape(*size, *values.shape[2:]).astype(values.dtype)
