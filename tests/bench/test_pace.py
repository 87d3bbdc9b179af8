"""The time left: guesses, corrected by what is done."""

import pytest

from thalweg.bench.cases import Case
from thalweg.bench.pace import (
    Pace,
    case_seconds,
    population_seconds,
    starts_seconds,
    validation_seconds,
)
from thalweg.bench.population_protocol import FixedWork
from thalweg.bench.populations import MAIN, population_case
from thalweg.bench.protocol import Entry, Protocol

ENTRIES = [Entry(name, count) for name in ("thalweg", "pytorch") for count in (1, 2)]


def test_the_rest_is_scaled_by_what_the_first_parts_took():
    now = [100.0]
    pace = Pace([10.0, 20.0, 30.0], lambda: now[0])
    assert pace.left == 60.0
    now[0] += 4
    assert pace.left == 56.0
    now[0] += 16  # the first part took twice as long as was guessed
    pace.next()
    assert pace.left == 100.0
    now[0] += 90  # longer than the second part was expected to take
    assert pace.left == 60.0
    pace.next()
    assert pace.left == pytest.approx(30.0 * 110 / 30)
    pace.next()
    assert pace.left == 0.0


def test_what_is_larger_takes_longer():
    brief, long = FixedWork(rounds=1), FixedWork(rounds=5, most_seconds=10.0)
    assert population_seconds(MAIN, ENTRIES, long) > population_seconds(MAIN, ENTRIES, brief)
    assert population_seconds(MAIN, ENTRIES, brief) > population_seconds(
        population_case(8), ENTRIES, brief
    )
    assert population_seconds(MAIN, [], brief) == 0.0
    case = Protocol(rounds=7, seconds=0.5)
    assert case_seconds(ENTRIES, case, starts=True) > case_seconds(ENTRIES, case, starts=False)
    assert starts_seconds(ENTRIES) == 2 * starts_seconds(ENTRIES[:2]) > 0
    assert validation_seconds(2, 5) == 2 * validation_seconds(1, 5)


def test_a_library_counts_its_rounds_once_and_thalweg_each_number_of_threads():
    case = Case((30, 64, 64, 2), 32, 256, members=4096)
    work = FixedWork(rounds=2, most_seconds=10.0)
    one, two = (
        population_seconds(case, ENTRIES[2:3], work),
        population_seconds(case, ENTRIES[2:], work),
    )
    assert two - one < 25.0 < one
    own = population_seconds(case, ENTRIES[:1], work)
    assert population_seconds(case, ENTRIES[:2], work) == pytest.approx(2 * own)
