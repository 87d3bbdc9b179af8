"""What training an ensemble gives: its model, its members, and how much they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.data.table import plural
from thalweg.errors import ShapeError
from thalweg.graph import Array
from thalweg.model import Model
from thalweg.training.result import TrainedRun

_LISTED = 12
"""Members that a summary names one by one."""


class Judged(NamedTuple):
    """Rows with their targets, and what they are called."""

    x: Array
    y: Array
    name: str


class EnsembleScores(NamedTuple):
    """How good and how different the members of an ensemble are, beside the ensemble.

    Attributes:
        measure: ``accuracy`` (larger is better) or ``rmse`` (smaller is better).
        members: of each member.
        ensemble: of the ensemble.
        disagreement: for classes the share of rows on which two members disagree, the mean over
            all pairs; for numbers the root mean square deviation of members from their mean.
        rows: which rows were judged.
    """

    measure: str
    members: tuple[float, ...]
    ensemble: float
    disagreement: float
    rows: str

    @property
    def member_mean(self) -> float:
        """The mean over members; of rmse the root mean square, as errors add up in squares."""
        values = np.array(self.members)
        mean = np.sqrt(np.mean(values**2)) if self.measure == "rmse" else np.mean(values)
        return float(mean)


@dataclass(frozen=True, eq=False, repr=False)
class OutOfBag:
    """What members predict for the training rows that they were not trained on.

    Attributes:
        predictions: probabilities (N, K), or numbers as the model predicts them; NaN for rows
            that every member was trained on.
        counts: members that were not trained on each row, (N,).
        metrics: ``accuracy``, or ``rmse`` and ``r2``, over the rows with a prediction; NaN where
            there are none.
    """

    predictions: Array
    counts: Array
    metrics: dict[str, float]

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"OutOfBag({values}, {np.count_nonzero(self.counts)} of {len(self.counts)} rows)"


@dataclass(frozen=True, eq=False, repr=False)
class EnsembleRun:
    """What :func:`bagging`, :func:`fit_ensemble` and :func:`snapshots` give.

    Attributes:
        model: the ensemble as one model.
        members: the model of each member.
        runs: the run of each member; of snapshots the one run that they were taken from.
        seeds: of each run: its starting weights, shuffling and dropout.
        stop_reason: ``epochs``, or ``interrupted`` where Ctrl-C left members out; of snapshots
            that of their run.
        judged: the rows of :meth:`scores`.
        out_of_bag: what bagging says of rows that members did not see.
    """

    model: Model
    members: tuple[Model, ...]
    runs: tuple[TrainedRun, ...]
    seeds: tuple[int, ...]
    stop_reason: str
    judged: Judged
    out_of_bag: OutOfBag | None = None

    def __repr__(self) -> str:
        return f"EnsembleRun({plural(len(self.members), 'member')}, ended by {self.stop_reason})"

    def scores(self, x: Any = None, y: Any = None) -> EnsembleScores:
        """How good and how different the members are.

        For numbers and equal weights, ensemble² = member_mean² - disagreement².

        Args:
            x: rows; by default the validation rows, or the training rows where there are none.
            y: their targets.

        Raises:
            ShapeError: only one of them, or different numbers of rows.

        Source: Kuncheva and Whitaker, "Measures of diversity in classifier ensembles", 2003; Krogh
        and Vedelsby, "Neural network ensembles, cross validation, and active learning", 1995.
        """
        if (x is None) != (y is None):
            raise ShapeError("scores takes rows x with their targets y, or neither")
        rows = self.judged if x is None else Judged(x, np.asarray(y), "given rows")
        found = [model.predict(rows.x) for model in (self.model, *self.members)]
        truth = truth_of(self.model, rows.y)
        if len(truth) != len(found[0]):
            raise ShapeError(f"x has {len(found[0])} rows, y has {len(truth)}")
        measure = "accuracy" if predicts_classes(self.model) else "rmse"
        judge = _accuracy if measure == "accuracy" else _rmse
        whole, *members = (judge(truth, item) for item in found)
        differ = _disagreement if measure == "accuracy" else _deviation
        return EnsembleScores(measure, tuple(members), whole, differ(found[1:]), rows.name)

    def summary(self, x: Any = None, y: Any = None) -> str:
        """The scores as text."""
        scores = self.scores(x, y)
        title = "accuracy" if scores.measure == "accuracy" else "RMSE"
        pairs = [(f"member {place}", value) for place, value in enumerate(scores.members)]
        entries = pairs[:] if len(pairs) <= _LISTED else []
        entries += [("mean of members", scores.member_mean), ("ensemble", scores.ensemble)]
        if self.out_of_bag is not None:
            entries += [("out of bag", self.out_of_bag.metrics[scores.measure])]
        entries += [("disagreement", scores.disagreement)]
        width = max(len(name) for name, _ in entries)
        lines = [f"{plural(len(pairs), 'member')}: {title} on the {scores.rows}"]
        return "\n".join([*lines, *(f"{name:<{width}}  {value:.4f}" for name, value in entries)])


def predicts_classes(model: Model) -> bool:
    """Whether a model predicts labels, rather than numbers."""
    return model.loss.kind != "numbers"


def truth_of(model: Model, y: Any) -> Array:
    """Targets as :meth:`Model.predict` gives them: probabilities as the most probable label."""
    truth = np.asarray(y)
    if model.classes is not None:
        if truth.ndim == 2 and truth.shape[1] == len(model.classes):
            return np.asarray(model.classes)[np.argmax(truth, axis=1)]
        return truth.reshape(len(truth))
    numbers = not predicts_classes(model)
    return truth.reshape(len(truth)) if numbers and model.single and truth.ndim == 2 else truth


def metrics_of(model: Model, truth: Array, predicted: Array) -> dict[str, float]:
    """Accuracy of labels; RMSE and R² of numbers, over all columns together."""
    if predicts_classes(model):
        return {"accuracy": _accuracy(truth, predicted)}
    error = _rmse(truth, predicted)
    spread = float(np.mean((truth - truth.mean(axis=0)) ** 2)) if len(truth) else np.nan
    return {"rmse": error, "r2": 1.0 - error**2 / spread if spread > 0 else np.nan}


def _accuracy(truth: Array, predicted: Array) -> float:
    return float(np.mean(truth == predicted)) if len(truth) else np.nan


def _rmse(truth: Array, predicted: Array) -> float:
    difference = predicted.astype(np.float64) - truth
    return float(np.sqrt(np.mean(difference**2))) if len(truth) else np.nan


def _disagreement(labels: list[Array]) -> float:
    pairs = [
        float(np.mean(one != other)) for place, one in enumerate(labels) for other in labels[:place]
    ]
    return float(np.mean(pairs)) if pairs else 0.0


def _deviation(values: list[Array]) -> float:
    numbers = np.stack([value.astype(np.float64) for value in values])
    return float(np.sqrt(np.mean((numbers - numbers.mean(axis=0)) ** 2)))
