"""Class weights against their formula and scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import thalweg as tw
from thalweg.data.class_weights import class_weights
from thalweg.errors import DataError, SettingError

LABELS = np.repeat(["a", "b", "c"], [70, 20, 10])
COUNTS = {"a": 70, "b": 20, "c": 10}


def test_balanced_weights_are_scikit_learns():
    wanted = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=LABELS)
    found = class_weights(LABELS)
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_allclose(list(found.values()), wanted, rtol=1e-14)
    assert class_weights(COUNTS) == class_weights(LABELS.tolist()) == found


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.5, 1.0])
def test_rows_weigh_one_on_average_and_rare_classes_more(strength):
    found = class_weights(COUNTS, strength)
    total = sum(COUNTS[label] * weight for label, weight in found.items())
    assert total == pytest.approx(100)
    assert found["c"] / found["a"] == pytest.approx(7**strength)


def test_training_takes_them_and_knows_balanced_itself():
    x = np.random.default_rng(0).normal(size=(100, 2))
    net = tw.Sequential(tw.Linear(3))
    runs = [
        tw.fit(
            net, x, LABELS, class_weight=weights, epochs=3, optimizer=tw.SGD(0.5), progress=False
        )
        for weights in (tw.class_weights(LABELS), "balanced", None)
    ]
    first, second, plain = (run.model.parameters["0.weight"] for run in runs)
    np.testing.assert_allclose(first, second, rtol=1e-6)
    assert np.abs(first - plain).max() > 1e-3


@pytest.mark.parametrize(
    ("labels", "strength", "error", "message"),
    [
        ([], 1.0, DataError, "there are no labels"),
        ({"a": 3, "b": 0}, 1.0, DataError, "class 'b' has 0 rows"),
        (LABELS, 1.5, SettingError, r"strength = 1.5 is outside \[0, 1\]"),
        (LABELS, True, SettingError, r"strength = True is outside \[0, 1\]"),
        (LABELS, float("nan"), SettingError, "strength = nan"),
    ],
)
def test_what_gives_no_weights_is_refused(labels, strength, error, message):
    with pytest.raises(error, match=message):
        class_weights(labels, strength)
