"""Logistic probes on frozen embeddings: can a label be read off linearly, on items that the probe has not seen?

Every unit (an item, or a document with all its items: `folds.fold_units`) is left out once per seed: units are cut into
folds at random, all languages together, so that no probe is tested on a translation of what it was trained on, on
another sentence of the same document, or on an equal text. Features are standardised by the training part.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import SpecError

ITERATIONS = 500


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probes of all seeds and folds said of every row.

    classes: the labels, sorted. truth: int64 [n]. predicted: int64 [seeds, n], by the probe that had not seen the
    row's unit. unconverged: fits that stopped at the limit of iterations.
    """

    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    unconverged: int

    @property
    def correct(self) -> NDArray[np.float64]:
        """float64 [n]: share of the seeds that were right about the row."""
        return (self.predicted == self.truth).mean(axis=0)

    @property
    def by_seed(self) -> NDArray[np.float64]:
        """float64 [seeds]: accuracy."""
        return (self.predicted == self.truth).mean(axis=1)

    def macro_f1(self, rows: NDArray[np.intp] | slice = slice(None)) -> float:
        """F1 averaged over the classes that occur among `rows`, then over seeds; 0 for a class never predicted."""
        truth = self.truth[rows]
        scores = []
        for predicted in self.predicted[:, rows]:
            for label in np.unique(truth):
                hits = np.count_nonzero((predicted == label) & (truth == label))
                scores.append(2 * hits / (np.count_nonzero(predicted == label) + np.count_nonzero(truth == label)))
        return float(np.mean(scores))

    def majority(self, rows: NDArray[np.intp] | slice = slice(None)) -> float:
        """Share of the most frequent label: what a probe gets right without looking."""
        return float(np.bincount(self.truth[rows]).max() / len(self.truth[rows]))


def probe(
    embeddings: NDArray[Any],
    labels: Sequence[str],
    units: Sequence[str] | NDArray[np.int64],
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    regularisation: float = 1.0,
) -> Probed:
    """Cross-validated multinomial logistic regression (scikit-learn, L2) of `labels` [n] on `embeddings` [n, d].

    units: [n], what must not be on both sides of a split. regularisation: scikit-learn's C, larger is weaker.

    Raises SpecError if there is only one label, fewer units than folds, or one label only in some training part.
    """
    classes, truth = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise SpecError(f"probe: expected at least two labels, found {', '.join(classes) or 'none'}")
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    if len(names) < 2:
        raise SpecError("probe: all sentences belong to one item or document, so that none can be left out")
    if not 2 <= folds <= len(names):
        raise SpecError(f"probe: expected 2 to {len(names)} folds of {len(names)} items or documents, found {folds}")
    rows = np.asarray(embeddings, dtype=np.float64)
    predicted = np.empty((len(seeds), len(rows)), dtype=np.int64)
    unconverged = 0
    for place, seed in enumerate(seeds):
        order = np.random.default_rng(seed).permutation(len(names))
        fold = np.empty(len(names), dtype=np.int64)
        fold[order] = np.arange(len(names)) % folds
        for left_out in range(folds):
            test = fold[unit] == left_out
            if len(np.unique(truth[~test])) < 2:
                raise SpecError(f"probe: the training part of fold {left_out + 1} has one label only; use fewer folds")
            predicted[place, test], converged = _fit(rows[~test], truth[~test], rows[test], regularisation)
            unconverged += not converged
    return Probed(tuple(str(each) for each in classes), truth.astype(np.int64), predicted, unconverged)


def _fit(
    train: NDArray[np.float64], labels: NDArray[np.int64], test: NDArray[np.float64], regularisation: float
) -> tuple[NDArray[np.int64], bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1.0
    model = LogisticRegression(C=regularisation, max_iter=ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit((train - mean) / deviation, labels)
    predicted = model.predict((test - mean) / deviation).astype(np.int64)
    return predicted, not any(issubclass(each.category, ConvergenceWarning) for each in caught)


@dataclass(frozen=True, slots=True)
class ProbeCounts:
    """What a probe's accuracy and macro-F1 are made of, unit by unit: float64 [units, columns].

    Columns: rows, rows by true class, and for every seed rows by predicted class and those right by class.
    """

    counts: NDArray[np.float64]
    n_classes: int

    @classmethod
    def of(
        cls, truth: NDArray[np.int64], predicted: NDArray[np.int64], unit: NDArray[np.int64], n_classes: int
    ) -> "ProbeCounts":
        """truth [n] and predicted [seeds, n] are numbers of classes; unit [n]: which of 0 … each row belongs to."""
        n_units = int(unit.max()) + 1

        def table(classes: NDArray[np.int64], weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
            found = np.bincount(unit * n_classes + classes, weights, n_units * n_classes)
            return found.reshape(n_units, n_classes).astype(np.float64)

        parts = [np.bincount(unit, minlength=n_units).astype(np.float64)[:, None], table(truth)]
        for each in predicted:
            parts += [table(each), table(each, each == truth)]
        return cls(np.concatenate(parts, axis=1), n_classes)

    def accuracy(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of sums [r, columns]: the share right, over seeds."""
        right = self._seeds(sums)[:, :, 1].sum(axis=2)
        return np.asarray(right.mean(axis=1) / sums[:, 0])

    def macro_f1(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `Probed.macro_f1`: over the classes that a draw has, then over seeds."""
        truth = sums[:, None, 1 : 1 + self.n_classes]
        seeds = self._seeds(sums)
        there = truth > 0
        f1 = np.where(there, 2 * seeds[:, :, 1] / np.where(there, truth + seeds[:, :, 0], 1.0), 0.0)
        return np.asarray((f1.sum(axis=2) / there.sum(axis=2)).mean(axis=1))

    def _seeds(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """[r, seeds, (predicted, right), classes]"""
        return sums[:, 1 + self.n_classes :].reshape(len(sums), -1, 2, self.n_classes)
