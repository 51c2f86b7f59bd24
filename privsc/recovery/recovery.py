"""Recovery: the removed entity is painted back, eqs. (12) to (14) of the paper.

    Â ──detect──► M̂ ──crop──► start ──(12) noise──► x_t ──(13) U_theta, (14) keep the known──► … ──► x_0 ──paste──► Ŝ
                                ▲                        ▲
    S_k of K ──best sample──warp┘   i, adapter of K──────┘

Bob begins part-way, from the sample of S_k that fits the region best, and runs U_theta with the entity's adapter and
text embedding. Eve runs the same module on noise, with the generic weights and the class word.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from privsc.errors import RecoveryError
from privsc.hints.pose_hint import PoseHint
from privsc.images.placement import parts_of
from privsc.images.regions import (
    Box,
    crop_box,
    region_box,
)
from privsc.knowledge.entity import Entity
from privsc.networks import adapters
from privsc.networks.diffusion import Model, load_model
from privsc.networks.text_encoder import load_text_encoder
from privsc.recovery.painting import paste
from privsc.recovery.reference import place
from privsc.recovery.sampler import Progress, make_condition, sample

STEPS = 8
STRENGTH, POSED_STRENGTH = 0.2, 0.1
"""Where the reverse process starts with a reference, as a share of the diffusion's length; with a pose hint, later."""
INITS = ("reference", "noise")


class Recovery:
    """The recovery module of one receiver.

    Args:
        model: U_theta; None loads the shipped privsc-mini.
        strength: where the reverse process starts with a reference; None for the defaults.
        detail: share of the laid sample's texture that takes the place of the painted crop's.
    """

    def __init__(self, model: Model | None = None, strength: float | None = None, detail: float = 1.0) -> None:
        self._model = model or load_model()
        self.identity = self._model.identity
        self._strength, self._detail = strength, detail

    default_steps = STEPS

    def __call__(
        self,
        received: NDArray[np.uint8],
        region: NDArray[np.bool_],
        entities: Sequence[Entity | None] | None,
        *,
        class_word: str | None = None,
        steps: int | None = None,
        init: str = "reference",
        seed: int = 0,
        progress: Progress | None = None,
        boxes: Sequence[Box] = (),
        poses: Sequence[PoseHint | None] = (),
    ) -> NDArray[np.uint8]:
        """Ŝ HWC uint8 from Â HWC uint8 and M̂ [H, W].

        Args:
            entities: of K, one per removed region in the order of ``parts_of``, None where it is not known who was
                there; None instead of a sequence without K (generic weights).
            class_word: what someone without K knows of the entity.
            init: "reference" starts from the best sample of S_k, "noise" is the paper's.
            boxes: one for each region where they run into one another (privsc.images.placement).
            poses: the transmitter's hints, one for each region, or none at all (privsc.hints.fit).

        Raises:
            RecoveryError: for steps below 1 or an unknown init.
        """
        steps = self.default_steps if steps is None else steps
        if steps < 1:
            raise RecoveryError(f"`steps` must be at least 1; got {steps}")
        if init not in INITS:
            raise RecoveryError(f"`init` must be one of {', '.join(INITS)}; got {init!r}")
        if not region.any():
            return received.copy()
        picture = received
        for number, part in enumerate(parts_of(region, len(entities or ()), boxes)):
            if not part.any():
                continue
            entity = entities[min(number, len(entities) - 1)] if entities else None
            pose = poses[number] if entity is not None and number < len(poses) else None
            picture = self._paint(picture, part, entity, pose, class_word, steps, init, seed + number, progress)
        return picture

    def _paint(self, picture, part, entity, pose, class_word, steps, init, seed, progress) -> NDArray[np.uint8]:
        height, width = part.shape
        box = crop_box(region_box(part), width, height)
        warped = None
        if entity is None:
            text = load_text_encoder().embed(f"a photo of a {class_word}" if class_word else "a photo of a subject")
        else:
            text, warped = entity.text_embedding, place(entity, picture, part, pose)
        condition, covered = make_condition(picture, part, warped, text, box)
        start_here = warped is not None and init == "reference"
        strength = self._strength or (STRENGTH if pose is None else POSED_STRENGTH)
        adapter = adapters.fits(entity.adapter, self.identity, entity.name) if entity else None
        with adapters.applied(self._model.unet, adapter):
            x0 = sample(
                self._model,
                condition,
                covered,
                steps=steps,
                strength=strength if start_here else 1.0,
                seed=seed,
                progress=progress,
            )
        painted = (x0[0].permute(1, 2, 0).numpy() + 1) * 127.5
        texture = warped if start_here else None
        return paste(picture, part, np.ascontiguousarray(painted), box, texture, self._detail)
