"""Exact statistics of batch normalisation over all training rows."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DataError
from thalweg.model.forward import Forward
from thalweg.nn.layer import blueprint, evaluate, initial_states
from thalweg.training.statistics import exact_statistics

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (2500, 4)) * [1, 5, 0.1, 2]


def _net():
    return tw.Sequential(
        tw.Linear(6), tw.BatchNorm1d(), tw.Tanh(), tw.Residual(tw.Sequential(
            tw.Linear(6), tw.Dropout(0.5), tw.BatchNorm1d(), tw.ReLU())),
        tw.Linear(3), tw.ReLU(), tw.BatchNorm1d(), tw.Linear(1),
    )  # fmt: skip


def _start(net, x, dtype="float64"):
    plan = blueprint(net, x.shape[1:], dtype)
    parameters = tw.initialise(net, x.shape[1:], dtype=dtype)
    moved = {path: value + RNG.normal(0, 0.1, value.shape) for path, value in parameters.items()}
    states = initial_states(plan, dtype)
    return {path: value.astype(dtype) for path, value in moved.items()}, states


def _by_hand(p, x):
    """Layer by layer in float64, each on the outputs of exact ones."""
    found = {}

    def norm(z, path):
        found[f"{path}.mean"], found[f"{path}.variance"] = z.mean(0), z.var(0)
        normal = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
        return normal * p[f"{path}.weight"] + p[f"{path}.bias"]

    h = np.tanh(norm(x @ p["0.weight"], "1"))
    inner = h @ p["3.inner.0.weight"] + p["3.inner.0.bias"]
    h = h + np.maximum(norm(inner, "3.inner.2"), 0)
    norm(np.maximum(h @ p["4.weight"] + p["4.bias"], 0), "6")
    return found


@pytest.mark.parametrize("forward", [None, Forward])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_are_those_of_all_rows_layer_by_layer(dtype, forward):
    parameters, states = _start(_net(), X, dtype)
    options = {"forward": forward} if forward else {}
    found = exact_statistics(_net(), parameters, states, X, **options)
    assert list(found) == list(states)
    wanted = _by_hand({path: value.astype("float64") for path, value in parameters.items()}, X)
    assert wanted.keys() == found.keys()
    tolerance = 2e-5 if dtype == "float32" else 1e-11
    for path, value in wanted.items():
        assert found[path].dtype == dtype
        np.testing.assert_allclose(found[path], value, rtol=tolerance, atol=tolerance)


def test_with_them_use_is_training_on_all_rows():
    net = tw.Sequential(tw.Linear(6), tw.BatchNorm1d(), tw.Tanh(), tw.Linear(2), tw.BatchNorm1d())
    parameters, states = _start(net, X)
    exact = exact_statistics(net, parameters, states, X)
    used = evaluate(net, parameters, X, states=exact).output.numpy()
    trained = evaluate(net, parameters, X, states=states, training=True).output.numpy()
    np.testing.assert_allclose(used, trained, rtol=1e-9, atol=1e-11)


def test_places_of_images_count_as_rows_do():
    x = RNG.normal(3, 2, (30, 2, 5))
    parameters, states = _start(tw.BatchNorm1d(), x)
    found = exact_statistics(tw.BatchNorm1d(), parameters, states, x)
    np.testing.assert_allclose(found["mean"], x.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(found["variance"], x.var((0, 2)), rtol=1e-12)


def test_far_values_keep_their_digits():
    x = 1e7 + RNG.normal(size=(3000, 1))
    parameters, states = _start(tw.BatchNorm1d(), x)
    found = exact_statistics(tw.BatchNorm1d(), parameters, states, x)
    np.testing.assert_allclose(found["variance"], x.var(0), rtol=1e-9)


def test_a_function_may_be_the_network_and_use_a_layer_twice():
    def network(x, scope):
        norm = tw.BatchNorm1d(scale=False, shift=False)
        return scope.apply("norm", norm, x[:, :2]) + scope.apply("norm", norm, x[:, 2:])

    states = {"norm.mean": np.zeros(2), "norm.variance": np.ones(2)}
    found = exact_statistics(network, {}, states, X)
    both = np.concatenate([X[:, :2], X[:, 2:]])
    np.testing.assert_allclose(found["norm.mean"], both.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["norm.variance"], both.var(0), rtol=1e-12)


def test_other_states_and_frozen_layers_stay():
    net = tw.Sequential(
        tw.SpectralNorm(tw.Linear(4)), tw.BatchNorm1d(average="cumulative"), tw.BatchNorm1d()
    )
    parameters, states = _start(net, X)
    found = exact_statistics(net, parameters, states, X, frozen=("1",))
    for path in ("0.weight_u", "1.mean", "1.variance", "1.batches"):
        np.testing.assert_array_equal(found[path], states[path])
    assert (found["2.mean"] != states["2.mean"]).all()


def test_a_network_without_such_layers_keeps_its_states():
    assert exact_statistics(tw.Linear(2), {}, {}, X) == {}


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="exact statistics need at least one row"):
        exact_statistics(tw.BatchNorm1d(), {}, {}, X[:0])
