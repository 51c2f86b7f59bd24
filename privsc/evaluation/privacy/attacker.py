"""The adaptive attacker: she has pairs (what is received, who it is) of all entities, and learns.

    training pairs ──descriptor sets──► cross-validation chooses set and head ──► head ──► scores of test pictures

Descriptors come from elsewhere (`privsc.networks.lite2`, `privsc.evaluation.privacy.silhouettes`, sizes of payloads)
and are frozen; the heads are scikit-learn's, or the nearest example. What is chosen is chosen within the training
pairs: folds leave out whole photographs, with all their augmented copies. The test pictures are seen once, by `scores`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from privsc.errors import ConfigError

Vectors = Mapping[str, NDArray[np.float32]]
"""Descriptor set to [N, d]."""


class NearestExample(ClassifierMixin, BaseEstimator):
    """Score of a class: minus the distance to its nearest training example."""

    def fit(self, x: NDArray, y: NDArray) -> NearestExample:
        self.classes_ = np.unique(y)
        self._x, self._y = np.asarray(x, float), np.asarray(y)
        return self

    def decision_function(self, x: NDArray) -> NDArray[np.float64]:
        squares = (np.asarray(x, float) ** 2).sum(1)[:, None] + (self._x**2).sum(1) - 2 * np.asarray(x) @ self._x.T
        distance = np.sqrt(np.maximum(squares, 0))  # [N, n]
        return np.stack([-distance[:, self._y == c].min(axis=1) for c in self.classes_], axis=1)

    def predict(self, x: NDArray) -> NDArray:
        return self.classes_[self.decision_function(x).argmax(axis=1)]


def _logistic(c: float) -> Callable[[int], Any]:
    return lambda seed: make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300))


HEADS: dict[str, Callable[[int], Any]] = {
    "nearest example": lambda seed: NearestExample(),
    "nearest example, scaled": lambda seed: make_pipeline(StandardScaler(), NearestExample()),
    "logistic, C=0.001": _logistic(1e-3),
    "logistic, C=0.1": _logistic(0.1),
    "discriminant": lambda seed: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "trees": lambda seed: ExtraTreesClassifier(80, min_samples_leaf=2, random_state=seed),
}
"""From the simplest; where two do equally well in cross-validation, the first is taken."""
WIDE = 64
"""Descriptors of more numbers go without trees and discriminant: slow there, and never better in cross-validation."""


@dataclass(frozen=True)
class Attacker:
    """A fitted head: which descriptor set and head cross-validation chose, and its rank-1 there, in [0, 1]."""

    descriptor: str
    head: str
    cross_validated: float
    classes: int
    model: Any

    def scores(self, vectors: Vectors) -> NDArray[np.float64]:
        """[N, C] of test pictures."""
        return _scores(self.model, vectors[self.descriptor], self.classes)


def train_attacker(
    vectors: Vectors, labels: NDArray[np.integer], photographs: NDArray[np.integer], classes: int, seed: int = 0
) -> Attacker:
    """Choose and fit.

    Args:
        vectors: descriptor sets of the training pictures, augmented copies included.
        labels: [N] subject, 0 to classes - 1.
        photographs: [N] number of the photograph within its subject: copies share it, folds leave it out.
        classes: how many subjects there are.
    """
    labels, photographs = np.asarray(labels), np.asarray(photographs)
    if len(labels) != len(photographs) or any(len(x) != len(labels) for x in vectors.values()):
        raise ConfigError("vectors, labels and photographs must be of one length")
    if sorted(set(labels.tolist())) != list(range(classes)):
        raise ConfigError(f"each of the {classes} subjects needs a training picture")
    best: tuple[float, str, str] | None = None
    for name, x in vectors.items():
        for head in HEADS:
            if x.shape[1] > WIDE and head in ("trees", "discriminant"):
                continue
            reached = _cross_validate(head, x, labels, photographs, classes, seed)
            if best is None or reached > best[0] + 1e-9:
                best = reached, name, head
    if best is None:
        raise ConfigError("no descriptor set was given")
    reached, name, head = best
    return Attacker(name, head, reached, classes, _fit(head, vectors[name], labels, seed))


def _cross_validate(
    head: str,
    x: NDArray[np.float32],
    labels: NDArray[np.integer],
    photographs: NDArray[np.integer],
    classes: int,
    seed: int,
) -> float:
    """Rank-1 over the folds; fold j leaves out the photographs of number j of every subject that has others."""
    hits, count = 0, 0
    for number in np.unique(photographs):
        test = photographs == number
        train = ~test
        known = np.isin(labels, labels[train])
        if not (test & known).any() or len(np.unique(labels[train])) < 2:
            continue
        model = _fit(head, x[train], labels[train], seed)
        guessed = _scores(model, x[test & known], classes).argmax(axis=1)
        hits += int((guessed == labels[test & known]).sum())
        count += int((test & known).sum())
    return hits / count if count else 0.0


def _fit(head: str, x: NDArray[np.float32], labels: NDArray[np.integer], seed: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a head that has not converged is judged as it is
        warnings.simplefilter("ignore", UserWarning)  # collinear descriptors, constant columns
        return HEADS[head](seed).fit(np.asarray(x, float), labels)


def _scores(model: Any, x: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    """[N, classes]: log-probabilities, or what the head has; subjects it has not seen come last."""
    x = np.asarray(x, float)
    if hasattr(model, "predict_proba"):
        seen = np.log(np.maximum(model.predict_proba(x), 1e-12))
    else:
        seen = model.decision_function(x)
        if seen.ndim == 1:  # two classes
            seen = np.stack([-seen, seen], axis=1)
    full = np.full((len(x), classes), float(seen.min()) - 1.0)
    full[:, model.classes_] = seen
    return full
