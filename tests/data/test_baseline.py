import time

import numpy as np
import pytest

from thalweg.data.baseline import classification_baselines, regression_baselines
from thalweg.data.encoding import TableEncoder, fit_target
from thalweg.data.inference import infer_schema
from thalweg.data.reading import read_table
from thalweg.data.splits import split_rows


def encoded(path, target):
    table = read_table(path)
    schema = infer_schema(table, target)
    labels = table.column(target) if schema.task == "classification" else None
    split = split_rows(len(table), labels=labels)
    x = TableEncoder.fit(table, schema, split.train).transform(table).values
    return x, table.column(target), fit_target(table.take(split.train), schema), split


def test_adult(shared_data):
    x, cells, target, split = encoded(shared_data / "adult.csv", "income")
    y = target.encode(cells)
    start = time.process_time()
    found = classification_baselines(x[split.train], y[split.train], x[split.test], y[split.test])
    assert time.process_time() - start < 10
    share = np.mean(y[split.test] == 0)
    assert found["majority class"]["accuracy"] == pytest.approx(share)
    assert found["majority class"]["auc"] == 0.5
    assert 0.85 < found["logistic regression"]["accuracy"] < 0.865
    again = classification_baselines(x[split.train], y[split.train], x[split.test], y[split.test])
    assert again == found


def test_housing(shared_data):
    x, cells, target, split = encoded(shared_data / "housing.csv", "median_house_value")
    y = target.numbers(cells)
    found = regression_baselines(x[split.train], y[split.train], x[split.test], y[split.test])
    assert found["mean"]["r2"] == pytest.approx(0, abs=0.01)
    assert 0.6 < found["linear model"]["r2"] < 0.7


def test_a_class_that_training_lacks(rng):
    x = rng.normal(size=(40, 2))
    found = classification_baselines(x, np.arange(40) % 2, x, np.arange(40) % 3)
    assert found["logistic regression"]["accuracy"] < 1


def test_one_class_has_only_the_majority_baseline(rng):
    x = rng.normal(size=(10, 2))
    found = classification_baselines(x, np.zeros(10, dtype=int), x, np.arange(10) % 2)
    assert list(found) == ["majority class"]


def test_separable_data_does_not_warn(rng):
    x = rng.normal(size=(100, 3)) * 1e3
    y = (x[:, 0] > 0).astype(int)
    assert classification_baselines(x, y, x, y)["logistic regression"]["accuracy"] > 0.97
