"""Algorithm 3: mask decoder, codec and recovery as one differentiable chain, with the eavesdropper in it.

    maps of S, P ──M_chi──► M ──(1 - M) ⊙ S──► A ──codec, channel──► Â  ──U_theta, reference, i of K──► Ŝ  ──► L_a (7)
                            │                  └──codec, channel──► Âe ──U_e, class word───────────► Ŝe ──► f (8)
                            └──── M ────────────────────────────────────► both receivers

    L_total = L_a + lambda f

S is a crop of 96 x 96 pixels around the entity, as U_theta paints it. In training M is soft (a sigmoid of the decoder's
logits, grown by the safety margin), in evaluation it is the set of pixels where that is above one half. Receivers have
M, as with ``--mask-in-payload``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn

from phy.training.autoencoder import Channel
from privsc.guard.guard import COVER
from privsc.networks.diffusion import CROP, Condition, Model, predict_x0
from privsc.networks.letterbox import SIDE
from privsc.networks.mask_decoder import SamLite
from privsc.recovery.painting import TEXTURE
from privsc.recovery.recovery import STRENGTH
from privsc.recovery.sampler import sample
from privsc.training.endtoend.soft_codec import SoftCodec
from privsc.training.endtoend.soft_identity import SoftIdentity

SHARPNESS = 4.0
"""Slope of the soft mask in the decoder's logits; the harder the mask, the fewer pixels have a gradient."""
THRESHOLD = math.log(COVER / (1 - COVER))
"""Logit from which the guard takes a pixel as private."""


@dataclass(frozen=True)
class Batch:
    """B photographs, each with an entity of K.

    Attributes:
        maps: S_alpha's maps of the letterboxed photographs, by stride.
        points, kinds: [B, 8, 2] and [B, 8], the prompt of M_chi in pixels of the square.
        labels: [B, 384, 384] uint8, the entity in the square (privsc.training.mask_decoder_data).
        boxes: [B, 4] float32, the crop in pixels of the square.
        clean: [B, 3, 96, 96] in [-1, 1], S.
        region: [B, 1, 96, 96], where the entity is, whatever M_chi says.
        reference, covered: [B, 3, 96, 96] and [B, 1, 96, 96], a sample of S_k laid over the region, and where it is.
        fade: [B, 1, 96, 96], 0 to 1, how much of the sample's texture is kept.
        text, class_text: [B, 1, 384], i, and what Eve knows.
        who: [B] int64, place of the entity in K.
    """

    maps: dict[int, torch.Tensor]
    points: torch.Tensor
    kinds: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor
    clean: torch.Tensor
    region: torch.Tensor
    reference: torch.Tensor
    covered: torch.Tensor
    fade: torch.Tensor
    text: torch.Tensor
    class_text: torch.Tensor
    who: torch.Tensor


@dataclass(frozen=True)
class Heard:
    """(1 - M) ⊙ Â [B, 3, 96, 96] in [-1, 1], 0 where M is, and M [B, 1, 96, 96]."""

    surroundings: torch.Tensor
    mask: torch.Tensor

    def detach(self) -> Heard:
        """The same without gradients."""
        return Heard(self.surroundings.detach(), self.mask.detach())


class Parts(nn.Module):
    """What Algorithm 3 trains: M_chi, the codec, Bob's U_theta; and U_e, which is Eve's and trained against them."""

    def __init__(self, masker: SamLite, codec: SoftCodec, bob: UNet2DConditionModel, eve: UNet2DConditionModel) -> None:
        super().__init__()
        self.masker, self.codec, self.bob, self.eve = masker, codec, bob, eve

    def ours(self) -> list[nn.Parameter]:
        """Everything but Eve's."""
        return [p for part in (self.masker, self.codec, self.bob) for p in part.parameters()]


