"""Trained networks judged on rows that they did not see."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thalweg.descriptions import structure_of
from thalweg.errors import SettingError
from thalweg.graph import Array, constant
from thalweg.model.forward import Forward, Ready, native_forward
from thalweg.model.model import Model
from thalweg.nn.front import check_rows
from thalweg.training.job import Chosen
from thalweg.training.programs import Programs
from thalweg.training.scoring import LOSS, OF_CLASSES, OF_LABELS, OF_NUMBERS, Judged, Metric, Wanted


class Unseen(NamedTuple):
    """Rows that a network did not learn from.

    Attributes:
        x: inputs (n, …).
        targets: as the network's loss takes them, in the unit that it was trained in.
        truth: as metrics take it: class indices (n,), 0 and 1 (n, labels), or numbers.
        y: labels or numbers, as the model predicts them.
        weights: of the rows, if any.
    """

    x: Array | Chosen
    targets: Array
    truth: Array
    y: Array
    weights: Array | None


class Outcome(NamedTuple):
    """What a network made of rows.

    Attributes:
        predictions: probabilities (n, classes) or (n, labels), or numbers in their own unit.
        scores: by name.
        failed: whether a prediction is not finite; all scores are NaN then.
    """

    predictions: Array
    scores: dict[str, float]
    failed: bool = False


def metrics_for(classes: bool, kind: str) -> dict[str, Metric]:
    """The metrics that fit a task.

    Args:
        classes: whether each row has one class.
        kind: of the loss.
    """
    return dict(OF_CLASSES if classes else OF_LABELS if kind == "binary" else OF_NUMBERS)


class Examiner:
    """Judges trained networks, with the programs of those that trained them.

    Args:
        wanted: the metrics.
        backend: what computes outputs: ``native`` or ``interpreter``.
        programs: what networks share.
    """

    def __init__(self, wanted: Wanted, backend: str, programs: Programs) -> None:
        self._wanted = wanted
        self._backend = backend
        self._programs = programs

    def examine(self, model: Model, rows: Unseen) -> Outcome:
        """Predictions and scores.

        Raises:
            DataError: rows that the front of the network does not take.
        """
        check_rows(model.network, model.states, rows.x, model.dtype)
        outputs = self._forward(model)(model.parameters, model.states, rows.x)
        predicted = model.predictions(outputs)
        values = predictions_of(model, predicted)
        if not np.isfinite(values).all():
            return Outcome(values, dict.fromkeys(self._wanted.names, float("nan")), True)
        return Outcome(values, self._scores(model, outputs, predicted, values, rows))

    def _scores(
        self, model: Model, outputs: Array, predicted: Array, values: Array, rows: Unseen
    ) -> dict[str, float]:
        weights = np.ones(len(values)) if rows.weights is None else rows.weights
        if not weights.any():
            return dict.fromkeys(self._wanted.names, float("nan"))
        found: dict[str, float] = {}
        judged = Judged(rows.truth, values, weights.astype(np.float64, copy=False))
        decided = model.decide(predicted) if self._wanted.own else values
        for name in self._wanted.names:
            if name in self._wanted.known:
                found[name] = self._wanted.known[name](judged)
            elif name in self._wanted.own:
                found[name] = _number(name, self._wanted.own[name](rows.y, decided))
            else:
                found[name] = _loss(model, outputs, rows)
        return found

    def _forward(self, model: Model) -> Forward:
        key = ("forward", self._backend, structure_of(model.network))
        ready = self._programs.once(key, Ready)
        if self._backend == "native":
            return native_forward(model.network, ready)
        return Forward(model.network, ready=ready)


def _number(name: str, value: Any) -> float:
    """What a metric of the user's own gives.

    Raises:
        SettingError: no number.
    """
    if np.ndim(value) == 0 and isinstance(value, (int, float, np.number, np.ndarray)):
        return float(value)
    raise SettingError(
        f"metric {name} must give one number, got {type(value).__name__} {value!r:.60}"
    )


def predictions_of(model: Model, predicted: Array) -> Array:
    """Probabilities of every class, or numbers in their own unit."""
    if model.classes is not None:
        return model.spread(predicted)
    return predicted if model.loss.kind == "binary" else model.decide(predicted)


def _loss(model: Model, outputs: Array, rows: Unseen) -> float:
    weights: Any = None if rows.weights is None else constant(rows.weights)
    return float(model.loss(constant(outputs), constant(rows.targets), weights).numpy())


__all__ = ["LOSS", "Examiner", "Outcome", "Unseen", "metrics_for", "predictions_of"]
