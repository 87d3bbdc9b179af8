"""No scheduling: every trial is trained to its end."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.descriptions import register
from thalweg.searching.schedulers.scheduler import Scheduler, Standing, Wave

_AHEAD = 256
"""Trials of a wave where proposals need not wait for what others reached."""


@register("scheduler", "none")
@dataclass(frozen=True)
class EveryTrial(Scheduler):
    """Every trial is trained for all epochs.

    A sampler that learns from trials is asked for a population at a time; others are asked ahead.

    >>> EveryTrial().wave(Standing((), epochs=20, population=16, open=100))
    Wave(tasks=(), new=16, until=20, stopped=(), copies=())
    """

    def wave(self, standing: Standing) -> Wave:
        """Trials that are not at their end, then new ones."""
        epochs = standing.epochs
        tasks = tuple(
            (item.number, epochs)
            for item in standing.candidates
            if not item.ended and item.score(epochs) is None
        )
        most = max(standing.population, _AHEAD) if standing.ahead else standing.population
        return Wave(tasks) if tasks else Wave(new=min(most, standing.open), until=epochs)


__all__ = ["EveryTrial"]
