"""How well scores name the right subject: rank-1 against chance, within the class, ROC and AUC, all with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsc.errors import ConfigError
from privsc.stats import Share

RESAMPLES = 2000


@dataclass(frozen=True)
class Identification:
    """What one attack reaches.

    Attributes:
        rank1: the right subject has the highest score; chance is 1 over the number of subjects.
        in_class: the same among the subjects that share the class word; pictures of a class with one subject only do
            not count. Who tells a dog from a vase has recognised no dog.
        auc: area under the ROC of all (picture, subject) pairs, one subject against the rest.
        auc_interval: 95 %, bootstrap over pictures.
        roc: [P, 2] false and true positive rate.
    """

    rank1: Share
    in_class: Share
    auc: float
    auc_interval: tuple[float, float]
    roc: NDArray[Any]


def identification(scores: NDArray[Any], truth: Sequence[int] | NDArray[Any], classes: Sequence[str]) -> Identification:
    """Figures of scores [N, C] for N pictures and C subjects; ties at the top are settled by lot (fixed seed).

    Args:
        truth: [N] which subject each picture shows.
        classes: [C] class word of each subject.
    """
    scores, truth = np.asarray(scores, float), np.asarray(truth, int)
    if scores.ndim != 2 or scores.shape != (len(truth), len(classes)) or len(truth) == 0 or len(classes) < 2:
        raise ConfigError(f"scores must be [{len(truth)}, {len(classes)}], with 2 subjects or more; got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ConfigError("scores must be finite")
    words = np.asarray(classes)
    peers = words[None] == words[truth][:, None]  # [N, C]
    several = peers.sum(axis=1) > 1
    in_class = _wins(np.where(peers, scores, -np.inf), truth)[several]
    chance_in_class = float(np.mean(1 / peers.sum(axis=1)[several])) if several.any() else 0.0
    false, true = roc_curve(scores, truth)
    return Identification(
        Share(int(_wins(scores, truth).sum()), len(truth), 1 / len(classes)),
        Share(int(in_class.sum()), int(several.sum()), chance_in_class),
        _auc(scores, truth),
        bootstrap_auc(scores, truth),
        np.stack([false, true], axis=1),
    )


def _wins(scores: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """[N] whether the true subject has the highest score; of equal ones a lot decides, as in guessing."""
    lots = np.random.default_rng(0).random(scores.shape)
    top = scores == scores.max(axis=1, keepdims=True)
    return np.where(top, lots, -1).argmax(axis=1) == truth


def roc_curve(scores: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """False and true positive rates over all thresholds, pairs of equal score taken together."""
    right = _right(scores, truth).ravel()
    order = np.argsort(-scores.ravel(), kind="stable")
    ranked, hit = scores.ravel()[order], right[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true, false = np.cumsum(hit)[ends], np.cumsum(~hit)[ends]
    return np.append(0, false / (~right).sum()), np.append(0, true / right.sum())


def _right(scores: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    return np.arange(scores.shape[1])[None] == truth[:, None]


def _wins_of_pairs(scores: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """[N, N]: over how large a share of picture j's wrong pairs the right pair of picture i scores; ties are a half."""
    right = _right(scores, truth)
    own = scores[right]  # [N]
    wrong = scores[~right].reshape(len(truth), -1)  # [N, C - 1]
    above = (own[:, None, None] > wrong[None]).mean(axis=2)
    return above + 0.5 * (own[:, None, None] == wrong[None]).mean(axis=2)


def _auc(scores: NDArray[Any], truth: NDArray[Any]) -> float:
    """Probability that a right pair scores higher than a wrong one (Mann-Whitney), ties counting one half."""
    return float(_wins_of_pairs(scores, truth).mean())


def bootstrap_auc(scores: NDArray[Any], truth: NDArray[Any], resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % percentile interval of the AUC over pictures drawn again with repetition (fixed seed)."""
    count, wins = len(truth), _wins_of_pairs(scores, truth)
    often = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=resamples)  # [R, N]
    values = ((often @ wins) * often).sum(axis=1) / count**2
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
