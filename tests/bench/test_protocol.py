"""Losses first, then rounds that interleave; nobody's row is dropped."""

import math

import pytest

from thalweg.bench.protocol import Entry, Expected, Protocol, measure, relative_error
from thalweg.bench.results import DIFFERENT, FAILED, MEASURED, find, ratio

LOSSES = {"steps": [1.0 - 0.01 * step for step in range(20)], "epochs": [0.9, 0.8, 0.7]}
EXPECTED = Expected(LOSSES["steps"], LOSSES["epochs"])
PROTOCOL = Protocol(rounds=3, seconds=1.0)


@pytest.fixture
def run(case, fake_worker):
    """Measure with a stand-in for each library: its step times, losses and where it fails."""

    def measured(calls, **workers):
        made = {
            name: fake_worker(name, steps, losses, calls, fails_at)
            for name, (steps, losses, fails_at) in workers.items()
        }
        entries = [Entry(name, 1) for name in workers]
        rows, _ = measure(
            case,
            entries,
            lambda entry: made[entry.peer],
            PROTOCOL,
            lambda name, outputs: "another output layer" if name == "other" else "",
            expected=EXPECTED,
        )
        return rows

    return measured


def test_rounds_interleave_and_rotate(run):
    calls = []
    run(calls, thalweg=([1.0], LOSSES, 99), b=([1.0], LOSSES, 99), c=([1.0], LOSSES, 99))
    assert calls == ["thalweg", "b", "c", "b", "c", "thalweg", "c", "thalweg", "b"]


def test_the_median_counts(run, case):
    rows = run([], thalweg=([1.0, 50.0, 2.0], LOSSES, 99), b=([8.0, 8.0, 0.1], LOSSES, 99))
    assert sorted(rows[0].rounds) == [1.0, 2.0, 50.0]
    assert rows[0].step_seconds == 2.0
    assert ratio(rows, case, "b", 1) == 4.0
    assert rows[0].cores == pytest.approx(2.0)
    assert rows[0].peak_bytes == 2**20


def test_different_losses_are_marked_and_not_compared(run, case):
    off = {**LOSSES, "steps": [*LOSSES["steps"][:-1], 1.0]}
    rows = run([], thalweg=([1.0], LOSSES, 99), other=([0.5], off, 99))
    assert rows[1].status == DIFFERENT
    assert rows[1].reason.startswith("another output layer: steps ")
    assert rows[1].timed
    assert not rows[1].compared
    assert ratio(rows, case, "other", 1) is None


@pytest.mark.parametrize("last", [0.72, math.nan, math.inf])
def test_epochs_are_checked_too(run, last):
    rows = run([], thalweg=([1.0], {**LOSSES, "epochs": [0.9, 0.8, last]}, 99))
    assert rows[0].status == DIFFERENT
    assert "epochs" in rows[0].reason


def test_losing_rows_are_kept(run, case):
    rows = run([], thalweg=([4.0], LOSSES, 99), b=([1.0], LOSSES, 99))
    assert ratio(rows, case, "b", 1) == 0.25
    assert find(rows, case, "b", 1) is rows[1]


@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_a_failure_is_a_row_and_others_go_on(run, fails_at):
    rows = run([], b=([1.0], LOSSES, fails_at), thalweg=([1.0], LOSSES, 99))
    assert rows[0].status == FAILED
    assert rows[0].reason == "RuntimeError: no compiler"
    assert not rows[0].timed
    assert rows[1].status == MEASURED
    assert len(rows[1].rounds) == 3


def test_small_losses_are_measured_by_a_tenth_of_the_first():
    assert relative_error([2.0, 0.011], [2.0, 0.001]) == pytest.approx(0.05)
    assert relative_error([1.0], [1.0, 1.0]) == math.inf
    assert relative_error([math.nan], [1.0]) == math.inf
    assert relative_error([], []) == 0.0
