"""Members with seeds and samples of their own, out-of-bag predictions, scores, Ctrl-C."""

import io
import json
import os
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.errors import DataError, NonFiniteError, SettingError, ShapeError
from thalweg.training.display import JsonDisplay, LineDisplay
from thalweg.training.members import bag, material, member_seeds
from thalweg.training.population.crew import Crew

X, LABELS = blobs(90)
NET = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(3))
LINE = tw.Sequential(tw.Standardise(), tw.Linear(1))
QUICK = {"epochs": 3, "batch_size": 32, "progress": False}
NATIVE = pytest.mark.parametrize("backend", ["native"], indirect=True)
"""For what is the same on every backend, and slow."""


# ------------------------------------------------------------------ other seeds


def test_members_are_runs_of_fit_with_the_seeds_that_are_named():
    run = tw.fit_ensemble(NET, X, LABELS, members=3, seed=5, **QUICK)
    assert run.seeds == member_seeds(5, 3)
    assert len(set(run.seeds)) == 3
    for member, seed in zip(run.members, run.seeds, strict=True):
        alone = tw.fit(NET, X, LABELS, seed=seed, **QUICK).model
        assert same_bits(alone.parameters, member.parameters)
        assert alone.classes == member.classes
    mean = np.mean([member.predict_proba(X) for member in run.members], axis=0)
    np.testing.assert_allclose(run.model.predict_proba(X), mean, atol=1e-6)
    assert run.stop_reason == "epochs"
    assert [len(one.history["train_loss"]) for one in run.runs] == [3, 3, 3]
    again = tw.fit_ensemble(NET, X, LABELS, members=3, seed=5, **QUICK)
    assert same_bits(again.model.parameters, run.model.parameters)
    other = tw.fit_ensemble(NET, X, LABELS, members=1, seed=6, **QUICK)
    assert not set(other.seeds) & set(run.seeds)


@NATIVE
def test_validation_rows_are_the_same_for_all_members(backend):
    weights = np.linspace(0.5, 1.5, 90)
    run = tw.fit_ensemble(NET, X, LABELS, members=2, validation=0.2, sample_weight=weights, **QUICK)
    alone = tw.fit(NET, X, LABELS, seed=0, validation=0.2, sample_weight=weights, **QUICK)
    assert run.judged.name == "validation rows"
    assert len(run.judged.y) == 18
    assert np.bincount(run.judged.y).tolist() == [6, 6, 6]
    assert run.members[0].record["rows"] == alone.model.record["rows"] == 72
    own = tw.fit_ensemble(NET, X, LABELS, members=1, validation=(X[:9], LABELS[:9]), **QUICK)
    assert len(own.judged.y) == 9
    assert "validation_accuracy" in own.runs[0].history


@NATIVE
def test_the_variance_of_an_ensemble_is_less_than_that_of_its_members(backend):
    x, y = line(48)
    deep = tw.Sequential(tw.Linear(8), tw.Tanh(), tw.Linear(1))
    wholes, members = [], []
    for seed in range(4):
        run = tw.fit_ensemble(
            deep, x, y, members=6, seed=seed, epochs=15, batch_size=16, progress=False,
            optimizer=tw.Adam(0.02),
        )  # fmt: skip
        wholes.append(run.model.predict(x))
        members.extend(model.predict(x) for model in run.members)
    # 24 members of one distribution; means of 6 of them have a sixth of its variance
    shares = np.var(wholes, axis=0, ddof=1).mean() / np.var(members, axis=0, ddof=1).mean()
    assert 1 / 18 < shares < 1 / 2


# ------------------------------------------------------------------ bagging


def _rows(x, y, network=NET):
    return material(network, x, y, 0, "mean", {})


@NATIVE
def test_a_bootstrap_sample_draws_each_row_alike(backend):
    rows = _rows(np.zeros((1000, 2)), np.arange(1000) % 3)
    drawn = [bag(seed, rows) for seed in range(40)]
    counts = np.sum([np.bincount(places, minlength=1000) for places in drawn], axis=0)
    assert all(len(places) == 1000 for places in drawn)
    assert counts.sum() == 40_000
    chi_square = ((counts - 40) ** 2 / 40).sum()
    assert 999 - 5 * np.sqrt(2 * 999) < chi_square < 999 + 5 * np.sqrt(2 * 999)
    shares = [len(np.unique(places)) / 1000 for places in drawn]
    assert abs(np.mean(shares) - (1 - np.exp(-1))) < 0.01
    np.testing.assert_array_equal(bag(3, rows), drawn[3])


