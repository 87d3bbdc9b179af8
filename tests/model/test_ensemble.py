"""Several models as one: the same numbers as NumPy's means, one file, refusals."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import SettingError, ShapeError
from thalweg.nn import losses

X = np.random.default_rng(0).normal(size=(60, 2))
LABELS = np.where(X[:, 0] > 0, np.where(X[:, 1] > 0, "a", "b"), "c")
NUMBERS = X[:, 0] * 3 + 100


def _models(y, outputs=1, count=3, network=None, **options):
    net = network or tw.Sequential(
        tw.Standardise(), tw.Linear(6), tw.BatchNorm1d(), tw.Tanh(), tw.Linear(outputs)
    )
    chosen = {"epochs": 3, "batch_size": 20, "backend": "interpreter", "progress": False, **options}
    return [tw.fit(net, X, y, seed=seed, **chosen).model for seed in range(count)]


def _mean(models, x=X, weights=None, proba=False):
    found = [m.predict_proba(x) if proba else m.predict(x) for m in models]
    return np.average(np.asarray(found, float), axis=0, weights=weights)


# ------------------------------------------------------------------ what it predicts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_and_numbers_are_means(dtype):
    bound = 1e-6 if dtype == "float32" else 1e-13
    for models in (
        _models(LABELS, 3, dtype=dtype),
        _models(LABELS == "a", 1, dtype=dtype),
        _models(LABELS == "a", 1, loss="tanh_cross_entropy", dtype=dtype),
    ):
        whole = tw.ensemble(models, weights=(1, 2, 0.5))
        wanted = _mean(models, weights=(1, 2, 0.5), proba=True)
        np.testing.assert_allclose(whole.predict_proba(X), wanted, atol=bound)
        np.testing.assert_array_equal(
            whole.predict(X), np.array(whole.classes)[np.argmax(wanted, axis=1)]
        )
    for models in (
        _models(X[:, 0], dtype=dtype),
        _models(X, 2, dtype=dtype),
        _models(np.arange(60) % 4, loss="poisson_nll", dtype=dtype),
    ):
        found = tw.ensemble(models).predict(X)
        np.testing.assert_allclose(found, _mean(models), atol=10 * bound)


def test_votes_are_those_of_the_members():
    models = _models(LABELS, 3, count=5)
    whole = tw.ensemble(models, "vote")
    votes = np.stack([model.predict(X) for model in models])
    shares = np.stack([(votes == label).mean(axis=0) for label in whole.classes], axis=1)
    np.testing.assert_allclose(whole.predict_proba(X), shares, atol=5e-6)
    clear = np.sort(shares, axis=1)[:, -1] > np.sort(shares, axis=1)[:, -2]
    wanted = np.array(whole.classes)[np.argmax(shares, axis=1)]
    np.testing.assert_array_equal(whole.predict(X)[clear], wanted[clear])
    tied = np.where(shares == shares.max(axis=1, keepdims=True), _mean(models, proba=True), -1)
    np.testing.assert_array_equal(
        whole.predict(X), np.array(whole.classes)[np.argmax(tied, axis=1)]
    )


def test_numbers_scaled_in_their_own_units_have_one_mean():
    options = {"loss": "squared_error", "scale_targets": True, "dtype": "float64"}
    models = _models(NUMBERS, count=1, **options) + _models(5 * NUMBERS, count=2, **options)
    assert models[0].target != models[1].target
    whole = tw.ensemble(models)
    np.testing.assert_allclose(whole.predict(X), _mean(models), rtol=1e-12)
    wide = [_models(y, 2, 1, **options)[0] for y in (X, X[::-1] * 3 + 2)]
    np.testing.assert_allclose(tw.ensemble(wide).predict(X), _mean(wide), rtol=1e-10, atol=1e-12)


def test_members_may_be_of_any_kind_and_ensembles_too():
    one = _models(LABELS, 3, 1, network=tw.Sequential(tw.Linear(3)))
    two = _models(LABELS, 3, 1, network=tw.Sequential(tw.Linear(4), tw.ReLU(), tw.Linear(3)))
    inner = tw.ensemble([*one, *two])
    outer = tw.ensemble([inner, *one], weights=(2, 1))
    np.testing.assert_allclose(
        outer.predict_proba(X), _mean([*one, *two, *one], proba=True), atol=1e-6
    )
    same = tw.ensemble(one * 3)
    np.testing.assert_allclose(same.predict_proba(X), one[0].predict_proba(X), atol=1e-6)
    alone = tw.ensemble(one)
    np.testing.assert_allclose(alone.predict_proba(X), one[0].predict_proba(X), atol=1e-6)


# ------------------------------------------------------------------ one file


def test_a_file_gives_the_same_bits_in_a_fresh_process(tmp_path):
    whole = tw.ensemble(_models(LABELS, 3), "vote", weights=(1, 2, 3))
    path = tmp_path / "whole.safetensors"
    whole.save(path)
    loaded = tw.load(path)
    assert loaded.network == whole.network
    assert loaded.record == whole.record
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, thalweg as tw; model = tw.load(sys.argv[1]);"
        "sys.stdout.buffer.write(model.outputs(np.load(sys.argv[2])).tobytes())"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "x.npy")]
    found = subprocess.run(command, check=True, capture_output=True)
    assert found.stdout == whole.outputs(X).tobytes()


def test_the_record_holds_those_of_the_members():
    models = _models(LABELS, 3)
    whole = tw.ensemble(models)
    assert whole.record["ensemble"] == "mean of 3"
    assert [member["seed"] for member in whole.record["members"]] == [0, 1, 2]
    assert "mean of 3" in whole.summary()
    assert repr(whole).startswith("Model(Ensemble, ")


def test_models_of_tables_keep_their_columns(tmp_path):
    prepared = tw.tabular.prepare_table("iris", "target")
    runs = [
        tw.tabular.fit_prepared(
            prepared, tw.TableSettings(epochs=3, hidden=(4,), seed=seed), progress=False
        )
        for seed in range(2)
    ]
    whole = tw.ensemble([run.model for run in runs])
    whole.save(tmp_path / "iris.safetensors")
    table = prepared.table.take([0, 60, 149])
    found = tw.load(tmp_path / "iris.safetensors").predict_proba(table)
    wanted = np.mean([run.model.predict_proba(table) for run in runs], axis=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    with pytest.raises(SettingError, match="encodings of the table differ, for only one of them"):
        tw.ensemble([runs[0].model, dataclasses.replace(runs[1].model, encoder=None)])
    fewer = tw.tabular.prepare_table("iris", "target", drop=("petal length (cm)",))
    other = dataclasses.replace(runs[1].model, encoder=fewer.encoder)
    with pytest.raises(SettingError, match="encodings of the table differ: columns"):
        tw.ensemble([runs[0].model, other])


# ------------------------------------------------------------------ refusals


def test_models_that_do_not_fit_together_are_refused():
    (one,) = _models(LABELS, 3, 1)
    others = {
        r"classes are \('a', 'b', 'c'\) and \('a', 'b', 'd'\)": dataclasses.replace(
            one, classes=("a", "b", "d")
        ),
        r"input_shape are \(2,\) and \(3,\)": dataclasses.replace(one, input_shape=(3,)),
        "dtype are 'float32' and 'float64'": _models(LABELS, 3, 1, dtype="float64")[0],
        "CrossEntropy, SquaredError; train them with one loss": _models(X[:, 0], 1, 1)[0],
    }
    for message, other in others.items():
        with pytest.raises(SettingError, match=message):
            tw.ensemble([one, other])
    scaled = _models(NUMBERS, count=1, scale_targets=True)
    with pytest.raises(SettingError, match=r"their targets are .*'scale'.*None"):
        tw.ensemble([*scaled, *_models(NUMBERS, count=1)])
    flags = [dataclasses.replace(one, classes=c) for c in ((0, 1, 2), (0.0, 1.0, 2.0))]
    with pytest.raises(SettingError, match="classes are"):
        tw.ensemble(flags)
    narrow = _models(X, 2, 1)[0], _models(X[:, :1], 1, 1)[0]
    with pytest.raises(ShapeError, match=r"member 1 has outputs \(1,\)"):
        tw.ensemble([dataclasses.replace(model, single=False) for model in narrow])


def test_what_is_no_list_of_models_is_refused():
    (one,) = _models(LABELS, 3, 1)
    for given, message in (
        ([], "at least one model"),
        (one, "takes a list of models"),
        (["m"], "takes a list of models"),
    ):
        with pytest.raises(SettingError, match=message):
            tw.ensemble(given)
    with pytest.raises(SettingError, match="2 numbers for 1 members"):
        tw.ensemble([one], weights=(1, 2))
    with pytest.raises(SettingError, match="'vote' is for classes"):
        tw.ensemble(_models(X[:, 0], 1, 1), "vote")

    def line(x, scope):
        return scope.apply("0", tw.Linear(3), x)

    with pytest.raises(SettingError, match="model 0 is the function line"):
        tw.ensemble([dataclasses.replace(one, network=line)])


def test_a_loss_with_predictions_of_its_own_takes_the_mean_of_outputs():
    class Cubes(losses.SquaredError):
        def predict(self, outputs):
            return outputs * outputs * outputs

    models = [dataclasses.replace(m, loss=Cubes()) for m in _models(X[:, 0], dtype="float64")]
    with pytest.raises(SettingError, match=r"Cubes.predict is a function of its own"):
        tw.ensemble(models)
    found = tw.ensemble(models, "mean_outputs").predict(X)
    wanted = np.mean([m.outputs(X)[:, 0] for m in models], axis=0) ** 3
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)
