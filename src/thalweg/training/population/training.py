"""Training a population: members in turn on all cores, and what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import FileError, SettingError, ThalwegError
from thalweg.training.arguments import Arguments
from thalweg.training.history import Display, Progress
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import REFUSED, MemberRun
from thalweg.training.population.result import Population
from thalweg.training.population.shelf import Shelf
from thalweg.training.population.tasks import TaskCrew, WorkerError
from thalweg.training.population.varying import Varying
from thalweg.training.programs import Programs

if TYPE_CHECKING:
    from concurrent.futures import Executor


def train_population(
    arguments: Arguments,
    members: Any,
    display: Display,
    programs: Programs | None = None,
    executor: Executor | None = None,
) -> Population:
    """Train K networks; see :func:`fit`.

    Args:
        arguments: with arrays of K numbers for what varies.
        members: K.
        display: shows the population's progress.
        programs: what its members share.
        executor: whose tasks train them; None for threads of this process.

    Raises:
        SettingError, DataError, ShapeError: what does not fit, with the member's number.
        WorkerError: a task of the executor did not come back.
    """
    varying = Varying(arguments, members)
    crew = _crew(arguments, varying.members, programs, executor)
    work = InTurn(varying.members, varying.of, crew, display)
    display.start(1, f"training {varying.members} networks")
    try:
        try:
            reason = crew.run(work, work.tick)
            work.check()
        except (FileError, WorkerError) as error:
            error.run = Population(varying, work.runs, "error", work.seconds)
            raise
        found = Population(varying, work.runs, reason, work.seconds)
        display.finish(work.progress(), reason or "epochs")
    finally:
        display.close()
    return found


def _crew(
    arguments: Arguments, members: int, programs: Programs | None, executor: Executor | None
) -> Crew:
    """Who trains the members.

    Raises:
        SettingError: an executor that is none, or arguments that do not go with one.
    """
    if executor is None:
        return Crew(arguments.threads, programs)
    if arguments.threads is not None:
        raise SettingError(
            f"threads = {arguments.threads} is for members that this process trains; with an "
            "executor its workers say how many are trained at once: leave threads out"
        )
    if arguments.callbacks:
        raise SettingError(
            "callbacks are called in the process that trains, where this program does not see "
            "what they do; leave out callbacks, or executor"
        )
    return TaskCrew(executor, members, programs)


class InTurn:
    """Members in turn, each to its end: what a crew works off.

    Args:
        members: how many.
        arguments: those of the member with a number, asked for when its turn comes.
        crew: trains them.
        display: shows their progress.

    Attributes:
        runs: members that have ended, by number.
        programs: what members share.
    """

    def __init__(
        self, members: int, arguments: Callable[[int], Arguments], crew: Crew, display: Display
    ) -> None:
        self.members = members
        self.programs = crew.programs
        self.runs: dict[int, MemberRun] = {}
        self._arguments = arguments
        self._display = display
        self._waiting: Iterator[int] = iter(range(members))
        self._training: dict[int, MemberRun] = {}
        self._shelf = Shelf(members)
        self._began = time.perf_counter()
        self._ended = 0
        self._error: ThalwegError | None = None

    def next(self) -> tuple[MemberRun, int | None] | None:
        """The next member, unless one was refused."""
        place = None if self._error else next(self._waiting, None)
        if place is None:
            return None
        try:
            member = self._training[place] = self.begin(place)
        except ThalwegError as error:
            self._error = self.told(place, error)
            return None
        return member, None

    def begin(self, place: int) -> MemberRun:
        """The member with a number, before its first step."""
        return MemberRun(self.own(place), self.programs, place)

    def own(self, place: int) -> Arguments:
        """Members share the cores; a member that is alone may use all of them."""
        given = self._arguments(place)
        return given.but(threads=1) if self.members > 1 else given

    def done(self, member: MemberRun) -> None:
        """A member has ended."""
        del self._training[member.number]
        self._ended += 1
        if member.reason == REFUSED and member.error is not None:
            self._error = self._error or self.told(member.number, member.error)
            return
        self.keep(member)

    def keep(self, member: MemberRun) -> None:
        """Put its arrays where there is room."""
        self.runs[member.number] = member
        self._shelf.keep(member)

    def told(self, number: int, error: ThalwegError) -> ThalwegError:
        """Why a member was refused, with its number."""
        told = type(error)(f"member {number}: {error}")
        told.__cause__ = error
        return told

    def tick(self) -> None:
        """Show where the population stands."""
        self._display.update(self.progress())

    def progress(self) -> Progress:
        """All members as if they were one run."""
        count, seconds = self.members, self.seconds
        shares = [_share(member) for member in list(self._training.values())]
        done = self._ended + sum(shares)
        left = seconds / done * (count - done) if done else np.nan
        losses = [run.history.rows[-1] for run in list(self.runs.values()) if run.epochs]
        latest = min(losses, key=_judged, default={})
        return Progress(
            self._ended, count, round(1000 * done), 1000 * count, latest.get("train_loss", np.nan),
            latest, 0, seconds, left, unit="network",
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Since the first member."""
        return time.perf_counter() - self._began

    def check(self) -> None:
        """Whether every member could be trained.

        Raises:
            ThalwegError: one was refused.
        """
        if self._error is not None:
            raise self._error


def _share(member: MemberRun) -> float:
    now = member.progress
    return now.step / max(now.total_steps, 1) if now is not None else 0.0


def _judged(row: Any) -> float:
    value = row.get("validation_loss", row["train_loss"])
    return float("inf") if np.isnan(value) else float(value)


__all__ = ["InTurn", "train_population"]
