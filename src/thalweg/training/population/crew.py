"""Several threads that train members, each one member at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from thalweg.compiler.threads import one_blas_thread
from thalweg.training.beginning import whole_number
from thalweg.training.loop import interrupts
from thalweg.training.population.member import MemberRun
from thalweg.training.programs import Programs
from thalweg.training.thread_choice import cores

_TICK = 0.2
"""Seconds between two ticks."""


class Source(Protocol):
    """What a crew works off; its methods are never called at the same time."""

    def next(self) -> tuple[MemberRun, int | None] | None:
        """A member, and the epoch up to which it is trained (None: to the end).

        None says that there is nothing now: the worker waits while another member is trained, and
        ends when none is.
        """
        ...

    def done(self, member: MemberRun) -> None:
        """A member was trained so far, or has ended."""
        ...


class Crew:
    """Threads that train members, one for each core.

    Results do not depend on their number: a member is trained by one thread at a time.

    Args:
        threads: members that are trained at once; by default one for each core.
        programs: what the members share; by default new.
    """

    def __init__(self, threads: int | None = None, programs: Programs | None = None) -> None:
        self.threads = cores() if threads is None else whole_number("threads", threads, 1)
        self.programs = programs or Programs()

    def run(self, source: Source, tick: Callable[[], None] | None = None) -> str:
        """Work a source off.

        Args:
            source: of members.
            tick: called a few times a second, from this thread.

        Returns:
            ``interrupted`` after Ctrl-C, else nothing.
        """
        with one_blas_thread(), interrupts() as interrupted:
            work = _Work(source, interrupted, self.threads)
            workers: list[threading.Thread] = []
            try:
                for _ in range(self.threads):
                    worker = threading.Thread(target=work.loop)
                    worker.start()
                    workers.append(worker)
                is_over = False
                while not is_over:
                    is_over = work.ended.wait(_TICK)  # no join: an interrupted one is not repeated
                    if tick is not None:
                        tick()
            finally:
                interrupted_before = interrupted.is_set()
                work.stop()
                for worker in workers:
                    worker.join()
            if work.error is not None:
                raise work.error
            return "interrupted" if interrupted_before else ""


class _Work:
    """What the threads of a crew share."""

    def __init__(self, source: Source, interrupted: threading.Event, threads: int) -> None:
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self._working = threads
        self._source = source
        self._interrupted = interrupted
        self._changed = threading.Condition()
        self._busy = 0
        self._over = False

    def loop(self) -> None:
        """Train members until there are none."""
        try:
            while (item := self._next()) is not None:
                member, until = item
                member.advance(until, self._interrupted)
                with self._changed:
                    self._busy -= 1
                    self._source.done(member)
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
            self.error = self.error or error
            self.stop()
        finally:
            with self._changed:
                self._working -= 1
                if not self._working:
                    self.ended.set()

    def _next(self) -> tuple[MemberRun, int | None] | None:
        with self._changed:
            while not self._over and not self._interrupted.is_set():
                item = self._source.next()
                if item is not None:
                    self._busy += 1
                    return item
                self._over = self._busy == 0
                if not self._over:
                    self._changed.wait(_TICK)
            self._changed.notify_all()
            return None

    def stop(self) -> None:
        """No member follows; those that are trained now stop soon."""
        self._interrupted.set()
        with self._changed:
            self._over = True
            self._changed.notify_all()
