"""How libraries are compared on many networks at once: the same steps for each network.

1. Every library is opened with each number of threads, each in its variants, and trains a few
   batches. What the first call takes beyond its steps is the start: building, compiling, making
   networks. Other libraries go on with the number of threads that serves them best.
2. Losses must equal those of float64: 20 steps on the first batch, epochs of a few batches, and
   the first epochs of what is timed.
3. Round after round each library makes and trains all networks by one warm call of the same work,
   in an order that rotates. All of the call is timed and divided by networks and steps. Another
   library that would need too long trains fewer steps; its row says so. In each round a short call
   is timed too: what the long call takes longer, divided by its further steps, is the steady step.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import Any

from thalweg.bench.cases import Case
from thalweg.bench.fixed_work import Speed, Work, few_of, shortened, speed_from, work_of
from thalweg.bench.populations import make_population, population_losses
from thalweg.bench.protocol import (
    STEPS,
    Contender,
    Entry,
    Expected,
    Opener,
    Protocol,
    Reason,
    Teller,
    check_losses,
    expected_losses,
    judge,
    note_memory,
    relative_error,
    timed_rounds,
)
from thalweg.bench.results import FAILED, Row

OWN = "thalweg"
_CHECKED_EPOCHS, _CHECKED_OPERATIONS = 3, 4e6


@dataclass(frozen=True)
class FixedWork:
    """How often a population is trained.

    Attributes:
        rounds: of interleaved timing.
        most_seconds: of one call; another library that would need longer trains fewer steps.
        least_seconds: of one measurement, which may be several calls.
        steps: on the first batch whose losses are compared.
    """

    rounds: int = 3
    most_seconds: float = 4.0
    least_seconds: float = 0.5
    steps: int = STEPS


@dataclass
class Trainer(Contender):
    """A library that trains a population.

    Attributes:
        first_seconds: building, compiling and the first short call.
        speed: of its calls, from two warm ones.
        work: what it trains in a measurement.
        shorts: seconds of the short calls, round by round.
    """

    first_seconds: float = 0.0
    speed: Speed = field(default_factory=lambda: Speed(0.0, 0.0))
    work: Work = field(default_factory=lambda: Work(1, 1))
    shorts: list[float] = field(default_factory=list[float])

    def call(self, work: Work, calls: int = 1) -> dict[str, Any]:
        """Make and train all networks."""
        return self.worker.ask("train", epochs=work.epochs, batches=work.batches, calls=calls)

    def start_of(self, first_seconds: float) -> float:
        """What a first short call took beyond its steps."""
        case = self.row.case
        steps = few_of(case).steps * case.members
        return max(first_seconds - self.row.steady_seconds * steps, 0.0)


def measure_population(
    case: Case,
    entries: Sequence[Entry],
    opener: Opener,
    protocol: FixedWork,
    different: Reason = lambda peer, outputs: "",
    tell: Teller = lambda line: None,
) -> list[Trainer]:
    """Measure one case.

    Args:
        case: what to train.
        entries: libraries and threads.
        opener: gives a process for each; may be one that served before.
        protocol: how often, how long.
        different: why a library's losses cannot equal the others', if so.
        tell: told what is going on.

    Returns:
        thalweg with each number of threads, every other library with the best one, in the order of
        the entries, and those that failed.
    """
    trainers: list[Trainer] = []
    for entry in entries:
        tell(f"{case.name}: {entry.peer}, threads: {entry.threads}")
        trainers.append(Trainer(Row(case, entry.peer, entry.threads), opener(entry)))
        trainers[-1].attempt(lambda each=trainers[-1]: _open(each))
    trainers = best_threads(trainers)
    for trainer in trainers:
        trainer.attempt(lambda each=trainer: _open_late(each))
    tell(f"{case.name}: losses")
    few = few_of(case)
    checks = Protocol(steps=protocol.steps, epochs=_CHECKED_EPOCHS)
    expected = expected_losses(case, checks, few.batches)
    losses = WorkLosses(case)
    for trainer in trainers:
        trainer.attempt(lambda each=trainer: _prepare(each, protocol, checks, expected, different))
    timed_rounds(
        trainers, protocol.rounds,
        lambda each: _time_once(each, protocol, losses, different),
        lambda number: tell(f"{case.name}: round {number} of {protocol.rounds}"),
    )  # fmt: skip
    for trainer in trainers:
        trainer.attempt(lambda each=trainer: _finish(each))
    return trainers


def best_threads(trainers: Sequence[Trainer]) -> list[Trainer]:
    """thalweg's trainers, the fastest of each other library, and those that failed."""
    best: dict[str, Trainer] = {}
    for trainer in trainers:
        if trainer.alive:
            name = trainer.row.peer
            best[name] = min(best.get(name, trainer), trainer, key=lambda one: one.epoch_seconds)
    return [
        one
        for one in trainers
        if one.row.peer == OWN or one.row.status == FAILED or best[one.row.peer] is one
    ]


