"""Activation layers: what each class claims of itself, checked over the registry."""

import math

import msgspec
import numpy as np
import pytest

from thalweg.autodiff.numerical import check_gradients
from thalweg.autodiff.transforms import grad
from thalweg.descriptions import (
    from_plain,
    make,
    members,
    replace_settings,
    settings_of,
    to_plain,
)
from thalweg.errors import DescriptionError, SettingError, ShapeError
from thalweg.graph import Tensor, trace_flat
from thalweg.graph.types import TensorType, as_dtype
from thalweg.nn import functional as F
from thalweg.nn.activations import (
    ELU,
    GELU,
    Activation,
    LeakyReLU,
    LogSoftmax,
    Maxout,
    PReLU,
    Sigmoid,
    Softmax,
    Swish,
)
from thalweg.nn.initialisers import Normal, Uniform
from thalweg.nn.layer import apply_network, evaluate, initialise

REQUIRED = {"maxout": {"features": 3}}
NAMES = sorted(name for name, cls in members("layer").items() if issubclass(cls, Activation))
OTHER_SETTINGS = {
    "leaky_relu": {"slope": 0.3},
    "prelu": {"slope": 0.1, "shared": False},
    "elu": {"alpha": 0.5},
    "swish": {"beta": 2.0, "learned": True},
    "gelu": {"approximation": "tanh"},
    "scaled_tanh": {"amplitude": 2.0, "slope": 0.5},
    "maxout": {"features": 2, "pieces": 3, "weight": Uniform(0.2)},
    "softmax": {"axis": 1},
    "log_softmax": {"axis": 1},
}
FUNCTIONS = {
    "elu": F.elu,
    "gelu": F.gelu,
    "hard_logistic": F.hard_logistic,
    "hard_tanh": F.hard_tanh,
    "identity": F.identity,
    "leaky_relu": F.leaky_relu,
    "log_softmax": F.log_softmax,
    "logistic": F.logistic,
    "prelu": lambda x: F.prelu(x, 0.25),
    "relu": F.relu,
    "scaled_tanh": lambda x: 1.7159 * F.tanh((2 / 3) * x),
    "sign": F.sign,
    "softmax": F.softmax,
    "softplus": F.softplus,
    "step": F.step,
    "swish": F.swish,
    "tanh": F.tanh,
}
FAR = 1e4

every = pytest.mark.parametrize("name", NAMES)


def _layer(name, **fields):
    return make("layer", name, **{**REQUIRED.get(name, {}), **fields})


def _outputs(layer, x, seed=0):
    x = np.asarray(x)
    return apply_network(layer, initialise(layer, x.shape[1:], seed, x.dtype), x)


def test_the_catalogue_is_registered():
    assert set(NAMES) == {*FUNCTIONS, "maxout"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_layer_is_the_function(name, dtype):
    x = np.random.default_rng(0).normal(0, 2, (5, 4)).astype(dtype)
    result = _outputs(_layer(name), x)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy(), FUNCTIONS[name](x).numpy())


@every
def test_the_shape_is_kept(name):
    x = np.zeros((2, 5, 3), "float32")
    assert _outputs(_layer(name), x).shape == (2, 5, 3)


@every
def test_outputs_reach_the_claimed_range_and_stay_inside(name):
    low, high = type(_layer(name)).output_range
    grid = np.concatenate([np.linspace(-12, 12, 4801), [-FAR, FAR]])
    columns = 3 if name == "maxout" else 1
    # softmax needs a second class to compare with
    x = np.stack([grid] * columns if columns > 1 else [grid, 0 * grid], axis=1)
    found = _outputs(_layer(name), x).numpy()[:, 0]
    assert found.min() >= low
    assert found.max() <= high
    assert found.min() < -99 if low == -math.inf else found.min() <= low + 1e-3
    assert found.max() > 99 if high == math.inf else found.max() >= high - 1e-3


@every
def test_the_derivative_vanishes_where_the_class_says_it_saturates(name):
    layer = _layer(name)
    parameters = initialise(layer, 3, dtype="float64")

    def slope(value):
        x = Tensor(np.array([[value, 0.0, 0.0]]))
        return grad(lambda z: apply_network(layer, parameters, z)[:, 0].sum())(x).numpy()[0, 0]

    sides = {"left": slope(-FAR) == 0, "right": slope(FAR) == 0}
    saturated = [side for side, vanishes in sides.items() if vanishes]
    wanted = {"both": ["left", "right"], "neither": []}
    assert saturated == wanted.get(layer.saturates, [layer.saturates])


@every
@pytest.mark.parametrize("settings", ["default", "other"])
def test_descriptions_survive_json(name, settings):
    layer = _layer(name, **(OTHER_SETTINGS.get(name, {}) if settings == "other" else {}))
    text = msgspec.json.encode(to_plain(layer))
    assert from_plain("layer", msgspec.json.decode(text)) == layer


@every
def test_derivatives_agree_with_difference_quotients(name):
    layer = _layer(name, **OTHER_SETTINGS.get(name, {}))
    x = np.random.default_rng(5).normal(0, 1.5, (4, 3))
    parameters = initialise(layer, 3, 1, "float64")
    check_gradients(lambda p, z: apply_network(layer, p, z), parameters, x)


