"""Asynchronous successive halving, decided in waves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.descriptions import register, size
from thalweg.searching.schedulers.scheduler import (
    Scheduler,
    Standing,
    Wave,
    check_lowest,
    ranked,
    rungs,
)


@register("scheduler", "asha")
@dataclass(frozen=True)
class Asha(Scheduler):
    """Successive halving that never waits for a bracket to be full.

    Rungs are the epochs lowest · factor^k and the last one. At any time those trials of a rung may
    train on that are among the best 1/factor of all that have reached it; where there are fewer of
    them than cores to fill, new trials start. Decisions are taken for a population at a time, from
    the highest rung down, so that they do not depend on which trial was ready first. Where no trial
    would come to its end, the best one of the highest rung does.

    Args:
        lowest: the first rung's epoch.
        factor: of those that reach a rung, one in so many goes on.

    Source: Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht and Talwalkar, "A system for massively
    parallel hyperparameter tuning", 2020.

    >>> Asha(factor=4)
    Asha(lowest=1, factor=4)
    """

    lowest: int = size(1, help="the first rung's epoch")
    factor: int = size(3, low=2, help="one in so many goes on at each rung")

    def check(self, epochs: int) -> None:
        """Refuse a first rung behind the last epoch."""
        check_lowest(self, self.lowest, epochs)

    def wave(self, standing: Standing) -> Wave:
        """Promotions from the highest rung down, then new trials."""
        steps = rungs(self.lowest, self.factor, standing.epochs)
        tasks: list[tuple[int, int]] = []
        for place in range(len(steps) - 2, -1, -1):
            here, above = steps[place], steps[place + 1]
            best = ranked(standing.candidates, here)
            tasks += [
                (item.number, above)
                for item in best[: len(best) // self.factor]
                if not item.ended and item.score(above) is None
            ]
        tasks = tasks[: standing.population]
        new = min(standing.population - len(tasks), standing.open)
        if not tasks and not new:
            tasks = _last(standing, steps)
        return Wave(tuple(tasks), new, steps[0])


def _last(standing: Standing, steps: Sequence[int]) -> list[tuple[int, int]]:
    """Where no trial has come to its end, the best one of the highest rung goes on alone."""
    for place in range(len(steps) - 1, -1, -1):
        best = [item for item in ranked(standing.candidates, steps[place]) if not item.failed]
        if best:
            is_last = place + 1 == len(steps) or best[0].ended
            return [] if is_last else [(best[0].number, steps[place + 1])]
    return []


__all__ = ["Asha"]
