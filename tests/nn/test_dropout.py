"""Dropout."""

import numpy as np
import pytest

from thalweg.autodiff.transforms import grad
from thalweg.descriptions import from_plain, replace_settings, to_plain
from thalweg.errors import GraphError, SettingError
from thalweg.graph import Tensor, trace_flat
from thalweg.graph.types import TensorType, as_dtype
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.layer import apply_network, evaluate
from thalweg.ops.random import key_from_seed

X = np.random.default_rng(0).normal(3, 1, (500, 200))


def _dropped(x, rate=0.3, seed=0, layer=None):
    net = layer or Dropout(rate)
    return evaluate(net, {}, x, training=True, key=key_from_seed(seed)).output.numpy()


def test_outside_training_nothing_happens():
    np.testing.assert_array_equal(apply_network(Dropout(0.9), {}, X).numpy(), X)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_share_and_scale_of_what_is_kept(rate, dtype):
    x = X.astype(dtype)
    found = _dropped(x, rate)
    assert found.dtype == dtype
    kept = found != 0
    deviation = 4 * np.sqrt(rate * (1 - rate) / x.size)
    assert abs(kept.mean() - (1 - rate)) < deviation
    np.testing.assert_allclose(found[kept], (x / (1 - rate))[kept], rtol=1e-6)
    assert found.mean() == pytest.approx(x.mean(), rel=2 * deviation / (1 - rate))


def test_units_and_rows_are_left_out_independently():
    kept = _dropped(X, 0.5) != 0
    assert kept.mean(axis=0).min() > 0.3
    assert kept.mean(axis=1).max() < 0.7
    assert abs(np.corrcoef(kept[:, :-1].ravel(), kept[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(kept[:-1].ravel(), kept[1:].ravel())[0, 1]) < 0.02


def test_a_rate_of_zero_changes_nothing():
    np.testing.assert_array_equal(_dropped(X, 0.0), X)


def test_the_same_key_leaves_out_the_same_units():
    np.testing.assert_array_equal(_dropped(X, seed=4), _dropped(X, seed=4))
    assert (_dropped(X, seed=4) != _dropped(X, seed=5)).any()


def test_two_layers_leave_out_different_units():
    def both(x, scope):
        return scope.apply("a", Dropout(), x) - scope.apply("b", Dropout(), x)

    differ = _dropped(np.ones((100, 100)), layer=both) != 0
    assert 0.45 < differ.mean() < 0.55


def test_the_derivative_is_the_mask():
    x = X[:20]
    key = key_from_seed(1)

    def total(z):
        return evaluate(Dropout(0.25), {}, z, training=True, key=key).output.sum()

    wanted = np.where(_dropped(x, 0.25, 1) != 0, 1 / 0.75, 0)
    np.testing.assert_allclose(grad(total)(x).numpy(), wanted, rtol=1e-12)


def test_infinity_that_is_left_out_leaves_no_nan():
    x = np.full((50, 50), np.inf)
    found = _dropped(x, 0.5)
    assert set(np.unique(found)) == {0, np.inf}


def test_the_rate_may_be_a_traced_tensor():
    x = X[:30].astype("float32")
    key = key_from_seed(2)

    def run(z, rate, words):
        layer = replace_settings(Sequential(Dropout()), {"layers.0.rate": rate})
        return evaluate(layer, {}, z, training=True, key=words).output

    types = [(x.shape, "float32"), ((), "float64"), ((2,), "uint32")]
    graph, _ = trace_flat(run, [TensorType(shape, as_dtype(name)) for shape, name in types])
    (found,) = graph(Tensor(x), Tensor(np.float64(0.3)), Tensor(key))
    assert found.dtype == "float32"
    wanted = _dropped(x, 0.3, 2, Sequential(Dropout(0.3)))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


def test_training_without_a_key_is_refused():
    with pytest.raises(GraphError, match="layer top draws random numbers; pass a key"):
        evaluate(Dropout(), {}, X, training=True)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_rates_outside_the_range_are_refused(rate):
    with pytest.raises(SettingError, match=r"Dropout.rate = .* is outside \[0, 1\)"):
        Dropout(rate)


def test_description_survives_json():
    assert from_plain("layer", to_plain(Dropout(0.2))) == Dropout(0.2)
