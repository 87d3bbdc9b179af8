"""Searches on a small problem: what is trained, what is kept, what is said."""

import csv
import math
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from tests.searching.problems import SPACE, facts, moons, network, same_model, small

import thalweg as tw
from thalweg.errors import SettingError, ShapeError
from thalweg.searching.goal import trial_seed
from thalweg.searching.journal import read_journal
from thalweg.searching.search import search
from thalweg.searching.showing.display import SearchDisplay
from thalweg.searching.trial import FINISHED, STOPPED


@pytest.fixture(scope="module")
def plain():
    return small()


# ------------------------------------------------------------------ what is trained


def test_a_trial_is_what_fit_gives_for_its_settings_and_seed(plain):
    x, y = moons()
    held = np.ones(len(x), bool)
    from thalweg.searching.data import one_split

    data = one_split(x, y, 0.2, None, 0)
    held[data["rows"]] = False
    for trial in plain.trials[:3]:
        run = tw.fit(
            network(trial.settings), x[~held], y[~held],
            optimizer=tw.Adam(trial.settings["optimizer.learning_rate"]),
            batch_size=32, epochs=9, seed=trial.seed, validation=(x[held], y[held]),
            progress=False,
        )  # fmt: skip
        assert trial.seed == trial_seed(0, trial.number)
        assert run.history["validation_loss"][-1] == trial.value
        assert run.history.rows == trial.history.rows


def test_the_best_trial_has_the_lowest_value_and_its_model_predicts(plain):
    values = [trial.value for trial in plain.trials]
    assert plain.best.value == min(values)
    assert plain.best.number == values.index(min(values))
    assert [trial.value for trial in plain.ranking] == sorted(values)
    assert plain.run.history["validation_loss"][-1] == plain.best.value
    x, y = moons()
    assert (plain.model.predict(x) == y).mean() > 0.6
    assert plain.reason == "trials"
    assert plain.trained == 12
    assert plain.networks_per_second == plain.trained / plain.seconds
    assert "12 trials, ended by trials, best validation_loss" in repr(plain)


def test_threads_do_not_matter(plain):
    other = small(threads=3)
    assert facts(other) == facts(plain)
    assert same_model(other.model, plain.model)


def test_all_trials_are_judged_by_the_same_rows_and_start_from_their_own_weights():
    x, y = moons()
    seen = []

    def build(settings):
        return {"network": tw.Linear(2), "callbacks": [lambda e: seen.append(e.parameters)]}

    space = {"penalty": [1e-9, 1e-8]}
    search(build, space, x, y, sampler="grid", trials=2, epochs=1, threads=1)
    first, second = (event["weight"] for event in seen)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("scheduler", ["successive_halving", "hyperband", "asha"])
def test_dropped_trials_stop_early_and_finished_ones_are_the_full_training(plain, scheduler):
    found = small(scheduler=scheduler)
    assert {trial.state for trial in found.trials} == {FINISHED, STOPPED}
    for trial, whole in zip(found.trials, plain.trials, strict=True):
        assert trial.settings == whole.settings
        assert trial.history.rows == whole.history.rows[: trial.epochs]
        assert trial.value == trial.history.rows[-1]["validation_loss"]
        assert (trial.state == STOPPED) == (trial.epochs < 9)
    assert sum(t.epochs for t in found.trials) < 0.6 * sum(t.epochs for t in plain.trials)


def test_successive_halving_in_training_is_the_plain_computation(plain):
    """The bracket's survivors follow from the curves of full trainings."""
    found = small(scheduler="successive_halving", trials=9)
    alive = list(range(9))
    expected = [0] * 9
    for rung, keep in ((1, 3), (3, 1), (9, 1)):
        for number in alive:
            expected[number] = rung
        loss = {n: plain.trials[n].history.rows[rung - 1]["validation_loss"] for n in alive}
        alive = sorted(alive, key=lambda n: (loss[n], n))[:keep]
    assert [trial.epochs for trial in found.trials] == expected


