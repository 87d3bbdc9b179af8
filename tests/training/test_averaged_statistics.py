"""Averaged weights with batch normalisation: what is judged while training is the model."""

import numpy as np
import pytest
from tests.training.problems import same_bits

import thalweg as tw

RNG = np.random.default_rng(0)
X, V = RNG.normal(size=(64, 4)), RNG.normal(size=(40, 4))
Y, W = (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] for x in (X, V))
NET = tw.Sequential(tw.Linear(6), tw.BatchNorm1d(), tw.ReLU(), tw.Linear(1))
OPTIONS = {
    "batch_size": 16, "epochs": 6, "optimizer": tw.Adam(0.02), "dtype": "float64",
    "progress": False,
}  # fmt: skip


def error_by_hand(p):
    """Of the validation rows, with the mean and variance of all training rows."""
    hidden = X @ p["0.weight"]
    mean, variance = hidden.mean(0), hidden.var(0)
    normal = (V @ p["0.weight"] - mean) / np.sqrt(variance + 1e-5)
    active = np.maximum(normal * p["1.weight"] + p["1.bias"], 0)
    return np.mean(((active @ p["3.weight"] + p["3.bias"])[:, 0] - W) ** 2)


@pytest.mark.parametrize("average", [tw.EMA(0.99, warm_up=False), tw.SWA(0.3)])
def test_validation_early_stopping_and_callbacks_see_the_model(average):
    errors, seen = [], []

    def look(epoch):
        errors.append(error_by_hand(epoch.parameters))
        hidden = X @ epoch.parameters["0.weight"]
        np.testing.assert_allclose(epoch.states["1.mean"], hidden.mean(0), atol=1e-12)
        np.testing.assert_allclose(epoch.states["1.variance"], hidden.var(0), rtol=1e-12)
        seen.append({path: value.copy() for path, value in epoch.parameters.items()})

    run = tw.fit(
        NET, X, Y, validation=(V, W), average=average, early_stopping=9, callbacks=[look], **OPTIONS
    )
    np.testing.assert_allclose(run.history["validation_loss"], errors, rtol=1e-9)
    assert run.best_epoch == 1 + np.argmin(errors)
    assert same_bits(run.model.parameters, seen[run.best_epoch - 1])
    assert np.mean((run.model.predict(V) - W) ** 2) == pytest.approx(min(errors), rel=1e-9)


def test_such_a_run_goes_on_bit_for_bit(tmp_path):
    options = {**OPTIONS, "validation": (V, W), "average": 0.9, "early_stopping": 9}
    whole = tw.fit(NET, X, Y, **options)
    place = tmp_path / "run.checkpoint"
    tw.fit(NET, X, Y, checkpoint=place, callbacks=[lambda e: e.number == 3], **options)
    resumed = tw.fit(NET, X, Y, checkpoint=place, resume=True, **options)
    assert same_bits(resumed.model.states, whole.model.states)
    assert same_bits(resumed.history, whole.history)


def test_frozen_statistics_are_kept_while_averages_are_judged():
    first = tw.fit(NET, X, Y, **OPTIONS).model
    seen = []
    tw.fit(
        NET, X, Y, start=first, frozen="1", average=0.9, **OPTIONS,
        callbacks=[lambda epoch: seen.append(dict(epoch.states))],
    )  # fmt: skip
    assert all(same_bits(states, first.states) for states in seen)


def test_snapshots_have_the_statistics_of_their_averages():
    options = {**OPTIONS, "average": tw.EMA(0.99, warm_up=False)}
    del options["epochs"]
    run = tw.snapshots(NET, X, Y, cycles=2, epochs_per_cycle=2, **options)
    for member in run.members:
        hidden = X @ member.parameters["0.weight"]
        np.testing.assert_allclose(member.states["1.mean"], hidden.mean(0), atol=1e-12)
        np.testing.assert_allclose(member.states["1.variance"], hidden.var(0), rtol=1e-12)
    last, whole = run.members[-1], run.runs[0].model
    assert same_bits(last.parameters, whole.parameters)
    assert same_bits(last.states, whole.states)
