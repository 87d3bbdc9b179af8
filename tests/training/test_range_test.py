"""The range test: rates that rise, an end where training diverges, rates that are suggested."""

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line

import thalweg as tw
from thalweg.errors import DataError, NonFiniteError, SettingError, ShapeError
from thalweg.training.range_test import LearningRateTest, smooth


@pytest.fixture(autouse=True)
def default_backend(backend, monkeypatch):
    """Range tests run on both backends too."""
    monkeypatch.setitem(tw.lr_find.__kwdefaults__, "backend", backend)


def single():
    return tw.Sequential(tw.Linear(1))


def quadratic(rows=200, seed=0):
    """A least-squares problem with noise, and its stability limit 2 / λ for full batches."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)) * [2.0, 1.0, 0.7, 0.4]
    wide = np.column_stack([x, np.ones(rows)])
    hessian = 2.0 * wide.T @ wide / rows
    y = x @ [1.0, -2.0, 0.5, 1.0] + rng.normal(size=rows)
    return x, y, 2.0 / np.linalg.eigvalsh(hessian)[-1]


def test_rates_rise_evenly_on_a_logarithmic_scale():
    x, y = line()
    found = tw.lr_find(single(), x, y, low=1e-5, high=1e-2, steps=30, optimizer="sgd")
    assert found.stopped == "highest rate"
    np.testing.assert_allclose(found.rates, np.geomspace(1e-5, 1e-2, 30), rtol=1e-12)
    assert len(found.losses) == len(found.smoothed) == 30


@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_losses_are_those_of_updates_with_these_rates(factor):
    x, y, _ = quadratic(rows=30)
    found = tw.lr_find(
        single(), x, y, low=1e-3, high=0.05, steps=12, optimizer="sgd", dtype="float64",
        penalty=tw.L2(factor),
    )  # fmt: skip
    start = tw.initialise(single(), (4,), seed=0, dtype="float64")
    weight, bias = start["0.weight"].copy().reshape(4), start["0.bias"].copy()
    for rate, loss in zip(np.geomspace(1e-3, 0.05, 12), found.losses, strict=True):
        error = x @ weight + bias - y
        np.testing.assert_allclose(loss, np.mean(error**2), rtol=1e-9)
        weight -= rate * (2.0 * x.T @ error / 30 + factor * weight)
        bias -= rate * 2.0 * error.mean()


def test_all_rules_take_the_tested_rate():
    x, y, _ = quadratic(rows=30)
    options = {"low": 1e-3, "high": 0.05, "steps": 12, "dtype": "float64"}
    plain = tw.lr_find(single(), x, y, optimizer="sgd", **options)
    rule = tw.Groups((tw.Group("0.weight", tw.SGD(1e-9)),), otherwise=tw.SGD(3.0))
    np.testing.assert_array_equal(
        tw.lr_find(single(), x, y, optimizer=rule, **options).losses, plain.losses
    )


def test_the_loss_turns_exactly_at_the_limit_of_stability():
    x = np.linspace(-2, 3, 40)[:, None]
    limit = 1.0 / np.mean(x**2)
    network = tw.Sequential(tw.Linear(1, bias=False))
    found = tw.lr_find(
        network, x, 2 * x[:, 0], low=0.9 * limit, high=1.1 * limit, steps=40, optimizer="sgd",
        dtype="float64",
    )  # fmt: skip
    rising = np.diff(found.losses) > 0
    assert np.array_equal(rising, found.rates[:-1] > limit)
    assert 5 < rising.sum() < 35


def test_a_test_far_beyond_the_limit_ends_soon_after_it():
    x, y, limit = quadratic()
    found = tw.lr_find(
        single(), x, y, low=limit / 1e3, high=limit * 1e3, steps=300, optimizer="sgd",
        batch_size=200,
    )  # fmt: skip
    assert found.stopped == "diverged"
    assert limit < found.rates[-1] < 4 * limit
    assert found.suggestion < limit
    assert found.tenth == found.minimum / 10


def test_the_suggested_rate_trains_and_the_diverging_one_does_not():
    x, y, limit = quadratic()
    found = tw.lr_find(
        single(), x, y, low=limit / 1e4, high=limit * 1e4, optimizer="sgd", batch_size=50
    )
    options = {"epochs": 20, "batch_size": 50, "progress": False}
    good = tw.fit(single(), x, y, optimizer=tw.SGD(found.suggestion), **options)
    assert good.history["train_loss"][-1] < 0.3 * found.losses[0]
    with pytest.raises(NonFiniteError):
        tw.fit(single(), x, y, optimizer=tw.SGD(float(found.rates[-1])), **options)


def test_the_same_seed_gives_the_same_bits():
    x, y = blobs()
    first, second, other = (
        tw.lr_find(classifier(), x, y, batch_size=16, steps=40, seed=seed) for seed in (3, 3, 4)
    )
    assert first.losses.tobytes() == second.losses.tobytes()
    assert first.losses.tobytes() != other.losses[: len(first.losses)].tobytes()


def test_a_value_that_is_not_finite_ends_the_test():
    x, y, _ = quadratic()

    def overflowing(outputs, targets):
        return tw.exp(tw.square(outputs - targets)).sum(1)

    found = tw.lr_find(
        single(), x / 10, y / 10, loss=overflowing, low=1e-2, high=1e6, steps=40, optimizer="sgd"
    )
    assert found.stopped == "non-finite"
    assert np.isfinite(found.losses).all()
    assert 3 < len(found.losses) < 40


def test_a_start_that_is_not_finite_is_an_error():
    x, y = line()
    with pytest.raises(NonFiniteError, match="update 1"):
        tw.lr_find(single(), x, 1e30 * y, dtype="float32")


def test_a_loss_that_never_falls_suggests_nothing():
    rates = np.geomspace(1e-3, 1.0, 20)
    losses = np.linspace(1.0, 2.0, 20)
    found = LearningRateTest(rates, losses, smooth(losses.tolist(), 1.0), "highest rate")
    assert found.suggestion is None
    assert repr(found).startswith("LearningRateTest(suggestion=None, tenth=0.0001, 20 updates")


def test_the_steepest_place_is_found():
    rates = np.geomspace(1e-4, 1.0, 81)
    losses = 1.0 / (1.0 + np.exp(4 * (np.log10(rates) + 2.0)))
    losses[70:] += 5.0
    found = LearningRateTest(rates, losses, smooth(losses.tolist(), 1e-3), "diverged")
    np.testing.assert_allclose(found.smoothed, np.minimum(losses, 4 * losses[0]), rtol=1e-9)
    assert found.suggestion == pytest.approx(1e-2, rel=0.25)
    assert found.minimum == pytest.approx(rates[69])


def test_smoothing_keeps_a_constant_and_averages_noise():
    np.testing.assert_allclose(smooth([2.0] * 9, 3.0), 2.0)
    noise = 1.0 + 0.1 * np.random.default_rng(0).normal(size=200)
    assert smooth(noise.tolist(), 4.0)[10:-10].std() < 0.4 * noise.std()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0}, r"low = 0 must be a learning rate > 0"),
        ({"high": float("nan")}, r"high = nan must be a learning rate > 0"),
        ({"low": 1.0, "high": 0.1}, r"low = 1\.0 must be < high, which is 0\.1"),
        ({"steps": 5}, r"steps = 5 is outside its range: \[10, 100000\]"),
        ({"batch_size": 1000}, r"batch_size = 1000 is beyond the 64 training rows"),
        ({"dtype": "int64"}, r"dtype must be float32 or float64, got int64"),
        ({"backend": "gpu"}, r"backend 'gpu' is not one of native, interpreter"),
        ({"seed": -1}, r"seed = -1 is outside its range"),
        ({"optimizer": "sgdd"}, r"unknown optimizer 'sgdd'; did you mean 'sgd'"),
        ({"optimizer": "lbfgs"}, r"L-BFGS has no rate to look for: a line search"),
        ({"penalty": "l3"}, r"unknown penalty 'l3'"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    x, y = line()
    with pytest.raises(SettingError, match=message):
        tw.lr_find(single(), x, y, **options)


def test_data_that_does_not_fit_is_refused():
    x, y = line()
    with pytest.raises(ShapeError, match="x has 64 rows, y has 63"):
        tw.lr_find(single(), x, y[1:])
    with pytest.raises(DataError, match="no rows"):
        tw.lr_find(single(), x[:0], y[:0])


def test_the_picture_shows_both_suggestions(tmp_path):
    pytest.importorskip("matplotlib")
    x, y, limit = quadratic()
    found = tw.lr_find(single(), x, y, low=limit / 1e3, high=limit * 1e2, optimizer="sgd")
    figure = found.plot(tmp_path / "test.svg")
    axis = figure.axes[0]
    assert axis.get_xscale() == "log"
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), found.losses)
    text = (tmp_path / "test.svg").read_text(encoding="utf-8")
    for words in ("learning rate η (log scale)", "training loss", "steepest descent", "minimum"):
        assert words in text
