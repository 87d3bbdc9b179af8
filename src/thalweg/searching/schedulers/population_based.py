"""Population-based training: weak networks take over strong ones, and search on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.descriptions import register, setting, size
from thalweg.ops.random import key_from_seed
from thalweg.searching.schedulers.scheduler import (
    Candidate,
    Copy,
    Scheduler,
    Standing,
    Wave,
    ranked,
)

_PARENTS = 11


@register("scheduler", "population_based")
@dataclass(frozen=True)
class PopulationBased(Scheduler):
    """A population is trained together; now and then the weakest go on from the strongest.

    After every so many epochs the weakest share of the population (and all that failed) take over
    weights, optimiser state and settings of trials drawn from the strongest share, and change
    the numeric settings that do not shape the network: each is multiplied or divided by the
    factor, within the space; choices are drawn anew at times. So settings become schedules.

    Args:
        every: epochs between comparisons.
        share: of the population that is replaced, and of that which is copied.
        factor: by which settings are changed.

    Source: Jaderberg and others, "Population based training of neural networks", 2017.

    >>> PopulationBased(every=2)
    PopulationBased(every=2, share=0.25, factor=1.2)
    """

    copies: ClassVar[bool] = True

    every: int = size(1, help="epochs between comparisons")
    share: float = setting(
        0.25, low=0, high=0.5, low_open=True, help="replaced, and copied, of the population"
    )
    factor: float = setting(1.2, low=1, low_open=True, help="by which settings are changed")

    def wave(self, standing: Standing) -> Wave:
        """The next stretch of the population, after copies; then the next population."""
        size_, candidates = standing.population, standing.candidates
        for start in range(0, len(candidates), size_):
            found = self._stretch(candidates[start : start + size_], standing)
            if found.tasks:
                return found
        until = min(self.every, standing.epochs)
        return Wave(new=min(size_, standing.open), until=until)

    def _stretch(self, members: Sequence[Candidate], standing: Standing) -> Wave:
        """The part up to the next comparison that some member has not done."""
        epoch = 0
        while epoch < standing.epochs:
            until = min(epoch + self.every, standing.epochs)
            behind = [item for item in members if item.score(until) is None]
            if behind:
                copies = self.exploited(members, epoch, standing.seed) if epoch else ()
                revived = {copy.number for copy in copies}
                on = [m.number for m in members if m.score(until) is None or m.number in revived]
                return Wave(tuple((number, until) for number in on), copies=copies)
            epoch = until
        return Wave()

    def exploited(self, members: Sequence[Candidate], epoch: int, seed: int) -> tuple[Copy, ...]:
        """Who takes over whom after an epoch: a function of scores, numbers and the seed."""
        best = ranked(members, epoch)
        count = min(max(1, int(len(best) * self.share)), len(best) // 2)
        parents = [item for item in best[:count] if not item.failed and not item.ended]
        weak = [item for item in best[len(best) - count :] if not item.failed]
        weak += [item for item in best if item.failed]
        if not parents:
            return ()
        key = key_from_seed(seed, _PARENTS, members[0].number, epoch)
        draws = np.random.default_rng(key).integers(len(parents), size=len(weak))
        pairs = zip(sorted(item.number for item in weak), draws, strict=True)
        return tuple(Copy(number, parents[place].number, epoch) for number, place in pairs)


__all__ = ["PopulationBased"]
