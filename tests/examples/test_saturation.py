"""Gradients layer by layer against back-propagation in NumPy, and decay against its theory."""

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture(scope="module")
def saturation(example):
    return example("saturation")


FUNCTIONS = {
    "logistic": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(float)),
}


def backward(parameters, depth, function, slope, x, y):
    """Mean |∂L/∂W|, root mean square of δ and share of |f'| < 0.01 of each hidden layer."""
    signals = [x]
    for layer in range(depth):
        net = signals[-1] @ parameters[f"{2 * layer}.weight"] + parameters[f"{2 * layer}.bias"]
        signals.append(function(net))
    output = signals[-1] @ parameters[f"{2 * depth}.weight"] + parameters[f"{2 * depth}.bias"]
    delta = 2 * (output - y[:, None]) / len(x)
    rows = []
    for layer in reversed(range(depth)):
        slopes = slope(signals[layer + 1])
        delta = (delta @ parameters[f"{2 * layer + 2}.weight"].T) * slopes
        gradient = signals[layer].T @ delta
        size = np.sqrt((delta**2).mean())
        rows.append((np.abs(gradient).mean(), size, (np.abs(slopes) < 0.01).mean()))
    return np.array(rows[::-1]).T


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("start", ["normal 0.01", "own", "normal 1"])
def test_the_flow_is_that_of_back_propagation(saturation, activation, start):
    depth = 6
    net = saturation.network(saturation.ACTIVATIONS[activation], saturation.STARTS[start], depth)
    parameters = tw.initialise(net, saturation.WIDTH, seed=1, dtype="float64")
    expected = backward(parameters, depth, *FUNCTIONS[activation], *saturation.data())
    found = saturation.flow(activation, start, depth, seed=1)
    np.testing.assert_allclose(found.gradients, expected[0], rtol=1e-9)
    np.testing.assert_allclose(found.deltas, expected[1], rtol=1e-9)
    np.testing.assert_allclose(found.saturated, expected[2], rtol=0, atol=3e-4)  # 2 units in 8192


@pytest.mark.parametrize(
    ("activation", "start", "factor"),
    [
        ("tanh", "normal 0.01", 0.01 * 8),  # σ√M · f'(0)
        ("logistic", "normal 0.01", 0.01 * 8 / 4),
        ("gelu", "normal 0.01", 0.01 * 8 / 2),
        ("relu", "normal 0.01", 0.01 * 8 / np.sqrt(2)),  # half of the units are off
        ("relu", "he", 1.0),
        ("relu", "xavier", np.sqrt(0.5)),
        ("relu", "normal 1", 8 / np.sqrt(2)),
    ],
)
def test_the_factor_is_that_of_the_theory(saturation, activation, start, factor):
    found = np.mean([saturation.flow(activation, start, 12, seed).factor for seed in range(2)])
    assert found == pytest.approx(factor, rel=0.08)


def test_logistic_units_saturate_and_lose_the_gradient(saturation):
    flows = {name: saturation.flow(name, "normal 1", 10) for name in ("logistic", "relu")}
    assert flows["logistic"].saturated.min() > 0.25
    assert 0.4 < flows["relu"].saturated.mean() < 0.6
    kept = [saturation.flow(name, "own", 20).factor for name in ("logistic", "tanh", "relu")]
    assert kept[0] < 0.7 < kept[1] < 1.1
    assert 0.9 < kept[2] < 1.1


def test_saturated_means_a_derivative_below_a_hundredth(saturation):
    found = saturation.flow("tanh", "normal 1", 2)
    net = saturation.network(tw.Tanh(), tw.Normal(std=1.0), 2)
    parameters = tw.initialise(net, saturation.WIDTH, dtype="float64")
    z = saturation.data()[0] @ parameters["0.weight"]
    share = np.mean(np.abs(z) > np.arctanh(np.sqrt(0.99)))
    assert found.saturated[0] == pytest.approx(share, abs=3e-4)


def test_it_runs_as_a_script(saturation, capsys):
    saturation.main(["--depths", "2", "4", "--activations", "relu", "tanh"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 2 * len(saturation.STARTS)
    assert lines[3].startswith("relu        normal 0.01")


def test_it_draws(saturation, tmp_path):
    saturation.plot(str(tmp_path / "saturation.png"), depth=3)
    assert (tmp_path / "saturation.png").stat().st_size > 10000
