"""One run with warm restarts, whose weights at the ends of the cycles are an ensemble."""

import math
import signal
from itertools import pairwise

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.training.snapshot_ensemble import restarting

X, LABELS = blobs(90)
NET = classifier()
QUICK = {"cycles": 3, "epochs_per_cycle": 2, "batch_size": 32, "progress": False}


def test_members_are_the_weights_at_the_ends_of_cycles():
    net = tw.Sequential(tw.Linear(6), tw.BatchNorm1d(), tw.Tanh(), tw.Linear(3))
    run = tw.snapshots(net, X, LABELS, seed=4, optimizer=tw.Momentum(0.1), **QUICK)
    rule = tw.Momentum(tw.CosineRestarts(0.1, length=6, per="update"))
    seen = {}

    def keep(event):
        seen[event.number] = [
            {path: value.copy() for path, value in group.items()}
            for group in (event.parameters, event.states)
        ]

    options = {"batch_size": 32, "epochs": 6, "optimizer": rule, "progress": False}
    whole = tw.fit(net, X, LABELS, seed=4, callbacks=(keep,), **options)
    assert same_bits(run.runs[0].model.parameters, whole.model.parameters)
    for member, epoch in zip(run.members, (2, 4, 6), strict=True):
        assert same_bits(member.parameters, seen[epoch][0])
        assert same_bits(member.states, seen[epoch][1])
    assert same_bits(run.members[-1].parameters, whole.model.parameters)
    assert not same_bits(run.members[0].states, run.members[1].states)
    mean = np.mean([member.predict_proba(X) for member in run.members], axis=0)
    np.testing.assert_allclose(run.model.predict_proba(X), mean, atol=1e-6)
    assert (run.seeds, run.stop_reason) == ((4,), "epochs")


@pytest.mark.parametrize(("accumulate", "updates"), [(1, 3), (2, 2)])
def test_the_rate_falls_in_each_cycle_and_starts_again(accumulate, updates):
    run = tw.snapshots(NET, X, LABELS, optimizer="sgd(0.5)", accumulate=accumulate, **QUICK)
    rates = run.runs[0].history["learning_rate"]
    last = [0.25 * (1 + math.cos(math.pi * (updates * k - 1) / (2 * updates))) for k in (1, 2)]
    np.testing.assert_allclose(rates, last * 3, rtol=1e-12)


@pytest.mark.parametrize("backend", ["native"], indirect=True)
@pytest.mark.parametrize(
    ("keep", "kept"), [(None, (0, 1, 2)), (2, (1, 2)), ((1, 3), (0, 2)), ([2], (1,))]
)
def test_some_cycles_may_be_chosen(backend, keep, kept):
    every = tw.snapshots(NET, X, LABELS, **QUICK)
    some = tw.snapshots(NET, X, LABELS, keep=keep, combine="vote", **QUICK)
    for member, place in zip(some.members, kept, strict=True):
        assert same_bits(member.parameters, every.members[place].parameters)
    assert some.model.network.combine == "vote"


def test_averages_and_validation_rows_go_with_it():
    x, y = line()
    net = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(1))
    run = tw.snapshots(
        net, x, y, cycles=2, epochs=8, validation=0.25, average=0.9, scale_targets=True,
        progress=False,
    )  # fmt: skip
    assert len(run.runs[0].history["validation_loss"]) == 8
    scores = run.scores()
    assert scores.rows == "validation rows"
    assert len(scores.members) == 2
    np.testing.assert_allclose(
        run.model.predict(x), np.mean([m.predict(x) for m in run.members], axis=0), rtol=1e-5
    )


def _interrupt(epoch):
    def callback(event):
        if event.number == epoch:
            signal.raise_signal(signal.SIGINT)

    return callback


def test_an_interrupt_keeps_the_cycles_that_are_finished():
    run = tw.snapshots(NET, X, LABELS, callbacks=(_interrupt(5),), **QUICK)
    assert run.stop_reason == "interrupted"
    assert len(run.members) == 2
    early = tw.snapshots(NET, X, LABELS, callbacks=(_interrupt(1),), **QUICK)
    assert len(early.members) == 1
    assert same_bits(early.members[0].parameters, early.runs[0].model.parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cycles": 0}, "cycles = 0 is outside its range: at least 1"),
        ({"epochs_per_cycle": 0}, "epochs_per_cycle = 0"),
        ({"cycles": 5, "epochs": 23}, "epochs = 23 is no multiple of cycles = 5; choose 25"),
        ({"cycles": 5, "epochs": 3}, "epochs = 3 is no multiple of cycles = 5; choose 5"),
        ({"keep": 4}, r"keep = 4 is outside its range: \[1, 3\]"),
        ({"keep": (0,)}, r"keep = 0 is outside its range: \[1, 3\]"),
        ({"keep": ()}, "keep names no cycle"),
        ({"early_stopping": 3}, "snapshots take no early_stopping: members are taken at"),
        ({"checkpoint": "x"}, "snapshots take no checkpoint"),
        ({"statistics": "exact"}, "statistics='running', got 'exact'"),
        ({"optimizer": tw.Adam(tw.Cosine(0.1))}, "the optimizer has Cosine; give it the rate"),
        ({"optimizer": tw.LBFGS()}, "LBFGS has no rate that could fall"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(SettingError, match=message):
        tw.snapshots(NET, X, LABELS, **{**QUICK, **options})


@pytest.mark.parametrize(
    ("rule", "rates"),
    [
        (tw.Groups((tw.Group("0", tw.SGD(0.1)),), tw.SGD(0.01)), ("0.1", "0.01")),
        (tw.Muon(0.02, others=tw.AdamW(0.003)), ("0.02", "0.003")),
        (tw.DecoupledDecay(tw.Muon(0.02, others=tw.SGD(0.5))), ("0.02", "0.5")),
    ],
)
def test_the_rates_of_all_rules_start_again(rule, rates):
    text = repr(restarting(rule, 7))
    assert text.count("CosineRestarts(") == 2
    for rate in rates:
        assert f"learning_rate=CosineRestarts(initial={rate}, length=7," in text


def test_a_schedule_inside_is_refused():
    rule = tw.Groups((tw.Group("0", tw.SGD(tw.Cosine(0.1))),))
    with pytest.raises(SettingError, match="the optimizer has Cosine"):
        restarting(rule, 7)


def test_parameters_of_a_group_rest_at_the_end_of_a_cycle():
    rule = tw.Groups((tw.Group("*", tw.SGD(0.5)),))
    seen = []
    tw.snapshots(
        tw.Sequential(tw.Linear(3)), X, LABELS, optimizer=rule, cycles=2, epochs=40, batch_size=90,
        callbacks=(lambda epoch: seen.append(epoch.parameters["0.weight"].copy()),), progress=False,
    )  # fmt: skip
    moves = [float(np.abs(after - before).max()) for before, after in pairwise(seen)]
    assert moves[18] < 0.05 * moves[19]  # into epoch 20, the last of a cycle, and into the next


def test_every_rule_takes_the_schedule():
    for rule in (tw.SGD(0.1), tw.Adam(), tw.DecoupledDecay(tw.RMSprop(0.2))):
        schedule = restarting(rule, 7).chosen_rate
        assert schedule == tw.CosineRestarts(rule.chosen_rate, length=7, per="update")
