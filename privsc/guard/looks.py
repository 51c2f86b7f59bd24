"""Looks at a picture: turned, smaller and larger, so that entities of any size and any way up match.

    S ──turned by 90°, 0 to 3 times──► ──scaled──► S_alpha ──► patches [h, w, d], each with its place in S

An entity half as high as the picture is found at its usual size; one of a quarter at twice that. At half size blur and
blocks of a hard JPEG are half as large: what they hide is found there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privsc.networks.image_encoder import Encoder, ImageFeatures, PatchMap
from privsc.networks.letterbox import SIDE, STRIDE

TURNS = (0, 1, 2, 3)
LOOKS: dict[str, tuple[tuple[float, tuple[int, ...]], ...]] = {
    "fast": ((1, (0,)), (0.5, TURNS)),
    "normal": ((1, TURNS), (0.5, TURNS), (3, (0,))),
    "thorough": ((1, TURNS), (0.5, TURNS), (2, TURNS), (3, (0,)), (5, (0,))),
}
"""Of each effort: zooms, and for each the quarter turns. Zoom 1 is the size at which photographs are enrolled."""
ENLARGED = 2.0
"""A photograph is not enlarged more than this: what is only blur then resembles anybody. Of 24 pets 0 % come within
0.1 of a Gamma at twice their own size, 12 % at three times."""


@dataclass(frozen=True)
class Look:
    """Patches of a picture as it looks turned and scaled.

    Attributes:
        zoom: 1 is the size at which photographs are enrolled.
        turn: quarter turns anticlockwise that the picture was turned by.
        map: its patches.
    """

    zoom: float
    turn: int
    map: PatchMap

    @property
    def vague(self) -> bool:
        """Whether a near match says nothing: in small, another 3 % of pets come within 0.1 of a Gamma."""
        return self.zoom < 1

    def cells(self, chosen: NDArray, shape: tuple[int, int]) -> NDArray:
        """Values of patches [h, w] as a map of the picture itself, turned back, of ``shape``: the nearest of each."""
        turned = shape if self.turn % 2 == 0 else shape[::-1]
        return np.rot90(_sampled(chosen, self.map.extent, turned), -self.turn)


def looks(
    image: NDArray[np.uint8], encoder: Encoder, effort: str, plain: ImageFeatures | None = None
) -> Iterator[Look]:
    """The looks of an effort at HWC uint8, the plain one first; ``plain`` are its features where they are known."""
    largest = max(1.0, ENLARGED * max(image.shape[:2]) / SIDE)
    done: set[float] = set()
    for wanted, turns in LOOKS[effort]:
        zoom = min(wanted, largest)
        if zoom in done:
            continue
        done.add(zoom)
        for turn in turns:
            if plain is not None and zoom == 1 and turn == 0:
                width, height = plain.fitted.size
                yield Look(zoom, turn, PatchMap(plain.patches, (height / STRIDE, width / STRIDE)))
            else:
                turned = np.ascontiguousarray(np.rot90(image, turn))
                yield Look(zoom, turn, encoder.patches(turned, zoom))


def _sampled(values: NDArray, extent: tuple[float, float], shape: tuple[int, int]) -> NDArray:
    """The part of a map [h, w] within ``extent`` cells, in another resolution."""
    rows, columns = (
        np.minimum((np.arange(side) + 0.5) * cells / side, limit - 1).astype(int)
        for side, cells, limit in zip(shape, extent, values.shape, strict=True)
    )
    return values[rows[:, None], columns]
