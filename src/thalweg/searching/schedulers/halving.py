"""Successive halving, and Hyperband's brackets of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from thalweg.descriptions import register, size
from thalweg.searching.schedulers.scheduler import (
    Candidate,
    Scheduler,
    Standing,
    Wave,
    check_lowest,
    ranked,
    rungs,
)


class Bracket(NamedTuple):
    """Trials that start together and are thinned out at each rung.

    Attributes:
        size: trials at its first rung.
        rungs: epochs at which they are compared; at the last one all are at their end.
        factor: of those compared, about one in so many goes on.
    """

    size: int
    rungs: tuple[int, ...]
    factor: int

    def kept(self, place: int, size: int) -> int:
        """How many of ``size`` starting trials train beyond the rung at a place.

        >>> [Bracket(27, (1, 3, 9, 27), 3).kept(place, 27) for place in range(3)]
        [9, 3, 1]
        """
        return max(1, size // self.factor ** (place + 1))

    def step(self, members: Sequence[Candidate]) -> Wave:
        """What its trials do next: to the next rung, or nothing."""
        alive = list(members)
        stopped: list[int] = []
        for place, rung in enumerate(self.rungs):
            tasks = tuple((item.number, rung) for item in alive if item.score(rung) is None)
            if tasks:
                return Wave(tasks, stopped=tuple(sorted(stopped)))
            if place + 1 < len(self.rungs):
                best = ranked(alive, rung)
                keep = self.kept(place, len(members))
                stopped += [item.number for item in best[keep:]]
                alive = [item for item in best[:keep] if not item.failed]
        return Wave(stopped=tuple(sorted(stopped)))


def _brackets_wave(brackets: Iterator[Bracket], standing: Standing) -> Wave:
    """The next rung of every bracket that has begun, and a new bracket where cores are free."""
    tasks: list[tuple[int, int]] = []
    stopped: list[int] = []
    start, candidates = 0, standing.candidates
    while start < len(candidates):
        bracket = next(brackets)
        found = bracket.step(candidates[start : start + bracket.size])
        tasks += found.tasks
        stopped += found.stopped
        start += bracket.size
    if len(tasks) >= standing.population or standing.open < 1:
        return Wave(tuple(tasks), stopped=tuple(stopped))
    bracket = next(brackets)
    new = min(bracket.size, standing.open)
    return Wave(tuple(tasks), new, bracket.rungs[0], tuple(stopped))


@register("scheduler", "successive_halving")
@dataclass(frozen=True)
class SuccessiveHalving(Scheduler):
    """Many trials start; at each rung the best 1/factor of them go on, the others are dropped.

    Rungs are the epochs lowest · factor^k and the last one. Of n trials that start together
    ⌊n / factor^k⌋ (at least one) train beyond the k-th rung, so that all rungs cost about the same.
    A bracket has as many trials as leave one at the end, or a population where that is more. While
    the last ones of a bracket are trained, the next one begins.

    Args:
        lowest: the first rung's epoch.
        factor: one in so many goes on.

    Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", 2016.

    >>> SuccessiveHalving().bracket(epochs=27, population=16)
    Bracket(size=27, rungs=(1, 3, 9, 27), factor=3)
    """

    lowest: int = size(1, help="the first rung's epoch")
    factor: int = size(3, low=2, help="one in so many goes on at each rung")

    def bracket(self, epochs: int, population: int) -> Bracket:
        """The bracket for trials of so many epochs."""
        steps = rungs(self.lowest, self.factor, epochs)
        return Bracket(max(population, self.factor ** (len(steps) - 1)), steps, self.factor)

    def check(self, epochs: int) -> None:
        """Refuse a first rung behind the last epoch."""
        check_lowest(self, self.lowest, epochs)

    def wave(self, standing: Standing) -> Wave:
        """The next rungs."""
        bracket = self.bracket(standing.epochs, standing.population)
        return _brackets_wave(iter(lambda: bracket, None), standing)


@register("scheduler", "hyperband")
@dataclass(frozen=True)
class Hyperband(Scheduler):
    """Brackets of successive halving, from many trials with few epochs to few with all.

    With R the epochs of a trial over the lowest and s_max = ⌊log_factor R⌋, the brackets are
    s = s_max … 0 in turn, each of n = ⌈(s_max + 1) / (s + 1) · factor^s⌉ trials that start with
    R · factor^-s, so that all cost about the same; none has to know how many epochs tell trials
    apart.

    Args:
        lowest: the fewest epochs of a trial.
        factor: of those compared, one in so many goes on.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: a novel bandit-based
    approach to hyperparameter optimization", 2018.

    >>> [bracket.size for bracket in Hyperband().brackets(81)]
    [81, 34, 15, 8, 5]
    """

    lowest: int = size(1, help="the fewest epochs of a trial")
    factor: int = size(3, low=2, help="one in so many goes on at each rung")

    def brackets(self, epochs: int) -> tuple[Bracket, ...]:
        """One round of brackets for trials of so many epochs."""
        most = len(_powers(self.factor, epochs // self.lowest)) - 1
        found: list[Bracket] = []
        for s in range(most, -1, -1):
            count = -(-(most + 1) * self.factor**s // (s + 1))
            starts = (epochs // self.factor ** (s - place) for place in range(s + 1))
            found.append(Bracket(count, tuple(starts), self.factor))
        return tuple(found)

    def check(self, epochs: int) -> None:
        """Refuse fewest epochs beyond those of a trial."""
        check_lowest(self, self.lowest, epochs)

    def wave(self, standing: Standing) -> Wave:
        """The next rungs of all brackets that have begun."""
        return _brackets_wave(_forever(self.brackets(standing.epochs)), standing)


def _powers(factor: int, most: int) -> list[int]:
    """The powers of a factor up to a number, from 1."""
    found = [1]
    while found[-1] * factor <= most:
        found.append(found[-1] * factor)
    return found


def _forever(brackets: Sequence[Bracket]) -> Iterator[Bracket]:
    while True:
        yield from brackets


__all__ = ["Bracket", "Hyperband", "SuccessiveHalving"]
