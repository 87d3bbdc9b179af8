"""What a population gives: numbers by member and epoch, the best, predictions, failures."""

import copy

import numpy as np
import pytest
from tests.training.problems import blobs, line, same_bits

import thalweg as tw
from thalweg.errors import DataError, NonFiniteError, SettingError

X, Y = blobs(rows=60)
NET = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(3))
RATES = np.array([0.001, 0.1, 0.01])


def fit(net=NET, x=X, y=Y, **options):
    given = {"progress": False, "epochs": 3, "batch_size": 10, "members": 3, **options}
    return tw.fit(net, x, y, **given)


@pytest.fixture
def many():
    return fit(optimizer=tw.Adam(RATES), epochs=[1, 3, 2], validation=0.25)


def test_history_has_members_first_and_nan_where_an_epoch_is_lacking(many):
    assert set(many.history) == {
        "train_loss", "validation_loss", "validation_accuracy", "learning_rate"
    }  # fmt: skip
    for name, numbers in many.history.items():
        assert numbers.shape == (3, 3)
        assert np.isnan(numbers).tolist() == [
            [False, True, True], [False, False, False], [False, False, True]
        ], name  # fmt: skip
    np.testing.assert_allclose(many.history["learning_rate"][:, 0], RATES)
    for k, run in enumerate(many.runs):
        found = many.history["train_loss"][k]
        assert found[~np.isnan(found)].tolist() == run.history["train_loss"].tolist()


def test_scores_are_those_of_the_weights_that_models_have(many):
    for name in ("train_loss", "validation_loss"):
        last = [run.history[name][-1] for run in many.runs]
        assert many.scores(name).tolist() == last
    order = np.argsort(many.scores("validation_loss"), kind="stable")
    assert many.ranked() == order.tolist()
    assert many.ranked("train_loss", maximise=True) == many.ranked("train_loss")[::-1]
    assert many.best().number == order[0]
    assert many.best("validation_accuracy").number == np.argmax(many.scores("validation_accuracy"))
    best = many.best("train_loss")
    assert best.settings == {"optimizer.learning_rate": RATES[best.number], "epochs": (1, 3, 2)[
        best.number
    ]}  # fmt: skip
    assert best.run is many.runs[best.number]
    assert best.model is many.models[best.number]


def test_with_early_stopping_the_score_is_that_of_the_best_epoch():
    noise = np.random.default_rng(0).integers(0, 3, 60)
    found = fit(y=noise, epochs=10, validation=0.3, early_stopping=2, optimizer=tw.SGD(3 * RATES))
    lengths = [len(run.history.rows) for run in found.runs]
    assert len(set(lengths)) > 1, "members stop at epochs of their own"
    for k, run in enumerate(found.runs):
        losses = run.history["validation_loss"]
        assert found.scores()[k] == losses[run.best_epoch - 1] == np.min(losses)


def test_predictions_of_all_members_are_those_of_each(many):
    outputs, labels = many.outputs(X), many.predict(X)
    probabilities = many.predict_proba(X)
    assert outputs.shape == probabilities.shape == (3, 60, 3)
    assert labels.shape == (3, 60)
    for k, model in enumerate(many.models):
        np.testing.assert_array_equal(outputs[k], model.outputs(X))
        np.testing.assert_array_equal(labels[k], model.predict(X))
        np.testing.assert_array_equal(probabilities[k], model.predict_proba(X))


def test_networks_of_different_shapes_predict_together():
    nets = tw.PerMember([NET, tw.Linear(3), tw.Sequential(tw.Dropout(0.5), tw.Linear(3))])
    found = fit(nets)
    for k, model in enumerate(found.models):
        np.testing.assert_array_equal(found.outputs(X)[k], model.outputs(X))


def test_members_that_differ_in_a_number_of_the_network_predict_by_their_own():
    net = tw.Sequential(tw.Linear(4), tw.LeakyReLU(np.array([0.0, 0.5, 1.0])), tw.Linear(3))
    found = fit(net)
    assert found.models[1].network.layers[1].slope == 0.5
    for k, model in enumerate(found.models):
        parameters = model.parameters
        hidden = X @ parameters["0.weight"] + parameters["0.bias"]
        hidden = np.where(hidden > 0, hidden, (0.0, 0.5, 1.0)[k] * hidden)
        expected = hidden @ parameters["2.weight"] + parameters["2.bias"]
        np.testing.assert_allclose(found.outputs(X)[k], expected, rtol=1e-4, atol=1e-5)


def test_numbers_are_predicted_in_their_own_unit():
    x, y = line()
    found = fit(tw.Linear(1), x, 100 * y, scale_targets=True, members=2, dtype="float64")
    np.testing.assert_array_equal(found.predict(x)[1], found.models[1].predict(x))
    with pytest.raises(DataError, match=r"predict_proba is for classes"):
        found.predict_proba(x)


