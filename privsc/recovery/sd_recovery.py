"""Recovery with Stable Diffusion: eqs. (12) to (14) by `StableDiffusionInpaintPipeline`, on a crop around M̂.

    Â ──crop──► [h, w] of the model's size ──► start: S_k warped (reference) or noise (12) ──► U_theta, DDIM (13), (14)
                                                                                                       │
    Ŝ ◄──paste, inside M̂ only, at full resolution◄──────────────────────────────────────────────────────┘

Bob adds the entity's adapter and its prompt; Eve has the class word. What the two share with the embedded recovery
(regions from left to right, the best sample of S_k, pasting) is inherited.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from privsc.images.regions import WarpedSample, crop_box, dilate, extend_into, region_box, resize, resize_mask
from privsc.networks import adapters
from privsc.networks.stable_diffusion import StableDiffusion
from privsc.recovery.painting import paste
from privsc.recovery.recovery import Recovery
from privsc.recovery.reference import place

STEPS = 25
STRENGTH = 0.6
"""Where the reverse process starts with a reference, as a share of the diffusion's length."""
GUIDANCE = 7.5
"""Weight of the prompt (Ho and Salimans 2022), as Stable Diffusion is used."""


def painting_size(box: tuple[int, int, int, int], side: int, unit: int) -> tuple[int, int]:
    """(width, height) to paint a crop at: its longer side is the model's, the other keeps the shape, in whole units."""
    width, height = box[2] - box[0], box[3] - box[1]
    longer = max(width, height)
    return (
        max(unit, round(side * width / longer / unit) * unit),
        max(unit, round(side * height / longer / unit) * unit),
    )


def scheduled_steps(steps: int, strength: float, limit: int) -> int:
    """Length of the schedule of which the pipeline runs the last ``strength``, so that ``steps`` evaluations remain."""
    length = math.ceil(steps / strength - 1e-9)
    length += int(length * strength) < steps
    return min(length, limit)


def start_image(picture: NDArray[np.uint8], part: NDArray[np.bool_], warped: WarpedSample | None) -> NDArray[np.uint8]:
    """The picture with its gap closed, HWC uint8: the warped sample where there is one, else the nearest known colour.

    The VAE sees a smooth continuation instead of a black hole, whose edge would bleed into the known latents.
    """
    closed, known = picture.copy(), ~part
    if warped is not None:
        closed[warped.valid] = warped.image[warped.valid]
        known = known | warped.valid
    return extend_into(closed, known, part)


class SdRecovery(Recovery):
    """The recovery module of one receiver on Stable Diffusion.

    Args:
        model: the pipeline.
        strength: where the reverse process starts with a reference.
        guidance: weight of the prompt.
    """

    def __init__(self, model: StableDiffusion, strength: float = STRENGTH, guidance: float = GUIDANCE) -> None:
        self._sd = model
        self._start, self._guidance = strength, guidance
        self.identity = model.identity

    default_steps = STEPS

    def _paint(self, picture, part, entity, pose, class_word, steps, init, seed, progress) -> NDArray[np.uint8]:
        height, width = part.shape
        box = crop_box(region_box(part), width, height)
        size = painting_size(box, self._sd.side, self._sd.unit)
        warped = place(entity, picture, part, pose) if entity is not None and init == "reference" else None
        strength = self._start if warped is not None else 1.0
        pipeline = self._sd.pipeline
        grown = dilate(part, math.ceil(pipeline.vae_scale_factor * max(box[2] - box[0], box[3] - box[1]) / max(size)))
        adapter = adapters.fits(entity.adapter, self.identity, entity.name) if entity is not None else None
        with adapters.applied(pipeline.unet, adapter), torch.no_grad():
            painted = pipeline(
                prompt=entity.prompt if entity is not None else class_prompt(class_word),
                image=Image.fromarray(resize(start_image(picture, part, warped), size, box)),
                mask_image=Image.fromarray(resize_mask(grown, size, box).astype(np.uint8) * 255),
                width=size[0],
                height=size[1],
                strength=strength,
                num_inference_steps=scheduled_steps(steps, strength, pipeline.scheduler.config.num_train_timesteps),
                guidance_scale=self._guidance,
                generator=torch.Generator().manual_seed(seed),
                output_type="np",
                callback_on_step_end=_tell(progress, steps),
            ).images[0]
        return paste(picture, part, np.ascontiguousarray(painted * 255, np.float32), box)


def class_prompt(class_word: str | None) -> str:
    """What someone without K can ask for."""
    return f"a photo of a {class_word}" if class_word else "a photo of a subject"


def _tell(progress, steps: int):
    """Progress in the pipeline's form, or None."""
    if progress is None:
        return None

    def told(pipeline, step: int, timestep, values: dict) -> dict:
        progress(min(step + 1, steps), steps)
        return values

    return told
