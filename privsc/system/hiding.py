"""Before the link: whom the transmitter hides, in which shape, and which ways to send i there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privsc.errors import ConfigError
from privsc.guard.masking import MaskShape, only, shaped
from privsc.knowledge import selection
from privsc.knowledge.detection import GuardResult
from privsc.system.protocols import GuardLike, Knowledge, TextEncoderLike


def hide(
    image: np.ndarray, guard: GuardLike, database: Knowledge, shape: MaskShape, wanted: frozenset[int] | None = None
) -> GuardResult:
    """S, [H, W, 3] uint8, without the entities of K, or those of the indices `wanted`, in the shape asked for."""
    guarded = guard(image, database.entities())
    return shaped(image, guarded if wanted is None else only(image, guarded, wanted), shape)


def check_mode(send: str, coding: str, hint: str = "pose") -> None:
    """Refuse a way to send i that there is not, or one that does not go with the coding."""
    if send not in ("index", "embedding"):
        raise ConfigError(f"send: must be index or embedding; got {send!r}")
    if hint not in ("pose", "none"):
        raise ConfigError(f"hint: must be pose or none; got {hint!r}")
    if send == "embedding" and coding != "pixels":
        raise ConfigError(f"send: embedding goes with the coding pixels, whose bytes may be wrong; got {coding!r}")


def chosen(
    database: Knowledge, remove: Sequence[str], text_encoder: TextEncoderLike | None = None
) -> frozenset[int] | None:
    """Indices of the entities that descriptions mean, None where nothing was described: everybody."""
    if not remove:
        return None
    if text_encoder is None:
        from privsc.networks.text_encoder import load_text_encoder  # loads torch

        text_encoder = load_text_encoder()
    return frozenset(e.index for e in selection.select(database.entities(), remove, text_encoder.embed))
