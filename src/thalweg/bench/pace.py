"""How long the rest of a benchmark takes, from guesses that its finished parts correct."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf

from thalweg.bench.cases import Case
from thalweg.bench.fixed_work import work_of
from thalweg.bench.population_protocol import FixedWork
from thalweg.bench.protocol import Entry, Protocol

_RATE, _STEP = 1.5e11, 2e-6
"""thalweg's operations a second, and seconds of a step beside them; roughly, on one core."""

_TIMES = {"thalweg": 1.0, "jax-map": 4.0, "torch-vmap": 8.0, "jax-vmap": 12.0, "joblib": 15.0}
_TIMES_OF_OTHERS = 40.0
_OPENING = {"thalweg": 3.0, "pytorch": 4.0, "joblib": 6.0}
_OPENING_OF_OTHERS = 9.0
_START = 9.0
_VALIDATION = {"": 4.0, "scikit-learn": 8.0}


class Pace:
    """The parts of a benchmark, one after the other.

    Args:
        expected: guessed seconds of each part.
        clock: seconds.
    """

    def __init__(
        self, expected: Sequence[float], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._expected = list(expected)
        self._clock = clock
        self._began = self._now = clock()
        self._place = 0

    def next(self) -> None:
        """A part is done."""
        self._place += 1
        self._now = self._clock()

    @property
    def left(self) -> float:
        """Seconds, about."""
        done = sum(self._expected[: self._place])
        factor = (self._now - self._began) / done if done else 1.0
        rest = [factor * seconds for seconds in self._expected[self._place :]]
        spent = self._clock() - self._now
        return max(rest[0] - spent, 0.0) + sum(rest[1:]) if rest else 0.0


def left_text(seconds: float) -> str:
    """A time for people.

    >>> left_text(754.0), left_text(100.0), left_text(12.0)
    ('about 13 min left', 'about 2 min left', 'about 20 s left')
    """
    if seconds >= 95:
        return f"about {round(seconds / 60)} min left"
    return f"about {10 * max(-(-int(seconds) // 10), 1)} s left"


def case_seconds(entries: Sequence[Entry], protocol: Protocol, starts: bool) -> float:
    """A plain case: opening, losses, rounds."""
    each = protocol.rounds * protocol.seconds + (4.0 if starts else 1.0)
    return each * len(entries)


def population_seconds(case: Case, entries: Sequence[Entry], protocol: FixedWork) -> float:
    """A population: opening with each number of threads, rounds with the best of them."""
    steps = work_of(case).steps * case.members
    found = 0.0
    for place, entry in enumerate(entries):
        found += _OPENING.get(entry.peer, _OPENING_OF_OTHERS)
        again = any(other.peer == entry.peer for other in entries[:place])
        if again and entry.peer != "thalweg":
            continue
        one = (case.flops / _RATE + _STEP) * _TIMES.get(entry.peer, _TIMES_OF_OTHERS)
        most = inf if entry.peer == "thalweg" else protocol.most_seconds
        found += (protocol.rounds + 0.5) * min(steps * one, most)
    return found


def starts_seconds(entries: Sequence[Entry]) -> float:
    """Two fresh processes for each library."""
    return _START * len({entry.peer for entry in entries})


def validation_seconds(threads: int, rounds: int) -> float:
    """Each number of threads: thalweg's two processes and scikit-learn's one."""
    return rounds * threads * (2 * _VALIDATION[""] + _VALIDATION["scikit-learn"])
