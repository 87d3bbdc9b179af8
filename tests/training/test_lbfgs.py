"""L-BFGS through fit: optima in closed form, SciPy as a judge, resuming, what it refuses."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.errors import NonFiniteError, SettingError
from thalweg.optim.lbfgs import LBFGS
from thalweg.training import full_batch
from thalweg.training.full_batch import FullBatch
from thalweg.training.job import Job, Rows
from thalweg.training.recipe import Recipe

X, Y = line(rows=60)
OPTIONS = {"optimizer": LBFGS(tolerance=1e-9), "dtype": "float64", "progress": False, "epochs": 200}


def test_least_squares_end_at_their_solution():
    weights = np.linspace(0.1, 2, len(X))
    run = tw.fit(tw.Sequential(tw.Linear(1)), X, Y, sample_weight=weights, **OPTIONS)
    root = np.sqrt(weights)[:, None]
    augmented = np.hstack([X, np.ones((len(X), 1))])
    solution = np.linalg.lstsq(augmented * root, Y * root[:, 0], rcond=None)[0]
    found = np.append(run.model.parameters["0.weight"][:, 0], run.model.parameters["0.bias"])
    np.testing.assert_allclose(found, solution, atol=1e-8)
    assert run.stop_reason == "converged"
    assert len(run.history["train_loss"]) < 20


def test_it_falls_about_as_fast_as_scipys():
    network = tw.Sequential(tw.Linear(5), tw.Tanh(), tw.Linear(1))
    target = np.sin(2 * X[:, 0]) * X[:, 1]
    run = tw.fit(network, X, target, **{**OPTIONS, "epochs": 60})
    start = tw.initialise(network, (3,), seed=0, dtype="float64")
    shapes = {path: value.shape for path, value in start.items()}

    def risk(flat):
        parts = np.split(flat, np.cumsum([np.prod(s) for s in shapes.values()])[:-1])
        values = {p: v.reshape(s) for (p, s), v in zip(shapes.items(), parts, strict=True)}
        hidden = np.tanh(X @ values["0.weight"] + values["0.bias"])
        error = (hidden @ values["2.weight"] + values["2.bias"])[:, 0] - target
        back = 2 * error[:, None] / len(X)
        inner = back @ values["2.weight"].T * (1 - hidden**2)
        slopes = [X.T @ inner, inner.sum(0), hidden.T @ back, back.sum(0)]
        return np.mean(error**2), np.concatenate([s.ravel() for s in slopes])

    flat = np.concatenate([value.ravel() for value in start.values()])
    assert run.history["train_loss"][0] == pytest.approx(risk(flat)[0], rel=1e-10)
    judge = minimize(risk, flat, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    assert run.history["train_loss"][-1] < 1.5 * judge.fun + 1e-3


def test_batches_of_rows_give_the_same_risk(monkeypatch, backend):
    x, y = blobs(rows=50)
    network = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(3))
    weights = np.linspace(0, 1, 50)
    recipe = Recipe(network, tw.CrossEntropy(), LBFGS())
    job = Job(recipe, Rows(x.astype("float64"), y.astype("int64"), weights), 1, 50, 0)
    parameters = tw.initialise(network, (2,), dtype="float64")
    whole = FullBatch(job, backend)(parameters, {})
    monkeypatch.setattr(full_batch, "BLOCK", 16)
    pieces = FullBatch(job, backend)(parameters, {})
    assert pieces.risk == pytest.approx(whole.risk, rel=1e-12)
    for path in parameters:
        np.testing.assert_allclose(pieces.gradients[path], whole.gradients[path], atol=1e-12)


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path):
    x, y = blobs()
    network = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(3))
    options = {**OPTIONS, "epochs": 12, "frozen": "0.bias", "optimizer": LBFGS(memory=3)}
    whole = tw.fit(network, x, y, **options)
    place = tmp_path / "run.checkpoint"
    tw.fit(network, x, y, checkpoint=place, callbacks=[lambda e: e.number == 5], **options)
    resumed = tw.fit(network, x, y, checkpoint=place, resume=True, **options)
    assert same_bits(resumed.model.parameters, whole.model.parameters)
    assert np.array_equal(resumed.history["train_loss"], whole.history["train_loss"])


@pytest.mark.parametrize(
    "network",
    [
        tw.Sequential(tw.SpectralNorm(tw.Linear(4)), tw.Tanh(), tw.Linear(1)),
        tw.Sequential(tw.Linear(4), tw.BatchNorm1d(), tw.Tanh(), tw.Linear(1)),
    ],
)
def test_states_that_change_leave_a_resumed_run_as_it_was(network, tmp_path):
    options = {**OPTIONS, "epochs": 8, "optimizer": LBFGS()}
    whole = tw.fit(network, X, Y, **options)
    place = tmp_path / "run.checkpoint"
    tw.fit(network, X, Y, checkpoint=place, callbacks=[lambda e: e.number == 4], **options)
    resumed = tw.fit(network, X, Y, checkpoint=place, resume=True, **options)
    assert same_bits(resumed.model.parameters, whole.model.parameters)
    assert same_bits(resumed.model.states, whole.model.states)
    assert same_bits(resumed.history, whole.history)


def test_a_converged_run_has_nothing_to_go_on_with(tmp_path):
    network, place = tw.Sequential(tw.Linear(1)), tmp_path / "run.checkpoint"
    first = tw.fit(network, X, Y, checkpoint=place, **OPTIONS)
    for _ in range(2):
        again = tw.fit(network, X, Y, checkpoint=place, resume=True, **OPTIONS)
        assert (again.stop_reason, again.timing.updates) == ("converged", first.timing.updates)
        assert same_bits(again.history, first.history)


def test_a_function_is_compared_by_what_it_computes(tmp_path):
    def network(x, scope):
        return scope.apply("a", tw.Linear(1), x)

    def doubled(x, scope):
        return 2.0 * scope.apply("a", tw.Linear(1), x)

    doubled.__name__ = "network"
    place = tmp_path / "run.checkpoint"
    options = {**OPTIONS, "epochs": 4, "checkpoint": place}
    whole = tw.fit(network, X, Y, **{**options, "checkpoint": None})
    tw.fit(network, X, Y, callbacks=[lambda e: e.number == 2], **options)
    with pytest.raises(SettingError, match="program"):
        tw.fit(doubled, X, Y, resume=True, **options)
    resumed = tw.fit(network, X, Y, resume=True, **options)
    assert same_bits(resumed.model.parameters, whole.model.parameters)
    place.unlink()
    loss = {"loss": lambda outputs, targets: (outputs - targets) * (outputs - targets)}
    tw.fit(tw.Sequential(tw.Linear(1)), X, Y, **options, **loss)


@pytest.mark.parametrize("block", [4096, 16])
def test_a_risk_that_is_not_finite_is_explained(block, monkeypatch):
    monkeypatch.setattr(full_batch, "BLOCK", block)
    x = X.copy()
    x[40:] *= 1e30
    options = {**OPTIONS, "dtype": "float32"}
    with pytest.raises(NonFiniteError, match=r"update 1: loss, .*standardise the inputs") as caught:
        tw.fit(tw.Sequential(tw.Linear(1)), x, Y, **options)
    start = tw.initialise(tw.Sequential(tw.Linear(1)), (3,))
    assert same_bits(caught.value.run.model.parameters, start)
    assert caught.value.run.stop_reason == "non-finite"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 10}, "leave out batch_size = 10"),
        ({"clip": 1.0}, "takes no clip"),
        ({"accumulate": 2}, "takes no accumulate"),
        ({"average": 0.9}, "takes no average"),
        ({"augment": "mixup"}, "takes no augment"),
    ],
)
def test_what_needs_batches_is_refused(options, words):
    x, y = blobs()
    with pytest.raises(SettingError, match=words):
        tw.fit(classifier(rate=0.0), x, y, **{**OPTIONS, **options})


def test_random_layers_are_refused():
    x, y = blobs()
    with pytest.raises(SettingError, match="draws random numbers"):
        tw.fit(classifier(), x, y, **OPTIONS)


def test_threads_leave_the_warnings_as_they_were():
    network = tw.Sequential(tw.Linear(8), tw.Tanh(), tw.Linear(1))
    before = list(warnings.filters)
    for _ in range(3):
        tw.fit(network, X, Y, members=8, threads=4, **{**OPTIONS, "epochs": 30})
    assert list(warnings.filters) == before