def test_the_ensemble_is_the_mean_of_its_members(many):
    mean = np.mean(many.predict_proba(X), axis=0)
    np.testing.assert_allclose(many.ensemble().predict_proba(X), mean, rtol=1e-5)
    two = many.predict_proba(X)[many.ranked()[:2]].mean(axis=0)
    np.testing.assert_allclose(many.ensemble(2).predict_proba(X), two, rtol=1e-5)
    some = many.predict_proba(X)[[0, 2]].mean(axis=0)
    np.testing.assert_allclose(many.ensemble([0, 2]).predict_proba(X), some, rtol=1e-5)


def test_models_are_saved_one_by_one(many, tmp_path):
    many.models[1].save(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(
        tw.load(tmp_path / "one.safetensors").predict(X), many.predict(X)[1]
    )


def test_places_are_counted_from_the_end_too(many):
    assert many[-1].number == 2
    assert len(many) == len(many.models) == many.members == 3
    assert [model is run.model for model, run in zip(many.models, many.runs, strict=True)] == [
        True, True, True,
    ]  # fmt: skip
    with pytest.raises(IndexError):
        many[3]


def test_updates_and_time_are_those_of_all_members(many):
    assert many.timing.updates == 5 * (1 + 3 + 2)
    assert many.stop_reason == "epochs"
    assert many.seconds > 0
    assert many.networks_per_second == pytest.approx(3 / many.seconds)


def test_an_unknown_number_names_the_nearest(many):
    with pytest.raises(SettingError, match=r"no 'validation_los'.*did you mean 'validation_loss'"):
        many.best("validation_los")


# ------------------------------------------------------------------ not finite


@pytest.fixture
def failing():
    return fit(optimizer=tw.SGD(np.array([0.01, 1e30, 0.1])), y=Y.astype(float), net=tw.Linear(1))


def test_a_member_that_is_not_finite_stops_alone(failing):
    assert list(failing.failures) == [1]
    assert [run.stop_reason for run in failing.runs] == ["epochs", "non-finite", "epochs"]
    for k, rate in ((0, 0.01), (2, 0.1)):
        alone = fit(optimizer=tw.SGD(rate), y=Y.astype(float), net=tw.Linear(1), members=None)
        assert same_bits(failing.models[k].parameters, alone.model.parameters)


def test_its_failure_is_the_error_of_fit(failing):
    with pytest.raises(NonFiniteError) as caught:
        fit(optimizer=tw.SGD(1e30), y=Y.astype(float), net=tw.Linear(1), members=None)
    failure = failing.failures[1]
    assert str(failure) == str(caught.value)
    assert str(failure.error()) == str(caught.value)
    assert (failure.step, failure.epoch) == (caught.value.run.timing.updates + 1, 1)
    assert same_bits(failing.models[1].parameters, caught.value.run.model.parameters)
    assert str(copy.copy(failure)) == str(failure)


def test_its_score_is_nan_and_it_is_never_the_best(failing):
    assert np.isnan(failing.scores("train_loss")).tolist() == [False, True, False]
    assert 1 not in failing.ranked()
    assert failing.best().number in {0, 2}
    expected = np.mean([failing.models[k].predict(X) for k in (0, 2)], axis=0)
    np.testing.assert_allclose(failing.ensemble().predict(X), expected, rtol=1e-5)


def test_where_none_is_finite_there_is_no_best():
    found = fit(optimizer=tw.SGD(1e30), y=Y.astype(float), net=tw.Linear(1), members=2)
    assert sorted(found.failures) == [0, 1]
    with pytest.raises(DataError, match=r"none of the 2 networks has a finite train_loss"):
        found.best()


def test_an_ensemble_of_more_than_have_a_score_is_refused():
    line = {"y": Y.astype(float), "net": tw.Linear(1)}
    many = fit(optimizer=tw.SGD(np.array([0.01, 1e30, 0.02])), **line)
    assert list(many.failures) == [1]
    assert len(many.ensemble(2).network.members) == 2
    with pytest.raises(SettingError, match=r"but 2 of the 3 .*\.failures of 1"):
        many.ensemble(3)
    with pytest.raises(DataError, match="no network has a finite score"):
        fit(optimizer=tw.SGD(np.array([1e30, 1e31, 1e32])), **line).ensemble()


def test_labels_from_outputs_that_are_nan_come_with_a_warning(many):
    for path in many.models[1].parameters:
        many.models[1].parameters[path][...] = np.nan
    with pytest.warns(UserWarning, match="outputs of members 1 are NaN"):
        assert many.predict(X).shape == (3, 60)
    with pytest.warns(UserWarning, match="outputs for 60 of 60 rows are NaN"):
        many.models[1].predict(X)


def test_settings_of_a_member_are_plain_numbers(many):
    assert type(many[2].settings["optimizer.learning_rate"]) is float
