"""The rate that falls on a plateau: its rules by hand, beside PyTorch, and found in others."""

import math

import numpy as np
import pytest

from thalweg.descriptions import from_plain, replace_settings, settings_of, to_plain
from thalweg.errors import DataError
from thalweg.optim.optimizers import SGD
from thalweg.optim.schedules import (
    Cosine,
    ReduceOnPlateau,
    ScaledSchedule,
    ScheduleSequence,
    WarmUp,
    plateaus,
)


def shares(rule, losses):
    return [rule.share_after(losses[:count]) for count in range(len(losses) + 1)]


def test_the_rate_falls_after_more_than_patience_epochs():
    rule = ReduceOnPlateau(0.1, factor=0.5, patience=2)
    assert shares(rule, [1.0] * 8) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert shares(rule, [8.0 - epoch for epoch in range(8)]) == [1.0] * 9


def test_cooldown_epochs_do_not_count():
    rule = ReduceOnPlateau(0.1, factor=0.5, patience=1, cooldown=2)
    assert shares(rule, [1.0] * 8) == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_the_threshold_is_a_share_or_a_distance():
    losses = [10.0, 9.5, 9.1, 9.1]
    relative = ReduceOnPlateau(0.1, 0.5, patience=0, threshold=0.04)
    assert shares(relative, losses) == [1, 1, 1, 1, 0.5]
    absolute = ReduceOnPlateau(0.1, 0.5, 0, threshold=0.45, threshold_mode="absolute")
    assert shares(absolute, losses) == [1, 1, 1, 0.5, 0.25]


def test_the_rate_stays_above_its_minimum():
    rule = ReduceOnPlateau(0.1, factor=0.1, patience=0, minimum=0.002)
    found = [0.1 * share for share in shares(rule, [1.0] * 5)]
    np.testing.assert_allclose(found, [0.1, 0.1, 0.01, 0.002, 0.002, 0.002], rtol=1e-12)


def test_a_loss_that_is_not_a_number_is_not_lower():
    rule = ReduceOnPlateau(0.1, factor=0.5, patience=0)
    assert shares(rule, [1.0, math.nan, 0.5]) == [1, 1, 0.5, 0.5]
    assert ReduceOnPlateau(0.0).share_after([1.0] * 50) == 1.0


CASES = [
    {},
    {"factor": 0.5, "patience": 3},
    {"factor": 0.3, "patience": 2, "cooldown": 4, "threshold": 0.02},
    {"factor": 0.5, "patience": 1, "threshold": 0.03, "threshold_mode": "absolute"},
    {"factor": 0.2, "patience": 0, "minimum": 1e-3},
    {"factor": 0.1, "patience": 0, "least_change": 1e-3},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_pytorch_gives_the_same_rates(options):
    torch = pytest.importorskip("torch")
    names = {"minimum": "min_lr", "least_change": "eps"}
    given = {names.get(name, name): value for name, value in options.items()}
    if "threshold_mode" in given:
        given["threshold_mode"] = "abs"
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    judge = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **given)
    rng = np.random.default_rng(0)
    losses = (2.0 * 0.93 ** np.arange(160) + 0.2 + 0.1 * rng.random(160)).tolist()
    expected = [0.2]
    for loss in losses:
        judge.step(loss)
        expected.append(optimizer.param_groups[0]["lr"])
    rule = ReduceOnPlateau(0.2, **options)
    found = [0.2 * share for share in shares(rule, losses)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert len(set(expected)) > 1


def test_the_share_is_an_input():
    rule = ReduceOnPlateau(0.4, share=0.25)
    assert float(rule(17)) == 0.1
    assert "share" in settings_of(rule)
    assert float(replace_settings(rule, {"share": 0.5})(17)) == 0.2
    assert from_plain("schedule", to_plain(rule)) == rule


def test_the_validation_loss_counts_where_there_is_one():
    rule, other = ReduceOnPlateau(), ReduceOnPlateau(monitor="train_loss")
    both = {"train_loss": 1.0, "validation_loss": 2.0}
    assert (rule.monitored(both), other.monitored(both)) == (2.0, 1.0)
    assert rule.monitored({"train_loss": 1.0}) == 1.0
    with pytest.raises(DataError, match="no validation_loss and no train_loss among accuracy"):
        rule.monitored({"accuracy": 1.0})


def test_plateaus_are_found_by_the_paths_of_their_settings():
    first, second = ReduceOnPlateau(0.1), ReduceOnPlateau(0.2, patience=3)
    nested = ScheduleSequence((WarmUp(first, length=5), ScaledSchedule(second), Cosine()), (9, 20))
    found = plateaus(SGD(nested), "optimizer.")
    assert found == {
        "optimizer.learning_rate.schedules.0.then": first,
        "optimizer.learning_rate.schedules.1.schedule": second,
    }
    assert settings_of(SGD(nested), "optimizer.").keys() >= {f"{path}.share" for path in found}
    assert plateaus(SGD(0.1)) == {}
    assert plateaus(first, "rate.") == {"rate": first}


def test_a_rise_leads_to_the_reduced_rate():
    path = next(iter(plateaus(WarmUp(ReduceOnPlateau(0.4), length=4))))
    reduced = replace_settings(WarmUp(ReduceOnPlateau(0.4), length=4), {f"{path}.share": 0.5})
    np.testing.assert_allclose(reduced.rates(6), [0.05, 0.1, 0.15, 0.2, 0.2, 0.2])
