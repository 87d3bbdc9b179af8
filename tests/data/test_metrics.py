import math

import numpy as np
import pytest
from sklearn import metrics

from thalweg.data.metrics import classification_metrics, regression_metrics
from thalweg.errors import DataError


def scores_of(rng, rows, classes):
    scores = rng.random((rows, classes))
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 5])
def test_against_scikit_learn(rng, classes):
    scores = scores_of(rng, 300, classes)
    labels = rng.integers(0, classes, 300)
    weights = rng.random(300)
    guess = scores.argmax(axis=1)
    auc = (
        metrics.roc_auc_score(labels, scores[:, 1], sample_weight=weights)
        if classes == 2
        else metrics.roc_auc_score(labels, scores, multi_class="ovr", sample_weight=weights)
    )
    assert classification_metrics(labels, scores, weights) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(labels, guess, sample_weight=weights),
            "balanced_accuracy": metrics.balanced_accuracy_score(
                labels, guess, sample_weight=weights
            ),
            "log_loss": metrics.log_loss(labels, scores, sample_weight=weights),
            "auc": auc,
        }
    )


def test_a_class_that_is_absent(rng):
    scores = scores_of(rng, 50, 3)
    labels = rng.integers(0, 2, 50)
    found = classification_metrics(labels, scores)
    areas = [metrics.roc_auc_score(labels == k, scores[:, k]) for k in (0, 1)]
    assert found["auc"] == pytest.approx(np.mean(areas))
    one = classification_metrics(np.zeros(50, dtype=int), scores)
    assert math.isnan(one["auc"])
    assert one["balanced_accuracy"] == one["accuracy"]
    assert math.isfinite(one["log_loss"])


def test_float32_probabilities_do_not_warn(rng):
    scores = scores_of(rng, 50, 3).astype(np.float32)
    assert math.isfinite(classification_metrics(rng.integers(0, 3, 50), scores)["log_loss"])


def test_certain_and_wrong_is_finite():
    found = classification_metrics(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert math.isfinite(found["log_loss"])


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([0, 1], [[0.5, 0.5]], "expected labels of shape"),
        ([0], [[1.0]], "expected labels of shape"),
        ([], np.zeros((0, 2)), "no rows to judge"),
        ([2], [[0.5, 0.5]], "labels go from 2 to 2, but there are 2 classes"),
        ([0, 1], [[0.5, 0.5], [np.nan, 1.0]], "probabilities of row 1 are not finite"),
        ([0, 1], [[0.5, 0.5], [0.0, 0.0]], "probabilities of row 1 "),
    ],
)
def test_classification_inputs_that_do_not_fit(labels, scores, words):
    with pytest.raises(DataError, match=words):
        classification_metrics(np.array(labels), np.array(scores))


def test_regression_against_scikit_learn(rng):
    values, guess = rng.normal(size=(2, 80))
    assert regression_metrics(values, guess) == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(values, guess),
            "mae": metrics.mean_absolute_error(values, guess),
            "r2": metrics.r2_score(values, guess),
        }
    )


def test_r2_needs_values_that_differ():
    assert math.isnan(regression_metrics(np.array([1.0]), np.array([2.0]))["r2"])
    assert math.isnan(regression_metrics(np.ones(3), np.arange(3.0))["r2"])


@pytest.mark.parametrize(
    ("values", "guess", "words"),
    [
        ([1.0], [1.0, 2.0], "of one shape"),
        ([], [], "no rows"),
        ([1.0, np.nan], [1.0, 2.0], "the value of row 1 is not finite"),
        ([1.0, 2.0], [np.inf, 2.0], "the prediction of row 0 is not finite"),
    ],
)
def test_regression_inputs_that_do_not_fit(values, guess, words):
    with pytest.raises(DataError, match=words):
        regression_metrics(np.array(values), np.array(guess))
