"""Pose hints: which sample of S_k looks most like the hidden entity, and how to lay it over the gap.

The transmitter has the entity in front of it and K beside it; a receiver has only the gap. A hint of 59 bytes (the
sample's number, an affine map with a coarse displacement field, a gain and an offset per colour) tells Bob how his
sample has to be turned. All of it is relative to a photograph in K: it says where parts of that photograph belong, not
what they look like.

    S, M ──crop──► each sample, mirrored, turned ──coarse fit──► the best few ──fine fit──► hint ──bytes──► air
    hint, S_k ──lay──► the sample over the gap, in the photograph's light
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from privsc.hints.apply import MARGIN, _grid, frame_in_photo, sample_frame
from privsc.hints.pose_hint import GRID, PoseHint
from privsc.images.regions import Box, crop_box, extend_into, region_box, resize, resize_mask
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.networks.backbone import load_lite0
from privsc.networks.perceptual import perceptual_distance

COARSE, FINE = 32, 96
"""Sides of the square crops of the two fits [pixels]."""
ANGLES = (0.0, 0.6, -0.6, 1.3, -1.3)
"""Rotations that the coarse fit starts from [rad]."""
FINALISTS, COARSE_STEPS, FINE_STEPS = 3, 40, 120
BARE, SPILL, MIRRORED, ALIKE = 0.15, 0.15, 0.01, 0.04
"""Prices beside the mean squared colour error: region left bare, silhouette beyond the region, a mirrored sample, and
(among the finalists) the perceptual distance."""
BEND = 0.1
"""Price of a bent displacement field. This, FINALISTS and FINE_STEPS were chosen on photographs of K, each laid over by
the others of its entity."""


def _plane(image: NDArray[np.uint8], mask: NDArray[np.bool_], box: Box, side: int) -> torch.Tensor:
    """[4, side, side]: colours in [-1, 1], continued beyond the mask, and the mask."""
    x0, y0, x1, y1 = box
    part, inside = image[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    part = resize(extend_into(part, inside, np.ones_like(inside)), (side, side))
    colour = torch.from_numpy(part.copy()).permute(2, 0, 1).float() / 127.5 - 1
    return torch.cat([colour, torch.from_numpy(resize_mask(inside, (side, side)).copy())[None].float()])


def _blur(planes: torch.Tensor, sigma: float) -> torch.Tensor:
    reach = int(2.5 * sigma + 0.5)
    if reach < 1:
        return planes
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(planes.shape[1], 1, 1, 1)
    padded = F.pad(planes, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, kernel, groups=planes.shape[1])
    return F.conv2d(rows, kernel.transpose(2, 3), groups=planes.shape[1])


@dataclass
class _State:
    """Parameters of N fits at once."""

    matrix: torch.Tensor  # [N, 2, 3]
    flow: torch.Tensor  # [N, 2, GRID, GRID]
    gain: torch.Tensor  # [N, 3, 1, 1], log
    offset: torch.Tensor  # [N, 3, 1, 1]

    def take(self, rows: torch.Tensor) -> _State:
        return _State(*(value.detach()[rows].clone() for value in (self.matrix, self.flow, self.gain, self.offset)))


def _fit(
    source: torch.Tensor, target: torch.Tensor, state: _State, steps: int, blur: float, bend: bool, area: float = 1.0
) -> torch.Tensor:
    """Gradient descent on ``state`` in place; the last error [N].

    source [N, 4, S, S] and target [1, 4, S, S], as ``_plane`` makes them. The error is the mean squared colour error
    over the region, a price for pixels the silhouette leaves bare, and a price for bending and relighting. area: of the
    target's frame, in units of the region's own, which a sample that fits it as it is covers.
    """
    moving = [state.matrix, state.gain, state.offset] + ([state.flow] if bend else [])
    for value in moving:
        value.requires_grad_()
    optimiser = torch.optim.Adam(moving, lr=0.04, betas=(0.8, 0.95))
    side, error = target.shape[-1], torch.zeros(len(source))
    for step in range(steps):
        sigma = blur * max(0.0, 1 - step / (0.7 * steps))
        if step % 8 == 0:
            smooth, wanted = _blur(source, sigma), _blur(target, sigma)
        for group in optimiser.param_groups:
            group["lr"] = 0.04 * min(1.0, 1.5 * (1 - step / steps) + 0.05)
        seen = F.grid_sample(
            smooth,
            _grid(state.matrix, state.flow if bend else None, side, side),
            padding_mode="border",
            align_corners=False,
        )
        lit = seen[:, :3] * state.gain.exp() + state.offset
        weight = target[:, 3:]
        colour = ((lit - wanted[:, :3]).square() * weight).sum((1, 2, 3)) / weight.sum() / 3
        bare = ((1 - seen[:, 3:]) * weight).sum((1, 2, 3)) / weight.sum()
        spill = (seen[:, 3:] * (1 - weight)).sum((1, 2, 3)) / weight.sum()
        size = state.matrix[:, 0, 0] * state.matrix[:, 1, 1] - state.matrix[:, 0, 1] * state.matrix[:, 1, 0]
        zoom = 0.04 * (size.abs() / area).clamp(min=1e-3).log().square()
        light = 0.03 * (state.gain.square() + state.offset.square()).sum((1, 2, 3))
        error = colour + BARE * bare + SPILL * spill + zoom + light
        if bend:
            dx, dy = state.flow.diff(dim=3), state.flow.diff(dim=2)
            error = error + BEND * (dx.square().mean((1, 2, 3)) + dy.square().mean((1, 2, 3)))
        optimiser.zero_grad()
        error.sum().backward()
        optimiser.step()
    for value in moving:
        value.requires_grad_(False)
    return error.detach()


def _best_of_each(error: torch.Tensor, candidates: Sequence[tuple[int, bool]]) -> torch.Tensor:
    """Rows of the best start of each sample, mirrored or not; the best FINALISTS of these."""
    rows: list[int] = []
    for row in error.argsort().tolist():
        if all(candidates[row] != candidates[other] for other in rows):
            rows.append(row)
    return torch.tensor(rows[:FINALISTS])


@torch.no_grad()
def _unlikeness(source: torch.Tensor, target: torch.Tensor, state: _State) -> torch.Tensor:
    """Perceptual distance of each laid sample to the region [N]; all else grey."""
    side, weight = target.shape[-1], target[:, 3:]
    seen = F.grid_sample(
        source, _grid(state.matrix, state.flow, side, side), padding_mode="border", align_corners=False
    )
    lit = (seen[:, :3] * state.gain.exp() + state.offset).clamp(-1, 1) * weight
    return perceptual_distance(load_lite0(), lit, (target[:, :3] * weight).expand_as(lit))


def fit_pose(
    image: NDArray[np.uint8],
    region: NDArray[np.bool_],
    samples: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]],
    removed: NDArray[np.bool_] | None = None,
) -> PoseHint | None:
    """The hint for one region.

    Args:
        image: S, [H, W, 3] uint8.
        region: [H, W] bool, the entity's silhouette.
        samples: (photograph, silhouette) of each sample of S_k.
        removed: [H, W] bool, the part of M that belongs to this entity, where it is wider than the silhouette: the
            hint is relative to it, so that its box says no more than the gap does.

    Returns:
        The hint as a receiver will read it (values rounded), None where no sample has a silhouette or the gap is so
        much wider that the map does not fit the format.
    """
    height, width = region.shape
    own = crop_box(region_box(region), width, height, MARGIN)
    box = own if removed is None else crop_box(region_box(removed | region), width, height, MARGIN)
    usable = [n for n, (_, silhouette) in enumerate(samples[:128]) if silhouette.any()]
    if not usable:
        return None
    frames = {n: sample_frame(samples[n][1]) for n in usable}

    def planes(side: int, candidates: Sequence[tuple[int, bool]]) -> torch.Tensor:
        made = {n: _plane(*samples[n], frames[n], side) for n in {n for n, _ in candidates}}
        return torch.stack([made[n].flip(-1) if mirrored else made[n] for n, mirrored in candidates])

    candidates = [(n, mirrored) for n in usable for mirrored in (False, True) for _ in ANGLES]
    turns = torch.tensor(ANGLES).repeat(2 * len(usable))
    cos, sin, zero = turns.cos(), turns.sin(), torch.zeros_like(turns)
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    count = len(candidates)
    state = _State(matrix, torch.zeros(count, 2, GRID, GRID), torch.zeros(count, 3, 1, 1), torch.zeros(count, 3, 1, 1))
    source, target = planes(COARSE, candidates), _plane(image, region, own, COARSE)[None]
    error = _fit(source, target, state, COARSE_STEPS, 3.0, bend=False)
    best = _best_of_each(error, candidates)
    state, finalists = state.take(best), [candidates[int(n)] for n in best]
    state.matrix, area = _seen_from(state.matrix, own, box)
    source, target = planes(FINE, finalists), _plane(image, region, box, FINE)[None]
    error = _fit(source, target, state, FINE_STEPS, 3.0, bend=True, area=area) + ALIKE * _unlikeness(
        source, target, state
    )
    error += MIRRORED * torch.tensor([float(mirrored) for _, mirrored in finalists])
    chosen = int(error.argmin())
    number, mirrored = finalists[chosen]
    scale, shift = frame_in_photo(samples[number][1], mirrored)
    placed: NDArray[np.float32] = state.matrix[chosen].numpy() * scale[:, None]
    placed[:, 2] += shift
    hint = PoseHint(
        number,
        mirrored,
        box,
        placed,
        state.flow[chosen].numpy().clip(-0.49, 0.49) * scale[:, None, None],
        state.gain[chosen].exp().flatten().numpy(),
        state.offset[chosen].flatten().numpy(),
    )
    if not hint.fits():
        return None
    return PoseHint.from_bytes(hint.to_bytes())


def _seen_from(matrix: torch.Tensor, own: Box, box: Box) -> tuple[torch.Tensor, float]:
    """Maps [N, 2, 3] from coordinates of one box to maps from those of another, and how much larger that one is."""
    sides = [own[2] - own[0], own[3] - own[1]]
    scale = torch.tensor([(box[2] - box[0]) / sides[0], (box[3] - box[1]) / sides[1]])
    shift = torch.tensor([(box[k] + box[k + 2] - own[k] - own[k + 2]) / sides[k] for k in (0, 1)])
    linear = matrix[:, :, :2]
    moved = (linear @ shift + matrix[:, :, 2])[:, :, None]
    return torch.cat([linear * scale, moved], dim=2), float(scale.prod())


def fit_hint(
    image: NDArray[np.uint8],
    region: NDArray[np.bool_],
    entity: Entity,
    removed: NDArray[np.bool_] | None = None,
) -> PoseHint | None:
    """How a sample of S_k lies over an entity in HWC uint8, as `fit_pose`."""
    return fit_pose(image, region, sample_pairs(entity), removed)
