"""The training of one network of several, in pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from thalweg.errors import ThalwegError
from thalweg.model.model import Model
from thalweg.training.arguments import Arguments
from thalweg.training.backends import executor_of
from thalweg.training.failure import Failure
from thalweg.training.history import Callback, Display, Epoch, History, Progress
from thalweg.training.loop import Ended, Loop, Standing
from thalweg.training.native import NativeExecutor
from thalweg.training.preparing import Prepared, prepared
from thalweg.training.programs import Programs
from thalweg.training.result import TrainedRun, trained_run
from thalweg.training.step import State

REFUSED = "refused"
"""Why a member ended whose arguments do not fit; see its ``error``."""


class Passed(NamedTuple):
    """What training elsewhere leaves of a member, from which another process can go on.

    Attributes:
        standing: where it stands, None where it has not begun or has ended.
        run: of a member that has ended.
        reason: why it ended, else empty.
        failure: where a value was not finite.
        error: what the arguments were refused with.
        compile_seconds: so far.
    """

    standing: Standing | None = None
    run: TrainedRun | None = None
    reason: str = ""
    failure: Failure | None = None
    error: ThalwegError | None = None
    compile_seconds: float = 0.0


class MemberRun:
    """The training of one network, in pieces; bit for bit what :func:`fit` alone gives.

    Between two pieces it holds parameters, optimiser slots and states, and nothing else.

    Args:
        arguments: of :func:`fit`.
        programs: what it shares with others.
        number: its place among them.
        display: is told of updates and epochs, from the thread that trains.

    Attributes:
        reason: why no epoch follows: ``epochs``, ``early stopping``, ``callback``,
            ``interrupted``, ``non-finite``, ``refused`` and so on; empty while more can follow.
        failure: where a value was not finite.
        error: what the arguments were refused with.

    >>> import numpy as np, thalweg as tw
    >>> from thalweg.training.arguments import Arguments
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> member = MemberRun(Arguments(tw.Linear(1), x, 2 * x[:, 0], epochs=6), Programs())
    >>> member.advance(until=2)
    >>> member.epochs, member.reason
    (2, '')
    >>> member.advance()
    >>> member.epochs, member.reason, member.result().timing.updates
    (6, 'epochs', 6)
    """

    def __init__(
        self,
        arguments: Arguments,
        programs: Programs,
        number: int = 0,
        display: Display | None = None,
    ) -> None:
        self.arguments = arguments
        self.number = number
        self.reason = ""
        self.failure: Failure | None = None
        self.error: ThalwegError | None = None
        self._programs = programs
        self._ready: Prepared | None = None
        self._standing: Standing | None = None
        self._run: TrainedRun | None = None
        self._compile_seconds = 0.0
        self._watch = _Watch(display or Display())

    @property
    def history(self) -> History:
        """Numbers of the finished epochs."""
        if self._run is not None:
            return self._run.history
        return History() if self._standing is None else self._standing.history

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.history.rows)

    @property
    def progress(self) -> Progress | None:
        """Where it stands, None before it begins."""
        return self._watch.latest

    def advance(self, until: int | None = None, interrupted: threading.Event | None = None) -> None:
        """Train up to an epoch, or to the end; nothing happens where the run has ended.

        What :func:`fit` would refuse is kept as ``error``.

        Args:
            until: the epoch; None for the last one.
            interrupted: ends it after the running stretch of steps.
        """
        if self.reason:
            return
        try:
            self._advance(until, interrupted or threading.Event())
        except ThalwegError as error:
            self.reason, self.error = REFUSED, error

    def _advance(self, until: int | None, interrupted: threading.Event) -> None:
        ready = self._prepared()
        executor = executor_of(ready.plan.job, ready.backend)
        standing = ready.standing if self._standing is None else _apart(self._standing)
        loop = Loop(ready.plan, executor, standing)
        try:
            loop.prepare()
            self._compile_seconds += loop.compile_seconds
            reason = loop.advance(interrupted, until)
            standing = loop.standing(last=True)
        finally:
            if isinstance(executor, NativeExecutor):
                executor.release()
        self._standing = standing
        if reason and ready.plan.save is not None:
            ready.plan.save(standing)
        if reason:
            self._end(ready, Ended(standing, reason))

    def _prepared(self) -> Prepared:
        if self._ready is None:
            own = self.arguments
            if own.callbacks:
                own = replace(own, callbacks=[_named(call, self.number) for call in own.callbacks])
            self._ready = prepared(own, self._programs, self._watch)
        return self._ready

    def _end(self, ready: Prepared, ended: Ended) -> None:
        given = ready.given
        shape, seconds = given.input_shape, self._compile_seconds
        self._run = trained_run(ready.plan, ended, given.code, shape, seconds)
        self.reason = ended.reason
        if ended.reason == "non-finite":
            self.failure = Failure(ready.plan.job, ended.standing.state)
        self._ready = self._standing = None

    def result(self) -> TrainedRun:
        """The run as it stands, with its model.

        Raises:
            ThalwegError: the arguments were refused.
            RuntimeError: it has not begun.
        """
        if self.error is not None:
            raise self.error
        if self._run is not None:
            return self._run
        if self._standing is None:
            raise RuntimeError("this member has not begun: call advance() first")
        ready, ended = self._prepared(), Ended(_copied(self._standing), "paused")
        given, seconds = ready.given, self._compile_seconds
        return trained_run(ready.plan, ended, given.code, given.input_shape, seconds)

    def passed(self) -> Passed:
        """What another process needs to go on, beside the arguments."""
        return Passed(
            self._standing, self._run, self.reason, self.failure, self.error, self._compile_seconds
        )

    def receive(self, passed: Passed) -> None:
        """Go on from where another process left this member."""
        self._standing, run = passed.standing, passed.run
        self.reason, self.failure, self.error = passed.reason, passed.failure, passed.error
        self._compile_seconds = passed.compile_seconds
        if run is not None:
            self._run = replace(run, model=replace(run.model, network=self.arguments.network))
        if self.reason:
            self._ready = None

    def hold(self, model: Model) -> None:
        """Keep the model of an ended run in other arrays of the same values."""
        assert self._run is not None
        self._run = replace(self._run, model=model)

    def branch(self, arguments: Arguments, number: int) -> MemberRun:
        """Another member that goes on from this one's state, with other numeric settings.

        History, best epoch and step are taken over; seed, rows and shapes are the arguments' own.

        Args:
            arguments: with a network and optimiser of the same structure.
            number: of the new member.

        Raises:
            RuntimeError: this member has not begun, or has ended.
            ThalwegError: arguments that do not fit, or keep other arrays.
        """
        if self._standing is None:
            raise RuntimeError("only a member that has begun and not ended can be branched")
        other = MemberRun(arguments, self._programs, number)
        ready = other._prepared()
        _check_same_arrays(ready.standing.state, self._standing.state)
        other._standing = _copied(self._standing)
        return other


class _Watch(Display):
    """Remembers where a run stands, and passes it on."""

    def __init__(self, inner: Display) -> None:
        self.latest: Progress | None = None
        self._inner = inner

    def update(self, progress: Progress) -> None:
        """A few times a second."""
        self.latest = progress
        self._inner.update(progress)

    def epoch(self, progress: Progress) -> None:
        """At the end of each epoch."""
        self._inner.epoch(progress)


def _named(callback: Callback, number: int) -> Callable[[Epoch], Any]:
    """A callback that is told which member an epoch belongs to."""
    return lambda event: callback(replace(event, member=number))


def _apart(standing: Standing) -> Standing:
    """The same arrays in mappings of their own, since an executor puts its arrays in their place.

    The best epoch's arrays may stand in the mappings of the state.
    """
    state = standing.state
    groups = [dict(group) for group in (state.parameters, state.slots, state.states)]
    return replace(standing, state=State(groups[0], groups[1], groups[2], state.step))


def _copied(standing: Standing) -> Standing:
    state = standing.state
    groups = [
        {path: array.copy() for path, array in group.items()}
        for group in (state.parameters, state.slots, state.states)
    ]
    return replace(
        standing,
        state=State(groups[0], groups[1], groups[2], state.step),
        history=History([dict(row) for row in standing.history.rows]),
    )


def _check_same_arrays(mine: State, other: State) -> None:
    for own, given in zip(mine[:3], other[:3], strict=True):
        shapes = {path: array.shape for path, array in own.items()}
        if shapes != {path: array.shape for path, array in given.items()}:
            raise RuntimeError("a branch needs the same network and optimiser, but for numbers")


__all__ = ["REFUSED", "MemberRun", "Passed"]
