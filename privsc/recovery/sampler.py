"""The reverse process of the diffusion model, eqs. (12) to (14) of the paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from privsc.images.regions import WarpedSample, resize, resize_mask
from privsc.networks.diffusion import CROP, Condition, Model, predict_x0

Progress = Callable[[int, int], None]


def _to_plane(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1  # [1, 3, H, W]


def make_condition(
    image: NDArray[np.uint8],
    region: NDArray[np.bool_],
    warped: WarpedSample | None,
    text: NDArray[np.float32],
    box: tuple[int, int, int, int],
) -> tuple[Condition, torch.Tensor]:
    """The network's inputs for one crop ``box`` of a picture, and the warped sample's silhouette [1, 1, 96, 96]."""
    size = (CROP, CROP)
    known = image.copy()
    known[region] = 0
    weight = resize((~region).astype(np.uint8) * 255, size, box).astype(np.float32)[..., None] / 255
    mask = torch.from_numpy(resize_mask(region, size, box).copy())[None, None].float()
    colours = np.clip(resize(known, size, box) / np.maximum(weight, 0.25), 0, 255).astype(np.uint8)
    reference, covered = torch.zeros(1, 3, CROP, CROP), torch.zeros(1, 1, CROP, CROP)
    if warped is not None:
        covered = torch.from_numpy(resize_mask(warped.valid, size, box).copy())[None, None].float() * mask
        reference = _to_plane(resize(warped.image, size, box)) * covered
    condition = Condition(_to_plane(colours) * (1 - mask), mask, reference, torch.from_numpy(text)[None, None])
    return condition, covered


@torch.no_grad()
def sample(
    model: Model,
    condition: Condition,
    covered: torch.Tensor,
    *,
    steps: int,
    strength: float,
    seed: int,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Eqs. (12) to (14): x_0 [B, 3, 96, 96] in [-1, 1].

    Args:
        model: U_theta.
        condition: surroundings, mask, reference and text.
        covered: [B, 1, 96, 96], where the reference is a start; elsewhere it is what U_theta predicts from noise.
        steps: evaluations of U_theta.
        strength: share of the diffusion's length at which the reverse process starts; 1 is pure noise.
        seed: of the noise of eq. (12).
    """
    scheduler = model.scheduler
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(condition.reference.shape, generator=generator)
    first = max(1, min(scheduler.config.num_train_timesteps, round(scheduler.config.num_train_timesteps * strength)))
    times = torch.linspace(first - 1, 0, steps + 1).round().long()[:-1] if steps > 1 else torch.tensor([first - 1])
    alpha_bar = scheduler.alphas_cumprod
    start = condition.reference * covered + condition.surroundings
    if strength < 1 and not bool((covered >= condition.mask).all()):
        guess = predict_x0(model.unet, noise, torch.tensor([scheduler.config.num_train_timesteps - 1]), condition)
        start = start + guess.clamp(-1, 1) * (condition.mask - covered).clamp(min=0)
    x = scheduler.add_noise(start, noise, times[:1]) if strength < 1 else noise  # (12)
    x0 = x
    for number, t in enumerate(times):
        known = scheduler.add_noise(condition.surroundings, noise, t[None])
        x = x * condition.mask + known * (1 - condition.mask)  # (14)
        x0 = predict_x0(model.unet, x, t[None], condition).clamp(-1, 1)
        x0 = x0 * condition.mask + condition.surroundings * (1 - condition.mask)
        if number + 1 < len(times):  # (13), deterministic (Song et al. 2021, eq. 12, eta = 0)
            now, then = alpha_bar[t], alpha_bar[times[number + 1]]
            direction = (x - now.sqrt() * x0) / (1 - now).sqrt()
            x = then.sqrt() * x0 + (1 - then).sqrt() * direction
        if progress is not None:
            progress(number + 1, len(times))
    return x0
