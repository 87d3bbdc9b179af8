"""Layers one after the other."""

import msgspec
import numpy as np
import pytest

from thalweg.autodiff.transforms import grad
from thalweg.descriptions import from_plain, replace_settings, settings_of, to_plain
from thalweg.errors import DescriptionError, SettingError
from thalweg.nn.activations import LeakyReLU, ReLU, Tanh
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.layer import apply_network, initialise
from thalweg.nn.linear import Linear

NET = Sequential(Linear(4), LeakyReLU(), Dropout(0.3), Sequential(Linear(2), Tanh()))


def test_each_layer_takes_the_output_of_the_one_before():
    x = np.random.default_rng(0).normal(size=(5, 3))
    parameters = initialise(NET, 3, dtype="float64")
    hidden = x @ parameters["0.weight"]
    hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
    wanted = np.tanh(hidden @ parameters["3.0.weight"])
    np.testing.assert_allclose(apply_network(NET, parameters, x).numpy(), wanted, rtol=1e-12)


def test_the_xor_network_of_two_rectifiers():
    net = Sequential(Linear(2), ReLU(), Linear(1))
    parameters = {
        "0.weight": np.ones((2, 2)),
        "0.bias": np.array([0.0, -1.0]),
        "2.weight": np.array([[1.0], [-2.0]]),
        "2.bias": np.zeros(1),
    }
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert apply_network(net, parameters, x).numpy()[:, 0].tolist() == [0, 1, 1, 0]


def test_backpropagation_layer_by_layer_is_automatic_differentiation():
    rng = np.random.default_rng(2)
    net = Sequential(Linear(4), Tanh(), Linear(2))
    p = initialise(net, 3, dtype="float64")
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    a = np.tanh(x @ p["0.weight"] + p["0.bias"])
    last = a @ p["2.weight"] + p["2.bias"] - y  # δ = ∂(½Σ(ŷ-y)²)/∂ŷ
    first = (1 - a**2) * (last @ p["2.weight"].T)
    wanted = {
        "0.weight": x.T @ first,
        "0.bias": first.sum(0),
        "2.weight": a.T @ last,
        "2.bias": last.sum(0),
    }
    found = grad(lambda q: 0.5 * ((apply_network(net, q, x) - y) ** 2).sum())(p)
    for path, value in wanted.items():
        np.testing.assert_allclose(found[path].numpy(), value, atol=1e-13)


def test_no_layer_is_the_identity():
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(apply_network(Sequential(), {}, x).numpy(), x)


def test_it_is_a_sequence_of_layers():
    assert len(NET) == 4
    assert NET[1] == LeakyReLU()
    assert NET[-1][0] == Linear(2)
    assert [type(layer).__name__ for layer in NET] == [
        "Linear",
        "LeakyReLU",
        "Dropout",
        "Sequential",
    ]


def test_layers_may_come_as_a_list_tuple_or_by_name():
    layers = [Linear(2), ReLU()]
    same = [Sequential(layers), Sequential(tuple(layers)), Sequential(layers=layers)]
    assert all(net == Sequential(*layers) for net in same)
    assert hash(same[0]) == hash(same[1])


def test_description_survives_json():
    text = msgspec.json.encode(to_plain(NET))
    assert from_plain("layer", msgspec.json.decode(text)) == NET


def test_settings_inside_are_found_and_replaced():
    paths = {path: value for path, value in settings_of(NET).items() if "bias_start" not in path}
    assert paths == {"layers.1.slope": 0.01, "layers.2.rate": 0.3}
    changed = replace_settings(NET, {"layers.1.slope": 0.5})
    assert changed[1] == LeakyReLU(0.5)
    assert changed[2] == NET[2]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            (Linear(2), ReLU),
            r"layer 1 of Sequential is <class .*ReLU'>, which is no layer: write "
            r"ReLU\(\) with parentheses",
        ),
        (("relu",), "layer 0 of Sequential is 'relu', which is no layer"),
        (([Linear(2)], ReLU()), r"layer 0 of Sequential is \[Linear"),
        ((None,), "layer 0 of Sequential is None"),
    ],
)
def test_what_is_no_layer_is_refused(layers, message):
    with pytest.raises(SettingError, match=message):
        Sequential(*layers)


@pytest.mark.parametrize(
    "layers", [None, {}, [3], [{"type": "relu"}, {"type": "nothing"}], [{"type": "relu", "x": 1}]]
)
def test_a_file_with_other_layers_is_refused(layers):
    with pytest.raises(DescriptionError):
        from_plain("layer", {"type": "sequential", "layers": layers})
