"""Approximation: identities exactly, constructed curves against their bound, fits against scans."""

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture(scope="module")
def approximation(example):
    return example("approximation")


def test_two_rectifiers_make_one_hard_sigmoid(approximation, rng):
    z = np.arange(-16, 16, 1 / 64)
    outputs = approximation.hard_logistic_of_rectifiers(z)
    np.testing.assert_array_equal(outputs, np.maximum(np.minimum(0.25 * z + 0.5, 1), 0))
    np.testing.assert_array_equal(outputs, tw.hard_logistic(z).numpy())
    z = rng.uniform(-100, 100, 1000)
    outputs = approximation.hard_logistic_of_rectifiers(z)
    np.testing.assert_allclose(outputs, np.clip(0.25 * z + 0.5, 0, 1), rtol=0, atol=1e-14)


def test_hard_sigmoids_make_any_polyline(approximation, rng):
    knots = np.sort(rng.uniform(0, 1, 12))
    heights = rng.normal(size=12)
    network, weights = approximation.polyline_network(knots, heights)
    x = np.sort(np.concatenate([np.linspace(-0.5, 1.5, 501), knots]))
    outputs = tw.apply_network(network, weights, x[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(outputs, np.interp(x, knots, heights), rtol=0, atol=1e-12)


def test_the_error_of_a_polyline_keeps_to_its_bound(approximation):
    errors = {units: approximation.polyline_error(approximation.wave, units) for units in (64, 128)}
    for units, error in errors.items():
        bound = (4 * np.pi) ** 2 / 8 / units**2
        assert 0.97 * bound < error <= bound
    assert errors[64] / errors[128] == pytest.approx(4, rel=0.02)


def best_single_rectifier(x, y):
    """The least mean square error of c + v relu(±(x - k)), by trying every knot."""
    best = np.inf
    for knot in np.linspace(0, 1, 401)[1:-1]:
        for side in (-1, 1):
            columns = np.column_stack([np.maximum(side * (x - knot), 0), np.ones_like(x)])
            solution = np.linalg.lstsq(columns, y)[0]
            best = min(best, np.mean((columns @ solution - y) ** 2))
    return best


def test_a_trained_rectifier_is_the_best_there_is(approximation):
    error, model = approximation.fitted("sin 4πx", "relu", 1, starts=3)
    x = approximation.grid(1, 201)
    best = best_single_rectifier(x[:, 0], approximation.wave(x))
    assert np.mean((model.predict(x) - approximation.wave(x)) ** 2) == pytest.approx(best, rel=1e-3)
    assert error == pytest.approx(np.sqrt(best), rel=0.02)


def test_wider_layers_come_nearer(approximation):
    errors = [
        approximation.fitted("saddle", "tanh", units, starts=2, epochs=150)[0]
        for units in (1, 4, 8)
    ]
    assert errors[0] > 5 * errors[1] > 10 * errors[2]
    assert errors[2] < 0.02


def test_the_reported_error_is_that_of_the_formula(approximation):
    error, model = approximation.fitted("hill", "tanh", 4, starts=1, epochs=100)
    x = approximation.grid(2, 61)
    values = model.parameters
    hidden = np.tanh((2 * x - 1) @ values["1.weight"] + values["1.bias"])
    outputs = hidden @ values["3.weight"][:, 0] + values["3.bias"]
    hill = np.exp(-12 * ((x[:, 0] - 0.4) ** 2 + (x[:, 1] - 0.4) ** 2))
    assert error == pytest.approx(np.sqrt(np.mean((outputs - hill) ** 2)), rel=1e-9)


def test_it_runs_as_a_script(approximation, capsys):
    approximation.main(["--units", "1", "2", "--starts", "1", "--epochs", "5", "--targets", "hill"])
    printed = capsys.readouterr().out
    assert "bit for bit on 1024 points: True" in printed
    assert printed.count("hill") == 2


def test_it_draws(approximation, tmp_path):
    approximation.plot(str(tmp_path / "wave.png"), epochs=5)
    assert (tmp_path / "wave.png").stat().st_size > 10000
