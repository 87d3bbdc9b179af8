"""Sparse and skip connections: outputs and gradients in NumPy, and what they bring."""

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture(scope="module")
def wiring(example):
    return example("sparse_and_skip")


# ------------------------------------------------------------------ sparse connections


@pytest.fixture(scope="module")
def pairs(wiring):
    return wiring.fit_sparse("its pair of inputs", rows=100)


def test_a_unit_sees_its_pair_and_nothing_else(wiring, pairs):
    weight = pairs.model.parameters["0.weight"]
    mask = np.zeros((8, 32), bool)
    for unit in range(32):
        first = 2 * (unit % 4)
        mask[first : first + 2, unit] = True
    assert weight[mask].all()
    assert not weight[~mask].any()  # zero before, zero after training
    assert pairs.connected == 2 * 32 + 32 + 32 + 1


def test_the_outputs_are_those_of_the_formula(wiring, pairs):
    x, _ = wiring.sum_over_pairs(50, seed=3)
    values = pairs.model.parameters
    expected = np.zeros(50)
    for unit in range(32):
        first = 2 * (unit % 4)
        net = x[:, first : first + 2] @ values["0.weight"][first : first + 2, unit]
        expected += np.tanh(net + values["0.bias"][unit]) * values["2.weight"][unit, 0]
    np.testing.assert_allclose(
        pairs.model.predict(x), expected + values["2.bias"][0], rtol=1e-4, atol=1e-5
    )


def test_the_error_is_measured_without_noise(wiring, pairs):
    x, y = wiring.sum_over_pairs(2000, 1000, noise=0.0)
    np.testing.assert_allclose(y, np.sin(3 * x.reshape(-1, 4, 2).prod(2)).sum(1), rtol=1e-12)
    error = np.sqrt(np.mean((pairs.model.predict(x) - y) ** 2))
    assert pairs.error == pytest.approx(error, rel=1e-9)


def test_the_right_connections_need_fewer_rows(wiring, pairs):
    others = [wiring.fit_sparse(name, rows=100) for name in wiring.SPARSE if "pair" not in name]
    assert all(pairs.error < 0.6 * other.error for other in others)
    assert [other.connected for other in others] == [321, 121, 129]


# ------------------------------------------------------------------ skip connections


def numpy_layers(parameters):
    """Weights and biases of the hidden layers in order."""
    paths = [path for path in parameters if path.startswith("1.") and path.endswith("weight")]
    return [(parameters[path], parameters[path.replace("weight", "bias")]) for path in paths]


def plain(x, layers):
    for weight, bias in layers:
        x = np.tanh(x @ weight + bias)
    return x


def residual(x, layers):
    for weight, bias in layers:
        x = x + np.tanh(x @ weight + bias)
    return x


def two_on(x, layers):
    places = [x]
    for place, (weight, bias) in enumerate(layers, 1):
        result = np.tanh(places[-1] @ weight + bias)
        places.append(result + places[place - 2] if place >= 2 else result)
    return places[-1]


def concatenated(x, layers):
    for weight, bias in layers:
        x = np.concatenate([x, np.tanh(x @ weight + bias)], axis=1)
    return x


FORWARD = {
    "plain": plain,
    "residual": residual,
    "two layers on": two_on,
    "concatenated": concatenated,
}


def loss_in_numpy(kind, parameters, x, y):
    first = x @ parameters["0.weight"] + parameters["0.bias"]
    last = FORWARD[kind](first, numpy_layers(parameters))
    output = last @ parameters["2.weight"] + parameters["2.bias"]
    return np.mean((output[:, 0] - y) ** 2)


@pytest.mark.parametrize("kind", FORWARD)
def test_the_first_gradient_is_the_difference_quotient(wiring, kind):
    parameters = tw.initialise(wiring.network(kind, 5), 2, seed=2, dtype="float64")
    slopes = []
    for place in np.ndindex(2, wiring.WIDTH):
        losses = []
        for step in (1e-6, -1e-6):
            weight = parameters["0.weight"].copy()
            weight[place] += step
            losses.append(loss_in_numpy(kind, {**parameters, "0.weight": weight}, *wiring.waves()))
        slopes.append((losses[0] - losses[1]) / 2e-6)
    found = wiring.first_gradient(kind, 5, seed=2)
    assert found == pytest.approx(np.mean(np.abs(slopes)), rel=1e-4)


def test_gradients_vanish_without_skips_only(wiring):
    sizes = {kind: [wiring.first_gradient(kind, depth) for depth in (4, 16)] for kind in FORWARD}
    factor = (sizes["plain"][1] / sizes["plain"][0]) ** (1 / 12)
    assert factor == pytest.approx(0.1 * np.sqrt(wiring.WIDTH), rel=0.1)  # σ√M, as tanh' is 1
    for kind in ("residual", "two layers on", "concatenated"):
        assert sizes[kind][1] > 0.5 * sizes[kind][0]


def test_deep_networks_learn_with_skips_only(wiring):
    _, y = wiring.waves()
    assert wiring.fit_skip("plain", 12, epochs=40)[-1] > 0.95 * y.var()
    assert wiring.fit_skip("residual", 12, epochs=40)[-1] < 0.7 * y.var()


def test_it_runs_as_a_script(wiring, capsys):
    arguments = ["--rows", "50", "--seeds", "1", "--depths", "2", "--epochs", "2"]
    wiring.main(arguments)
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].startswith("its pair of inputs            129")
    assert lines[-1].startswith("concatenated")


def test_it_draws(wiring, tmp_path):
    wiring.plot(str(tmp_path / "skip.png"), depth=2, epochs=2)
    assert (tmp_path / "skip.png").stat().st_size > 5000