def mask_logits(masker: SamLite, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """M_chi's logits [B, 4, 96, 96] over the square, and its own estimate of their IoU [B, 4]."""
    embeddings = masker.neck(batch.maps)
    found = [
        masker.decode(embeddings[n : n + 1], batch.points[n : n + 1], batch.kinds[n : n + 1])
        for n in range(len(batch.who))
    ]
    logits, scores = zip(*found, strict=True)
    return torch.cat(logits).float(), torch.cat(scores).float()


def crop_mask(logits: torch.Tensor, scores: torch.Tensor, boxes: torch.Tensor, *, hard: bool) -> torch.Tensor:
    """M of the crops [B, 1, 96, 96], of the alternative that is rated best, grown by one cell (the safety margin)."""
    best = logits[torch.arange(len(logits)), scores.detach().argmax(1)][:, None]
    grown = F.max_pool2d(best, 3, stride=1, padding=1)
    x0, y0, x1, y1 = (boxes / SIDE * 2 - 1).T
    theta = torch.zeros(len(boxes), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = (x1 - x0) / 2, (x0 + x1) / 2
    theta[:, 1, 1], theta[:, 1, 2] = (y1 - y0) / 2, (y0 + y1) / 2
    grid = F.affine_grid(theta, [len(boxes), 1, CROP, CROP], align_corners=False)
    z = F.grid_sample(grown, grid, padding_mode="border", align_corners=False) - THRESHOLD
    return (z > 0).float() if hard else torch.sigmoid(SHARPNESS * z)


def hear(codec: SoftCodec, clean: torch.Tensor, mask: torch.Tensor, snr_db: torch.Tensor, channel: Channel) -> Heard:
    """A = (1 - M) ⊙ S over one channel realisation. What arrives under M is cut away: it is noise."""
    levels = (1 - mask) * (clean + 1) * 127.5
    received = codec(levels, snr_db, channel)
    kept = received - (mask * (received - levels)).detach()
    return Heard(kept / 127.5 - (1 - mask), mask)


def condition_of(batch: Batch, heard: Heard, *, with_k: bool) -> Condition:
    """What a receiver's network is told: Bob with the reference and i of K, Eve with a class word."""
    if not with_k:
        empty = torch.zeros_like(batch.reference)
        return Condition(heard.surroundings, heard.mask, empty, batch.class_text)
    laid = batch.reference * batch.covered * heard.mask
    return Condition(heard.surroundings, heard.mask, laid, batch.text)


def restore(heard: Heard, x0: torch.Tensor) -> torch.Tensor:
    """Ŝ = (1 - M) ⊙ Â + M ⊙ x0, [B, 3, 96, 96] in [-1, 1]."""
    return heard.surroundings + heard.mask * x0.clamp(-1, 1)


def textured(painted: torch.Tensor, laid: torch.Tensor, covered: torch.Tensor, fade: torch.Tensor) -> torch.Tensor:
    """What recovery does with a laid sample (privsc.recovery.painting), on crops: its fine structure, the network's
    light.

    Planes [B, 3, 96, 96], ``covered`` and ``fade`` [B, 1, 96, 96]; linear in ``painted``.
    """
    weight = _blurred(covered).clamp_min(1e-3)
    change = laid - painted - _blurred((laid - painted) * covered) / weight
    return painted + fade * change


def _blurred(planes: torch.Tensor) -> torch.Tensor:
    reach = int(4 * TEXTURE)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / TEXTURE) ** 2)
    kernel = (kernel / kernel.sum()).repeat(planes.shape[1], 1, 1, 1)
    padded = F.pad(planes.float(), (reach, reach, reach, reach), mode="reflect")
    rows = F.conv2d(padded, kernel, groups=planes.shape[1])
    return F.conv2d(rows, kernel.transpose(2, 3), groups=planes.shape[1])


