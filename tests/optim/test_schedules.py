"""Schedules against their closed forms, composed, and inside a training step."""

import math

import numpy as np
import pytest

from thalweg.compiler.compile import compile as compiled
from thalweg.compiler.interpreter import Interpreter
from thalweg.descriptions import from_plain, members, replace_settings, settings_of, to_plain
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import SettingError
from thalweg.graph import TensorType, trace_flat
from thalweg.optim.optimizers import SGD
from thalweg.optim.schedules import (
    ConstantRate,
    Cosine,
    CosineRestarts,
    ExponentialDecay,
    Geometric,
    InverseRootDecay,
    InverseTimeDecay,
    LinearDecay,
    NaturalExponentialDecay,
    OneCycle,
    PiecewiseConstant,
    PolynomialDecay,
    ReduceOnPlateau,
    ScaledSchedule,
    Schedule,
    ScheduleProduct,
    ScheduleSequence,
    StepDecay,
    Triangular,
    WarmUp,
    rate_at,
)

TIMES = np.arange(60)
TOTAL, PER_EPOCH = 50, 10


def values(schedule, total=TOTAL, per_epoch=PER_EPOCH):
    return np.array([float(schedule(t, total, per_epoch)) for t in TIMES])


def cosine(t, start, end, length):
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(t / length, 1)))


def between(t, begin, end, low, high):
    share = min(max((t - begin) / (end - begin), 0), 1)
    return low + (high - low) * (1 - math.cos(math.pi * share)) / 2


def one_cycle(t, high, total, rise):
    peak = rise * total - 1
    if t < peak:
        return between(t, 0, peak, high / 25, high)
    return between(t, peak, total - 1, high, high / 25 / 1e4)


def triangle(t, low, high, half, shrink=1.0, shrink_low=1.0, fade=1.0):
    cycle = math.floor(1 + t / (2 * half))
    bottom = low * shrink_low ** (cycle - 1)
    top = bottom + (high - low) * shrink ** (cycle - 1) * fade**t
    return bottom + (top - bottom) * max(0, 1 - abs(t / half - 2 * cycle + 1))


def restarts(t, length):
    """The restarts before t and the share of the period, by doubling the period in a loop."""
    begin, count = 0, 0
    while t >= begin + length:
        begin, length, count = begin + length, 2 * length, count + 1
    return count, (t - begin) / length


def described(value):
    """The id of a test: a schedule's text; functions have none that stays the same."""
    return "" if callable(value) and not isinstance(value, Schedule) else str(value)