def test_a_search_finds_the_better_learning_rate():
    x, y = moons()
    space = {"optimizer.learning_rate": tw.Range(1e-6, 1e-1, log=True)}
    net = tw.Sequential(tw.Linear(8), tw.Tanh(), tw.Linear(2))
    found = search(net, space, x, y, trials=16, epochs=20, batch_size=16)
    assert found.best.settings["optimizer.learning_rate"] > 1e-3
    rates = [trial.settings["optimizer.learning_rate"] for trial in found.ranking]
    assert np.mean(np.log(rates[:4])) > np.mean(np.log(rates[-4:]))


@pytest.mark.parametrize("sampler", ["tpe(startup=6)", "gaussian_process(startup=6)"])
def test_samplers_that_learn_are_told_of_finished_trials(sampler):
    space = {"optimizer.learning_rate": tw.Range(1e-6, 1.0, log=True)}
    net = tw.Sequential(tw.Linear(8), tw.Tanh(), tw.Linear(2))
    found = small(build=net, space=space, sampler=sampler, trials=18)
    values = [trial.value for trial in found.trials]
    assert np.mean(values[6:]) < np.mean(values[:6])


def test_accuracy_is_maximised(plain):
    found = small(metric="accuracy")
    assert found.metric == "validation_accuracy"
    assert found.maximise
    assert found.best.value == max(trial.value for trial in found.trials)
    best = max(t.history.rows[-1]["validation_accuracy"] for t in plain.trials)
    assert found.best.value == best


def test_early_stopping_judges_the_model_that_is_restored():
    found = small(early_stopping=1, epochs=40, trials=8)
    for trial in found.trials:
        losses = [row["validation_loss"] for row in trial.history.rows]
        assert trial.value == min(losses)
    assert any(trial.reason == "early stopping" for trial in found.trials)


def test_epochs_may_be_searched():
    found = small(space={"epochs": [2, 5], "width": [4]}, sampler="grid", trials=2)
    assert [trial.epochs for trial in found.trials] == [2, 5]


def test_a_grid_ends_by_itself():
    space = {"width": [2, 3, 4], "optimizer": ["adam", "sgd(0.1)"]}
    found = small(space=space, sampler="grid", trials=100, epochs=2)
    assert found.reason == "exhausted"
    assert len({(t.settings["width"], t.settings["optimizer"]) for t in found.trials}) == 6


# ------------------------------------------------------------------ population-based training


def test_copies_take_over_history_and_settings_inside_the_space():
    space = {"width": [8], "optimizer.learning_rate": tw.Range(1e-6, 1.0, log=True)}
    found = small(space=space, scheduler="population_based(every=3)", trials=6)
    assert all(trial.epochs == 9 for trial in found.trials)
    plain = small(space=space, trials=6)
    begun = {trial.history.rows[0]["train_loss"] for trial in plain.trials}
    taken = {trial.history.rows[0]["train_loss"] for trial in found.trials}
    assert taken < begun
    assert all(1e-6 <= t.settings["optimizer.learning_rate"] <= 1.0 for t in found.trials)


def test_the_best_of_a_population_can_be_trained_again_bit_for_bit(tmp_path):
    path = tmp_path / "journal.jsonl"
    found = small(path, scheduler="population_based(every=2)")
    again = small(path, scheduler="population_based(every=2)")
    assert again.trained == 0
    assert facts(again) == facts(found)
    assert same_model(again.model, found.model)


def test_only_settings_that_leave_the_shape_are_explored():
    space = {
        "width": [4, 8, 16],
        "batch_size": [16, 32],
        "network.1.rate": tw.Range(0.1, 0.4),
        "optimizer.learning_rate": tw.Range(1e-4, 1e-1, log=True),
    }

    def build(settings):
        return tw.Sequential(tw.Linear(settings["width"]), tw.Dropout(0.2), tw.Linear(2))

    plain = small(build=build, space=space, trials=6)
    found = small(build=build, space=space, trials=6, scheduler="population_based(every=2)")
    shapes = {(t.settings["width"], t.settings["batch_size"]) for t in plain.trials}
    assert {(t.settings["width"], t.settings["batch_size"]) for t in found.trials} <= shapes
    rates = {t.settings["network.1.rate"] for t in plain.trials}
    assert not {t.settings["network.1.rate"] for t in found.trials} <= rates


