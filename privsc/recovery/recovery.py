"""Recovery: the removed entity is painted back, eqs. (12) to (14) of the paper.

    Â ──detect──► M̂ ──crop──► start ──(12) noise──► x_t ──(13) U_theta, (14) keep the known──► … ──► x_0 ──paste──► Ŝ
                                ▲                        ▲
    S_k of K ──best sample──warp┘   i, adapter of K──────┘

Bob begins part-way, from the sample of S_k that fits the region best, and runs U_theta with the entity's adapter and
text embedding. Eve runs the same module on noise, with the generic weights and the class word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from scipy import ndimage

from privsc import adapters
from privsc.detection import detect_region
from privsc.diffusion import CROP, Condition, predict_x0
from privsc.entity import Entity
from privsc.errors import RecoveryError, WeightsError
from privsc.hint import PoseHint
from privsc.painting import paste
from privsc.placement import is_boxed, parts_of
from privsc.pose import lay
from privsc.regions import Box, WarpedSample, bounding_box, crop_box, region_box, resize, resize_mask, warp_silhouette
from privsc.samples import sample_pairs
from privsc.text import load_text_encoder

WEIGHTS = Path(__file__).parent / "weights" / "privsc-mini"
STEPS = 8
STRENGTH, POSED_STRENGTH = 0.2, 0.1
"""Where the reverse process starts with a reference, as a share of the diffusion's length; with a pose hint, later."""
INITS = ("reference", "noise")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Model:
    """U_theta and its noise schedule."""

    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    identity: str = "privsc-mini"


@lru_cache(maxsize=2)
def load_model(folder: Path = WEIGHTS) -> Model:
    """privsc-mini from a folder in diffusers' layout (``unet``, ``scheduler``).

    Raises:
        WeightsError: where the folder is missing or its files are not whole.
    """
    if not (folder / "unet" / "config.json").is_file():
        raise WeightsError(f"no diffusion model in {folder}: reinstall privsc or run `privsc train recovery`")
    try:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True).float().eval()
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    except Exception as error:  # diffusers raises many kinds for one truncated file
        kind = type(error).__name__
        raise WeightsError(f"{folder} is truncated or not a diffusion model ({kind}): restore it") from error
    identity = f"privsc-mini:{weights_digest(folder / 'unet')}"
    return Model(unet.to(memory_format=torch.channels_last), scheduler, identity)


def weights_digest(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 over the safetensors files of a network's folder, by name."""
    hasher = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest()[:12]


def border_colour(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean colour [3] of the pixels just outside a region; grey where the region fills the picture."""
    ring = ndimage.binary_dilation(mask, iterations=max(2, round(0.03 * max(mask.shape)))) & ~mask
    return image[ring].mean(axis=0).astype(np.float32) if ring.any() else np.full(3, 128, np.float32)


def best_sample(entity: Entity, image: NDArray[np.uint8], region: NDArray[np.bool_]) -> WarpedSample:
    """The sample of S_k, mirrored or not, whose silhouette fits the region best; like light breaks ties.

    Fit is the IoU of the silhouettes after their boxes are aligned, less a penalty for an aspect ratio that would have
    to be stretched and for a background of another colour. Into a box the sample goes unstretched.
    """
    x0, y0, x1, y1 = bounding_box(region) or (0, 0, region.shape[1], region.shape[0])
    aspect, around, boxed = (x1 - x0) / (y1 - y0), border_colour(image, region), is_boxed(region)
    best, best_fit = None, -np.inf
    for photo, silhouette in sample_pairs(entity):
        box = bounding_box(silhouette)
        if box is None:
            continue
        stretch = abs(np.log((box[2] - box[0]) / (box[3] - box[1]) / aspect))
        contrast = np.abs(border_colour(photo, silhouette) - around).mean() / 255
        for mirrored in (False, True):
            warped = warp_silhouette(photo, silhouette, region, mirrored=mirrored, keep_aspect=boxed)
            fit = (0.0 if boxed else warped.overlap) - 0.3 * stretch - 0.3 * contrast - 0.01 * mirrored
            if fit > best_fit:
                best, best_fit = warped, fit
    if best is None:
        raise RecoveryError(f"{entity.name}: no sample in K has a silhouette; enrol it again")
    return best


def place(entity: Entity, image: NDArray[np.uint8], region: NDArray[np.bool_], pose: PoseHint | None) -> WarpedSample:
    """The sample of S_k over the region: as the transmitter's hint says, or as the silhouette suggests."""
    if pose is None:
        return best_sample(entity, image, region)
    return lay(pose, sample_pairs(entity), region)


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

    @staticmethod
    def detect_region(received: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """M̂ [H, W] of the received levels HWC uint8."""
        return detect_region(received)

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
            boxes: one for each region where they run into one another (privsc.placement).
            poses: the transmitter's hints, one for each region, or none at all (privsc.pose).

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
