"""What an eavesdropper can make of a received picture, from weak to strong, and weaker protections to compare with.

    Heard (Â, M̂, î) ──look | cv2.inpaint | generic U_theta + class word | + index | + a few photographs──► Ŝe

Every attack gets the same `Heard`: Eve's own channel realisation through the receive chain that Bob has too. The
attacker who learns from examples is `privsc.evaluation.privacy.attacker`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from privsc.errors import ConfigError
from privsc.images.regions import bounding_box, region_box
from privsc.knowledge.entity import Entity

if TYPE_CHECKING:
    from privsc.system.chain import Heard
    from privsc.system.protocols import RecoveryLike

RADIUS = 5  # [px] of cv2.inpaint
BLURS = {"blurred lightly": 0.03, "blurred strongly": 0.1}
"""Standard deviation of the Gaussian as a share of the private region's longer side."""
PIXELATIONS = {"pixelated, 16 blocks": 16, "pixelated, 6 blocks": 6}
"""Blocks along the private region's longer side."""


@dataclass(frozen=True)
class Target:
    """One received picture, and what an eavesdropper might know about what is hidden in it.

    Attributes:
        heard: Â, M̂ and î as she received them.
        class_word: "cat"; None where she does not know it.
        entity: of K. Only `partial_k` looks at it, and takes no more of it than its docstring says.
        seed: of her recovery.
    """

    heard: Heard
    class_word: str | None
    entity: Entity | None
    seed: int = 0


Attack = Callable[["RecoveryLike", Target], NDArray[np.uint8]]
"""Called as attack(recovery, target): Ŝe [H, W, 3] uint8."""


def no_recovery(recovery: RecoveryLike, target: Target) -> NDArray[np.uint8]:
    """She looks at Â."""
    return target.heard.image.copy()


def inpaint(recovery: RecoveryLike, target: Target) -> NDArray[np.uint8]:
    """OpenCV's inpainting (Telea 2004): the surroundings are led into the region; no learned model, no knowledge."""
    mask = target.heard.region.astype(np.uint8) * 255
    return np.asarray(cv2.inpaint(target.heard.image, mask, RADIUS, cv2.INPAINT_TELEA), np.uint8)


def generic_word(recovery: RecoveryLike, target: Target) -> NDArray[np.uint8]:
    """The paper's Eve: generic U_theta, from noise, with the class word."""
    return _generic(recovery, target, target.class_word)


def generic_index(recovery: RecoveryLike, target: Target) -> NDArray[np.uint8]:
    """Generic U_theta with the decoded index as the prompt and as the seed: all that the air tells her of the entity.

    Without the table that leads from indices to entities the number is a word like any other; but the same number
    always gives the same start.
    """
    indices = target.heard.indices
    word = " and ".join(f"subject number {index}" for index in indices) or None
    return _generic(recovery, replace(target, seed=sum(indices)), word)


def _generic(recovery: RecoveryLike, target: Target, word: str | None) -> NDArray[np.uint8]:
    heard = target.heard
    return recovery(heard.image, heard.region, None, class_word=word, init="noise", seed=target.seed)


def partial_k(count: int) -> Attack:
    """An eavesdropper who has got hold of `count` photographs of the entity with their silhouettes, and knows whose.

    She works as Bob does, from a warped sample, but with the generic U_theta: K's adapter, its prompt and its other
    photographs are not hers. A pose hint serves her where it refers to a photograph that she has. This is also a K that
    has gone stale: early photographs, no personalisation.
    """
    if count < 1:
        raise ConfigError(f"a partial K needs at least 1 photograph; got {count}")

    def attack(recovery: RecoveryLike, target: Target) -> NDArray[np.uint8]:
        heard, entity = target.heard, target.entity
        if entity is None:
            return _generic(recovery, target, target.class_word)
        hers = without_adapter(entity, count)
        useful = bool(heard.poses) and all(pose.sample < len(hers.samples) for pose in heard.poses)
        poses = heard.poses if useful else ()
        return recovery(heard.image, heard.region, [hers], seed=target.seed, poses=poses)

    return attack


def without_adapter(entity: Entity, count: int) -> Entity:
    """The entity as somebody knows it who holds its first `count` samples and its class word."""
    from privsc.networks.text_encoder import load_text_encoder

    text = load_text_encoder().embed(f"a photo of a {entity.class_word}")
    return replace(entity, samples=entity.samples[:count], adapter=None, text_embedding=text)


ATTACKS: dict[str, Attack] = {
    "Eve: looks at Â": no_recovery,
    "Eve: cv2.inpaint": inpaint,
    "Eve: generic, index": generic_index,
    "Eve: generic, class word": generic_word,
    "Eve: 1 photo of K": partial_k(1),
    "Eve: 2 photos of K": partial_k(2),
}


def blurred(image: NDArray[np.uint8], mask: NDArray[np.bool_], share: float) -> NDArray[np.uint8]:
    """HWC uint8 with the private region [H, W] blurred, as faces are in published photographs.

    Args:
        share: standard deviation of the Gaussian over the longer side of the region's box.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"the blur must be more than 0 and at most 1 of the region's longer side; got {share}")
    if not mask.any():
        return image.copy()
    x0, y0, x1, y1 = region_box(mask)
    sigma = share * max(x1 - x0, y1 - y0)
    return np.where(mask[..., None], cv2.GaussianBlur(image, (0, 0), sigma), image).astype(np.uint8)


def pixelated(image: NDArray[np.uint8], mask: NDArray[np.bool_], blocks: int) -> NDArray[np.uint8]:
    """HWC uint8 with the private region [H, W] in mosaic: `blocks` squares along the longer side of its box."""
    if blocks < 1:
        raise ConfigError(f"a mosaic needs at least 1 block; got {blocks}")
    box = bounding_box(mask)
    if box is None:
        return image.copy()
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0) / blocks
    size = max(1, round((x1 - x0) / side)), max(1, round((y1 - y0) / side))
    small = cv2.resize(image[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    mosaic = image.copy()
    mosaic[y0:y1, x0:x1] = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
    return np.where(mask[..., None], mosaic, image).astype(np.uint8)


def protections(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, NDArray[np.uint8]]:
    """The weaker protections of one picture: name to HWC uint8."""
    done = {name: blurred(image, mask, share) for name, share in BLURS.items()}
    return done | {name: pixelated(image, mask, blocks) for name, blocks in PIXELATIONS.items()}