# ------------------------------------------------------------------ failures


def test_a_trial_that_diverges_fails_alone():
    space = {"optimizer": ["sgd(1e39)", "adam"], "width": [4, 8]}
    found = small(space=space, sampler="grid", trials=4, epochs=3)
    assert [trial.state for trial in found.trials] == ["failed"] * 2 + ["finished"] * 2
    assert found.trials[0].value is None
    assert "update 1: optimizer" in found.trials[0].reason
    assert found.best.settings["optimizer"] == "adam"
    assert "2 of 4 trials failed" in found.warnings[0]


def test_a_build_that_refuses_settings_fails_that_trial():
    def build(settings):
        if settings["width"] == 8:
            raise ShapeError("no network of width 8")
        return network(settings)

    found = small(build=build, trials=8)
    failed = [trial for trial in found.trials if trial.settings["width"] == 8]
    assert failed
    for trial in found.trials:
        assert (trial.state == "failed") == (trial.settings["width"] == 8)
    assert {trial.reason for trial in failed} == {"no network of width 8"}


def test_arguments_that_fit_refuses_fail_that_trial():
    found = small(space={"batch_size": [16, 1000], "width": [4]}, sampler="grid", trials=2)
    assert found.trials[1].state == "failed"
    assert "batch_size = 1000 is beyond the 128 training rows" in found.trials[1].reason


def test_a_first_generation_that_fails_wholly_ends_the_search():
    space = {"width": [4, 8]}
    with pytest.raises(SettingError, match="the first 8 trials failed; trial 0 with: update 1"):
        small(space=space, optimizer=tw.SGD(1e39))

    def build(settings):
        raise SettingError("never")

    with pytest.raises(SettingError, match="trials failed; trial 0 with: never"):
        small(build=build, space=space)


# ------------------------------------------------------------------ names


def test_names_that_nothing_uses_are_refused_with_the_nearest():
    for name, near in {
        "optimizer.learning_rat": "optimizer.learning_rate",
        "batch_sise": "batch_size",
        "network.0.feature": "network.layers.0.features",
    }.items():
        with pytest.raises(SettingError, match="neither build nor fit uses") as caught:
            small(space={"width": [4, 8], name: [1, 2]})
        assert f"{name!r}" in str(caught.value)
        assert f"did you mean '{near}'" in str(caught.value)


def test_a_name_that_build_asks_for_and_that_is_not_there():
    with pytest.raises(SettingError, match=r"build asks for 'width'.*did you mean 'widht'"):
        small(space={"widht": [4, 8]})


def test_a_name_that_only_some_trials_use_is_taken():
    def build(settings):
        if settings["depth"] == 2:
            assert settings["second"] in {3, 5}
        return tw.Linear(2)

    space = {"depth": [1, 1.5, 2], "second": [3, 5]}
    found = small(build=build, space=space, sampler="grid", trials=2)
    assert [trial.settings["depth"] for trial in found.trials] == [1, 1]


@pytest.mark.parametrize("name", ["x", "rows", "validation", "checkpoint", "dtype", "callbacks"])
def test_what_must_be_the_same_for_all_trials_cannot_vary(name):
    with pytest.raises(SettingError, match=f"'{name}', which must be the same for all trials"):
        small(space={name: [1, 2]})


def test_losses_cannot_be_compared_across_losses():
    with pytest.raises(SettingError, match="varies loss, but validation_loss"):
        small(space={"width": [4], "loss": ["cross_entropy", "brier"]})
    space = {"width": [4], "loss": ["cross_entropy", "brier"]}
    assert len(small(space=space, metric="accuracy", sampler="grid", trials=9).trials) == 2


