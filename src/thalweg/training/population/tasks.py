"""Members that are trained by the tasks of an executor: processes, or other machines.

A :class:`TaskCrew` works off the same :class:`Source` as a :class:`Crew`, with the same results.
So a population and a search go beyond one process by taking the one in place of the other::

    crew = TaskCrew(executor)                  # instead of Crew(threads)
    reason = crew.run(source, tick)

A member that is trained in pieces (``until``) goes back and forth with its whole state, so that the
pieces of one member may be trained by different workers, and :meth:`MemberRun.branch` works as
ever. Data travel with every task, once for all of its members. To train a plain list of arguments
to the end there is :func:`run_members`.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg.compiler.threads import one_blas_thread
from thalweg.errors import SettingError, ThalwegError
from thalweg.training.arguments import Arguments
from thalweg.training.loop import interrupts
from thalweg.training.population.crew import Crew, Source
from thalweg.training.population.member import MemberRun, Passed
from thalweg.training.programs import Programs

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_TICK = 0.2
"""Seconds between two ticks."""

_GRACE = 5.0
"""Seconds that running tasks get to come back after Ctrl-C."""

_WORKERS = 32
"""Workers that an executor is taken to have which does not say."""

_TASKS = 4
"""Tasks for each worker into which members are divided, so that none waits long for the last."""


class WorkerError(ThalwegError, RuntimeError):
    """A task of the user's executor that did not come back.

    Attributes:
        run: what was learned by then, where a population was trained.
    """

    run: Any = None


class Work(NamedTuple):
    """A member as it is sent to a worker: plain arrays and descriptions.

    Attributes:
        number: its place.
        arguments: of :func:`fit`.
        passed: where it stands.
        until: the epoch up to which it is trained, None for the last one.
    """

    number: int
    arguments: Arguments
    passed: Passed
    until: int | None


class TaskCrew(Crew):
    """Members trained by the tasks of an executor, several members in a task.

    Results do not depend on the executor, on its workers or on how many members go together, as
    long as all machines are of one kind.

    Args:
        executor: a ``concurrent.futures.Executor``: ``ProcessPoolExecutor()``, or that of a
            cluster, such as ``client.get_executor()`` of Dask. It stays open.
        members: how many the source has; where it does not know, a task takes a share of those
            that it has at a time.
        programs: what members share in this process; workers have their own.

    Attributes:
        threads: members that can be trained at once, as far as the executor says.

    Raises:
        SettingError: no executor.
    """

    def __init__(
        self, executor: Executor, members: int | None = None, programs: Programs | None = None
    ) -> None:
        super().__init__(workers_of(executor), programs)
        self.executor = executor
        self.members = members

    def member(self, arguments: Arguments, number: int) -> MemberRun:
        """A member at its beginning."""
        return MemberRun(arguments, self.programs, number)

    def together(self, members: int) -> int:
        """How many of so many members go into one task."""
        return max(1, members // (_TASKS * self.threads))

    def run(self, source: Source, tick: Callable[[], None] | None = None) -> str:
        """Work a source off.

        Args:
            source: of members.
            tick: called a few times a second, from this thread.

        Returns:
            ``interrupted`` after Ctrl-C, else nothing. Tasks that have begun then get a few
            seconds to come back.

        Raises:
            WorkerError: a worker ended, or the executor was shut down.
            SettingError: something that cannot be sent to another process.
        """
        tasks = _Tasks(self, source)
        with interrupts() as interrupted:
            try:
                while not interrupted.is_set():
                    tasks.fill()
                    if not tasks.running:
                        return ""
                    tasks.wait(_TICK)
                    if tick is not None:
                        tick()
            finally:
                tasks.cancel()
            tasks.rescue()
            return "interrupted"


class _Tasks:
    """The tasks of a crew that have not come back."""

    def __init__(self, crew: TaskCrew, source: Source) -> None:
        self.running: dict[Future[list[Passed | None]], list[MemberRun]] = {}
        self._crew = crew
        self._source = source
        self._token = uuid.uuid4().hex
        self._ready: list[tuple[MemberRun, int | None]] = []

    def fill(self) -> None:
        """Hand out members while there are some, and workers for them."""
        known = self._crew.members
        while len(self.running) < 2 * self._crew.threads:
            while known is None or len(self._ready) < self._crew.together(known):
                item = self._source.next()
                if item is None:
                    break
                self._ready.append(item)
            if not self._ready:
                return
            self._send(self._crew.together(len(self._ready) if known is None else known))

    def _send(self, count: int) -> None:
        works, self._ready = self._ready[:count], self._ready[count:]
        members = [member for member, _ in works]
        sent = [
            Work(member.number, member.arguments, member.passed(), until) for member, until in works
        ]
        try:
            future = self._crew.executor.submit(train_members, self._token, sent)
        except RuntimeError as error:
            told = _shut_down(members) if "after shutdown" in str(error) else _told(error, members)
            raise told from error
        self.running[future] = members

    def wait(self, seconds: float) -> None:
        """Take in what comes back within the time."""
        from concurrent.futures import FIRST_COMPLETED, wait

        wait(self.running, seconds, FIRST_COMPLETED)
        for future in [item for item in self.running if item.done()]:
            self._take(future)

    def _take(self, future: Future[list[Passed | None]]) -> None:
        members = self.running.pop(future)
        if future.cancelled():
            raise _shut_down(members)
        if (error := future.exception()) is not None:
            told = _told(error, members)
            raise told from (None if told is error else error)
        found = future.result()
        for member, passed in zip(members, found, strict=True):
            if passed is not None:
                member.receive(passed)
                self._source.done(member)

    def cancel(self) -> None:
        """Take back what has not begun."""
        for future in [item for item in self.running if item.cancel()]:
            del self.running[future]

    def rescue(self) -> None:
        """Take in what comes back soon after Ctrl-C, which workers get as well, or not."""
        from concurrent.futures import wait

        wait(self.running, _GRACE)
        for future in [item for item in self.running if item.done()]:
            if not future.cancelled() and future.exception() is None:
                self._take(future)


def train_members(token: str, works: Sequence[Work]) -> list[Passed | None]:
    """What a worker does: train members one after the other.

    Args:
        token: of the run that they belong to; the tasks of one share their programs.
        works: the members.

    Returns:
        Where each stands; None for those that Ctrl-C left where they were.
    """
    programs = _KEPT.of(token)
    try:
        with one_blas_thread(), interrupts() as interrupted:
            return [_trained(work, programs, interrupted) for work in works]
    finally:
        programs.forget()


def _trained(work: Work, programs: Programs, interrupted: threading.Event) -> Passed | None:
    if interrupted.is_set():
        return None
    member = MemberRun(work.arguments, programs, work.number)
    member.receive(work.passed)
    member.advance(work.until, interrupted)
    return member.passed()


class _Kept:
    """The programs of the latest run that this process has worked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._programs = Programs()

    def of(self, token: str) -> Programs:
        """The programs of a run, which are its own."""
        with self._lock:
            if token != self._token:
                self._token, self._programs = token, Programs()
            return self._programs


