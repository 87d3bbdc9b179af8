"""What a scheduler sees of a search, and what it decides: waves of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from thalweg.descriptions import Description, family
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError


@dataclass(frozen=True)
class Candidate:
    """A trial as a scheduler sees it.

    Attributes:
        number: from 0, in the order of the proposals.
        scores: by the epoch after which they were measured; lower is better, infinity for none.
        ended: it cannot be trained further: finished, stopped by a rule of its own, or failed.
        failed: it has no finite value.
    """

    number: int
    scores: Mapping[int, float] = field(default_factory=dict[int, float])
    ended: bool = False
    failed: bool = False

    @property
    def epoch(self) -> int:
        """The last epoch with a score."""
        return max(self.scores, default=0)

    def score(self, epoch: int) -> float | None:
        """The score after an epoch, or at its end where that was before; None if not there yet.

        >>> Candidate(0, {1: 0.5}).score(3), Candidate(0, {1: 0.5}, ended=True).score(3)
        (None, 0.5)
        """
        if self.failed:
            return math.inf
        if epoch in self.scores:
            return self.scores[epoch]
        return self.scores[self.epoch] if self.ended and self.scores else None


class Copy(NamedTuple):
    """A trial that goes on from another one's state, with that one's settings a little changed."""

    number: int
    parent: int
    epoch: int


@dataclass(frozen=True)
class Standing:
    """Where a search stands when the next wave is decided.

    Attributes:
        candidates: all trials that were proposed, in number order.
        epochs: the most that a trial is trained.
        population: trials that fill the cores.
        open: trials that may still be proposed.
        seed: of the search.
        ahead: trials may be proposed before others are known.
    """

    candidates: Sequence[Candidate]
    epochs: int
    population: int
    open: int
    seed: int = 0
    ahead: bool = False


@dataclass(frozen=True)
class Wave:
    """What is done next; the wave after it is decided when all of it is done.

    Attributes:
        tasks: trials and the epoch up to which each is trained.
        new: trials to propose.
        until: the epoch up to which those are trained.
        stopped: trials that are trained no further.
        copies: trials that take over another one's state before they are trained.
    """

    tasks: tuple[tuple[int, int], ...] = ()
    new: int = 0
    until: int = 0
    stopped: tuple[int, ...] = ()
    copies: tuple[Copy, ...] = ()


@family("scheduler")
@dataclass(frozen=True)
class Scheduler(Description):
    """Shares the time of a search among its trials, by what they have reached so far.

    A scheduler is a pure function of a :class:`Standing`: what it decides depends on the trials'
    scores and numbers, never on which of them was ready first.

    Attributes:
        copies: whether trials go on from other trials' states.
    """

    copies: ClassVar[bool] = False

    def wave(self, standing: Standing) -> Wave:
        """What is trained next; nothing at the end of the search."""
        raise NotImplementedError

    def check(self, epochs: int) -> None:
        """Refuse settings that do not fit the epochs of a trial.

        Raises:
            SettingError: naming both.
        """


def as_scheduler(value: Any) -> Scheduler:
    """A scheduler as it is, by its name or text, or None for none.

    Raises:
        SettingError: for anything else; the nearest name is offered.

    >>> as_scheduler("successive_halving(factor=4)")
    SuccessiveHalving(lowest=1, factor=4)
    """
    if isinstance(value, Scheduler):
        return value
    if value is None or isinstance(value, str):
        scheduler: Scheduler = parse_spec("scheduler", value or "none")
        return scheduler
    raise SettingError(f"scheduler must be None, a name or a scheduler, got {value!r:.80}")


def ranked(candidates: Sequence[Candidate], epoch: int) -> list[Candidate]:
    """Candidates with a score after an epoch, the best first; equal ones in number order."""
    scored = [(item.score(epoch), item) for item in candidates]
    found = [(score, item.number, item) for score, item in scored if score is not None]
    return [item for _, _, item in sorted(found, key=lambda entry: entry[:2])]


def rungs(lowest: int, factor: int, epochs: int) -> tuple[int, ...]:
    """The epochs at which trials are compared: lowest · factor^k, and the last epoch.

    >>> rungs(1, 3, 20)
    (1, 3, 9, 20)
    """
    found: list[int] = []
    epoch = lowest
    while epoch < epochs:
        found.append(epoch)
        epoch *= factor
    return (*found, epochs)


def check_lowest(scheduler: Scheduler, lowest: int, epochs: int) -> None:
    """Refuse a first rung behind the last epoch.

    Raises:
        SettingError: naming both.
    """
    if lowest > epochs:
        raise SettingError(
            f"{type(scheduler).__name__}.lowest = {lowest} is beyond the {epochs} epochs of a "
            "trial; lower it, or raise epochs"
        )


__all__ = [
    "Candidate", "Copy", "Scheduler", "Standing", "Wave",
    "as_scheduler", "check_lowest", "ranked", "rungs",
]  # fmt: skip
