"""Several networks for a table: as one model, judged in the target's own unit."""

from dataclasses import replace

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import NonFiniteError, SettingError
from thalweg.tabular import fit_prepared, prepare_table
from thalweg.tabular.settings import ENSEMBLES
from thalweg.training.population.training import InTurn

QUICK = {"epochs": 6, "hidden": (6,), "batch_size": 32}


@pytest.fixture(scope="module")
def tables():
    return {name: prepare_table(name, "target") for name in ("iris", "diabetes")}


def _run(prepared, **settings):
    return fit_prepared(prepared, tw.TableSettings(**QUICK, **settings), progress=False)


@pytest.mark.parametrize("kind", ENSEMBLES)
@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_an_ensemble_is_a_model_of_the_table(tables, tmp_path, name, kind):
    prepared = tables[name]
    if (name, kind) == ("diabetes", "vote"):
        with pytest.raises(SettingError, match="'vote' is for classes"):
            _run(prepared, ensemble=kind)
        return
    run = _run(prepared, ensemble=kind, members=3)
    assert len(run.ensemble.members) == 3
    assert run.model.record["ensemble"] == f"{'vote' if kind == 'vote' else 'mean'} of 3"
    assert run.model.record["scores"]["rows"] == "test rows"
    run.save(tmp_path)
    loaded = tw.load(tmp_path / "model.safetensors")
    rows = prepared.table.take([0, 60, 149])
    np.testing.assert_array_equal(loaded.predict(rows), run.model.predict(rows))
    scores = run.ensemble.scores()
    measure = "accuracy" if name == "iris" else "rmse"
    np.testing.assert_allclose(scores.ensemble, run.test[measure], rtol=1e-6)
    if name == "diabetes":
        mean = np.mean([member.predict(rows) for member in run.ensemble.members], axis=0)
        np.testing.assert_allclose(loaded.predict(rows), mean, rtol=1e-5)
        split = scores.member_mean**2 - scores.disagreement**2
        np.testing.assert_allclose(scores.ensemble**2, split, rtol=1e-5)


def test_members_differ_and_their_epochs_follow_each_other(tables):
    run = _run(tables["iris"], members=2)
    assert run.history["member"].tolist() == [0.0] * 6 + [1.0] * 6
    assert run.model.record["epochs"] == 12
    assert run.timing.updates == sum(one.timing.updates for one in run.ensemble.runs)
    one, two = run.ensemble.members
    assert any((one.parameters[path] != two.parameters[path]).any() for path in one.parameters)
    snapshots = _run(tables["iris"], ensemble="snapshots", members=2)
    assert len(snapshots.history.rows) == 6
    rates = snapshots.history["learning_rate"]
    np.testing.assert_array_equal(rates[:3], rates[3:])


def test_out_of_bag_numbers_are_in_the_targets_unit(tables):
    prepared = tables["diabetes"]
    run = _run(prepared, ensemble="bagging", members=4)
    bag = run.ensemble.out_of_bag
    tested = bag.counts > 0
    truth = prepared.values[prepared.split.train][tested]
    error = np.sqrt(np.mean((bag.predictions[tested] - truth) ** 2))
    np.testing.assert_allclose(bag.metrics["rmse"], error, rtol=1e-5)
    assert run.model.record["scores"]["out_of_bag"] == bag.metrics["rmse"]


def test_how_many_members_there_are():
    for settings, count in (
        ({}, 0),
        ({"members": 1}, 0),
        ({"members": 3}, 3),
        ({"ensemble": "bagging"}, 5),
        ({"ensemble": "mean", "members": 1}, 1),
    ):
        assert tw.TableSettings(**settings).size_of_ensemble == count


def test_choices_that_cannot_be_are_refused(tables):
    for settings, message in (
        ({"members": 0}, "members must be a whole number of at least 1, got 0"),
        ({"ensemble": "median"}, "'median' is not one of mean, vote, bagging, snapshots"),
    ):
        with pytest.raises(SettingError, match=message):
            tw.TableSettings(**settings).check()
    settings = {"ensemble": "snapshots", "members": 4}
    with pytest.raises(SettingError, match="epochs = 6 is no multiple of cycles = 4; choose 8"):
        _run(tables["iris"], **settings)
    with pytest.raises(SettingError, match="no checkpoint to resume from"):
        fit_prepared(tables["iris"], tw.TableSettings(**settings), resume=True)


def test_a_member_that_is_not_finite_leaves_those_before_it(tables, monkeypatch):
    real = InTurn.own

    def own(members, place):
        given = real(members, place)
        return replace(given, y=given.y * 1e30) if place == 2 else given

    monkeypatch.setattr(InTurn, "own", own)
    with pytest.raises(NonFiniteError, match="member 2 of 4") as caught:
        _run(tables["diabetes"], members=4, optimizer="sgd")
    assert len(caught.value.run.ensemble.members) == 2
    assert caught.value.run.stop_reason == "non-finite"
