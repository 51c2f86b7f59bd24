"""Descriptors of each kind of picture, for training (with augmented copies) and for the test; kept in the cache.

A *kind* is what an attacker looks at: the original, Bob's picture, Eve's, the outline alone, the surroundings alone, …
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privsc.errors import PhotoError
from privsc.evaluation.privacy.attacks import ATTACKS, BLURS, PIXELATIONS, blurred, pixelated
from privsc.evaluation.privacy.received_pictures import TRAINED_ON, Item, slug
from privsc.evaluation.privacy.silhouettes import describe
from privsc.evaluation.protocol import Progress
from privsc.files import atomic_path
from privsc.guard.masking import MaskShape
from privsc.networks.lite2 import Lite2, close_up, surroundings, whole

COPIES = 2
"""Of a training picture: as it is, and mirrored with a little cropped away."""
SHAPES = ("silhouette", "silhouette+16", "box")

Look = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""A picture HWC uint8 and the private region [H, W] in it."""


@dataclass(frozen=True)
class Kind:
    """One thing to look at. look: of an item; trained: whether training pictures of it exist; see: how it is described.

    see: "picture" (whole and close-up), "surroundings" (whole, the region's box blanked) or "outline" (the mask alone).
    """

    name: str
    look: Callable[[Item], Look]
    trained: bool = True
    see: str = "picture"


@dataclass(frozen=True)
class Vectors:
    """Descriptor sets [N, d] of the training copies and of the test pictures, in the order of the items."""

    train: dict[str, NDArray[np.float32]]
    test: dict[str, NDArray[np.float32]]


def kinds() -> list[Kind]:
    """All that is compared: pictures first, then weaker protections, then what leaks beside the picture."""

    def stored(name: str, mask: str, item: Item) -> Look:
        return item.picture(name), item.mask(mask)

    def hidden_by(shape: MaskShape, item: Item) -> Look:
        mask = shape.of(item.mask("region"))
        received = item.picture(slug("Eve: looks at Â"))
        return np.where(mask[..., None], np.uint8(0), received), mask

    def blur(share: float, item: Item) -> Look:
        return blurred(item.picture("original"), item.mask(), share), item.mask()

    def mosaic(blocks: int, item: Item) -> Look:
        return pixelated(item.picture("original"), item.mask(), blocks), item.mask()

    found = [Kind("original", partial(stored, "original", "mask")), Kind("Bob", partial(stored, "bob", "mask"))]
    found += [Kind(name, partial(stored, slug(name), "region"), name in TRAINED_ON) for name in ATTACKS]
    found += [Kind(name, partial(blur, share)) for name, share in BLURS.items()]
    found += [Kind(name, partial(mosaic, blocks)) for name, blocks in PIXELATIONS.items()]
    found += [Kind(f"Â, mask {text}", partial(hidden_by, MaskShape.parse(text))) for text in SHAPES[1:]]
    found += [
        Kind(f"outline alone, {text}", partial(hidden_by, MaskShape.parse(text)), see="outline") for text in SHAPES
    ]
    return [*found, Kind("surroundings alone", partial(hidden_by, MaskShape.parse("box")), see="surroundings")]


def vectors_of(
    kind: Kind, items: Sequence[Item], network: Lite2, cache: Path, progress: Progress | None = None
) -> Vectors:
    """Descriptors of one kind, computed or from the cache."""
    key = [kind.name, kind.see, COPIES, network.identity, [str(i.folder) for i in items]]
    path = cache / f"{slug(kind.name)}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]}.npz"
    if path.is_file():
        return _read(path)
    training = [item for item in items if not item.test] if kind.trained else []
    tests = [item for item in items if item.test]
    looks = [copy for n, item in enumerate(training) for copy in augmented(*kind.look(item), np.random.default_rng(n))]
    if progress is not None:
        progress(1, 2, kind.name)
    train = describe_all(kind.see, looks, network)
    test = describe_all(kind.see, [kind.look(item) for item in tests], network)
    cache.mkdir(parents=True, exist_ok=True)
    parts = {f"train {name}": x for name, x in train.items()} | {f"test {name}": x for name, x in test.items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **parts)  # type: ignore[arg-type]
    return Vectors(train, test)


def _read(path: Path) -> Vectors:
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in stored.files}
    except Exception as error:  # a damaged zip provokes many kinds
        raise PhotoError(f"{path}: the cache is damaged; remove this file and repeat the command") from error
    sets: tuple[dict, dict] = ({}, {})
    for name, x in parts.items():
        side, _, descriptor = name.partition(" ")
        sets[side == "test"][descriptor] = x
    return Vectors(*sets)


def augmented(image: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator) -> list[Look]:
    """COPIES of a training picture: itself, then mirrored ones with up to a tenth cropped away at each side."""
    height, width = mask.shape
    copies: list[Look] = [(image, mask)]
    for _ in range(COPIES - 1):
        left, right = (int(rng.uniform(0, 0.1) * width) for _ in range(2))
        top, bottom = (int(rng.uniform(0, 0.1) * height) for _ in range(2))
        part = slice(top, height - bottom), slice(left, width - right)
        copies.append((np.ascontiguousarray(image[part][:, ::-1]), np.ascontiguousarray(mask[part][:, ::-1])))
    return copies


def describe_all(see: str, looks: Sequence[Look], network: Lite2) -> dict[str, NDArray[np.float32]]:
    """Descriptor set to [N, d] of N pictures; {} of none."""
    if not looks:
        return {}
    if see == "surroundings":
        return {"whole": network.vectors([whole(surroundings(image, mask)) for image, mask in looks])}
    if see == "outline":
        white = [np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2) for _, mask in looks]
        described = [describe(mask) for _, mask in looks]
        sets = {name: np.stack([d[name] for d in described]) for name in described[0]}
        masks = [mask for _, mask in looks]
        return sets | {"network": network.vectors([close_up(w, m) for w, m in zip(white, masks, strict=True)])}
    wide = network.vectors([whole(image) for image, _ in looks])
    near = network.vectors([close_up(image, mask) for image, mask in looks])
    return {"whole": wide, "close-up": near, "both": np.concatenate([wide, near], axis=1)}