_KEPT = _Kept()


def run_members(
    arguments: Sequence[Arguments],
    executor: Executor,
    done: Callable[[MemberRun], None] | None = None,
) -> list[MemberRun]:
    """Train networks to their end by the tasks of an executor.

    Args:
        arguments: of each network.
        executor: see :class:`TaskCrew`.
        done: called with each member that has ended, in the order in which they come back.

    Returns:
        The members in order; after Ctrl-C some may not have begun. What refused arguments is in
        their ``error``.

    Raises:
        WorkerError, SettingError: as :meth:`TaskCrew.run`.
    """
    crew = TaskCrew(executor, len(arguments))
    members = [crew.member(own, place) for place, own in enumerate(arguments)]
    crew.run(_Each(members, done))
    return members


class _Each:
    """A source of members that are trained to their end."""

    def __init__(
        self, members: Sequence[MemberRun], done: Callable[[MemberRun], None] | None
    ) -> None:
        self._waiting = iter(members)
        self._done = done

    def next(self) -> tuple[MemberRun, int | None] | None:
        """The next member."""
        member = next(self._waiting, None)
        return None if member is None else (member, None)

    def done(self, member: MemberRun) -> None:
        """Tell who wants to know."""
        if self._done is not None:
            self._done(member)


def workers_of(executor: Any) -> int:
    """The workers that an executor has; those of the standard library say so.

    Raises:
        SettingError: no executor.
    """
    from concurrent.futures import Executor

    if not isinstance(executor, Executor):
        raise SettingError(
            f"executor must be a concurrent.futures.Executor, got {executor!r:.80}; for example "
            "ProcessPoolExecutor(), or client.get_executor() of Dask"
        )
    found = getattr(executor, "_max_workers", None)
    return found if isinstance(found, int) and found > 0 else _WORKERS


def _told(error: BaseException, members: Sequence[MemberRun]) -> BaseException:
    """What went wrong with a task, for the person who gave the executor."""
    from concurrent.futures import BrokenExecutor

    which = _which(members)
    if isinstance(error, BrokenExecutor):
        return WorkerError(
            f"{which}: a worker of the executor ended abruptly. It may have been killed, or "
            "memory is short: give fewer workers. Processes that are started anew also need "
            "functions that they can import, and a script whose work stands under "
            'if __name__ == "__main__":'
        )
    if _is_about_sending(error):
        return SettingError(
            f"{which}: the arguments cannot be sent to another process ({error}); networks, losses "
            "and so on that are functions must be defined at the top of a module, not inside "
            "another function, and be no lambda"
        )
    return error


def _shut_down(members: Sequence[MemberRun]) -> WorkerError:
    return WorkerError(f"{_which(members)}: the executor was shut down before the end")


def _which(members: Sequence[MemberRun]) -> str:
    first, last = members[0].number, members[-1].number
    return f"member {first}" if first == last else f"members {first} to {last}"


def _is_about_sending(error: BaseException) -> bool:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    about = "pickle" in text or "local object" in text
    return "PicklingError" in kinds or (isinstance(error, (AttributeError, TypeError)) and about)


__all__ = ["TaskCrew", "Work", "WorkerError", "run_members", "train_members", "workers_of"]
