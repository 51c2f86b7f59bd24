"""Rank-1, its intervals, ROC and AUC against what can be worked out by hand."""

import numpy as np
import pytest

from privsc.errors import ConfigError
from privsc.evaluation.privacy.identification import identification, roc_curve
from privsc.stats import Share

WORDS = ["cat", "cat", "dog", "vase"]


def test_exact_interval() -> None:
    low, high = Share(22, 22, 1 / 22).interval
    assert low == pytest.approx(0.025 ** (1 / 22))  # all of n: (alpha / 2)^(1 / n)
    assert high == 1.0
    assert Share(22, 22, 1 / 22).above_chance
    assert not Share(2, 22, 1 / 22).above_chance
    assert Share(0, 0, 0.5).interval is None


def test_perfect_scores() -> None:
    found = identification(np.eye(4), np.arange(4), WORDS)
    assert found.rank1.value == 1.0
    assert (found.in_class.hits, found.in_class.trials, found.in_class.chance) == (2, 2, 0.5)
    assert found.auc == 1.0
    assert found.auc_interval == (1.0, 1.0)


def test_knowing_the_class_only() -> None:
    """Scores that tell the class and no more: cats are told apart by lot, and never from a dog."""
    words = ["cat"] * 10 + ["dog"] * 10
    truth = np.tile(np.arange(20), 20)
    scores = (np.asarray(words)[None] == np.asarray(words)[truth][:, None]).astype(float)
    found = identification(scores, truth, words)
    assert found.rank1.value == pytest.approx(0.1, abs=0.045)  # 400 pictures: three standard deviations
    assert found.in_class.value == pytest.approx(found.in_class.chance, abs=0.045)


def test_equal_scores_are_chance() -> None:
    """An attack that sees nothing neither wins nor loses by the order of the subjects."""
    truth = np.tile(np.arange(20), 20)
    found = identification(np.zeros((400, 20)), truth, ["x"] * 20)
    assert found.rank1.value == pytest.approx(1 / 20, abs=0.033)
    assert found.auc == 0.5


def test_random_scores_are_chance() -> None:
    truth = np.tile(np.arange(20), 20)
    found = identification(np.random.default_rng(1).normal(size=(400, 20)), truth, ["x"] * 20)
    low, high = found.rank1.interval
    assert low < found.rank1.chance < high
    assert found.auc_interval[0] < 0.5 < found.auc_interval[1]


def test_auc_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(2)
    truth = np.arange(12)
    scores = np.round(rng.normal(size=(12, 12)) + np.eye(12), 1)  # rounded: ties
    false, true = roc_curve(scores, truth)
    area = float((np.diff(false) * (true[1:] + true[:-1]) / 2).sum())
    assert identification(scores, truth, ["x"] * 12).auc == pytest.approx(area)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match=r"scores must be \[2, 4\]"):
        identification(np.zeros((2, 3)), [0, 1], WORDS)
    with pytest.raises(ConfigError, match="finite"):
        identification(np.full((1, 4), np.nan), [0], WORDS)
