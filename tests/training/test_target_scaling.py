"""Numeric targets scaled while training, and scaled back in predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest

import thalweg as tw
from thalweg.data.scaled_target import TargetScale
from thalweg.data.targets import target_from_plain
from thalweg.errors import DataError, DescriptionError, FileError, SettingError

X = np.random.default_rng(0).normal(size=(80, 3))
Y = np.column_stack([1e9 + 5e3 * X[:, 0], 1e-3 * X[:, 1] - 4.0, np.full(80, 7.0)])


def train(y, outputs, **kwargs):
    """A linear fit by full batches."""
    settings = {"epochs": 300, "batch_size": 80, "optimizer": tw.Adam(0.1), "progress": False}
    net = tw.Sequential(tw.Linear(outputs))
    return tw.fit(net, X, y, scale_targets=True, **(settings | kwargs))


def test_scaling_is_undone():
    target = TargetScale((10.0, -1.0), (2.0, 0.5))
    values = np.array([[14.0, 0.0], [10.0, -1.0]])
    assert target.encode(values).tolist() == [[2.0, 2.0], [0.0, 0.0]]
    np.testing.assert_array_equal(target.decode(target.encode(values)), values)
    assert target_from_plain(json.loads(json.dumps(target.to_plain()))) == target


@pytest.mark.parametrize(
    "plain",
    [
        {"type": "scale", "mean": [1.0], "scale": []},
        {"type": "scale", "mean": [], "scale": []},
        {"type": "scale", "mean": [1.0], "scale": [0.0]},
        {"type": "scale", "mean": ["1"], "scale": [1.0]},
        {"type": "scale", "mean": [1.0]},
    ],
)
def test_a_damaged_scale_is_refused(plain):
    with pytest.raises(DescriptionError):
        target_from_plain(plain)


def test_targets_of_any_size_are_learned(tmp_path):
    run = train(Y, 3)
    predicted = run.model.predict(X)
    assert predicted.shape == Y.shape
    np.testing.assert_allclose((predicted - Y) / [5e3, 1e-3, 1.0], 0.0, atol=1e-3)
    scale = run.model.target
    np.testing.assert_allclose(scale.mean, Y.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale.scale, [Y[:, 0].std(), Y[:, 1].std(), 1.0], rtol=1e-9)
    assert run.history["train_loss"][0] < 10
    run.model.save(tmp_path / "model.safetensors")
    loaded = tw.load(tmp_path / "model.safetensors")
    assert loaded.target == scale
    assert loaded.predict(X).tobytes() == predicted.tobytes()


def test_moments_are_those_of_the_training_rows():
    y = Y[:, 0]
    run = tw.fit(
        tw.Sequential(tw.Linear(1)),
        X[:60],
        y[:60],
        validation=(X[60:], y[60:]),
        scale_targets=True,
        epochs=1,
        progress=False,
    )
    np.testing.assert_allclose(run.model.target.mean, y[:60].mean(), rtol=1e-12)
    np.testing.assert_allclose(run.model.target.scale, y[:60].std(), rtol=1e-9)
    assert run.model.predict(X).shape == (80,)
    assert run.history["validation_loss"][0] < 100


def test_it_is_the_fit_of_scaled_targets():
    y = Y[:, 1]
    scaled = (y - y.mean()) / y.std()
    run = train(y, 1, epochs=5, dtype="float64")
    net = tw.Sequential(tw.Linear(1))
    bare = tw.fit(
        net,
        X,
        scaled,
        epochs=5,
        batch_size=80,
        optimizer=tw.Adam(0.1),
        dtype="float64",
        progress=False,
    )
    np.testing.assert_allclose(run.history["train_loss"], bare.history["train_loss"], rtol=1e-9)
    wanted = bare.model.predict(X) * y.std() + y.mean()
    np.testing.assert_allclose(run.model.predict(X), wanted, rtol=1e-9)


def test_classes_have_no_scale():
    with pytest.raises(SettingError, match=r"scale_targets is for numbers, but CrossEntropy takes"):
        train(np.arange(80) % 2, 2)


def test_counts_have_no_scale():
    with pytest.raises(SettingError, match=r"scale_targets .* PoissonNLL takes counts; leave it"):
        train(np.random.default_rng(0).poisson(3, 80), 1, loss="poisson_nll")


def test_a_scale_for_other_outputs_is_refused(tmp_path):
    model = train(Y[:, 0], 1, epochs=1).model
    replace(model, target=TargetScale((0.0, 1.0), (1.0, 1.0))).save(tmp_path / "m.safetensors")
    with pytest.raises(FileError, match=r"scale does not fit the network's outputs"):
        tw.load(tmp_path / "m.safetensors")


def test_a_likelihood_with_two_outputs_a_number_is_scaled_and_saved(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    y = 100 + 5 * x[:, 0] + rng.normal(size=80)
    net = tw.Sequential(tw.Linear(2))
    model = tw.fit(
        net, x, y, loss="gaussian_nll", scale_targets=True, epochs=150, optimizer=tw.Adam(0.05),
        progress=False,
    ).model  # fmt: skip
    assert np.mean((model.predict(x) - y) ** 2) < 2
    sigma = model.loss.deviation(model.outputs(x)).numpy()[:, 0]
    np.testing.assert_allclose(model.deviation(x), sigma * y.std(), rtol=1e-6)
    assert model.deviation(x).shape == (80,)
    assert 0.5 < model.deviation(x).mean() < 2
    model.save(tmp_path / "m.safetensors")
    loaded = tw.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    np.testing.assert_array_equal(loaded.deviation(x), model.deviation(x))


def test_deviations_have_the_unit_of_each_target():
    rng = np.random.default_rng(1)
    y = np.array([1000.0, -2.0]) + rng.normal(size=(80, 2)) * [50.0, 0.1]
    run = train(y, 4, loss="gaussian_nll")
    np.testing.assert_allclose(run.model.deviation(X).mean(0), y.std(0), rtol=0.2)
    plain = tw.fit(
        tw.Sequential(tw.Linear(2)), X, y[:, 1], loss="gaussian_nll", epochs=1, progress=False
    ).model
    sigma = plain.loss.deviation(plain.outputs(X)).numpy()[:, 0]
    np.testing.assert_array_equal(plain.deviation(X), sigma)
    with pytest.raises(DataError, match="SquaredError learns no deviation"):
        train(y, 2, epochs=1).model.deviation(X)
