"""Painting over a gap at full resolution: the network's crop, enlarged, with the texture of a laid sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from privsc.images.regions import Box, WarpedSample
from privsc.networks.diffusion import CROP

TEXTURE = 4.0
"""What is finer than this is a sample's texture; what is coarser, light and seams, is the network's [crop pixels]."""
FADE = 0.03
"""Width over which the texture fades to the silhouette's edge, as a share of the crop's side."""


def paste(
    image: NDArray[np.uint8],
    region: NDArray[np.bool_],
    painted: NDArray[np.float32],
    box: Box,
    warped: WarpedSample | None = None,
    share: float = 1.0,
) -> NDArray[np.uint8]:
    """Put a painted crop [h, w, 3] (0 to 255) back at full resolution, inside the region only; HWC uint8.

    With a ``warped`` sample, ``share`` of its texture takes the place of the crop's.
    """
    x0, y0, x1, y1 = box
    channels = [
        np.asarray(Image.fromarray(painted[..., channel]).resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC))
        for channel in range(3)
    ]
    full = image.astype(np.float32)
    part = np.stack(channels, axis=-1)
    if warped is not None and share > 0:
        part = textured(part, warped.image[y0:y1, x0:x1], warped.valid[y0:y1, x0:x1], share)
    full[y0:y1, x0:x1] = part
    out = image.copy()
    out[region] = np.clip(np.rint(full[region]), 0, 255).astype(np.uint8)
    return out


def textured(
    painted: NDArray[np.float32], sample: NDArray[np.uint8], valid: NDArray[np.bool_], share: float = 1.0
) -> NDArray[np.float32]:
    """A painted crop [h, w, 3] with the texture of a sample where it is ``valid`` [h, w], fading to its edge."""
    if not valid.any():
        return painted
    side = max(valid.shape)
    inside = valid.astype(np.float32)
    sigma = TEXTURE * side / CROP
    weight = np.maximum(ndimage.gaussian_filter(inside, sigma), 1e-3)[..., None]

    def coarse(image: NDArray) -> NDArray[np.float32]:
        blurred = ndimage.gaussian_filter(image.astype(np.float32) * inside[..., None], (sigma, sigma, 0))
        return blurred / weight

    fade = share * np.clip(ndimage.distance_transform_edt(valid) / (FADE * side), 0, 1)[..., None]
    return painted + fade * ((coarse(painted) - painted) + (sample - coarse(sample)))
