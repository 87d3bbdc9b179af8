"""How good predictions are: the usual figures, computed by scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError

Metrics = dict[str, float]


def classification_metrics(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
) -> Metrics:
    """Accuracy, balanced accuracy, log loss and AUC of predicted class probabilities.

    ``labels`` are class indices of shape (rows,), ``probabilities`` has shape (rows, classes),
    ``weights``, of shape (rows,), weighs the rows. AUC is the area under the ROC curve, for more
    than two classes the mean over one-against-rest curves of the classes that are present; it is
    NaN where only one is. Balanced accuracy is the mean recall over the classes present.

    >>> figures = classification_metrics(np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]]))
    >>> {name: round(value, 3) for name, value in figures.items()}
    {'accuracy': 0.5, 'balanced_accuracy': 0.5, 'log_loss': 0.57, 'auc': 1.0}

    Raises:
        DataError: Shapes that do not fit, no rows, or probabilities that are not finite.
    """
    from sklearn import metrics

    labels, scores = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    _check_scores(labels, scores)
    guess = scores.argmax(axis=1)
    right: Any = guess == labels
    return {
        "accuracy": float(np.average(right, weights=weights)),
        "balanced_accuracy": _balanced(labels, guess, weights),
        "log_loss": float(
            metrics.log_loss(
                labels,
                scores / scores.sum(axis=1, keepdims=True),
                sample_weight=weights,
                labels=np.arange(scores.shape[1]),
            )
        ),
        "auc": _auc(labels, scores, weights),
    }


def _check_scores(labels: NDArray[Any], scores: NDArray[np.float64]) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or scores.shape[1] < 2:
        raise DataError(
            f"expected labels of shape (rows,) and probabilities of shape (rows, classes), got "
            f"{labels.shape} and {scores.shape}"
        )
    if not labels.size:
        raise DataError("there are no rows to judge predictions on")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise DataError(
            f"labels go from {labels.min()} to {labels.max()}, but there are {scores.shape[1]} "
            "classes, counted from 0"
        )
    with np.errstate(invalid="ignore"):
        total = scores.sum(axis=1)
        good = np.isfinite(total) & (scores >= 0).all(axis=1) & (total > 0)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(f"the probabilities of row {row} are not finite shares: {scores[row]}")


def _balanced(labels: NDArray[Any], guess: NDArray[Any], weights: NDArray[Any] | None) -> float:
    from sklearn.metrics import recall_score

    present = np.unique(labels)
    recall = recall_score(labels, guess, labels=present, average="macro", sample_weight=weights)
    return float(recall)


def _auc(labels: NDArray[Any], scores: NDArray[np.float64], weights: NDArray[Any] | None) -> float:
    from sklearn.metrics import roc_auc_score

    present = np.unique(labels)
    if len(present) < 2:
        return math.nan
    if scores.shape[1] == 2:
        return float(roc_auc_score(labels, scores[:, 1], sample_weight=weights))
    areas = [
        roc_auc_score(labels == index, scores[:, index], sample_weight=weights) for index in present
    ]
    return float(np.mean(areas))


def regression_metrics(values: NDArray[np.floating], predictions: NDArray[np.floating]) -> Metrics:
    """Root mean square error, mean absolute error and R² of predicted numbers.

    Both arrays have shape (rows,) and the target's own unit. R² is NaN with fewer than two rows
    or values that are all the same.

    >>> regression_metrics(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    {'rmse': 0.7071..., 'mae': 0.5, 'r2': 0.5}

    Raises:
        DataError: Shapes that do not fit, no rows, or numbers that are not finite.
    """
    from sklearn import metrics

    truth, guess = np.asarray(values, np.float64), np.asarray(predictions, np.float64)
    if truth.ndim != 1 or truth.shape != guess.shape:
        raise DataError(
            f"expected values and predictions of one shape (rows,), got {truth.shape} and "
            f"{guess.shape}"
        )
    if not truth.size:
        raise DataError("there are no rows to judge predictions on")
    for what, array in (("value", truth), ("prediction", guess)):
        if not np.isfinite(array).all():
            raise DataError(f"the {what} of row {int(np.argmin(np.isfinite(array)))} is not finite")
    varied = truth.size > 1 and float(np.ptp(truth)) > 0
    return {
        "rmse": float(metrics.root_mean_squared_error(truth, guess)),
        "mae": float(metrics.mean_absolute_error(truth, guess)),
        "r2": float(metrics.r2_score(truth, guess)) if varied else math.nan,
    }


__all__ = ["Metrics", "classification_metrics", "regression_metrics"]
