"""How good a model is on rows that it never saw, beside what it has to beat."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from thalweg.data.baseline import classification_baselines, regression_baselines
from thalweg.data.metrics import Metrics, classification_metrics, regression_metrics
from thalweg.errors import NonFiniteError
from thalweg.model import Model
from thalweg.tabular.preparing import PreparedTable

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
"""How metrics are called for people."""


def judge(model: Model, prepared: PreparedTable) -> Metrics:
    """The model's metrics on the test rows; empty where there are none.

    Raises:
        NonFiniteError: the predictions are NaN or infinite.
    """
    rows = prepared.split.test
    if not len(rows):
        return {}
    classes = prepared.task == "classification"
    found = (model.predict_proba if classes else model.predict)(prepared.x[rows])
    if not np.isfinite(found).all():
        raise NonFiniteError(
            "the trained network predicts NaN or infinity for test rows; try a learning_rate ten "
            "times smaller, or clip=1.0"
        )
    if classes:
        return classification_metrics(prepared.y[rows], found)
    return regression_metrics(prepared.values[rows], found)


def judge_baselines(prepared: PreparedTable) -> dict[str, Metrics]:
    """The same metrics of simple models that learn from the same training rows."""
    train, test = prepared.split.train, prepared.split.test
    if not len(test):
        return {}
    x, y = prepared.simple, prepared.values
    judge_simple = (
        classification_baselines if prepared.task == "classification" else regression_baselines
    )
    return judge_simple(x[train], y[train], x[test], y[test])


def comparison(results: Mapping[str, Metrics]) -> str:
    """Models against metrics as aligned text.

    >>> print(comparison({"network": {"accuracy": 0.9, "auc": float("nan")}}))
             accuracy  AUC
    network    0.9000    –
    """
    names = list(dict.fromkeys(name for metrics in results.values() for name in metrics))
    rows = [["", *(TITLES.get(name, name) for name in names)]]
    rows += [
        [model, *(figure(metrics.get(name, math.nan)) for name in names)]
        for model, metrics in results.items()
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    )


def verdict(network: Metrics, baselines: Mapping[str, Metrics]) -> str:
    """A sentence where a baseline beats the network, by log loss or by RMSE; else empty.

    >>> verdict({"rmse": 2.0}, {"mean": {"rmse": 3.0}, "linear model": {"rmse": 1.5}})
    'The linear model has the lower RMSE (1.5000 against 2.0000) and may serve this table better.'
    """
    measure = "log_loss" if "log_loss" in network else "rmse"
    better = {
        name: metrics[measure]
        for name, metrics in baselines.items()
        if metrics[measure] < network[measure]
    }
    if not better:
        return ""
    name = min(better, key=lambda key: better[key])
    article = "" if name == "logistic regression" else "the "
    sentence = (
        f"{article}{name} has the lower {TITLES[measure]} ({figure(better[name])} against "
        f"{figure(network[measure])}) and may serve this table better."
    )
    return sentence[0].upper() + sentence[1:]


def figure(value: float) -> str:
    """A metric for people: four decimals near 1, thousands without.

    >>> figure(0.98765), figure(48213.7), figure(float("nan"))
    ('0.9877', '48,214', '–')
    """
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.4f}" if size < 10 else f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text