class WorkLosses:
    """The first epochs' losses of what is timed, in float64, for each number of batches.

    Args:
        case: what is trained.
    """

    def __init__(self, case: Case) -> None:
        self._problem = make_population(case)
        heavy = case.flops > _CHECKED_OPERATIONS
        self.epochs = 1 if heavy else _CHECKED_EPOCHS
        self._found: dict[Work, list[float]] = {}

    def of(self, work: Work) -> list[float]:
        """Each checked member's, epoch by epoch."""
        first = replace(work, epochs=min(work.epochs, self.epochs))
        if first not in self._found:
            self._found[first] = population_losses(self._problem, first.epochs, first.batches)
        return self._found[first]


def _open(trainer: Trainer) -> None:
    row = trainer.row
    few = few_of(row.case)
    answer = trainer.worker.ask("open", case=asdict(row.case), batches=few.batches)
    row.import_seconds = answer["import_seconds"]
    _take(trainer, answer)


def _open_late(trainer: Trainer) -> None:
    _take(trainer, trainer.worker.ask("open_late", batches=few_of(trainer.row.case).batches))


def _take(trainer: Trainer, answer: dict[str, Any]) -> None:
    trainer.row.variant = answer["variant"]
    trainer.epoch_seconds = answer["epoch_seconds"]
    trainer.first_seconds = answer["first_seconds"]


def _prepare(
    trainer: Trainer,
    protocol: FixedWork,
    checks: Protocol,
    expected: Expected,
    different: Reason,
) -> None:
    """Compare losses, say how much is trained, and train it once."""
    row, few = trainer.row, few_of(trainer.row.case)
    more = replace(few, epochs=checks.epochs)
    long = check_losses(trainer, checks, expected, different, few.batches)
    short = trainer.call(few)["seconds"]
    trainer.speed = speed_from(short, few, long, more)
    full = work_of(row.case)
    most = inf if row.peer == OWN else protocol.most_seconds
    trainer.work = shortened(full, trainer.speed, most)
    row.steps = trainer.work.steps
    if row.steps < full.steps:
        row.note = (
            f"trained {row.steps:,} of {full.steps:,} steps of each network, since a call of all "
            f"of them would take longer than {protocol.most_seconds:g} s"
        )
    trainer.call(replace(trainer.work, epochs=1))


def _time_once(
    trainer: Trainer, protocol: FixedWork, losses: WorkLosses, different: Reason
) -> dict[str, Any]:
    row, work = trainer.row, trainer.work
    expected = max(trainer.speed.seconds(work), 1e-9)
    answer = trainer.call(work, max(round(protocol.least_seconds / expected), 1))
    if not row.rounds:
        wanted = losses.of(work)
        found = answer["losses"][: len(wanted)]
        row.epoch_error = max(row.epoch_error, relative_error(found, wanted))
        judge(row, different)
    row.rounds.append(answer["seconds"] / answer["steps"])
    short = trainer.call(few_of(row.case))
    trainer.shorts.append(short["seconds"])
    answer["process_seconds"] += short["process_seconds"]
    return answer


def _finish(trainer: Trainer) -> None:
    row, work, few = trainer.row, trainer.work, few_of(trainer.row.case)
    members = row.case.members
    if work.steps > few.steps:
        whole = row.step_seconds * work.steps * members
        found = speed_from(statistics.median(trainer.shorts), few, whole, work)
        row.steady_seconds = found.step / members
    row.start_seconds = trainer.start_of(trainer.first_seconds)
    note_memory(trainer)
