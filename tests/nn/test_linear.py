"""The fully connected layer."""

import numpy as np
import pytest

from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.initialisers import Constant, He, Normal
from thalweg.nn.layer import apply_network, initialise
from thalweg.nn.linear import Linear


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (2, 1, 2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_are_weighted_sums(shape, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    parameters = {
        "weight": rng.normal(size=(3, 4)).astype(dtype),
        "bias": rng.normal(size=4).astype(dtype),
    }
    found = apply_network(Linear(4), parameters, x)
    assert found.dtype == dtype
    rtol = 1e-5 if dtype == "float32" else 1e-13
    wanted = x @ parameters["weight"] + parameters["bias"]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=rtol)


def test_derivatives_agree_with_difference_quotients():
    layer = Linear(4)
    x = np.random.default_rng(1).normal(size=(2, 5, 3))
    check_gradients(
        lambda p, z: apply_network(layer, p, z), initialise(layer, 3, dtype="float64"), x, order=2
    )


def test_parameters_and_their_starts():
    start = initialise(Linear(4), 3)
    assert {path: value.shape for path, value in start.items()} == {"weight": (3, 4), "bias": (4,)}
    assert not start["bias"].any()
    assert set(initialise(Linear(4, bias=False), 3)) == {"weight"}
    assert (initialise(Linear(4, bias_start=Constant(0.01)), 3)["bias"] == np.float32(0.01)).all()
    assert np.abs(initialise(Linear(4, weight=Normal(1e-6)), 3)["weight"]).max() < 1e-5


def test_it_joins_numbers_of_every_leading_axis():
    assert initialise(Linear(4), (7, 3))["weight"].shape == (3, 4)


def test_description_survives_json():
    layer = Linear(4, bias=False, weight=He("uniform", "outputs"), bias_start=Constant(0.01))
    assert from_plain("layer", to_plain(layer)) == layer


def test_inputs_without_a_feature_axis_are_refused():
    with pytest.raises(
        ShapeError, match=r"Linear takes inputs \(N, …, features\), got float64\[3\]"
    ):
        apply_network(Linear(2), {}, np.zeros(3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"features": 0}, r"Linear.features = 0 is outside \[1, "),
        ({"features": 2.0}, "Linear.features must be a whole number, got 2.0"),
        ({"features": True}, "Linear.features must be a whole number, got True"),
        ({"features": 2, "bias": None}, "Linear.bias must be True or False, got None"),
        ({"features": 2, "weight": "he"}, "Linear.weight must be an initialiser, got 'he'"),
    ],
)
def test_settings_outside_their_range_are_refused(fields, message):
    with pytest.raises(SettingError, match=message):
        Linear(**fields)
