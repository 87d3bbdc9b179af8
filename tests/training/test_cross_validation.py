"""Folds, scores, out-of-fold predictions, what learns inside a fold, bad input, Ctrl-C."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.data.metrics import classification_metrics, regression_metrics
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.training.folds import divided

X, LABELS = blobs(90)
NET = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(3))
LINE = tw.Sequential(tw.Standardise(), tw.Linear(1))
QUICK = {"epochs": 3, "batch_size": 16, "progress": False}
NATIVE = pytest.mark.parametrize("backend", ["native"], indirect=True)
"""For what is the same on every backend, and slow."""


# ------------------------------------------------------------------ folds


@NATIVE
def test_each_row_is_held_out_once_in_each_repeat(backend):
    found = divided(23, 5, 3, seed=4)
    assert [(fold.repeat, fold.fold) for fold in found] == [
        (r, f) for r in range(3) for f in range(5)
    ]
    for repeat in range(3):
        held = [fold.held_out for fold in found if fold.repeat == repeat]
        assert sorted(np.concatenate(held).tolist()) == list(range(23))
        assert {len(rows) for rows in held} == {4, 5}
    for fold in found:
        assert not set(fold.train) & set(fold.held_out)
        assert len(fold.train) + len(fold.held_out) == 23
    assert found[0].held_out.tolist() != found[5].held_out.tolist()


@NATIVE
def test_folds_keep_the_shares_of_classes_and_groups_whole(backend):
    labels = np.array(["a"] * 30 + ["b"] * 10)
    for fold in divided(40, 5, labels=labels):
        assert (labels[fold.held_out] == "b").sum() == 2
    groups = np.repeat(np.arange(10), 4)
    for kwargs in ({}, {"labels": np.tile([0, 1], 20)}):
        for fold in divided(40, 5, 2, groups=groups, **kwargs):
            assert not set(groups[fold.train]) & set(groups[fold.held_out])
            assert len(fold.held_out) == 8


@NATIVE
def test_folds_are_those_of_scikit_learn(backend):
    splitters = pytest.importorskip("sklearn.model_selection")
    labels = np.arange(40) % 3
    for repeat in range(2):
        judge = splitters.StratifiedKFold(4, shuffle=True, random_state=7 + repeat)
        own = [fold for fold in divided(40, 4, 2, labels=labels, seed=7) if fold.repeat == repeat]
        for fold, (train, held) in zip(own, judge.split(labels, labels), strict=True):
            np.testing.assert_array_equal(fold.train, train)
            np.testing.assert_array_equal(fold.held_out, held)


@NATIVE
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"folds": 1}, SettingError, "folds = 1 is outside its range: at least 2"),
        ({"folds": 2.5}, SettingError, "folds must be a whole number, got 2.5"),
        ({"repeats": 0}, SettingError, "repeats = 0"),
        ({"seed": -1}, SettingError, "seed = -1"),
        ({"folds": 11}, SettingError, "folds = 11 is more than the 10 rows"),
        ({"labels": list("aaaaaaaabb")}, SettingError, "more than the 2 rows of class 'b'"),
        ({"labels": [0] * 9 + [1]}, SettingError, "more than the 1 row of class 1;"),
        ({"groups": [1] * 5 + [2] * 5}, SettingError, "folds = 3 is more than the 2 groups"),
        ({"groups": [1, 2]}, ShapeError, r"groups has shape \(2,\), expected \(10,\)"),
    ],
)
def test_folds_that_cannot_be_are_refused(backend, given, error, message):
    with pytest.raises(error, match=message):
        divided(10, **{"folds": 3, **given})


# ------------------------------------------------------------------ networks


@pytest.mark.parametrize("threads", [1, 3])
def test_each_network_is_that_of_fit_on_the_rows_of_its_fold(threads):
    net = classifier()
    options = {**QUICK, "penalty": 0.01, "optimizer": tw.Adam(0.01)}
    found = tw.cross_validate(
        net, X, LABELS, folds=3, repeats=2, seed=5, threads=threads, **options
    )
    assert found.seeds == tuple(range(5, 11))
    for place, model in enumerate(found.models):
        rows = found.splits[place].train
        alone = tw.fit(net, X, LABELS, rows=rows, seed=found.seeds[place], **options)
        assert same_bits(alone.model.parameters, model.parameters)
        assert alone.history.rows == found.histories[place].rows
        copied = tw.fit(net, X[rows], LABELS[rows], seed=found.seeds[place], **options).model
        assert same_bits(copied.parameters, model.parameters)


def test_layers_learn_inside_each_fold():
    x, y = line(60)
    x = x + np.arange(60)[:, None]  # means that depend on the rows
    net = tw.Sequential(tw.Standardise(), tw.Linear(1))
    found = tw.cross_validate(net, x, y, folds=4, **QUICK)
    means = [model.states["0.mean"] for model in found.models]
    for fold, mean in zip(found.splits, means, strict=True):
        np.testing.assert_allclose(mean, x[fold.train].mean(axis=0), rtol=1e-5)
        assert np.abs(mean - x.mean(axis=0)).min() > 1e-3
    scaled = tw.Sequential(tw.Linear(1))
    whole = (x - x.mean(axis=0)) / x.std(axis=0)
    leaky = tw.cross_validate(scaled, whole, y, folds=4, **QUICK)
    assert np.abs(leaky.scores["rmse"] - found.scores["rmse"]).min() > 1e-6


@NATIVE
def test_targets_are_scaled_by_the_training_rows_of_each_fold(backend):
    x, y = line(60)
    options = {**QUICK, "epochs": 60, "optimizer": tw.Adam(0.05)}
    found = tw.cross_validate(LINE, x, 1000 * y, folds=3, scale_targets=True, **options)
    for fold, model in zip(found.splits, found.models, strict=True):
        np.testing.assert_allclose(model.target.mean, (1000 * y[fold.train]).mean(), rtol=1e-5)
        rows = fold.held_out
        np.testing.assert_allclose(found.predictions[rows], model.predict(x[rows]), rtol=1e-12)
    fold, model = found.splits[1], found.models[1]
    z = (1000 * y[fold.held_out] - model.target.mean) / model.target.scale
    error = model.outputs(x[fold.held_out])[:, 0] - z
    np.testing.assert_allclose(found.scores["loss"][0, 1], np.mean(error**2), rtol=1e-4)
    assert found.mean["r2"] > 0.9


# ------------------------------------------------------------------ scores and predictions


def test_scores_of_classes_are_those_of_the_rows_held_out():
    names = np.array(["x", "y", "z"])[LABELS]
    found = tw.cross_validate(NET, X, names, folds=3, repeats=2, **QUICK)
    assert list(found.scores) == ["loss", "accuracy", "balanced_accuracy", "log_loss", "auc"]
    assert (found.repeats, found.folds, len(found), found.classes) == (2, 3, 6, ("x", "y", "z"))
    sums = np.zeros((90, 3))
    for place, fold in enumerate(found.splits):
        rows = fold.held_out
        chances = found.models[place].predict_proba(X[rows])
        sums[rows] += chances
        wanted = classification_metrics(LABELS[rows], chances)
        for name, value in wanted.items():
            got = found.scores[name][fold.repeat, fold.fold]
            np.testing.assert_allclose(got, value, rtol=1e-5, err_msg=name)
        loss = found.scores["loss"][fold.repeat, fold.fold]
        np.testing.assert_allclose(loss, wanted["log_loss"], rtol=1e-5)
    np.testing.assert_allclose(found.predictions, sums / 2, rtol=1e-5)
    assert found.mean["auc"] == pytest.approx(found.scores["auc"].mean())
    assert found.deviation["loss"] == pytest.approx(np.std(found.scores["loss"], ddof=1))


@NATIVE
def test_scores_of_numbers_in_one_column_and_several(backend):
    x, y = line(40)
    found = tw.cross_validate(LINE, x, y, folds=4, repeats=1, **QUICK)
    assert list(found.scores) == ["loss", "rmse", "mae", "r2"]
    for fold in found.splits:
        rows = fold.held_out
        wanted = regression_metrics(y[rows], found.predictions[rows])
        for name, value in wanted.items():
            np.testing.assert_allclose(found.scores[name][0, fold.fold], value, rtol=1e-6)
    assert found.classes is None
    two = np.stack([y, -y], axis=1)
    found = tw.cross_validate(tw.Sequential(tw.Linear(2)), x, two, folds=4, **QUICK)
    assert found.predictions.shape == (40, 2)
    rows = found.splits[0].held_out
    error = found.predictions[rows] - two[rows]
    np.testing.assert_allclose(found.scores["rmse"][0, 0], np.sqrt(np.mean(error**2)), rtol=1e-6)


@NATIVE
@pytest.mark.parametrize("outputs", [1, 2])
def test_rows_count_by_their_weights_in_every_metric(backend, outputs):
    metrics = pytest.importorskip("sklearn.metrics")
    y = (X[:, 0] + 0.8 * np.sin(9 * X[:, 1]) > 0).astype(int)
    weights = np.random.default_rng(0).uniform(0, 2, 90)
    net = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(outputs))
    loss = "binary_cross_entropy" if outputs == 1 else None
    found = tw.cross_validate(net, X, y, folds=3, sample_weight=weights, loss=loss, **QUICK)
    for fold in found.splits:
        rows, own = fold.held_out, {"sample_weight": weights[fold.held_out]}
        chances = found.predictions[rows] / found.predictions[rows].sum(axis=1, keepdims=True)
        labels = chances.argmax(axis=1)
        truth = y[rows]
        wanted = {
            "accuracy": metrics.accuracy_score(truth, labels, **own),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, labels, **own),
            "log_loss": metrics.log_loss(truth, chances, **own),
            "auc": metrics.roc_auc_score(truth, chances[:, 1], **own),
            "loss": metrics.log_loss(truth, chances, **own),
        }
        got = {name: values[0, fold.fold] for name, values in found.scores.items()}
        assert got == pytest.approx(wanted, rel=1e-5)
    x, y = line(90)
    found = tw.cross_validate(LINE, x, y, folds=3, sample_weight=weights, **QUICK)
    rows = found.splits[2].held_out
    own = {"sample_weight": weights[rows]}
    wanted = [
        metrics.root_mean_squared_error(y[rows], found.predictions[rows], **own),
        metrics.mean_absolute_error(y[rows], found.predictions[rows], **own),
        metrics.r2_score(y[rows], found.predictions[rows], **own),
    ]
    got = [found.scores[name][0, 2] for name in ("rmse", "mae", "r2")]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


@NATIVE
def test_ties_of_scores_count_half_in_the_area(backend):
    metrics = pytest.importorskip("sklearn.metrics")
    from thalweg.training.scoring import Judged, auc

    rng = np.random.default_rng(3)
    chance = rng.integers(0, 5, 200) / 4
    truth = rng.integers(0, 2, 200)
    weights = rng.uniform(0, 1, 200)
    rows = Judged(truth, np.stack([1 - chance, chance], axis=1), weights)
    wanted = metrics.roc_auc_score(truth, chance, sample_weight=weights)
    np.testing.assert_allclose(auc(rows), wanted, rtol=1e-12)
    assert np.isnan(auc(rows._replace(truth=np.ones(200, int))))


@NATIVE
def test_metrics_of_your_own(backend):
    def errors(y, predicted):
        assert set(y) | set(predicted) <= {"x", "y", "z"}
        return np.sum(y != predicted)

    names = np.array(["x", "y", "z"])[LABELS]
    found = tw.cross_validate(NET, X, names, folds=3, metrics=["accuracy", errors], **QUICK)
    assert list(found.scores) == ["accuracy", "errors"]
    np.testing.assert_allclose(found.scores["errors"], 30 * (1 - found.scores["accuracy"]))
    found = tw.cross_validate(NET, X, names, folds=3, metrics={"wrong": errors}, **QUICK)
    assert list(found.mean) == ["wrong"]


@NATIVE
def test_labels_that_exclude_nothing_and_probabilities(backend):
    several = (X > 0).astype(float)
    net = tw.Sequential(tw.Linear(2))
    found = tw.cross_validate(net, X, several, folds=3, loss="binary_cross_entropy", **QUICK)
    assert list(found.scores) == ["loss", "accuracy"]
    rows = found.splits[0].held_out
    right = (found.predictions[rows] >= 0.5) == several[rows]
    np.testing.assert_allclose(found.scores["accuracy"][0, 0], right.mean())
    soft = np.eye(3)[LABELS] * 0.8 + 0.2 / 3
    found = tw.cross_validate(NET, X, soft, folds=3, loss="cross_entropy", **QUICK)
    assert found.predictions.shape == (90, 3)
    assert found.scores["accuracy"][0, 0] > 0.3


@NATIVE
def test_a_network_may_be_a_function(backend):
    def network(x, scope):
        return scope.apply("out", tw.Linear(3), x)

    def loss(outputs, targets):
        return (outputs * outputs).sum(axis=1)

    found = tw.cross_validate(network, X, LABELS, folds=2, loss=loss, **QUICK)
    rows = found.splits[1].held_out
    outputs = found.models[1].outputs(X[rows])
    wanted = np.mean((outputs.astype(np.float64) ** 2).sum(axis=1))
    np.testing.assert_allclose(found.scores["loss"][0, 1], wanted, rtol=1e-5)


# ------------------------------------------------------------------ early stopping


@NATIVE
def test_early_stopping_watches_training_rows_alone(backend):
    options = {**QUICK, "epochs": 40, "optimizer": tw.Adam(0.1)}
    found = tw.cross_validate(NET, X, LABELS, folds=3, early_stopping=2, **options)
    for place, fold in enumerate(found.splits):
        assert found.models[place].record["rows"] == 48  # 60 training rows without a fifth
        alone = tw.fit(
            NET, X[fold.train], LABELS[fold.train], seed=place, validation=0.2, early_stopping=2,
            **options,
        )  # fmt: skip
        assert same_bits(alone.model.parameters, found.models[place].parameters)
        assert "validation_loss" in found.histories[place]
    plain = tw.cross_validate(NET, X, LABELS, folds=3, **QUICK)
    assert "validation_loss" not in plain.histories[0]
    assert plain.models[0].record["rows"] == 60
    half = tw.cross_validate(NET, X, LABELS, folds=3, validation=0.5, **QUICK)
    assert half.models[0].record["rows"] == 30


# ------------------------------------------------------------------ what goes wrong


def test_a_network_that_is_not_finite_has_no_score_and_the_others_do():
    x, y = line(40)
    places = divided(40, 4)[2].held_out
    y[places[0]] = 1e30  # which every network but that of fold 2 learns from
    found = tw.cross_validate(tw.Sequential(tw.Linear(1)), x, y, folds=4, optimizer="sgd", **QUICK)
    assert sorted(found.failures) == [0, 1, 3]
    assert np.isnan(found.scores["loss"]).tolist() == [[True, True, False, True]]
    assert "not finite" in found.summary()
    assert "infinity" in str(found.failures[0])
    assert "the figures are of the other 1 network" in repr(found)
    assert np.isnan(found.predictions[found.splits[0].held_out]).all()
    assert np.isfinite(found.predictions[found.splits[2].held_out]).all()
    assert found.mean["mae"] == found.scores["mae"][0, 2]
    assert np.isnan(found.deviation["mae"])


@NATIVE
def test_where_no_network_is_finite_there_are_no_figures(backend):
    net = tw.Sequential(tw.Linear(9), tw.Linear(3))
    found = tw.cross_validate(net, X * 1e37, LABELS, folds=3, **QUICK)
    assert len(found.failures) == 3
    assert np.isnan(found.scores["auc"]).all()
    assert np.isnan(found.mean["auc"])
    assert found.predictions.shape == (90, 3)
    assert "no network has figures" in found.summary()


@NATIVE
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 31}, SettingError, "folds = 31 is more than the 30 rows of class 0"),
        ({"folds": 1}, SettingError, "folds = 1"),
        ({"groups": np.zeros(90)}, SettingError, "folds = 10 is more than the 1 group;"),
        ({"groups": np.zeros(9)}, ShapeError, r"groups has shape \(9,\)"),
        ({"metrics": ["acuracy"]}, SettingError, "'acuracy'; did you mean 'accuracy'"),
        ({"metrics": ["rmse"]}, SettingError, "'rmse'. Known for these targets: loss, accuracy"),
        ({"metrics": "auc"}, SettingError, "metrics takes a list"),
        ({"metrics": []}, SettingError, "metrics names none"),
        ({"rows": [1, 2]}, SettingError, "cross_validate takes no rows"),
        ({"members": 3}, SettingError, "cross_validate takes no members"),
        ({"validation": (X, LABELS)}, SettingError, "takes a share of each network's training"),
        ({"batch_size": 85}, SettingError, r"network \d \(repeat 0, fold \d\): batch_size = 85 is"),
        ({"optimizer": tw.SGD(np.ones(2))}, SettingError, "learning_rate is an array of shape"),
        ({"sample_weight": [1.0]}, ShapeError, "sample_weight has shape"),
        ({"patience": 3}, TypeError, "patience"),
    ],
)
def test_bad_arguments_are_refused(backend, options, error, message):
    with pytest.raises(error, match=message):
        tw.cross_validate(NET, X, LABELS, progress=False, epochs=1, **options)


@NATIVE
def test_bad_data_is_refused(backend):
    with pytest.raises(ShapeError, match="x has 90 rows, y has 3"):
        tw.cross_validate(NET, X, LABELS[:3])
    with pytest.raises(DataError, match="y holds 1 class"):
        tw.cross_validate(NET, X, np.zeros(90, int))
    with pytest.raises(DataError, match="holds nan in row 3"):
        tw.cross_validate(NET, np.where(np.arange(90)[:, None] == 3, np.nan, X), LABELS)


def test_an_interrupt_keeps_the_networks_that_are_finished(monkeypatch):
    event = threading.Event()

    @contextmanager
    def interrupts():
        yield event

    def callback(epoch):
        if (epoch.member, epoch.number) == (2, 1):
            event.set()

    monkeypatch.setattr("thalweg.training.population.crew.interrupts", interrupts)
    found = tw.cross_validate(NET, X, LABELS, folds=5, threads=1, callbacks=(callback,), **QUICK)
    assert found.stop_reason == "interrupted"
    assert [run is not None for run in found.runs] == [True, True, False, False, False]
    assert np.isnan(found.scores["loss"]).sum() == 3
    assert np.isnan(found.predictions).any(axis=1).sum() == 54
    assert "interrupted: 3 networks not trained to the end" in found.summary()
    assert [len(history.rows) for history in found.histories] == [3, 3, 0, 0, 0]
    with pytest.raises(DataError, match="member 3 was not trained"):
        _ = found.models[3]


@NATIVE
def test_networks_go_on_from_their_checkpoints(backend, tmp_path):
    options = {**QUICK, "folds": 3, "checkpoint": tmp_path / "cv"}
    tw.cross_validate(NET, X, LABELS, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cv.0", "cv.1", "cv.2"]
    again = tw.cross_validate(NET, X, LABELS, resume=True, **options)
    whole = tw.cross_validate(NET, X, LABELS, folds=3, **QUICK)
    for first, second in zip(again.models, whole.models, strict=True):
        assert same_bits(first.parameters, second.parameters)


@NATIVE
def test_progress_counts_networks(backend):
    class Seen(tw.Display):
        titles, last = (), None

        def start(self, epochs, title):
            self.titles = (*self.titles, title)

        def finish(self, progress, reason):
            self.last = (progress.epoch, progress.unit, reason)

    seen = Seen()
    tw.cross_validate(NET, X, LABELS, folds=3, repeats=2, **{**QUICK, "progress": seen})
    assert seen.titles == ("training 6 networks",)
    assert seen.last == (6, "network", "epochs")


@NATIVE
def test_the_figures_are_a_table(backend):
    found = tw.cross_validate(NET, X, LABELS, folds=3, repeats=2, metrics=["accuracy"], **QUICK)
    title, head, row = repr(found).splitlines()
    assert title.startswith("3 folds × 2 repeats: 6 networks in ")
    assert head.split() == ["mean", "deviation", "lowest", "highest"]
    assert row.split() == [
        "accuracy",
        *(f"{value:.4f}" for value in (
            found.mean["accuracy"], found.deviation["accuracy"],
            found.scores["accuracy"].min(), found.scores["accuracy"].max(),
        )),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["function", "layer", "loss"])
@NATIVE
def test_functions_that_changed_between_two_calls_are_traced_again(backend, kind):
    factor = {"value": 1.0}

    def plain(x, scope):
        return scope.apply("line", tw.Linear(1), x) * factor["value"]

    class Own(tw.Layer):
        def forward(self, x, scope):
            return plain(x, scope)

    def own_loss(outputs, targets):
        return ((outputs - targets) ** 2).mean(axis=1) * factor["value"]

    network = {"function": plain, "layer": Own(), "loss": tw.Linear(1)}[kind]
    options = {
        "folds": 3,
        "optimizer": "sgd",
        "loss": own_loss if kind == "loss" else None,
        **QUICK,
    }
    x, y = line()
    tw.cross_validate(network, x, y, **options)
    factor["value"] = 3.0
    found = tw.cross_validate(network, x, y, **options)
    alone = tw.fit(network, x, y, rows=found.splits[1].train, seed=1, **no_folds(options))
    assert same_bits(found.runs[1].model.parameters, alone.model.parameters)


def no_folds(options):
    return {name: value for name, value in options.items() if name != "folds"}


def test_a_metric_that_gives_no_number_is_refused_by_name():
    def apart(y, predicted):
        return y - predicted

    x = np.linspace(-1, 1, 30)[:, None]
    with pytest.raises(SettingError, match="metric apart must give one number, got ndarray"):
        tw.cross_validate(
            tw.Linear(1), x, x[:, 0], folds=3, epochs=1, metrics=[apart], progress=False
        )
