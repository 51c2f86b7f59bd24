"""The adaptive attacker on made-up leaks of known size."""

import numpy as np
import pytest

from privsc.errors import ConfigError
from privsc.evaluation.privacy.attacker import HEADS, train_attacker
from privsc.evaluation.privacy.identification import identification

SUBJECTS, PHOTOS = 8, 4
LABELS = np.repeat(np.arange(SUBJECTS), PHOTOS)
NUMBERS = np.tile(np.arange(PHOTOS), SUBJECTS)


def _reached(train: dict, test: dict) -> tuple[float, object]:
    attacker = train_attacker(train, LABELS, NUMBERS, SUBJECTS)
    found = identification(attacker.scores(test), np.arange(SUBJECTS), ["x"] * SUBJECTS)
    return found.rank1.value, attacker


def test_a_descriptor_that_names_the_subject_is_found() -> None:
    """Of two descriptor sets one is noise; cross-validation takes the other and the test is won."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(SUBJECTS, 6))
    train = {"noise": rng.normal(size=(len(LABELS), 40)), "leak": centres[LABELS] + 0.05 * rng.normal(size=(32, 6))}
    test = {"noise": rng.normal(size=(SUBJECTS, 40)), "leak": centres + 0.05 * rng.normal(size=(SUBJECTS, 6))}
    rank1, attacker = _reached(train, test)
    assert rank1 == 1.0
    assert attacker.descriptor == "leak"
    assert attacker.cross_validated == 1.0


def test_noise_leads_nowhere() -> None:
    """Trained on noise she is at chance, 1/8, on 400 pictures: within four standard deviations."""
    rng = np.random.default_rng(1)
    attacker = train_attacker({"noise": rng.normal(size=(len(LABELS), 10))}, LABELS, NUMBERS, SUBJECTS)
    scores = attacker.scores({"noise": rng.normal(size=(400, 10))})
    found = identification(scores, np.tile(np.arange(SUBJECTS), 50), ["x"] * SUBJECTS)
    assert found.rank1.value == pytest.approx(1 / 8, abs=0.066)
    assert attacker.cross_validated < 0.5


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns(head: str) -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(SUBJECTS, 5))
    model = HEADS[head](0).fit(centres[LABELS] + 0.02 * rng.normal(size=(len(LABELS), 5)), LABELS)
    assert (model.predict(centres) == np.arange(SUBJECTS)).mean() >= 0.9


def test_copies_of_a_photograph_do_not_vouch_for_it() -> None:
    """Copies are alike and photographs are not: who left a copy in the training fold would report 100 %."""
    rng = np.random.default_rng(4)
    photographs = rng.normal(size=(len(LABELS), 30))
    twice = np.repeat(photographs, 2, axis=0)
    attacker = train_attacker({"x": twice}, np.repeat(LABELS, 2), np.repeat(NUMBERS, 2), SUBJECTS)
    assert attacker.cross_validated < 0.5


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="one length"):
        train_attacker({"x": np.zeros((3, 2))}, LABELS, NUMBERS, SUBJECTS)
    with pytest.raises(ConfigError, match="each of the 9 subjects"):
        train_attacker({"x": np.zeros((len(LABELS), 2))}, LABELS, NUMBERS, 9)
