"""What the chain needs of its parts, whoever wrote them: K, guard, recovery, encoders. Fakes in tests implement them.

Channel, transmitter, receiver and codec of the link are in `phy.protocols`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from privsc.hints.pose_hint import PoseHint
from privsc.images.regions import Box
from privsc.knowledge.detection import GuardResult, Identity
from privsc.knowledge.entity import Entity

Progress = Callable[..., None]
"""Called with (steps done, steps in all, ...)."""


class Knowledge(Protocol):
    """K (`privsc.knowledge.database.Database`)."""

    @property
    def path(self) -> Path: ...

    def digest(self) -> bytes:
        """[32] the same for the same entities."""
        ...

    def entities(self) -> tuple[Entity, ...]: ...

    def by_index(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        """Entities of the given indices in that order; indices that K does not hold are left out."""
        ...


class GuardLike(Protocol):
    """Finds entities of K and removes them (`privsc.guard.guard.Guard`)."""

    @property
    def identity(self) -> str:
        """Of its image encoder, as K remembers it."""
        ...

    def __call__(self, image: NDArray[np.uint8], entities: Sequence[Entity]) -> GuardResult: ...

    def hint(
        self,
        image: NDArray[np.uint8],
        region: NDArray[np.bool_],
        entity: Entity,
        removed: NDArray[np.bool_] | None = None,
    ) -> PoseHint | None:
        """How a sample of S_k lies over an entity of silhouette `region`; None for no hint.

        `removed` is what is taken out for it, None where that is the silhouette.
        """
        ...

    def rank(
        self, image: NDArray[np.uint8], entities: Sequence[Entity], mask: NDArray[np.bool_] | None = None
    ) -> list[Identity]:
        """Entities with their scores within `mask`, the likeliest first."""
        ...

    def identify(
        self, image: NDArray[np.uint8], entities: Sequence[Entity], mask: NDArray[np.bool_] | None = None
    ) -> Identity | None:
        """Whom a picture shows within `mask`: the first of `rank` where its score reaches its Gamma."""
        ...


class RecoveryLike(Protocol):
    """Paints removed regions (`privsc.recovery.recovery.Recovery`)."""

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
    ) -> NDArray[np.uint8]: ...


class TextEncoderLike(Protocol):
    """Prompt to text embedding i (`privsc.networks.text_encoder.TextEncoder`)."""

    identity: str

    def embed(self, prompt: str) -> NDArray[np.float32]:
        """[d] float32 of unit norm."""
        ...


class ImageEncoderLike(Protocol):
    """Picture to patch features (`privsc.networks.image_encoder.Encoder`)."""

    identity: str

    def __call__(self, image: NDArray[np.uint8]) -> Any: ...