@NATIVE
def test_samples_of_one_class_are_drawn_again(backend):
    labels = np.array([0, 1, 0])
    rows = _rows(np.zeros((3, 2)), labels, tw.Linear(2))
    assert all(len(np.unique(labels[bag(seed, rows)])) == 2 for seed in range(50))


@NATIVE
def test_samples_without_weight_are_drawn_again(backend):
    rows = _rows(np.zeros((6, 2)), np.arange(6) % 2)._replace(weights=np.eye(6)[2])
    assert all((bag(seed, rows) == 2).any() for seed in range(50))


@NATIVE
def test_balanced_weights_are_those_of_all_training_rows(backend):
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.array([1] + [2] * 15 + [0] * 24)
    net, options = tw.Sequential(tw.Linear(3)), {"members": 6, "epochs": 2, "progress": False}
    run = tw.bagging(net, x, y, class_weight="balanced", **options)
    assert any(1 not in y[bag(seed, _rows(x, y, net))] for seed in run.seeds)
    weights = {0: 40 / (3 * 24), 1: 40 / 3, 2: 40 / (3 * 15)}
    named = tw.bagging(net, x, y, class_weight=weights, **options)
    assert same_bits(run.model.parameters, named.model.parameters)
    with pytest.raises(DataError, match="class 'b' has no training rows"):
        tw.bagging(
            net, x, np.array(["a", "c"])[y // 2], classes=list("abc"), class_weight="balanced",
            **options,
        )  # fmt: skip


def test_members_are_runs_of_fit_on_the_rows_that_were_drawn():
    run = tw.bagging(NET, X, LABELS, members=2, seed=3, **QUICK)
    for member, seed in zip(run.members, run.seeds, strict=True):
        places = bag(seed, _rows(X, LABELS))
        alone = tw.fit(NET, X[places], LABELS[places], seed=seed, **QUICK).model
        assert same_bits(alone.parameters, member.parameters)


@pytest.mark.parametrize("combine", ["mean", "vote", "mean_outputs"])
def test_out_of_bag_predictions_come_from_members_that_did_not_see_the_row(combine):
    run = tw.bagging(NET, X, LABELS, members=4, combine=combine, seed=1, **QUICK)
    bags = [bag(seed, _rows(X, LABELS)) for seed in run.seeds]
    found = run.out_of_bag
    for row in range(0, len(X), 6):
        unseen = [m for m, places in zip(run.members, bags, strict=True) if row not in places]
        assert found.counts[row] == len(unseen)
        if not unseen:
            assert np.isnan(found.predictions[row]).all()
            continue
        wanted = tw.ensemble(unseen, combine).predict_proba(X[row : row + 1])[0]
        np.testing.assert_allclose(found.predictions[row], wanted, atol=1e-6)
    tested = found.counts > 0
    right = np.argmax(found.predictions[tested], axis=1) == LABELS[tested]
    assert found.metrics == {"accuracy": right.mean()}
    assert 0 < tested[::6].sum() < len(tested[::6])


def test_numbers_out_of_bag_are_in_their_own_unit():
    x, y = line()
    run = tw.bagging(
        LINE, x, 1000 * y, members=6, scale_targets=True, dtype="float64", epochs=30,
        batch_size=16, optimizer=tw.Adam(0.05), progress=False,
    )  # fmt: skip
    assert len({member.target for member in run.members}) == 6
    found = run.out_of_bag
    tested = found.counts > 0
    bags = [bag(seed, _rows(x, y, LINE)) for seed in run.seeds]
    row = int(np.argmax(found.counts))
    unseen = [m for m, places in zip(run.members, bags, strict=True) if row not in places]
    mean = np.mean([model.predict(x[row : row + 1]) for model in unseen])
    np.testing.assert_allclose(found.predictions[row], mean, rtol=1e-10)
    error = found.predictions[tested] - 1000 * y[tested]
    np.testing.assert_allclose(found.metrics["rmse"], np.sqrt(np.mean(error**2)), rtol=1e-9)
    share = 1 - np.sum(error**2) / np.sum((1000 * y[tested] - 1000 * y[tested].mean()) ** 2)
    np.testing.assert_allclose(found.metrics["r2"], share, rtol=1e-9)
    assert found.metrics["r2"] > 0.9


@NATIVE
def test_out_of_bag_error_is_about_that_of_new_rows(backend):
    x, y = line(150)
    noisy = y + np.random.default_rng(1).normal(size=150)
    new_x, new_y = line(2000, seed=5)
    new_y = new_y + np.random.default_rng(2).normal(size=2000)
    run = tw.bagging(LINE, x, noisy, members=10, epochs=40, optimizer=tw.Adam(0.05), progress=False)
    new = np.sqrt(np.mean((run.model.predict(new_x) - new_y) ** 2))
    assert abs(run.out_of_bag.metrics["rmse"] / new - 1) < 0.2
    assert "out of bag" in run.summary()


@NATIVE
def test_sklearn_calls_the_same_rows_out_of_bag(backend):
    bags = pytest.importorskip("sklearn.ensemble")
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = line(60)
    judge = bags.BaggingRegressor(
        linear.LinearRegression(), 10, oob_score=True, random_state=0
    ).fit(x, y)
    options = {"epochs": 200, "optimizer": tw.Adam(0.05), "progress": False, "batch_size": 60}
    run = tw.bagging(LINE, x, y, members=10, **options)
    np.testing.assert_allclose(run.out_of_bag.metrics["r2"], judge.oob_score_, atol=2e-3)
    tested = run.out_of_bag.counts > 0
    np.testing.assert_allclose(
        run.out_of_bag.predictions[tested], judge.oob_prediction_[tested], atol=0.05
    )


@NATIVE
def test_one_member_has_unseen_rows_and_none_where_all_are_drawn(backend):
    run = tw.bagging(NET, X, LABELS, members=1, **QUICK)
    assert set(run.out_of_bag.counts.tolist()) == {0, 1}
    two = tw.Sequential(tw.Linear(2))
    seed = next(s for s in range(99) if len(set(bag(member_seeds(s, 1)[0], _two()))) == 2)
    few = tw.bagging(two, [[0.0], [1.0]], ["a", "b"], members=1, seed=seed, epochs=1)
    assert np.isnan(few.out_of_bag.metrics["accuracy"])
    assert np.isnan(few.out_of_bag.predictions).all()


def _two():
    return _rows(np.array([[0.0], [1.0]]), np.array(["a", "b"]), tw.Linear(2))


@NATIVE
def test_two_classes_and_labels_that_exclude_nothing(backend):
    one = tw.Sequential(tw.Linear(1))
    y = (X[:, 0] > 0).astype(int)
    for combine in ("mean", "vote"):
        run = tw.bagging(
            one, X, y, members=3, combine=combine, loss="binary_cross_entropy", **QUICK
        )
        assert run.out_of_bag.predictions.shape == (90, 2)
        tested = run.out_of_bag.counts > 0
        np.testing.assert_allclose(run.out_of_bag.predictions[tested].sum(axis=1), 1, rtol=1e-6)
    several = (X > 0).astype(float)
    run = tw.bagging(
        tw.Sequential(tw.Linear(2)), X, several, members=2, loss="binary_cross_entropy", **QUICK
    )
    assert run.out_of_bag.predictions.shape == (90, 2)
    assert run.scores().measure == "accuracy"


# ------------------------------------------------------------------ scores


@NATIVE
def test_scores_of_classes_count_disagreement(backend):
    run = tw.fit_ensemble(NET, X, LABELS, members=3, **QUICK)
    scores = run.scores()
    labels = [member.predict(X) for member in run.members]
    assert scores.members == tuple(float(np.mean(item == LABELS)) for item in labels)
    pairs = [(labels[i] != labels[j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(scores.disagreement, np.mean(pairs), rtol=1e-12)
    np.testing.assert_allclose(scores.member_mean, np.mean(scores.members), rtol=1e-12)
    assert scores.ensemble == np.mean(run.model.predict(X) == LABELS)
    assert scores.rows == "training rows"
    one_hot = np.eye(3)[LABELS]
    assert run.scores(X, one_hot)._replace(rows="") == scores._replace(rows="")
    text = run.summary()
    assert text.startswith("3 members: accuracy on the training rows\nmember 0 ")
    assert f"ensemble         {scores.ensemble:.4f}" in text


@NATIVE
def test_errors_of_numbers_split_in_those_of_members_and_disagreement(backend):
    x, y = line()
    run = tw.fit_ensemble(LINE, x, y, members=4, dtype="float64", **QUICK)
    scores = run.scores(x[:20], y[:20])
    assert scores.measure == "rmse"
    split = scores.member_mean**2 - scores.disagreement**2
    np.testing.assert_allclose(scores.ensemble**2, split, rtol=1e-9)
    assert scores.disagreement > 0
    assert run.scores(x[:20], y[:20, None]) == scores
    alone = tw.fit_ensemble(LINE, x, y, members=1, **QUICK).scores()
    assert alone.disagreement == 0
    assert alone.members == pytest.approx((alone.ensemble,), rel=1e-6)


def test_scores_need_rows_with_targets():
    run = tw.fit_ensemble(NET, X, LABELS, members=1, **QUICK)
    with pytest.raises(ShapeError, match="rows x with their targets y"):
        run.scores(X)
    with pytest.raises(ShapeError, match="x has 90 rows, y has 5"):
        run.scores(X, LABELS[:5])


# ------------------------------------------------------------------ on the way


@NATIVE
def test_progress_goes_over_all_members(backend):
    lines, events = io.StringIO(), io.StringIO()
    options = {**QUICK, "epochs": 4, "progress": LineDisplay(lines)}
    tw.fit_ensemble(NET, X, LABELS, members=3, **options)
    said = lines.getvalue().splitlines()
    assert [item.split(":")[0] for item in said[:-1]] == [f"epoch {k}/12" for k in range(1, 13)]
    assert said[-1].startswith("trained 12 epochs in ")
    tw.fit_ensemble(NET, X, LABELS, members=2, **{**QUICK, "progress": JsonDisplay(events)})
    told = [json.loads(item) for item in events.getvalue().splitlines()]
    assert [(item["epoch"], item["member"]) for item in told] == [
        (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1),
    ]  # fmt: skip


@pytest.fixture
def ctrl_c(monkeypatch):
    """What makes a callback that interrupts in the epoch with a number, counted over members."""
    event = threading.Event()

    @contextmanager
    def interrupts():
        event.clear()
        yield event

    monkeypatch.setattr("thalweg.training.population.crew.interrupts", interrupts)

    def at(number):
        count = iter(range(1, 10**6))

        def callback(_):
            if next(count) == number:
                event.set()

        return callback

    return at


def test_an_interrupt_keeps_the_members_that_are_finished(ctrl_c):
    options = {**QUICK, "threads": 1}
    run = tw.bagging(NET, X, LABELS, members=5, callbacks=(ctrl_c(8),), **options)
    assert run.stop_reason == "interrupted"
    assert len(run.members) == len(run.seeds) == len(run.model.network.members) == 2
    assert run.out_of_bag.counts.max() == 2
    whole = tw.bagging(NET, X, LABELS, members=2, **QUICK)
    assert same_bits(whole.model.parameters, run.model.parameters)
    first = tw.fit_ensemble(NET, X, LABELS, members=5, callbacks=(ctrl_c(2),), **options)
    assert first.stop_reason == first.runs[0].stop_reason == "interrupted"
    assert len(first.runs[0].history["train_loss"]) == 2


def test_members_that_end_in_another_order_keep_their_seeds(ctrl_c):
    stop, begun = ctrl_c(1), threading.Event()

    def callback(event):
        if event.member == 0:  # waits in its first epoch until the next two are done
            begun.wait(60)
        elif event.member == 3:
            stop(event)
            begun.set()

    run = tw.fit_ensemble(NET, X, LABELS, members=5, threads=2, callbacks=(callback,), **QUICK)
    assert run.stop_reason == "interrupted"
    assert run.seeds == member_seeds(0, 3)[1:]
    for member, seed in zip(run.members, run.seeds, strict=True):
        assert same_bits(
            tw.fit(NET, X, LABELS, seed=seed, **QUICK).model.parameters, member.parameters
        )


@NATIVE
@pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
def test_ctrl_c_is_heard_while_members_are_trained(backend):
    def callback(event):
        if event.member == 0 and event.number == 3:
            os.kill(os.getpid(), signal.SIGINT)

    options = {**QUICK, "epochs": 10**6, "callbacks": (callback,)}
    run = tw.fit_ensemble(NET, X, LABELS, members=4, **options)
    assert (run.stop_reason, len(run.members)) == ("interrupted", 1)
    assert 3 <= len(run.runs[0].history.rows) < 10**6
    assert threading.active_count() == 1


@NATIVE
@pytest.mark.parametrize("finished", [2, 0])
def test_a_second_ctrl_c_keeps_the_members_that_are_finished(backend, finished, monkeypatch):
    def run(crew, source, tick):
        for _ in range(finished):
            member, until = source.next()
            member.advance(until)
            source.done(member)
        raise KeyboardInterrupt

    monkeypatch.setattr(Crew, "run", run)
    if not finished:
        with pytest.raises(KeyboardInterrupt):
            tw.fit_ensemble(NET, X, LABELS, members=3, **QUICK)
        return
    found = tw.fit_ensemble(NET, X, LABELS, members=3, **QUICK)
    assert (found.stop_reason, found.seeds) == ("interrupted", member_seeds(0, 2))


@NATIVE
def test_an_interrupted_ensemble_goes_on_from_its_checkpoints(tmp_path, backend, ctrl_c):
    options = {**QUICK, "members": 3, "checkpoint": tmp_path / "run"}
    net = classifier()
    tw.fit_ensemble(net, X, LABELS, callbacks=(ctrl_c(5),), threads=1, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.0", "run.1"]
    run = tw.fit_ensemble(net, X, LABELS, resume=True, **options)
    whole = tw.fit_ensemble(net, X, LABELS, members=3, **QUICK)
    assert same_bits(whole.model.parameters, run.model.parameters)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_member_that_is_not_finite_leaves_those_before_it(threads):
    x = X * np.float32(1e20)
    options = {**QUICK, "optimizer": "sgd", "threads": threads}
    net = tw.Sequential(tw.Linear(1))
    with pytest.raises(NonFiniteError, match=r"^member 0 of 3: ") as caught:
        tw.fit_ensemble(net, x, LABELS * 1e25, members=3, **options)
    assert isinstance(caught.value.run, tw.TrainedRun)
    x, y = line()
    first, second, third = (set(bag(seed, _rows(x, y, net))) for seed in member_seeds(0, 3))
    y[min(third - first - second)] = 1e30  # a row that member 2 is the first to draw
    with pytest.raises(NonFiniteError, match=r"^member 2 of 4: ") as caught:
        tw.bagging(net, x, y, members=4, **options)
    assert len(caught.value.run.members) == 2
    assert caught.value.run.stop_reason == "non-finite"


# ------------------------------------------------------------------ refusals


@NATIVE
@pytest.mark.parametrize("train", [tw.fit_ensemble, tw.bagging])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"members": 0}, SettingError, "members = 0 is outside its range: at least 1"),
        ({"members": 2.0}, SettingError, "members must be a whole number, got 2.0"),
        ({"combine": "median"}, SettingError, "'median' is not one of mean, vote"),
        ({"seed": -1}, SettingError, "seed = -1"),
        ({"validation": 1.5}, SettingError, r"validation = 1.5 is outside \(0, 1\)"),
        ({"sample_weight": [1.0]}, ShapeError, r"sample_weight has shape \(1,\), expected \(90,\)"),
        ({"dtype": "int32"}, SettingError, "dtype must be float32 or float64"),
        ({"loss": "squared_error"}, ShapeError, r"y has shape \(90,\), one number a row"),
        ({"patience": 3}, TypeError, "patience"),
    ],
)
def test_bad_arguments_are_refused(backend, train, options, error, message):
    with pytest.raises(error, match=message):
        train(NET, X, LABELS, **{**QUICK, **options})


def test_bad_data_is_refused():
    with pytest.raises(ShapeError, match="x has 90 rows, y has 3"):
        tw.bagging(NET, X, LABELS[:3])
    with pytest.raises(SettingError, match="a network that is a Layer"):
        tw.fit_ensemble(lambda x, scope: x, X, LABELS)
    with pytest.raises(DataError, match="y holds 1 class"):
        tw.bagging(NET, X, np.zeros(90, int))
    with pytest.raises(SettingError, match="'vote' is for classes"):
        tw.fit_ensemble(LINE, *line(), combine="vote")


def test_samples_scaled_apart_are_refused_where_outputs_cannot_follow():
    x, y = line()
    options = {"loss": "gaussian_nll", "scale_targets": True, **QUICK}
    with pytest.raises(SettingError, match="each sample would have a scale of its own"):
        tw.bagging(tw.Linear(2), x, y, **options)
    assert len(tw.fit_ensemble(tw.Linear(2), x, y, members=2, **options).members) == 2


@NATIVE
def test_labels_of_every_type_come_back(backend):
    for labels in (np.array(["x", "y", "z"])[LABELS], LABELS.astype(float), LABELS + 5):
        run = tw.bagging(NET, X, labels, members=2, loss="cross_entropy", **QUICK)
        assert set(run.model.predict(X).tolist()) <= set(labels.tolist())
        assert 0 <= run.out_of_bag.metrics["accuracy"] <= 1
