"""How good predictions are, by row weights where there are any: the numbers of cross-validation.

They are those of :mod:`thalweg.data.metrics`, computed without scikit-learn's checks of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np

from thalweg.data.table import nearest
from thalweg.errors import SettingError
from thalweg.graph import Array

LOSS = "loss"
"""The name of the network's own loss among the metrics."""


class Judged(NamedTuple):
    """Rows with their predictions.

    Attributes:
        truth: class indices (n,), 0 and 1 (n, labels), or numbers (n,) or (n, outputs).
        predicted: probabilities (n, classes), or numbers of the truth's shape.
        weights: of the rows, (n,).
    """

    truth: Array
    predicted: Array
    weights: Array


Metric = Callable[[Judged], float]


def accuracy(rows: Judged) -> float:
    """The share of rows whose most probable class is theirs; of single labels where several."""
    if rows.truth.ndim > 1:
        return _mean(((rows.predicted >= 0.5) == (rows.truth >= 0.5)).mean(axis=1), rows.weights)
    return _mean(np.argmax(rows.predicted, axis=1) == rows.truth, rows.weights)


def balanced_accuracy(rows: Judged) -> float:
    """The mean over the classes present of the share of their rows that are told right."""
    right = np.argmax(rows.predicted, axis=1) == rows.truth
    totals = np.bincount(rows.truth, weights=rows.weights)
    shares = np.bincount(rows.truth, weights=rows.weights * right)
    present = totals > 0
    return float(np.mean(shares[present] / totals[present]))


def log_loss(rows: Judged) -> float:
    """The mean of -log of the probability of the row's own class, at most -log of 2e-16."""
    chances = rows.predicted.astype(np.float64)
    own = chances[np.arange(len(chances)), rows.truth] / chances.sum(axis=1)
    least = float(np.finfo(np.float64).eps)
    return _mean(-np.log(np.clip(own, least, 1 - least)), rows.weights)


def auc(rows: Judged) -> float:
    """The area under the ROC curve; of several classes the mean of each present against the rest.

    NaN where one class is present.
    """
    present = np.unique(rows.truth)
    if len(present) < 2:
        return float("nan")
    chosen = [1] if rows.predicted.shape[1] == 2 else present
    areas = [_area(rows.truth == place, rows.predicted[:, place], rows.weights) for place in chosen]
    return float(np.mean(areas))


def _area(positive: Array, scores: Array, weights: Array) -> float:
    """The share of pairs, one positive and one not, in the right order; ties count half."""
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    high = np.add.reduceat((weights * positive)[order], starts)
    low = np.add.reduceat((weights * ~positive)[order], starts)
    pairs = high.sum() * low.sum()
    below = np.cumsum(low) - low / 2
    return float((high * below).sum() / pairs) if pairs else float("nan")


def rmse(rows: Judged) -> float:
    """The root of the mean square error."""
    return float(np.sqrt(_mean(_errors(rows) ** 2, rows.weights)))


def mae(rows: Judged) -> float:
    """The mean absolute error."""
    return _mean(np.abs(_errors(rows)), rows.weights)


def r2(rows: Judged) -> float:
    """1 - Σ (y - ŷ)² / Σ (y - ȳ)², over all columns together; NaN where y does not vary."""
    truth = rows.truth.astype(np.float64)
    mean = np.average(truth, axis=0, weights=rows.weights)
    spread = _mean((truth - mean) ** 2, rows.weights)
    return 1.0 - _mean(_errors(rows) ** 2, rows.weights) / spread if spread > 0 else float("nan")


def _errors(rows: Judged) -> Array:
    return rows.predicted.astype(np.float64) - rows.truth


def _mean(values: Array, weights: Array) -> float:
    each = values.reshape(len(values), -1).mean(axis=1) if values.ndim > 1 else values
    return float(np.average(each, weights=weights))


OF_CLASSES: Mapping[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "log_loss": log_loss,
    "auc": auc,
}
OF_LABELS: Mapping[str, Metric] = {"accuracy": accuracy}
OF_NUMBERS: Mapping[str, Metric] = {"rmse": rmse, "mae": mae, "r2": r2}


class Wanted(NamedTuple):
    """The metrics that are wanted.

    Attributes:
        known: metrics by name.
        own: functions ``(y, predicted) -> number`` by name, of labels or values.
        names: of all in order, the loss among them where it is wanted.
    """

    known: Mapping[str, Metric]
    own: Mapping[str, Callable[..., Any]]
    names: tuple[str, ...]


def wanted_metrics(given: Any, known: Mapping[str, Metric]) -> Wanted:
    """The metrics that were asked for.

    Args:
        given: a list of names and functions, or functions by name; None for the loss and all that
            are known.
        known: those that fit the task.

    Raises:
        SettingError: none, or a name that is unknown; the nearest is offered.

    >>> wanted_metrics(["auc"], OF_CLASSES).names
    ('auc',)
    """
    if given is None:
        return Wanted(known, {}, (LOSS, *known))
    items = _items(given, known)
    for item in items.values():
        if not callable(item):
            _check_known(item, known)
    return Wanted(
        {name: known[name] for name, item in items.items() if item in known},
        {name: item for name, item in items.items() if callable(item)},
        tuple(items),
    )


def _items(given: Any, known: Mapping[str, Metric]) -> dict[str, Any]:
    """What is wanted by name."""
    if isinstance(given, Mapping):
        items = {str(name): item for name, item in cast("Mapping[Any, Any]", given).items()}
    elif isinstance(given, (list, tuple)):
        items = {_name(item): item for item in cast("list[Any]", given)}
    else:
        raise SettingError(
            f"metrics takes a list of names and functions, such as [{next(iter(known))!r}], got "
            f"{given!r:.80}"
        )
    if not items:
        raise SettingError(f"metrics names none; choose some of {LOSS}, {', '.join(known)}")
    return items


def _name(item: Any) -> str:
    return str(getattr(item, "__name__", "metric")) if callable(item) else str(item)


def _check_known(item: Any, known: Mapping[str, Metric]) -> None:
    names = (LOSS, *known)
    if item not in names:
        near = nearest(str(item), names)
        hint = f"; did you mean {near!r}?" if near else "."
        raise SettingError(
            f"metrics names {item!r:.80}{hint} Known for these targets: {', '.join(names)}"
        )


__all__ = [
    "LOSS", "OF_CLASSES", "OF_LABELS", "OF_NUMBERS", "Judged", "Metric", "Wanted", "wanted_metrics",
]  # fmt: skip