BAD = {
    "trials": (0, r"trials = 0 is outside its range"),
    "epochs": (0, r"epochs = 0"),
    "population": (0, r"population = 0"),
    "seed": (-1, r"seed = -1"),
    "time_limit": (0, r"time_limit must be a number of seconds above 0, got 0"),
    "sampler": ("randon", r"did you mean 'random'"),
    "scheduler": ("asa", r"did you mean 'asha'"),
    "metric": ("validation_los", r"did you mean 'validation_loss'"),
    "validation": (1.5, r"validation = 1.5 is outside \(0, 1\)"),
    "batch_sise": (3, r"'batch_sise', which fit has not; did you mean 'batch_size'"),
    "checkpoint": ("file", r"cannot hold checkpoint: journal= keeps a search"),
    "build": (3, r"build must be a network, or a function"),
    "executor": (3, r"executor must be a concurrent.futures.Executor, got 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    value, words = BAD[name]
    with pytest.raises(SettingError, match=words):
        small(**{name: value})


def test_validation_rows_are_needed_for_their_metrics():
    with pytest.raises(SettingError, match="needs validation rows"):
        small(validation=None)
    found = small(validation=None, metric="train_loss", trials=2)
    assert found.best.value == found.best.history.rows[-1]["train_loss"]


def test_accuracy_of_numbers_is_refused():
    x, _ = moons()
    with pytest.raises(SettingError, match="metric = 'validation_accuracy' is not among"):
        search(
            lambda s: tw.Linear(1), {"penalty": [0.1, 0.2]}, x, x[:, 0] * 0.37,
            metric="accuracy", trials=2, epochs=1,
        )  # fmt: skip


def test_wrong_data():
    x, y = moons()
    with pytest.raises(ShapeError, match="x has 160 rows, y has 159"):
        search(network, SPACE, x, y[:-1])


# ------------------------------------------------------------------ results


def test_a_best_value_at_the_edge_is_said():
    space = {"optimizer.learning_rate": tw.Range(1e-4, 1e-2, log=True), "width": [4], "seed": 3}
    found = small(space=space, sampler="grid(points=9)", trials=9)
    assert small(space=space, sampler="grid(points=7)", trials=7).warnings == ()
    assert found.best.settings["optimizer.learning_rate"] == 0.01
    assert len(found.warnings) == 1
    assert "best optimizer.learning_rate, 0.01, lies at the highest end" in found.warnings[0]
    assert "higher values may be better" in found.warnings[0]


def test_all_trials_as_csv(tmp_path, plain):
    plain.to_csv(tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row, trial in zip(rows, plain.trials, strict=True):
        assert float(row["validation_loss"]) == trial.value
        assert float(row["optimizer.learning_rate"]) == trial.settings["optimizer.learning_rate"]
        assert (int(row["number"]), row["state"], int(row["epochs"])) == (
            trial.number, "finished", 9,
        )  # fmt: skip


def test_a_csv_starts_no_formula_and_leaves_failed_values_empty(tmp_path):
    def build(settings):
        if settings["kind"] == "=bad":
            raise SettingError("-minus")
        return tw.Linear(2)

    found = small(build=build, space={"kind": ["=bad", "good"]}, sampler="grid", epochs=1)
    found.to_csv(tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["kind"], first["reason"], first["validation_loss"]) == ("'=bad", "'-minus", "")


def test_the_display_is_told_of_everything():
    seen = []

    class Told(SearchDisplay):
        def start(self, total, metric, maximise):
            seen.append(("start", total, metric, maximise))

        def trial(self, trial):
            seen.append(("trial", trial.number))

        def update(self, state):
            seen.append(("update", state.done))

        def finish(self, state, reason):
            seen.append(("finish", state, reason))

        def close(self):
            seen.append(("close",))

    found = small(progress=Told(), scheduler="asha", trials=20)
    assert seen[0] == ("start", 20, "validation_loss", False)
    assert sorted(item[1] for item in seen if item[0] == "trial") == list(range(20))
    kind, state, reason = seen[-2]
    assert (kind, reason, seen[-1]) == ("finish", "trials", ("close",))
    assert (state.done, state.total, state.running, state.failed) == (20, 20, 0, 0)
    assert state.stopped == sum(trial.state == STOPPED for trial in found.trials)
    assert [trial.number for trial in state.best] == [t.number for t in found.ranking[:5]]


def test_every_better_model_is_handed_on():
    seen = []
    found = small(kept=lambda trial, run: seen.append((trial.value, run)), threads=1)
    values = [value for value, _ in seen]
    assert values == sorted(values, reverse=True)
    assert values[-1] == found.best.value
    assert same_model(seen[-1][1].model, found.model)


# ------------------------------------------------------------------ ends


def test_a_time_limit_ends_with_what_there_is(tmp_path):
    found = small(tmp_path / "j", trials=100_000, time_limit=0.7, epochs=2)
    assert found.reason == "time limit"
    assert any(trial.state == FINISHED for trial in found.trials)
    assert found.model is not None
    more = small(tmp_path / "j", trials=100_000, time_limit=0.4, epochs=2)
    done = [t for t in found.trials if t.state == FINISHED]
    assert [facts_of(more.trials[t.number]) for t in done] == [facts_of(t) for t in done]


def facts_of(trial):
    return trial.number, trial.settings, trial.value, trial.history.rows


def test_ctrl_c_keeps_what_there_is():
    class Pressed(SearchDisplay):
        def trial(self, trial):
            if trial.number == 3 and threading.current_thread() is threading.main_thread():
                os.kill(os.getpid(), signal.SIGINT)

    found = small(progress=Pressed(), trials=100_000, epochs=2)
    assert found.reason == "interrupted"
    assert found.best.value == min(t.value for t in found.trials if t.value is not None)
    assert found.model is not None
    assert {trial.state for trial in found.trials} == {"finished", "open"}


def test_nothing_finished_is_said():
    class Pressed(SearchDisplay):
        pressed = False

        def update(self, state):
            if not self.pressed:
                self.pressed = True
                os.kill(os.getpid(), signal.SIGINT)

    found = small(progress=Pressed(), trials=3, epochs=1_000_000)
    assert found.reason == "interrupted"
    with pytest.raises(SettingError, match="none of the 3 trials has a value"):
        found.model.predict([[0.0] * 4])


# ------------------------------------------------------------------ executors


def test_an_executor_of_threads_gives_the_same(plain):
    with ThreadPoolExecutor(2) as executor:
        found = small(executor=executor)
    assert facts(found) == facts(plain)
    assert same_model(found.model, plain.model)


def test_an_executor_of_processes_gives_the_same():
    options = {"trials": 4, "scheduler": "successive_halving", "epochs": 3}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        found = small(executor=executor, **options)
    here = small(**options)
    assert facts(found) == facts(here)
    assert same_model(found.model, here.model)
    assert math.isfinite(found.best.value)


@pytest.mark.parametrize(
    ("sampler", "scheduler", "population"),
    [("random", None, 16), ("tpe", None, 4), ("tpe", "asha", 4), ("tpe", "hyperband", 16)],
)
def test_samplers_that_learn_are_asked_for_few_trials_at_once(
    tmp_path, sampler, scheduler, population
):
    path = tmp_path / "journal.jsonl"
    small(path, sampler=sampler, scheduler=scheduler, population=None, trials=2, epochs=1)
    assert read_journal(path)[0]["population"] == population


def test_trials_that_wait_were_tried_too():
    class Last(SearchDisplay):
        def update(self, state):
            self.state = state
            if state.tried >= 3:
                raise KeyboardInterrupt

        def finish(self, state, reason):
            self.state = state

    display = Last()
    with pytest.raises(KeyboardInterrupt):
        small(scheduler="asha", progress=display)
    assert display.state.tried >= 3 > display.state.done
