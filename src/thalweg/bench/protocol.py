"""How libraries are compared: losses first, then interleaved rounds.

1. Every library gets the same rows, batches and starting weights.
2. Its losses (20 steps on the first batch, then whole epochs) must equal those of float64 NumPy.
   A library whose losses differ is timed, but its times are not compared.
3. Round after round each library trains for about the same time, in an order that rotates, so that
   a slow moment of the machine strikes all of them. Medians count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import inf, isnan
from typing import Any, TypeVar

from thalweg.bench.cases import Case
from thalweg.bench.machine import busy_seconds
from thalweg.bench.populations import PopulationProblem, population_losses, problem_of
from thalweg.bench.reference import reference_losses
from thalweg.bench.results import DIFFERENT, FAILED, Row
from thalweg.bench.workers import Answering, WorkerError

STEPS, STEP_TOLERANCE = 20, 1e-3
EPOCH_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Entry:
    """A library with a number of threads."""

    peer: str
    threads: int


@dataclass(frozen=True)
class Protocol:
    """How long and how often.

    Attributes:
        rounds: of interleaved timing.
        seconds: that one measurement takes, about.
        epochs: whose losses are compared.
        steps: on the first batch whose losses are compared (the first two of one row); 0 for none.
    """

    rounds: int = 7
    seconds: float = 0.5
    epochs: int = 3
    steps: int = STEPS


@dataclass(frozen=True)
class Expected:
    """The losses of float64."""

    steps: list[float]
    epochs: list[float]


@dataclass
class Contender:
    """A row being measured, and the process behind it."""

    row: Row
    worker: Answering
    epoch_seconds: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self.row.status != FAILED

    def attempt(self, work: Callable[[], object]) -> None:
        """Do something; where the process fails, the row says so."""
        if self.alive:
            try:
                work()
            except WorkerError as error:
                self.row.status, self.row.reason = FAILED, str(error)
                self.row.rounds.clear()


Opener = Callable[[Entry], Answering]
Teller = Callable[[str], None]
Reason = Callable[[str, int], str]


def expected_losses(case: Case, protocol: Protocol, batches: int | None = None) -> Expected:
    """What every library's losses must be; epochs are of the first batches or of all."""
    problem, first = problem_of(case), case.checked_batches
    of = population_losses if isinstance(problem, PopulationProblem) else reference_losses
    steps = of(problem, protocol.steps, first) if protocol.steps else []
    return Expected(steps, of(problem, protocol.epochs, batches))


def measure(
    case: Case,
    entries: Sequence[Entry],
    opener: Opener,
    protocol: Protocol,
    different: Reason = lambda peer, outputs: "",
    tell: Teller = lambda line: None,
    expected: Expected | None = None,
) -> tuple[list[Row], list[Contender]]:
    """Measure one case.

    Args:
        case: what to train.
        entries: libraries and threads.
        opener: gives a process for each; may be one that served before.
        protocol: how long and how often.
        different: why a library's losses cannot equal the others', if so.
        tell: told what is going on.
        expected: losses of float64; computed where None.

    Returns:
        A row for each entry, in order, and the processes behind them.
    """
    expected = expected_losses(case, protocol) if expected is None else expected
    contenders = [
        Contender(Row(case, entry.peer, entry.threads), opener(entry)) for entry in entries
    ]
    for contender in contenders:
        tell(f"{case.name}: {contender.row.peer}, threads: {contender.row.threads}")
        contender.attempt(lambda each=contender: open_case(each))
        contender.attempt(lambda each=contender: check_losses(each, protocol, expected, different))
    time_rounds(contenders, protocol, lambda number: tell(f"{case.name}: round {number}"))
    for contender in contenders:
        contender.attempt(lambda each=contender: note_memory(each))
    return [contender.row for contender in contenders], contenders


def open_case(contender: Contender) -> None:
    """Build and compile."""
    row = contender.row
    answer = contender.worker.ask("open", case=asdict(row.case))
    row.variant, row.start_seconds = answer["variant"], answer["start_seconds"]
    row.import_seconds = answer["import_seconds"]
    contender.epoch_seconds = answer["epoch_seconds"]


