"""What a network has to beat: the most frequent class or the mean, and a linear model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.data.metrics import Metrics, classification_metrics, regression_metrics


def classification_baselines(
    x_train: NDArray[np.floating],
    y_train: NDArray[np.integer],
    x_test: NDArray[np.floating],
    y_test: NDArray[np.integer],
) -> dict[str, Metrics]:
    """Test metrics of the class frequencies alone, and of logistic regression.

    Inputs have shape (rows, features), labels are class indices of shape (rows,). The majority
    baseline predicts for each row the class frequencies of the training rows.
    """
    classes = int(max(y_train.max(), y_test.max())) + 1
    shares = np.bincount(y_train, minlength=classes) / len(y_train)
    constant = np.tile(shares, (len(y_test), 1))
    found = {"majority class": classification_metrics(y_test, constant)}
    if len(np.unique(y_train)) > 1:
        scores = _logistic(x_train, y_train, x_test, classes)
        found["logistic regression"] = classification_metrics(y_test, scores)
    return found


def _logistic(
    x_train: NDArray[Any], y_train: NDArray[Any], x_test: NDArray[Any], classes: int
) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.asarray(x_train, np.float64), y_train)
    scores = np.zeros((len(x_test), classes))
    scores[:, model.classes_] = model.predict_proba(np.asarray(x_test, np.float64))
    return scores


def regression_baselines(
    x_train: NDArray[np.floating],
    y_train: NDArray[np.floating],
    x_test: NDArray[np.floating],
    y_test: NDArray[np.floating],
) -> dict[str, Metrics]:
    """Test metrics of the training mean alone, and of ridge regression (penalty 1).

    Inputs have shape (rows, features), values shape (rows,) in the target's own unit.
    """
    from sklearn.linear_model import Ridge

    constant = np.full(len(y_test), float(np.mean(y_train)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Ridge(alpha=1.0).fit(np.asarray(x_train, np.float64), y_train)
    guess = model.predict(np.asarray(x_test, np.float64))
    return {
        "mean": regression_metrics(y_test, constant),
        "linear model": regression_metrics(y_test, guess),
    }


__all__ = ["classification_baselines", "regression_baselines"]