@every
def test_settings_may_be_traced_tensors(name):
    layer = _layer(name, **OTHER_SETTINGS.get(name, {}))
    found = {path: value for path, value in settings_of(layer).items() if "weight" not in path}
    x = np.random.default_rng(6).normal(0, 1.5, (4, 3)).astype("float32")
    parameters = initialise(layer, 3)

    def run(z, *values):
        replaced = replace_settings(layer, dict(zip(found, values, strict=True)))
        return apply_network(replaced, parameters, z)

    number = TensorType((), as_dtype("float64"))
    graph, _ = trace_flat(run, [TensorType(x.shape, x.dtype), *[number] * len(found)])
    assert graph.outputs[0].dtype == "float32"
    (result,) = graph(Tensor(x), *[Tensor(np.float64(value)) for value in found.values()])
    wanted = apply_network(layer, parameters, x).numpy()
    np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-6)


@every
def test_nan_comes_out_as_nan(name):
    x = np.full((1, 3), math.nan)
    assert np.isnan(_outputs(_layer(name), x).numpy()).all()


def test_sigmoid_is_the_logistic_function():
    assert Sigmoid() == make("layer", "logistic")


# ------------------------------------------------------------------ learned activations


def test_one_slope_for_all_units_or_one_each():
    assert initialise(PReLU(), 5)["slope"].tolist() == [0.25]
    assert initialise(PReLU(0.1, shared=False), 5)["slope"].shape == (5,)
    assert initialise(PReLU(shared=False), (4, 8, 8))["slope"].shape == (4, 1, 1)


def test_each_channel_has_the_slope_of_its_own():
    x = -np.ones((2, 3, 2))
    slopes = np.array([0.1, 0.2, 0.3]).reshape(3, 1)
    found = apply_network(PReLU(shared=False), {"slope": slopes}, x).numpy()
    np.testing.assert_allclose(found, np.broadcast_to(-slopes, (2, 3, 2)), rtol=1e-15)


def test_prelu_of_single_numbers_is_refused():
    with pytest.raises(ShapeError, match=r"PReLU takes inputs \(N, C, …\), got float64\[3\]"):
        evaluate(PReLU(shared=False), {}, np.zeros(3))


def test_learned_steepness_starts_from_the_setting():
    layer = Swish(2.0, learned=True)
    assert initialise(layer, 4)["beta"].tolist() == [2.0]
    assert initialise(Swish(2.0), 4) == {}
    x = np.linspace(-2, 2, 8).reshape(2, 4)
    np.testing.assert_array_equal(
        _outputs(layer, x).numpy(), apply_network(Swish(2.0), {}, x).numpy()
    )


def test_maxout_of_two_pieces_is_the_larger_of_two_linear_layers():
    layer = Maxout(3, pieces=2, weight=Normal(1.0))
    rng = np.random.default_rng(2)
    x = rng.normal(size=(6, 4))
    parameters = initialise(layer, 4, dtype="float64")
    parameters["bias"] = rng.normal(size=6)
    first, second = (
        x @ parameters["weight"][:, part] + parameters["bias"][part]
        for part in (slice(0, 3), slice(3, 6))
    )
    found = apply_network(layer, parameters, x).numpy()
    np.testing.assert_allclose(found, np.maximum(first, second), rtol=1e-14)


def test_maxout_keeps_the_mean_square_of_signals():
    x = np.random.default_rng(0).normal(size=(400, 256)).astype("float32")
    found = _outputs(Maxout(256), x).numpy()
    assert 0.9 < np.mean(found**2) < 1.1


def test_maxout_needs_a_feature_axis():
    with pytest.raises(ShapeError, match=r"Maxout takes inputs \(N, …, features\), got float64"):
        evaluate(Maxout(2), {}, np.zeros(3))


# ------------------------------------------------------------------ settings


def test_axis_of_softmax():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in (1, 2, -1, -2):
        np.testing.assert_allclose(_outputs(Softmax(axis), x).numpy().sum(axis), 1)
        logs = _outputs(LogSoftmax(axis), x).numpy()
        np.testing.assert_allclose(np.exp(logs).sum(axis), 1)


@pytest.mark.parametrize(
    ("make_layer", "message"),
    [
        (lambda: LeakyReLU(-0.1), r"LeakyReLU.slope = -0.1 is outside \[0, ∞\)"),
        (lambda: ELU(math.nan), r"ELU.alpha = nan is outside \[0, ∞\)"),
        (lambda: ELU("1"), "ELU.alpha must be a number, got '1'"),
        (lambda: GELU("fast"), "GELU.approximation = 'fast' is not one of exact, tanh, logistic"),
        (lambda: Softmax(1.5), "Softmax.axis must be a whole number, got 1.5"),
        (lambda: Swish(learned=1), "Swish.learned must be True or False, got 1"),
        (lambda: Maxout(2, pieces=0), r"Maxout.pieces = 0 is outside \[1, "),
    ],
)
def test_settings_outside_their_range_are_refused(make_layer, message):
    with pytest.raises(SettingError, match=message):
        make_layer()


def test_a_file_with_an_unknown_field_is_refused():
    with pytest.raises(DescriptionError, match=r"layer 'relu': unknown \['slope'\]"):
        from_plain("layer", {"type": "relu", "slope": 0.1})
