"""The fully connected layer."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.initialisers import Constant, He, Normal
from thalweg.nn.layer import apply_network, initialise
from thalweg.nn.linear import Linear, MaskedLinear, Neuron, SparseLinear


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


# ------------------------------------------------------------------ sparse connections

CHOSEN = ((0, 2), (1,), (0, 1, 2))


def test_units_see_their_own_inputs_only():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(5, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    found = apply_network(MaskedLinear(CHOSEN), {"weight": weight, "bias": bias}, x).numpy()
    for unit, places in enumerate(CHOSEN):
        wanted = sum(weight[place, unit] * x[:, place] for place in places) + bias[unit]
        np.testing.assert_allclose(found[:, unit], wanted, rtol=1e-12)


def test_each_unit_starts_for_its_own_number_of_inputs():
    connections = ((0,),) * 3000 + (tuple(range(50)),) * 60
    start = initialise(MaskedLinear(connections, weight=He()), 50, dtype="float64")["weight"]
    assert (start[1:, :3000] == 0).all()
    assert start[0, :3000].var() == pytest.approx(2 / 1, rel=0.1)
    assert start[:, 3000:].var() == pytest.approx(2 / 50, rel=0.1)


def test_a_sparse_layer_draws_its_connections_from_the_seed():
    layers = [SparseLinear(40, 0.25, seed=seed) for seed in (0, 0, 1)]
    masks = [initialise(layer, 20, seed=s)["weight"] != 0 for s, layer in enumerate(layers)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    assert (masks[0].sum(0) == 5).all()
    assert (masks[0].sum(1) > 0).all()
    assert (initialise(SparseLinear(4, 0.001), 20)["weight"] != 0).sum(0).tolist() == [1] * 4
    assert (initialise(SparseLinear(4, 1.0), 20)["weight"] != 0).all()


@pytest.mark.parametrize("layer", [MaskedLinear(((0, 3), (1,), (2,))), SparseLinear(6, 0.5)])
@pytest.mark.parametrize("optimizer", [tw.Adam(0.02), tw.Momentum(0.05)])
def test_missing_connections_stay_zero_in_training(layer, optimizer):
    x = np.random.default_rng(0).normal(size=(40, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = tw.Sequential(layer, tw.Tanh(), Linear(2))
    options = {"batch_size": 16, "epochs": 6, "progress": False, "dtype": "float64"}
    one, two = (
        tw.fit(net, x, y, backend=backend, optimizer=optimizer, **options)
        for backend in ("interpreter", "native")
    )
    for path, value in one.model.parameters.items():
        np.testing.assert_allclose(two.model.parameters[path], value, rtol=1e-7, atol=1e-9)
    mask = initialise(net, 4)["0.weight"] != 0
    assert 0 < mask.sum() < mask.size
    assert (one.model.parameters["0.weight"][~mask] == 0).all()
    assert (one.model.parameters["0.weight"][mask] != 0).all()
    assert one.history["train_loss"][-1] < one.history["train_loss"][0]


def test_the_summary_counts_connections():
    assert tw.Sequential(MaskedLinear(CHOSEN)).summary(3).rows[0].note == "6 of 9 connections"
    net = tw.Sequential(SparseLinear(100, 0.1), tw.BatchNorm1d())
    assert net.summary(50).rows[0].note == (
        "500 of 5,000 connections; no bias: the normalisation that follows would remove it"
    )


@pytest.mark.parametrize("layer", [MaskedLinear(CHOSEN), SparseLinear(4, 0.5)])
def test_sparse_derivatives_agree_with_difference_quotients(layer):
    start = initialise(layer, 3, dtype="float64")
    x = np.random.default_rng(1).normal(size=(5, 3))
    check_gradients(lambda p, z: apply_network(layer, p, z), start, x, order=2, directions=2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MaskedLinear(()), "a tuple of inputs for each unit, got \\(\\)"),
        (lambda: MaskedLinear(3), "a tuple of inputs for each unit, got 3"),
        (lambda: MaskedLinear(((0,), ())), r"connections\[1\] holds different places"),
        (lambda: MaskedLinear(((0, 0),)), r"connections\[0\] holds different places"),
        (lambda: MaskedLinear(((-1,),)), r"got \(-1,\)"),
        (lambda: MaskedLinear(((1.5,),)), r"got \(1.5,\)"),
        (lambda: SparseLinear(3, 0.0), r"SparseLinear.density = 0.0 is outside \(0, 1\]"),
        (lambda: SparseLinear(3, "all"), r"SparseLinear.density = 'all' is outside"),
        (lambda: SparseLinear(3, seed=-1), r"SparseLinear.seed = -1 is outside \[0, "),
    ],
)
def test_connections_that_are_none_are_refused(build, message):
    with pytest.raises(SettingError, match=message):
        build()


def test_an_input_that_is_missing_is_refused():
    message = r"connects unit 0 to input 2, but float64\[5,2\] has 2 features, counted from 0"
    with pytest.raises(ShapeError, match=message):
        apply_network(MaskedLinear(CHOSEN), {}, np.ones((5, 2)))


@pytest.mark.parametrize(
    "layer",
    [MaskedLinear([[0, 2], [1]], bias=False), SparseLinear(4, 1, seed=3), Neuron((1, -1.5), 0.5)],
)
def test_sparse_layers_and_neurons_survive_json(layer):
    assert from_plain("layer", to_plain(layer)) == layer


# ------------------------------------------------------------------ neurons

CORNERS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("neuron", "wanted"),
    [
        (Neuron((1, 1), 2), [0, 0, 0, 1]),
        (Neuron((1, 1), 1), [0, 1, 1, 1]),
        (Neuron((-1, 0), 0), [1, 1, 0, 0]),
        (Neuron((1, 1), 2, "sign"), [-1, -1, -1, 1]),
    ],
)
def test_a_neuron_computes_and_or_not(neuron, wanted):
    assert apply_network(neuron, {}, CORNERS).numpy()[:, 0].tolist() == wanted


def test_two_layers_of_neurons_compute_xor():
    hidden = tw.Parallel((Neuron((1, 1), 1), Neuron((1, 1), 2)), combine="concatenate")
    net = tw.Sequential(hidden, Neuron((1, -1), 1))
    assert apply_network(net, {}, CORNERS).numpy()[:, 0].tolist() == [0, 1, 1, 0]


def test_no_single_neuron_computes_xor():
    grid = np.linspace(-2, 2, 9)
    tables = set()
    for first in grid:
        for second in grid:
            sums = CORNERS @ [first, second]
            tables |= {tuple((sums >= threshold).tolist()) for threshold in np.linspace(-4, 4, 33)}
    assert len(tables) == 14  # all truth tables but XOR and its opposite
    assert (False, True, True, False) not in tables
    assert (True, False, False, True) not in tables


def test_neurons_refuse_other_inputs():
    with pytest.raises(ShapeError, match=r"Neuron has 2 weights, its input is float64\[4,3\]"):
        apply_network(Neuron((1, 1)), {}, np.ones((4, 3)))
    with pytest.raises(SettingError, match="Neuron needs at least one weight"):
        Neuron(())


@pytest.mark.parametrize(
    ("labels", "share"),
    [([0, 0, 0, 1], 1.0), ([0, 1, 1, 1], 1.0), ([1, 1, 0, 0], 1.0), ([0, 1, 1, 0], 0.75)],
)
def test_one_unit_learns_and_or_not_but_never_xor(labels, share):
    options = {"loss": "binary_cross_entropy", "optimizer": tw.Adam(0.1), "progress": False}
    run = tw.fit(Linear(1), CORNERS, np.array(labels), epochs=200, **options)
    right = (run.model.predict(CORNERS) == labels).mean()
    assert right == 1 if share == 1 else right <= share