def check_losses(
    contender: Contender,
    protocol: Protocol,
    expected: Expected,
    different: Reason,
    batches: int | None = None,
) -> float:
    """Compare losses with float64's; gives the seconds of the epochs."""
    row, worker = contender.row, contender.worker
    if protocol.steps:
        first = row.case.checked_batches
        found = worker.ask("train", epochs=protocol.steps, batches=first)["losses"]
        row.step_error = relative_error(found, expected.steps)
    answer = worker.ask("train", epochs=protocol.epochs, batches=batches)
    row.epoch_error = relative_error(answer["losses"], expected.epochs)
    contender.epoch_seconds = min(contender.epoch_seconds, answer["seconds"] / protocol.epochs)
    judge(row, different)
    return answer["seconds"]


def judge(row: Row, different: Reason) -> None:
    """Mark a row whose losses are too far from float64's."""
    errors = (
        ("steps", row.step_error, STEP_TOLERANCE),
        ("epochs", row.epoch_error, EPOCH_TOLERANCE),
    )
    beyond = [f"{name} {error:.1e}" for name, error, bound in errors if error > bound]
    if beyond:
        reason = different(row.peer, row.case.widths[-1])
        row.status = DIFFERENT
        row.reason = f"{reason or 'relative error'}: {', '.join(beyond)}"


def relative_error(found: Sequence[float], expected: Sequence[float]) -> float:
    """The largest |a - b| / max(|b|, |b₀|/10); infinite for NaN and for another number of losses.

    A loss that has fallen below a tenth of the first one is measured by that tenth.

    >>> relative_error([1.0, 0.5625], [1.0, 0.5])
    0.125
    """
    if len(found) != len(expected):
        return inf
    least = abs(expected[0]) / 10 if expected else 0.0
    errors = [abs(a - b) / max(abs(b), least) for a, b in zip(found, expected, strict=True)]
    return max((inf if isnan(error) else error for error in errors), default=0.0)


class Tally:
    """What one contender used in all rounds: processor time while training, time, and all of it."""

    def __init__(self) -> None:
        self.processor = self.seconds = self.process = 0.0

    def add(self, answer: dict[str, Any]) -> None:
        """Count a round."""
        self.processor += answer["cpu_seconds"]
        self.seconds += answer["seconds"]
        self.process += answer["process_seconds"]


def time_rounds(
    contenders: Sequence[Contender], protocol: Protocol, tell: Callable[[int], None]
) -> None:
    """Train for about the same time in turn."""
    timed_rounds(contenders, protocol.rounds, lambda each: _time_once(each, protocol.seconds), tell)


C = TypeVar("C", bound=Contender)


def timed_rounds(
    contenders: Sequence[C],
    rounds: int,
    once: Callable[[C], dict[str, Any]],
    tell: Callable[[int], None],
) -> None:
    """Measure in turn, each round beginning with the next one.

    Args:
        contenders: those who failed are left out.
        rounds: how many.
        once: measures one contender, gives its worker's answer.
        tell: told the number of each round.
    """
    tallies = [Tally() for _ in contenders]
    busy, began, own = busy_seconds(), time.perf_counter(), time.process_time()
    for number in range(rounds):
        tell(number + 1)
        for place in _rotated(len(contenders), number):
            each, tally = contenders[place], tallies[place]
            each.attempt(lambda each=each, tally=tally: tally.add(once(each)))
    own = time.process_time() - own + sum(tally.process for tally in tallies)
    after, passed = busy_seconds(), time.perf_counter() - began
    for contender, tally in zip(contenders, tallies, strict=True):
        row = contender.row
        row.cores = tally.processor / tally.seconds if tally.seconds else 0.0
        if busy is not None and after is not None:
            row.other_cores = max(after - busy - own, 0.0) / passed


def _time_once(contender: Contender, seconds: float) -> dict[str, Any]:
    epochs = max(round(seconds / max(contender.epoch_seconds, 1e-9)), 1)
    answer = contender.worker.ask("train", epochs=epochs)
    contender.row.rounds.append(answer["seconds"] / answer["steps"])
    return answer


def _rotated(count: int, number: int) -> list[int]:
    return [(place + number) % count for place in range(count)]


def note_memory(contender: Contender) -> None:
    """Ask for the peak of memory."""
    contender.row.peak_bytes = contender.worker.ask("memory")["peak_bytes"]
