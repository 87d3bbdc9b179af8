"""What a search is to do, and the arguments of its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.errors import SettingError, ThalwegError
from thalweg.ops.random import key_from_seed
from thalweg.searching.assembling import Assembly, Made
from thalweg.searching.proposals import Known
from thalweg.searching.samplers import GridSampler, QuasiRandomSampler, RandomSampler, Sampler
from thalweg.searching.schedulers import Scheduler, Standing
from thalweg.searching.spaces.space import Space
from thalweg.searching.trial import Record
from thalweg.training.arguments import Arguments

_TRIAL = 7
FREE = (GridSampler, RandomSampler, QuasiRandomSampler)
"""Samplers that learn nothing from trials, so that they may be asked ahead."""


@dataclass(frozen=True, eq=False)
class Goal:
    """What a search is to do.

    Attributes:
        space: what is varied.
        sampler: proposes settings.
        scheduler: shares the time.
        assembly: makes a trial's arguments.
        data: the arguments that are the data: x, y, rows, validation.
        metric: the name of the number that is compared.
        maximise: whether larger is better.
        epochs: of a trial, at most.
        trials: to propose in all, with those of the journal.
        population: trials of a generation.
        seed: of proposals and trials.
        time_limit: seconds of this run, None for none.
    """

    space: Space
    sampler: Sampler
    scheduler: Scheduler
    assembly: Assembly
    data: Mapping[str, Any]
    metric: str
    maximise: bool
    epochs: int
    trials: int
    population: int
    seed: int
    time_limit: float | None = None

    @property
    def sign(self) -> float:
        """−1 where the metric is maximised."""
        return -1.0 if self.maximise else 1.0

    def standing(self, records: Sequence[Record], exhausted: bool) -> Standing:
        """What the scheduler is shown.

        Args:
            records: all trials so far.
            exhausted: the sampler has no more.
        """
        left = 0 if exhausted else max(self.trials - len(records), 0)
        ahead = isinstance(self.sampler, FREE)
        candidates = [record.candidate() for record in records]
        return Standing(candidates, self.epochs, self.population, left, self.seed, ahead)

    def known(self, records: Sequence[Record]) -> list[Known]:
        """What the sampler is told: trials that have ended."""
        return [
            Known(
                record.number,
                record.settings,
                None if record.value is None else self.sign * record.value,
            )
            for record in records
            if record.ended
        ]

    def order(self, record: Record) -> tuple[float, int]:
        """Sorts trials, the best first; equal ones by number, those without a value last."""
        value = float("inf") if record.value is None else self.sign * record.value
        return value, record.number

    def make(self, record: Record) -> Made | None:
        """Make a trial's arguments; what refuses them is its reason."""
        try:
            made = self.assembly.make(record.settings)
        except ThalwegError as error:
            record.arguments, record.reason = None, str(error)
            return None
        record.arguments = made.arguments
        return made

    def arguments(self, record: Record, settings: Mapping[str, Any] | None = None) -> Arguments:
        """The arguments of a trial, with the settings that it has or had.

        Raises:
            SettingError: there are none.
        """
        given = record.arguments if settings is None else self.assembly.make(settings).arguments
        if given is None:
            raise SettingError(f"trial {record.number}: {record.reason}")
        alone: dict[str, Any] = {"threads": 1} if self.trials > 1 else {}
        fields: dict[str, Any] = {"seed": record.seed, **given, **self.data, **alone}
        return Arguments(**fields)


def trial_seed(seed: int, number: int) -> int:
    """The seed of a trial, a function of the search's and its number.

    >>> trial_seed(0, 1) == trial_seed(0, 1), trial_seed(0, 1) == trial_seed(0, 2)
    (True, False)
    """
    return int(key_from_seed(seed, _TRIAL, number)[0])


__all__ = ["FREE", "Goal", "trial_seed"]
