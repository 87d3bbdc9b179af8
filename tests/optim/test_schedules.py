"""Schedules against their closed forms, composed, and inside a training step."""

import math

import numpy as np
import pytest

from thalweg.descriptions import from_plain, members, to_plain
from thalweg.errors import SettingError
from thalweg.graph import TensorType, trace_flat
from thalweg.optim.optimizers import SGD
from thalweg.optim.schedules import ConstantRate, Cosine, StepDecay, WarmUp, rate_at

TIMES = np.arange(60)


def values(schedule, total=50, per_epoch=10):
    return np.array([float(schedule(t, total, per_epoch)) for t in TIMES])


def cosine(t, start, end, length):
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(t / length, 1)))


CASES = [
    (ConstantRate(0.3), [0.3 for _ in TIMES]),
    (StepDecay(0.5, every=2, factor=0.1), [0.5 * 0.1 ** (t // 10 // 2) for t in TIMES]),
    (StepDecay(0.5, 7, 0.2, per="update"), [0.5 * 0.2 ** (t // 7) for t in TIMES]),
    (Cosine(1.0, length=20, final=0.1), [cosine(t, 1.0, 0.1, 20) for t in TIMES]),
    (Cosine(1.0), [cosine(t, 1.0, 0.0, 50) for t in TIMES]),
    (Cosine(1.0, length=3, per="epoch"), [cosine(t // 10, 1.0, 0.0, 3) for t in TIMES]),
    (WarmUp(0.5, length=8), [0.5 * min(1, (t + 1) / 8) for t in TIMES]),
    (
        WarmUp(Cosine(1.0, length=30), length=10),
        [(t + 1) / 10 if t < 10 else cosine(t - 10, 1.0, 0.0, 30) for t in TIMES],
    ),
    (
        WarmUp(Cosine(1.0), length=10),
        [(t + 1) / 10 if t < 10 else cosine(t - 10, 1.0, 0.0, 40) for t in TIMES],
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), CASES, ids=str)
def test_every_schedule_follows_its_formula(schedule, expected):
    np.testing.assert_allclose(values(schedule), expected, rtol=1e-12, atol=1e-15)


def test_every_registered_schedule_has_a_case():
    assert {type(schedule) for schedule, _ in CASES} == set(members("schedule").values())


@pytest.mark.parametrize(("schedule", "expected"), CASES, ids=str)
def test_schedules_survive_json(schedule, expected):
    assert from_plain("schedule", to_plain(schedule)) == schedule


@pytest.mark.parametrize(("schedule", "expected"), CASES, ids=str)
def test_a_traced_step_gives_the_same_rate(schedule, expected):
    integer = TensorType((), np.dtype("int64"))
    graph, _ = trace_flat(lambda t: rate_at(schedule, t, 50, 10), [integer])
    from thalweg.compiler.interpreter import Interpreter

    run = Interpreter(graph)
    found = [float(run(np.asarray(t, np.int64))[0]) for t in TIMES]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_a_schedule_stands_in_for_a_learning_rate_in_json():
    optimizer = SGD(WarmUp(Cosine(0.1), length=5))
    assert from_plain("optimizer", to_plain(optimizer)) == optimizer


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cosine(-1.0),
        lambda: StepDecay(0.1, every=0),
        lambda: StepDecay(0.1, factor=2),
        lambda: WarmUp(0.1, length=-1),
        lambda: SGD("fast"),
        lambda: Cosine(0.1, per="hour"),
    ],
)
def test_values_out_of_range_are_refused(make):
    with pytest.raises(SettingError):
        make()


def test_a_schedule_behind_a_rise_keeps_its_own_unit():
    schedule = WarmUp(StepDecay(1.0, every=2, factor=0.5), length=20)
    expected = [(t + 1) / 20 if t < 20 else 0.5 ** ((t - 20) // 10 // 2) for t in TIMES]
    np.testing.assert_allclose(values(schedule), expected, rtol=1e-12)
    schedule = WarmUp(Cosine(1.0), length=2, per="epoch")
    expected = [(t // 10 + 1) / 2 if t < 20 else cosine(t - 20, 1.0, 0.0, 30) for t in TIMES]
    np.testing.assert_allclose(values(schedule), expected, rtol=1e-12, atol=1e-15)