class Painter:
    """The reverse process of one receiver, eqs. (12) to (14).

    With gradients it takes two evaluations of the network: the first goes from the start to one of the later steps and
    has no gradient, the second estimates x0 there. Trained at all of them in turn, the network serves the whole walk.

    Args:
        steps: of the walk.
        with_k: Bob: begins part-way, from the sample of S_k, whose texture he keeps. Else from noise.
    """

    def __init__(self, scheduler: DDIMScheduler, steps: int, *, with_k: bool) -> None:
        self._scheduler, self.steps, self.with_k = scheduler, steps, with_k
        length = scheduler.config.num_train_timesteps
        first = max(1, round(length * STRENGTH)) if with_k else length
        self._times = torch.linspace(first - 1, 0, steps + 1).round().long()[:-1]

    @torch.no_grad()
    def approach(
        self, unet: UNet2DConditionModel, batch: Batch, heard: Heard, noise: torch.Tensor, at: int
    ) -> torch.Tensor:
        """x_t [B, 3, 96, 96] of step ``at``, reached from the start in one evaluation (none for step 0)."""
        heard = heard.detach()
        condition = condition_of(batch, heard, with_k=self.with_k)
        times, x = self._times, noise
        if self.with_k:
            covered = batch.covered * heard.mask
            start = condition.reference + heard.surroundings
            last = torch.tensor([self._scheduler.config.num_train_timesteps - 1])
            guess = predict_x0(unet, noise, last, condition).clamp(-1, 1)
            start = start + guess * (heard.mask - covered).clamp(min=0)
            x = self._scheduler.add_noise(start, noise, times[:1])  # (12)
        if at > 0:
            alpha_bar = self._scheduler.alphas_cumprod
            now, then = alpha_bar[times[0]], alpha_bar[times[at]]
            x = self._keep_known(x, heard, noise, times[0])
            x0 = restore(heard, predict_x0(unet, x, times[:1], condition))
            x = then.sqrt() * x0 + (1 - then).sqrt() * (x - now.sqrt() * x0) / (1 - now).sqrt()  # (13)
        return x

    def finish(
        self, unet: UNet2DConditionModel, batch: Batch, heard: Heard, x: torch.Tensor, noise: torch.Tensor, at: int
    ) -> torch.Tensor:
        """Ŝ [B, 3, 96, 96] in [-1, 1] from x_t of step ``at``, with gradients to the network and to what was heard."""
        t = self._times[at]
        x = self._keep_known(x, heard, noise, t)
        x0 = predict_x0(unet, x, t[None], condition_of(batch, heard, with_k=self.with_k))
        return self._pasted(batch, heard, x0)

    def _pasted(self, batch: Batch, heard: Heard, x0: torch.Tensor) -> torch.Tensor:
        x0 = x0.clamp(-1, 1)
        if self.with_k:
            x0 = textured(x0, batch.reference, batch.covered, batch.fade)
        return restore(heard, x0)

    def _keep_known(self, x: torch.Tensor, heard: Heard, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        known = self._scheduler.add_noise(heard.surroundings, noise, t[None])
        return x * heard.mask + known * (1 - heard.mask)  # (14)

    def sample(self, unet: UNet2DConditionModel, batch: Batch, heard: Heard, seed: int) -> torch.Tensor:
        """Ŝ by the whole walk, the sampler that ``privsc run`` uses; without gradients."""
        model, condition = Model(unet, self._scheduler), condition_of(batch, heard, with_k=self.with_k)
        covered = batch.covered * heard.mask * float(self.with_k)
        strength = STRENGTH if self.with_k else 1.0
        x0 = sample(model, condition, covered, steps=self.steps, strength=strength, seed=seed)
        return self._pasted(batch, heard, x0)


def authorised_loss(clean: torch.Tensor, restored: torch.Tensor) -> torch.Tensor:
    """L_a of eq. (7) for each picture [B]: squared error over 255² · C · H · W, in [0, 1]; planes in [-1, 1]."""
    return ((clean - restored) / 2).square().mean((1, 2, 3))


@dataclass(frozen=True)
class Terms:
    """L_a and f of each picture [B]."""

    authorised: torch.Tensor
    leakage: torch.Tensor

    def total(self, weight: float) -> torch.Tensor:
        """L_total = L_a + lambda f, [B]."""
        return self.authorised + weight * self.leakage


def terms(identity: SoftIdentity, batch: Batch, bob: torch.Tensor, eve: torch.Tensor) -> Terms:
    """Both terms of L_total from what Bob and Eve end with."""
    return Terms(authorised_loss(batch.clean, bob), identity(eve, batch.region, batch.who))
