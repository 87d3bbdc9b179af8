"""Dropout."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.transforms import grad
from thalweg.descriptions import from_plain, replace_settings, to_plain
from thalweg.errors import GraphError, SettingError
from thalweg.graph import Tensor, trace_flat
from thalweg.graph.types import TensorType, as_dtype
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import SELU_SATURATION, AlphaDropout, Dropout
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


# ------------------------------------------------------------------ the classical form


def test_the_classical_form_scales_in_use():
    layer = Dropout(0.3, form="classical")
    np.testing.assert_allclose(apply_network(layer, {}, X).numpy(), 0.7 * X, rtol=1e-12)
    found = _dropped(X, layer=layer)
    np.testing.assert_array_equal(found[found != 0], X[found != 0])
    np.testing.assert_allclose(found / 0.7, _dropped(X, 0.3), rtol=1e-12)


@pytest.mark.parametrize("form", ["inverted", "classical"])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_the_expectation_in_training_is_the_output_in_use(form, rate):
    x = np.random.default_rng(1).normal(size=(2, 4))
    layer = Dropout(rate, form)
    draws = 40_000
    many = np.repeat(x[:, None], draws, axis=1)
    found = _dropped(many, layer=layer).mean(1)
    deviation = np.abs(x) * np.sqrt(rate / (1 - rate)) / np.sqrt(draws)
    assert (np.abs(found - apply_network(layer, {}, x).numpy()) < 5 * deviation).all()


# ------------------------------------------------------------------ dropout for SELU


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    x = np.random.default_rng(2).normal(size=(1000, 400))
    found = _dropped(x, layer=AlphaDropout(rate))
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert found.var() == pytest.approx(1, abs=0.02)
    a = (1 - rate + SELU_SATURATION**2 * rate * (1 - rate)) ** -0.5
    b = -a * rate * SELU_SATURATION
    low = a * SELU_SATURATION + b
    left_out = np.isclose(found, low, rtol=0, atol=1e-9)
    assert left_out.mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(found[~left_out], (a * x + b)[~left_out], rtol=1e-9, atol=1e-12)


def test_alpha_dropout_does_nothing_outside_training_or_at_rate_zero():
    np.testing.assert_array_equal(apply_network(AlphaDropout(), {}, X).numpy(), X)
    np.testing.assert_allclose(_dropped(X, layer=AlphaDropout(0.0)), X, rtol=1e-12)


def test_pytorch_s_alpha_dropout_takes_the_same_two_values():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    x = np.full((200, 200), 0.7)
    judged = np.unique(torch.nn.AlphaDropout(0.3)(torch.tensor(x)).numpy())
    np.testing.assert_allclose(np.unique(_dropped(x, layer=AlphaDropout(0.3))), judged, rtol=1e-6)


@pytest.mark.parametrize("layer", [Dropout(0.3, "classical"), AlphaDropout(0.3)])
def test_both_backends_train_it(layer):
    x = np.random.default_rng(0).normal(size=(40, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = Sequential(tw.Linear(8), tw.Tanh(), layer, tw.Linear(2))
    options = {"batch_size": 16, "epochs": 4, "progress": False, "dtype": "float64"}
    one, two = (
        tw.fit(net, x, y, backend=backend, **options) for backend in ("interpreter", "native")
    )
    for path, value in one.model.parameters.items():
        np.testing.assert_allclose(two.model.parameters[path], value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layer", [Dropout(0.3, "classical"), AlphaDropout(0.3)])
def test_forms_survive_json(layer):
    assert from_plain("layer", to_plain(layer)) == layer


def test_unknown_forms_are_refused():
    with pytest.raises(SettingError, match=r"Dropout.form = 'other' is not one of inverted, class"):
        Dropout(form="other")
    with pytest.raises(SettingError, match=r"AlphaDropout.rate = 1.0 is outside \[0, 1\)"):
        AlphaDropout(1.0)
