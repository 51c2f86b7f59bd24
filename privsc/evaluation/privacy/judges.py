"""Who can still be recognised, by whom, in what: `privsc eval eavesdroppers`.

Per kind of picture up to three judges name the subject of each test photograph:

    recogniser   eq. (8): the guard's own, with the f_k of K, within the private region
    transfer     a head on EfficientNet-Lite2, trained on the enrolled *original* photographs
    adaptive     the same, trained on pictures of that very kind: pairs (what is received, who it is)

The training photographs are those that K was enrolled from; the test photographs, the last of each subject, are looked
at once, after everything has been chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privsc.evaluation.privacy.attacker import train_attacker
from privsc.evaluation.privacy.descriptors import COPIES, Kind, Vectors, kinds, vectors_of
from privsc.evaluation.privacy.identification import Identification, identification
from privsc.evaluation.privacy.received_pictures import Item
from privsc.evaluation.protocol import Progress
from privsc.hints.pose_hint import PoseHint
from privsc.images import metrics
from privsc.knowledge.entity import Entity
from privsc.networks.lite2 import load_lite2
from privsc.stats import Figure, mean
from privsc.system.protocols import GuardLike

QUIET = 1.0  # score of nobody's region


@dataclass(frozen=True)
class Judged:
    """What one judge reached on one kind; how: the descriptor set, head and cross-validated rank-1 that were chosen."""

    kind: str
    judge: str
    figures: Identification
    how: str = ""


@dataclass(frozen=True)
class Likeness:
    """How close pictures of one kind come to the original in the private region."""

    kind: str
    psnr: Figure
    ssim: Figure


def judge_all(
    items: Sequence[Item],
    entities: Sequence[Entity],
    guard: GuardLike,
    cache: Path,
    *,
    seed: int = 0,
    stage: Callable[[str], Progress | None] = lambda name: None,
) -> Iterator[Judged]:
    """Every kind and every judge. `entities` are the subjects, in the order of `items`."""
    names = [entity.name for entity in entities]
    words = [entity.class_word for entity in entities]
    tests, training = [i for i in items if i.test], [i for i in items if not i.test]
    truth = np.array([names.index(item.subject) for item in tests])
    labels = np.repeat([names.index(item.subject) for item in training], COPIES)
    photographs = np.repeat([item.number for item in training], COPIES)
    network, on_originals = load_lite2(), None
    chosen = kinds()
    progress = stage("the attacker learns")
    for count, kind in enumerate(chosen):
        if progress is not None:
            progress(count, len(chosen), kind.name)
        vectors = vectors_of(kind, items, network, cache)
        if kind.see == "picture":
            scores = np.stack([recogniser_scores(kind, item, entities, guard) for item in tests])
            yield Judged(kind.name, "recogniser", identification(scores, truth, words))
            if on_originals is None:
                on_originals = train_attacker(vectors.train, labels, photographs, len(names), seed)
            yield Judged(
                kind.name,
                "transfer",
                identification(on_originals.scores(vectors.test), truth, words),
                f"{on_originals.descriptor}, {on_originals.head}",
            )
        if kind.trained:
            yield adaptive(kind.name, vectors, labels, photographs, truth, words, seed)
    for name, vectors in side_channels(training, tests).items():
        yield adaptive(name, vectors, labels[::COPIES], photographs[::COPIES], truth, words, seed)


def adaptive(
    name: str,
    vectors: Vectors,
    labels: NDArray[np.integer],
    photographs: NDArray[np.integer],
    truth: NDArray[np.integer],
    words: Sequence[str],
    seed: int = 0,
) -> Judged:
    """The attacker trained on pictures of one kind, on its test pictures."""
    attacker = train_attacker(vectors.train, labels, photographs, len(words), seed)
    how = f"{attacker.descriptor}, {attacker.head}, {100 * attacker.cross_validated:.0f} % in cross-validation"
    return Judged(name, "adaptive", identification(attacker.scores(vectors.test), truth, words), how)


def recogniser_scores(kind: Kind, item: Item, entities: Sequence[Entity], guard: GuardLike) -> NDArray[np.float64]:
    """[C] scores of the guard's recogniser in the private region as the transmitter knows it."""
    image, _ = kind.look(item)
    mask = item.mask()
    ranked = {i.index: i.score for i in guard.rank(image, entities, mask if mask.any() else None)}
    return np.array([ranked.get(entity.index, -QUIET) for entity in entities])


def side_channels(training: Sequence[Item], tests: Sequence[Item]) -> dict[str, Vectors]:
    """What is on the air beside the picture: the index, the pose hint, and the payload's size for every coding."""
    sides: dict[str, Vectors] = {}
    largest = max((index for item in (*training, *tests) for index in item.info["indices"]), default=0)

    def indices(item: Item) -> NDArray[np.float32]:
        marked = np.zeros(largest + 1, np.float32)
        marked[item.info["indices"]] = 1
        return marked

    sides["index on the air"] = _side("index", indices, training, tests)
    if any(item.info["hints"] for item in (*training, *tests)):
        sides["pose hint on the air"] = _side("hint", hint_numbers, training, tests)
    for coding in tests[0].info["body_bytes"]:

        def size(item: Item, coding: str = coding) -> NDArray[np.float32]:
            info = item.info
            return np.array([info["body_bytes"][coding], info["width"], info["height"]], np.float32)

        sides[f"payload size, {coding}"] = _side("size", size, training, tests)
    return sides


def hint_numbers(item: Item) -> NDArray[np.float32]:
    """[49] the numbers of the first pose hint of a payload, its box as shares of the picture; zeros without one.

    Not the sample's number: which photographs an index has in K differs between training and test.
    """
    hints = item.info["hints"]
    if not hints:
        return np.zeros(49, np.float32)
    hint = PoseHint.from_bytes(bytes.fromhex(hints[0]))
    box = np.array(hint.box, np.float32) / np.tile([item.info["width"], item.info["height"]], 2)
    parts = ([hint.mirrored], box, hint.matrix.ravel(), hint.flow.ravel(), np.log2(hint.gain), hint.offset)
    return np.concatenate(parts).astype(np.float32)


def _side(
    name: str, read: Callable[[Item], NDArray[np.float32]], training: Sequence[Item], tests: Sequence[Item]
) -> Vectors:
    return Vectors({name: np.stack([read(i) for i in training])}, {name: np.stack([read(i) for i in tests])})


def likeness(items: Sequence[Item]) -> Iterator[Likeness]:
    """PSNR and SSIM in the private region M, of every kind of picture that shows something there."""
    tests = [item for item in items if item.test and item.mask().any()]
    for kind in kinds():
        if kind.see != "picture" or kind.name == "original":
            continue
        psnrs, ssims = [], []
        for item in tests:
            original, image, mask = item.picture("original"), kind.look(item)[0], item.mask()
            psnrs.append(metrics.psnr(original, image, mask))
            ssims.append(metrics.ssim(original, image, mask))
        yield Likeness(
            kind.name,
            mean("PSNR private", [p for p in psnrs if p is not None and np.isfinite(p)], "dB"),
            mean("SSIM private", [s for s in ssims if s is not None]),
        )
