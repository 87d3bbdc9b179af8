"""Gaussian numbers and noise."""

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError
from thalweg.nn.layer import apply_network, evaluate
from thalweg.nn.noise import GaussianNoise
from thalweg.ops.functions import normal
from thalweg.ops.random import key_from_seed, threefry

X = np.random.default_rng(0).normal(3, 1, (300, 200))


def _noisy(layer, x=X, seed=0):
    return evaluate(layer, {}, x, training=True, key=key_from_seed(seed)).output.numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_distribution_is_gaussian(dtype):
    n = 400_000
    z = np.sort(normal(key_from_seed(1), n, dtype).numpy())
    assert z.dtype == dtype
    moments = [float((z.astype("float64") ** k).mean()) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=5 * math.sqrt(96 / n))
    grid = np.linspace(-4, 4, 161)
    wanted = [0.5 * math.erfc(-point / math.sqrt(2)) for point in grid]
    apart = np.abs(np.searchsorted(z, grid) / n - wanted).max()
    assert apart < 1.95 / math.sqrt(n)  # Kolmogorov and Smirnov at 0.1 %
    assert 4 < np.abs(z).max() < 5.8


def test_numbers_are_independent_of_each_other_and_of_the_key():
    z = normal(key_from_seed(1), (500, 200)).numpy()
    assert abs(np.corrcoef(z[:, :-1].ravel(), z[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(z.ravel(), normal(key_from_seed(2), z.size).numpy())[0, 1]) < 0.02
    np.testing.assert_array_equal(z, normal(key_from_seed(1), (500, 200)).numpy())


def test_numbers_are_the_formula_of_box_and_muller():
    key = key_from_seed(3)

    def uniform(number):
        words = threefry(key, np.array([number], "uint32"), np.ones(1, "uint32"))
        return tw.uniform(np.concatenate(words), 7, "float64").numpy()

    wanted = np.sqrt(-2 * np.log(1 - uniform(0))) * np.cos(2 * np.pi * uniform(1))
    np.testing.assert_allclose(normal(key, 7, "float64").numpy(), wanted, rtol=1e-13)


@pytest.mark.parametrize("form", ["additive", "multiplicative"])
def test_outside_training_nothing_happens(form):
    np.testing.assert_array_equal(apply_network(GaussianNoise(2.0, form), {}, X).numpy(), X)


@pytest.mark.parametrize(("form", "unit"), [("additive", 1), ("multiplicative", X)])
def test_noise_has_the_spread_asked_for(form, unit):
    noise = (_noisy(GaussianNoise(0.5, form)) - X) / unit
    assert abs(noise.mean()) < 4 * 0.5 / math.sqrt(X.size)
    assert noise.std() == pytest.approx(0.5, rel=4 / math.sqrt(2 * X.size))
    assert (_noisy(GaussianNoise(0.5, form), seed=1) != _noisy(GaussianNoise(0.5, form))).any()


def test_multiplicative_noise_has_dropout_s_mean_and_variance():
    x = np.full((400, 400), 2.0)
    dropped, noisy = (_noisy(layer, x) for layer in (
        tw.Dropout(0.2), GaussianNoise(math.sqrt(0.2 / 0.8), "multiplicative")
    ))  # fmt: skip
    assert dropped.mean() == pytest.approx(noisy.mean(), rel=0.01)
    assert dropped.var() == pytest.approx(noisy.var(), rel=0.02)


def test_the_gradient_of_additive_noise_is_one():
    key = key_from_seed(0)
    slope = tw.grad(
        lambda z: evaluate(GaussianNoise(0.5), {}, z, training=True, key=key).output.sum()
    )(X)
    assert (slope.numpy() == 1).all()


@pytest.mark.parametrize("form", ["additive", "multiplicative"])
def test_both_backends_train_it(form):
    x = np.random.default_rng(0).normal(size=(40, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = tw.Sequential(GaussianNoise(0.1, form), tw.Linear(6), tw.Tanh(), tw.Linear(2))
    options = {"batch_size": 16, "epochs": 4, "progress": False, "dtype": "float64"}
    one, two = (
        tw.fit(net, x, y, backend=backend, **options) for backend in ("interpreter", "native")
    )
    for path, value in one.model.parameters.items():
        np.testing.assert_allclose(two.model.parameters[path], value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"std": -1.0}, r"GaussianNoise.std = -1.0 is outside \[0, ∞\)"),
        ({"form": "both"}, "GaussianNoise.form = 'both' is not one of additive, multiplicative"),
    ],
)
def test_settings_outside_their_range_are_refused(fields, message):
    with pytest.raises(SettingError, match=message):
        GaussianNoise(**fields)


def test_description_survives_json():
    layer = GaussianNoise(0.3, "multiplicative")
    assert from_plain("layer", to_plain(layer)) == layer
