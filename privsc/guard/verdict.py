"""Whether a picture may leave: what the guard found against what was asked for. Everything here fails closed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from privsc.errors import ApprovalError, NothingFoundError
from privsc.knowledge.detection import GuardResult
from privsc.knowledge.entity import name_key

ANY = "any"


def check_found(guarded: GuardResult, require: Sequence[str] = (), allow_nothing: bool = True) -> None:
    """Refuse a picture in which the guard did not find what it must hold.

    Args:
        guarded: what the guard found.
        require: names of K that must be found, or `any`: somebody of K. A suspect is nobody in particular and meets
            neither.
        allow_nothing: whether a picture may leave in which nothing is hidden at all.

    Raises:
        NothingFoundError: with how near the likeliest came.
    """
    there = {name_key(detection.name) for detection in guarded.detections if not detection.suspect}
    for name in require:
        if name_key(name) == ANY and there:
            continue
        if name_key(name) not in there:
            who = "nobody of K" if name_key(name) == ANY else f"{name} not"
            raise NothingFoundError(
                f"--require {name}: {who} found in the picture{_nearest(guarded)}; nothing is written or sent"
            )
    if not allow_nothing and not guarded.detections:
        raise NothingFoundError(
            f"nobody of K found in the picture{_nearest(guarded)}; nothing is sent: look at it with `privsc guard`, "
            "and say --allow-nothing if it may go as it is"
        )


def check_approved(image: NDArray[np.uint8], guarded: GuardResult, approved: NDArray[np.uint8]) -> None:
    """Refuse to send anything but what was looked at: A must be the approved picture, pixel by pixel.

    Raises:
        ApprovalError: where they differ in size or in a pixel.
    """
    if approved.shape != image.shape:
        got, ours = (f"{a.shape[1]} x {a.shape[0]}" for a in (approved, image))
        raise ApprovalError(
            f"--approved: the picture has {got} px, what would be sent has {ours}; make it with the same --max-side"
        )
    differ = (approved != guarded.masked).any(axis=-1)
    if differ.any():
        shown = int((differ & ~guarded.mask).sum())
        raise ApprovalError(
            f"--approved: {int(differ.sum())} pixels differ from what would be sent, {shown} of them not hidden; "
            "look at it again: privsc guard with the same photograph, K and options"
        )


def _nearest(guarded: GuardResult) -> str:
    if guarded.evidence is None or not guarded.evidence.near:
        return ""
    near = guarded.evidence.near[0]
    return f" (nearest is {near.name}, {near.score:.2f} of {near.gamma:.2f})"