CASES = [
    (ConstantRate(0.3), lambda t: 0.3),
    (StepDecay(0.5, every=2, factor=0.1), lambda t: 0.5 * 0.1 ** (t // 10 // 2)),
    (StepDecay(0.5, 7, 0.2, per="update"), lambda t: 0.5 * 0.2 ** (t // 7)),
    (
        PiecewiseConstant(2.0, (1, 4), (0.5, 0.1)),
        lambda t: 2.0 if t < 10 else 1.0 if t < 40 else 0.1,
    ),
    (
        PiecewiseConstant(2.0, (5, 20, 33), (0.5, 0.1, 3), of="initial", per="update"),
        lambda t: 2.0 if t < 5 else 1.0 if t < 20 else 0.2 if t < 33 else 6.0,
    ),
    (InverseTimeDecay(0.4, decay=0.3), lambda t: 0.4 / (1 + 0.3 * t)),
    (InverseTimeDecay(0.4, decay=0.3, per="epoch"), lambda t: 0.4 / (1 + 0.3 * (t // 10))),
    (ExponentialDecay(0.4, factor=0.9), lambda t: 0.4 * 0.9 ** (t // 10)),
    (ExponentialDecay(0.4, factor=0.97, per="update"), lambda t: 0.4 * 0.97**t),
    (NaturalExponentialDecay(0.4, decay=0.2), lambda t: 0.4 * math.exp(-0.2 * (t // 10))),
    (
        NaturalExponentialDecay(0.4, decay=0.02, per="update"),
        lambda t: 0.4 * math.exp(-0.02 * t),
    ),
    (InverseRootDecay(0.4), lambda t: 0.4 / math.sqrt(t + 1)),
    (InverseRootDecay(0.4, offset=7), lambda t: 0.4 * math.sqrt(7) / math.sqrt(t + 7)),
    (LinearDecay(1.0, final=0.2), lambda t: 0.2 + 0.8 * (1 - min(t / 50, 1))),
    (LinearDecay(0.1, length=3, final=0.4, per="epoch"), lambda t: 0.1 + min(t // 10, 3) / 10),
    (
        PolynomialDecay(1.0, length=40, exponent=3, final=0.1),
        lambda t: 0.1 + 0.9 * (1 - min(t / 40, 1)) ** 3,
    ),
    (PolynomialDecay(1.0, exponent=0.5), lambda t: (1 - min(t / 50, 1)) ** 0.5),
    (Cosine(1.0, length=20, final=0.1), lambda t: cosine(t, 1.0, 0.1, 20)),
    (Cosine(1.0), lambda t: cosine(t, 1.0, 0.0, 50)),
    (Cosine(1.0, length=3, per="epoch"), lambda t: cosine(t // 10, 1.0, 0.0, 3)),
    (Geometric(1e-4, final=1.0, length=40), lambda t: 10 ** (-4 + 4 * min(t / 40, 1))),
    (Geometric(1.0, final=0.01), lambda t: 10 ** (-2 * min(t / 50, 1))),
    (Triangular(0.6, half=7, lowest=0.1), lambda t: triangle(t, 0.1, 0.6, 7)),
    (Triangular(0.6, half=2, per="epoch"), lambda t: triangle(t // 10, 0.0, 0.6, 2)),
    (
        Triangular(0.6, 2.5, 0.1, shrink=0.5, shrink_lowest=0.9, fade=0.99),
        lambda t: triangle(t, 0.1, 0.6, 2.5, 0.5, 0.9, 0.99),
    ),
    (
        CosineRestarts(1.0, length=4, growth=2, per="update"),
        lambda t: cosine(restarts(t, 4)[1], 1.0, 0.0, 1),
    ),
    (
        CosineRestarts(1.0, 1, 2, 0.25, 0.5, 0.8),
        lambda t: cosine(
            restarts(t // 10, 1)[1],
            0.25 * 0.8 ** restarts(t // 10, 1)[0] + 0.75 * 0.5 ** restarts(t // 10, 1)[0],
            0.25 * 0.8 ** restarts(t // 10, 1)[0],
            1,
        ),
    ),
    (OneCycle(0.5), lambda t: one_cycle(t, 0.5, 50, 0.3)),
    (OneCycle(0.5, length=40, rise=0.4), lambda t: one_cycle(t, 0.5, 40, 0.4)),
    (
        OneCycle(1.0, rise=0.22, divide=4, final_divide=2, curve="linear"),
        lambda t: np.interp(t, [0, 10, 49], [0.25, 1.0, 0.125]),
    ),
    (
        OneCycle(1.0, rise=0.22, divide=4, final_divide=2, curve="linear", three_phases=True),
        lambda t: np.interp(t, [0, 10, 20, 49], [0.25, 1.0, 0.25, 0.125]),
    ),
    (WarmUp(0.5, length=8), lambda t: 0.5 * min(1, (t + 1) / 8)),
    (
        WarmUp(Cosine(1.0, length=30), length=10),
        lambda t: (t + 1) / 10 if t < 10 else cosine(t - 10, 1.0, 0.0, 30),
    ),
    (
        WarmUp(Cosine(1.0), length=10),
        lambda t: (t + 1) / 10 if t < 10 else cosine(t - 10, 1.0, 0.0, 40),
    ),
    (
        WarmUp(CosineRestarts(1.0, length=1, growth=2), length=2, per="epoch"),
        lambda t: (
            (t // 10 + 1) / 2 if t < 20 else cosine(restarts((t - 20) // 10, 1)[1], 1.0, 0.0, 1)
        ),
    ),
    (
        ScheduleSequence((LinearDecay(0.1, final=0.9), ConstantRate(0.9), Cosine(0.9)), (10, 25)),
        lambda t: 0.1 + 0.08 * t if t < 10 else 0.9 if t < 25 else cosine(t - 25, 0.9, 0.0, 25),
    ),
    (
        ScheduleSequence((StepDecay(1.0, 1, 0.5), ExponentialDecay(0.4, 0.5)), (2,), per="epoch"),
        lambda t: 0.5 ** (t // 10) if t < 20 else 0.4 * 0.5 ** ((t - 20) // 10),
    ),
    (
        ScheduleSequence((WarmUp(Cosine(1.0), length=5), WarmUp(0.5, length=4)), (30,)),
        lambda t: (
            min((t + 1) / 5, 1) * cosine(max(t - 5, 0), 1.0, 0.0, 25)
            if t < 30
            else 0.5 * min((t - 29) / 4, 1)
        ),
    ),
    (ScaledSchedule(Cosine(1.0), 0.25), lambda t: 0.25 * cosine(t, 1.0, 0.0, 50)),
    (
        ScheduleProduct((Cosine(1.0), StepDecay(0.5, 1, 0.5))),
        lambda t: cosine(t, 1.0, 0.0, 50) * 0.5 * 0.5 ** (t // 10),
    ),
    (ReduceOnPlateau(0.2, share=0.5), lambda t: 0.1),
]
SCHEDULES = [schedule for schedule, _ in CASES]


def expected_of(formula):
    return np.array([formula(int(t)) for t in TIMES])


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=described)
def test_every_schedule_follows_its_formula(schedule, formula):
    np.testing.assert_allclose(values(schedule), expected_of(formula), rtol=1e-12, atol=1e-15)


def test_every_registered_schedule_has_a_case():
    assert {type(schedule) for schedule in SCHEDULES} == set(members("schedule").values())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedules_survive_json_and_text(schedule):
    assert from_plain("schedule", to_plain(schedule)) == schedule
    assert parse_spec("schedule", spec_of(schedule)) == schedule


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=described)
def test_an_array_of_steps_gives_the_rates_at_once(schedule, formula):
    rates = schedule(TIMES, TOTAL, PER_EPOCH).numpy()
    assert rates.dtype == np.float64
    assert rates.shape in {(), TIMES.shape}
    np.testing.assert_allclose(np.broadcast_to(rates, TIMES.shape), values(schedule), rtol=1e-14)
    np.testing.assert_allclose(
        schedule.rates(TOTAL, PER_EPOCH), expected_of(formula)[:TOTAL], rtol=1e-12, atol=1e-15
    )


def traced_with_settings(schedule):
    """A graph of the step and of every setting, and the names of the settings."""
    names = list(settings_of(schedule))
    number = TensorType((), np.dtype("float64"))

    def rate(step, total, per_epoch, *numbers):
        changed = replace_settings(schedule, dict(zip(names, numbers, strict=True)))
        return rate_at(changed, step, total, per_epoch)

    integers = [TensorType((), np.dtype("int64"))] * 3
    graph, _ = trace_flat(rate, [*integers, *[number] * len(names)])
    return Interpreter(graph), names


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=described)
def test_settings_are_inputs_of_a_step_that_is_traced_once(schedule, formula):
    run, names = traced_with_settings(schedule)

    def found(settings):
        numbers = [np.float64(settings[name]) for name in names]
        integers = [np.asarray(number, np.int64) for number in (TOTAL, PER_EPOCH)]
        return [float(run(np.asarray(t, np.int64), *integers, *numbers)[0]) for t in TIMES]

    settings = settings_of(schedule)
    np.testing.assert_allclose(found(settings), expected_of(formula), rtol=1e-12, atol=1e-15)
    for name, value in settings.items():
        other = {**settings, name: value * 0.75 if value > 1 or value == 0 else value * 0.5}
        other[name] = max(other[name], 1.0) if name.endswith(("growth", "divide")) else other[name]
        again = replace_settings(schedule, other)
        np.testing.assert_allclose(found(other), values(again), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "schedule",
    [
        WarmUp(CosineRestarts(0.1, 2, 1.5, 0.01, 0.9, per="epoch"), length=5),
        ScheduleSequence((Triangular(0.3, 4, shrink=0.5), OneCycle(0.3)), (20,)),
        ScheduleProduct((PolynomialDecay(1.0, exponent=1.7), InverseRootDecay(0.1))),
    ],
    ids=str,
)
def test_machine_code_gives_the_same_rates(schedule):
    program = compiled(lambda step: rate_at(schedule, step, TOTAL, PER_EPOCH))
    found = [float(program(np.asarray(t, np.int64))) for t in TIMES]
    np.testing.assert_allclose(found, values(schedule), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("growth", [1.0, 1.000001, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("length", [1, 7, 10])
def test_a_restart_happens_at_its_exact_step(growth, length):
    from fractions import Fraction

    steps = 500 if 1.0 < growth < 1.1 else 3000
    shares, counts = [], []
    begin, period, count = Fraction(0), Fraction(length), 0
    for t in range(steps):
        while t >= begin + period:
            begin, period, count = begin + period, period * Fraction(growth), count + 1
        shares.append(float((t - begin) / period))
        counts.append(count)
    expected = 0.5 * (1 + np.cos(np.pi * np.array(shares))) * 0.9 ** np.array(counts)
    schedule = CosineRestarts(1.0, length, growth, shrink=0.9, per="update")
    np.testing.assert_allclose(schedule.rates(steps), expected, rtol=1e-9, atol=1e-11)


def test_a_growth_of_almost_one_is_no_trap():
    same = CosineRestarts(1.0, 10, 1.0, per="update").rates(500)
    almost = CosineRestarts(1.0, 10, 1 + 1e-15, per="update").rates(500)
    np.testing.assert_allclose(almost, same, atol=1e-12)


def test_a_run_of_one_update_has_a_rate():
    for schedule in SCHEDULES:
        if not isinstance(schedule, (WarmUp, ScheduleSequence)) and schedule != SCHEDULES[-1]:
            assert np.isfinite(float(schedule(0, 1, 1)))


def test_a_schedule_stands_in_for_a_learning_rate_in_json():
    optimizer = SGD(WarmUp(Cosine(0.1), length=5))
    assert from_plain("optimizer", to_plain(optimizer)) == optimizer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cosine(-1.0), r"Cosine\.initial = -1\.0 is outside \[0, ∞\)"),
        (lambda: Cosine(0.1, length=-3), r"Cosine\.length = -3 is outside \[0, ∞\)"),
        (lambda: StepDecay(0.1, every=0), r"StepDecay\.every = 0 is outside \(0, ∞\)"),
        (lambda: StepDecay(0.1, factor=2), r"StepDecay\.factor = 2 is outside \[0, 1\]"),
        (lambda: WarmUp(0.1, length=-1), r"WarmUp\.length = -1 is outside"),
        (lambda: SGD("fast"), "must be a number or a schedule, got 'fast'"),
        (lambda: Cosine(0.1, per="hour"), r"Cosine\.per = 'hour' is not one of update, epoch"),
        (
            lambda: PiecewiseConstant(0.1, (30, 20), (0.1, 0.1)),
            r"PiecewiseConstant\.boundaries must increase, but 20 at place 1 follows 30",
        ),
        (
            lambda: PiecewiseConstant(0.1, (30, 60), (0.1,)),
            r"PiecewiseConstant has 2 boundaries and 1 factors; it needs one factor for each",
        ),
        (lambda: PiecewiseConstant(0.1, (0,), (1,)), r"boundaries\[0\] = 0 is outside \(0, ∞\)"),
        (lambda: PolynomialDecay(exponent=0), r"exponent = 0 is outside \(0, ∞\)"),
        (lambda: Geometric(0.0), r"Geometric\.initial = 0\.0 is outside \(0, ∞\)"),
        (lambda: CosineRestarts(length=0), r"CosineRestarts\.length = 0 is outside \(0, ∞\)"),
        (lambda: CosineRestarts(growth=0.5), r"CosineRestarts\.growth = 0\.5 is outside \[1, "),
        (
            lambda: CosineRestarts(0.1, final=0.2),
            r"CosineRestarts\.final = 0\.2 must be ≤ initial, which is 0\.1",
        ),
        (lambda: Triangular(half=0), r"Triangular\.half = 0 is outside \(0, ∞\)"),
        (
            lambda: Triangular(0.1, lowest=0.3),
            r"Triangular\.lowest = 0\.3 must be ≤ highest, which is 0\.1",
        ),
        (lambda: OneCycle(rise=1.0), r"OneCycle\.rise = 1\.0 is outside \(0, 1\)"),
        (lambda: OneCycle(divide=0.5), r"OneCycle\.divide = 0\.5 is outside \[1, ∞\)"),
        (lambda: OneCycle(final_divide=0), r"OneCycle\.final_divide = 0 is outside \[1, ∞\)"),
        (lambda: OneCycle(rise=0.6, three_phases=True), r"rise = 0\.6 is outside \(0, 0\.5\]"),
        (
            lambda: ScheduleSequence((Cosine(), Cosine()), ()),
            "ScheduleSequence has 2 schedules and 0 boundaries; it needs one boundary between",
        ),
        (lambda: ScheduleSequence((Cosine(), 0.1), (5,)), r"schedules\[1\] must be a schedule"),
        (lambda: ScheduleProduct(()), "ScheduleProduct has no schedules"),
        (
            lambda: ReduceOnPlateau(0.1, minimum=0.2),
            r"ReduceOnPlateau\.minimum = 0\.2 must be ≤ initial, which is 0\.1",
        ),
        (lambda: ReduceOnPlateau(factor=1.0), r"factor = 1\.0 is outside \[0, 1\)"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            WarmUp(0.1, length=51),
            r"WarmUp\.length = 51 updates is longer than the run of 50 updates \(5 epochs of 10",
        ),
        (WarmUp(0.1, length=6, per="epoch"), r"WarmUp\.length = 6 epochs is longer than the run"),
        (WarmUp(WarmUp(0.1, length=41), length=10), r"= 41 updates is longer .* 40 updates"),
        (ScaledSchedule(WarmUp(0.1, length=60)), r"WarmUp\.length = 60 updates is longer"),
        (ScheduleProduct((Cosine(), WarmUp(0.1, length=60))), r"WarmUp\.length = 60"),
        (
            OneCycle(0.1, length=80),
            r"OneCycle\.length = 80 updates is longer than the run of 50 updates .*; 0 takes",
        ),
        (
            ScheduleSequence((Cosine(), Cosine(), Cosine()), (20, 50)),
            "the last schedule would begin after 50 updates, but the run has 50 updates",
        ),
        (
            ScheduleSequence((WarmUp(0.1, length=30), Cosine()), (20,)),
            r"WarmUp\.length = 30 updates is longer than the run of 20 updates \(2 epochs of 10",
        ),
        (
            ScheduleSequence((Cosine(), OneCycle(0.1, length=35)), (20,)),
            r"OneCycle\.length = 35 updates is longer than the run of 30 updates",
        ),
    ],
    ids=str,
)
def test_a_schedule_that_does_not_fit_in_the_run_is_refused(schedule, message):
    with pytest.raises(SettingError, match=message):
        schedule.check(TOTAL, PER_EPOCH)
    with pytest.raises(SettingError, match=message):
        schedule.rates(TOTAL, PER_EPOCH)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_schedule_that_fits_in_the_run_is_let_through(schedule):
    schedule.check(TOTAL, PER_EPOCH)
    WarmUp(0.1, length=TOTAL).check(TOTAL, PER_EPOCH)
    OneCycle(length=TOTAL // PER_EPOCH, per="epoch").check(TOTAL, PER_EPOCH)


@pytest.mark.parametrize(("steps", "per_epoch"), [(0, 1), (10, 0), (2.5, 1), (True, 1)])
def test_a_run_needs_whole_lengths(steps, per_epoch):
    with pytest.raises(SettingError, match="must be a whole number of at least 1"):
        Cosine().rates(steps, per_epoch)


def test_a_schedule_behind_a_rise_keeps_its_own_unit():
    schedule = WarmUp(StepDecay(1.0, every=2, factor=0.5), length=20)
    expected = [(t + 1) / 20 if t < 20 else 0.5 ** ((t - 20) // 10 // 2) for t in TIMES]
    np.testing.assert_allclose(values(schedule), expected, rtol=1e-12)
    schedule = WarmUp(Cosine(1.0), length=2, per="epoch")
    expected = [(t // 10 + 1) / 2 if t < 20 else cosine(t - 20, 1.0, 0.0, 30) for t in TIMES]
    np.testing.assert_allclose(values(schedule), expected, rtol=1e-12, atol=1e-15)


def test_a_schedule_without_a_formula_says_so():
    class Empty(Schedule):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no at method"):
        Empty()(0)
