"""The loop around the steps: epochs, validation, stopping, checkpoints, Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import NamedTuple

import numpy as np

from thalweg.descriptions import Plain, settings_of, structure_of
from thalweg.graph import Array
from thalweg.optim.plateau import ReduceOnPlateau, plateaus
from thalweg.training.executor import Executor, Stretch, Sums
from thalweg.training.finishing import Finish
from thalweg.training.history import Callback, Display, Epoch, History, Progress
from thalweg.training.job import Chosen, Job
from thalweg.training.rates import TracedRate
from thalweg.training.recipe import Values
from thalweg.training.step import State
from thalweg.training.stopping import GRADIENT_NORM, Best, EarlyStopping, Stopping

_STRETCH_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """A run as it was asked for.

    Attributes:
        job: what is trained.
        validate: the held out rows' outputs to their numbers (``validation_loss``, …), if any.
        stopping: early stopping, if any.
        callbacks: called after each epoch.
        display: what shows progress.
        save: writes a checkpoint, if any.
        save_every: epochs between checkpoints.
        save_every_updates: updates between checkpoints; 0 for epochs only.
        identity: what else must be the same for a checkpoint to fit (validation rows, classes).
        rules: what else may end the run after an epoch.
        gradient: the norm of the gradient of all training rows, where a rule needs it.
        finish: turns the states of training into those of the model, if anything does.
    """

    job: Job
    validate: Callable[[Array], dict[str, float]] | None = None
    stopping: EarlyStopping | None = None
    callbacks: Sequence[Callback] = ()
    display: Display = field(default_factory=Display)
    save: Callable[[Standing], None] | None = None
    save_every: int = 1
    save_every_updates: int = 0
    identity: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    finish: Finish | None = None
    rules: Sequence[Stopping] = ()
    gradient: Callable[[State], float] | None = None

    @cached_property
    def plateaus(self) -> dict[str, ReduceOnPlateau]:
        """The rates that fall when the loss no longer does, by the path of their settings."""
        return plateaus(self.job.recipe.optimizer, "optimizer.")

    def stop(self, step: int) -> int:
        """The next step at which the loop must look at the state; until there, nobody does."""
        per_epoch = self.job.steps_per_epoch
        spans: list[int] = []
        looks = (self.validate, self.stopping, self.callbacks, self.plateaus, self.rules)
        if any(looks):
            spans.append(per_epoch)
        if self.save:
            spans += [per_epoch * self.save_every, self.save_every_updates]
        ends = [(step // span + 1) * span for span in spans if span]
        return min([self.job.total_steps, *ends])


@dataclass(frozen=True)
class Standing:
    """Where a run stands between two steps: all that a checkpoint must hold.

    Attributes:
        state: parameters, optimiser slots, network states, step.
        history: finished epochs.
        best: the best epoch so far.
        loss_sum: weighted losses of the running epoch's batches, added up in order.
        weight_sum: their weights.
        seconds: training time so far, without compiling.
        ended: why no step can follow, if the executor says so.
    """

    state: State
    history: History = field(default_factory=History)
    best: Best = field(default_factory=Best)
    loss_sum: float = 0.0
    weight_sum: float = 0.0
    seconds: float = 0.0
    ended: str = ""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        standing: where.
        reason: ``epochs``, ``early stopping``, ``callback``, ``interrupted``, ``non-finite`` (in
            the step after the standing's) or ``checkpoint`` (it could not be written).
    """

    standing: Standing
    reason: str


class _Used(NamedTuple):
    """The arrays that a model would have."""

    parameters: Values
    states: Values


class Loop:
    """One run, from a standing to its end.

    Args:
        plan: what was asked for.
        executor: runs the steps.
        standing: where to begin.

    Attributes:
        compile_seconds: what preparing the executor took.
    """

    def __init__(self, plan: Plan, executor: Executor, standing: Standing) -> None:
        self.plan = plan
        self.executor = executor
        self.compile_seconds = 0.0
        self._start = standing
        self._step = standing.state.step
        self._ended = standing.ended
        self._history = History(standing.history.rows)
        self._best = standing.best
        self._sums = Sums(standing.loss_sum, standing.weight_sum)
        self._passed = 0.0
        self._exported: State | None = standing.state
        self._judged: _Used | None = None
        self._shares = self._shares_now()
        self._rate = self._rates()

    def run(self) -> Ended:
        """Train to the end; Ctrl-C ends after the running stretch of steps."""
        plan = self.plan
        try:
            plan.display.start(plan.job.epochs, "training")
            with interrupts() as interrupted:
                self.prepare()
                reason = self.advance(interrupted) or "epochs"
                ended = Ended(self.standing(last=plan.save is None), reason)
                if plan.save is not None:
                    plan.save(ended.standing)
                plan.display.finish(self.progress(), reason)
        finally:
            plan.display.close()
        return ended

    def standing(self, last: bool = False) -> Standing:
        """Where the run stands; the arrays are brought out of the executor.

        Args:
            last: no step will follow.
        """
        sums = self._sums
        return Standing(
            self._state(last), History(self._history.rows), self._best, sums.loss, sums.weight,
            self._seconds(), self._ended,
        )  # fmt: skip

    def _state(self, last: bool = False) -> State:
        """The state now, brought out once for everyone who asks."""
        if self._exported is None:
            self._exported = self.executor.state(last)
        return self._exported

    def _used(self) -> _Used:
        """What a model would use now: averages where there are any, with their own statistics."""
        if self._judged is None:
            state, plan = self._state(), self.plan
            parameters = plan.job.recipe.used(state.parameters, state.slots)
            finish = plan.finish if plan.job.recipe.average is not None else None
            states = finish(parameters, state.states) if finish else state.states
            self._judged = _Used(parameters, states)
        return self._judged

    def _outputs(self, x: Array | Chosen) -> Array:
        """The outputs for rows of the model that there would be now."""
        if self.plan.job.recipe.average is None or self.plan.finish is None:
            return self.executor.evaluate(x)
        return self.executor.evaluate(x, self._used().states)

    def prepare(self) -> None:
        """Make the executor ready for the first step."""
        began = time.perf_counter()
        self.executor.prepare(self._start.state)
        self.executor.load(self._start.state)
        self.executor.adjust(self._shares)
        self.compile_seconds = time.perf_counter() - began

    def advance(self, interrupted: threading.Event, until: int | None = None) -> str:
        """Train up to the end of an epoch, or to the end of the run.

        Args:
            interrupted: ends it after the running stretch of steps.
            until: the epoch, None for the last one.

        Returns:
            Why no step should follow; empty where an epoch before the last one was reached.
        """
        job = self.plan.job
        epochs = job.epochs if until is None else min(until, job.epochs)
        reason = self._reason_to_stop() if self._step % job.steps_per_epoch == 0 else ""
        reason = reason or self._ended
        began = time.perf_counter()
        before = self._passed
        while not reason and self._step < epochs * job.steps_per_epoch:
            reason = self._piece(epochs * job.steps_per_epoch)
            self._passed = before + time.perf_counter() - began
            self.plan.display.update(self.progress())
            if interrupted.is_set() and self._step < job.total_steps:
                reason = reason or "interrupted"
        if not reason and self._step == job.total_steps:
            return "epochs"
        return reason

    def _piece(self, last: int) -> str:
        """A stretch of steps and what follows it; gives why no other should follow."""
        stretch = self._stretch(last)
        for sums in stretch.epochs:
            self._finish_epoch(sums)
        if stretch.failed:
            return "non-finite"
        self._checkpoint()
        reason = (self._call_back() or self._reason_to_stop()) if stretch.epochs else ""
        return reason or self._ended

    def _stretch(self, last: int) -> Stretch:
        steps = range(self._step, min(last, self.plan.stop(self._step)))
        stretch = self.executor.run(steps, self._sums, _STRETCH_SECONDS)
        if stretch.steps:
            self._exported = self._judged = None
        self._step += stretch.steps
        self._ended = stretch.ended
        self._sums = stretch.sums
        return stretch

    def _finish_epoch(self, sums: Sums) -> None:
        plan, number = self.plan, len(self._history.rows) + 1
        values = {"train_loss": sums.mean}
        if plan.validate is not None and plan.job.held_out is not None:
            values |= plan.validate(self._outputs(plan.job.held_out.x))
        values["learning_rate"] = self._rate(number * plan.job.steps_per_epoch - 1, self._shares)
        if plan.gradient is not None:
            values[GRADIENT_NORM] = plan.gradient(self._state())
        self._history.append(values)
        if plan.plateaus:
            self._shares = self._shares_now()
            self.executor.adjust(self._shares)
        monitored = values.get("validation_loss", values["train_loss"])
        if plan.stopping is not None and self._best.falls(monitored, plan.stopping.min_delta):
            self._best = Best(number, monitored, *self._used())
        plan.display.epoch(self.progress())

    def _call_back(self) -> str:
        """Tell the callbacks of the finished epoch, after its checkpoint is written."""
        if not self.plan.callbacks:
            return ""
        rows = self._history.rows
        parameters, states = (
            {path: _read_only(value) for path, value in group.items()} for group in self._used()
        )
        event = Epoch(len(rows), rows[-1], parameters, self._step, states)
        wishes = [callback(event) for callback in self.plan.callbacks]
        stops = any(isinstance(wish, (bool, np.bool_)) and wish for wish in wishes)
        return "callback" if stops else ""

    def _reason_to_stop(self) -> str:
        stopping, epochs = self.plan.stopping, len(self._history.rows)
        if not epochs:
            return ""
        for rule in self.plan.rules:
            if reason := rule.reason(self._history):
                return reason
        if stopping is None:
            return ""
        return "early stopping" if epochs - self._best.epoch >= stopping.patience else ""

    def _rates(self) -> Callable[[int, Mapping[str, float]], float]:
        """The learning rate of the update that a step belongs to, by its number and the shares.

        The function does not hold the loop, so that the loop's memory is free when it is done.
        """
        job = self.plan.job
        optimizer, count = job.recipe.optimizer, job.recipe.accumulate
        lengths = job.total_steps, job.steps_per_epoch
        settings = settings_of(optimizer, "optimizer.")
        key = ("rate", structure_of(optimizer), count, *lengths)
        rate = job.programs.once(key, lambda: TracedRate(optimizer, count, lengths))
        known: dict[tuple[float, ...], float] = {}

        def rate_of(step: int, shares: Mapping[str, float]) -> float:
            numbers = tuple(map(float, {**settings, **shares}.values()))
            if rate.is_constant and numbers in known:
                return known[numbers]
            known.clear()
            known[numbers] = found = rate(step, numbers)
            return found

        return rate_of

    def _shares_now(self) -> dict[str, float]:
        """The settings of rates that wait for the loss: a function of the history alone."""
        return {
            f"{path}.share": rule.share_after([rule.monitored(row) for row in self._history.rows])
            for path, rule in self.plan.plateaus.items()
        }

    def _checkpoint(self) -> None:
        plan, step = self.plan, self._step
        if plan.save is None:
            return
        spans = (plan.job.steps_per_epoch * plan.save_every, plan.save_every_updates)
        if any(span and step % span == 0 for span in spans):
            plan.save(self.standing())

    def _seconds(self) -> float:
        return self._start.seconds + self._passed

    def progress(self) -> Progress:
        """Where the run stands, for a display."""
        job, step, rows = self.plan.job, self._step, self._history.rows
        total, done, seconds = job.total_steps, step - self._start.state.step, self._seconds()
        passed = seconds - self._start.seconds
        latest = rows[-1] if rows else {}
        loss = self._sums.mean if self._sums.weight else latest.get("train_loss", math.nan)
        return Progress(
            len(rows), job.epochs, step, total, loss, latest, self._best.epoch, seconds,
            passed / done * (total - step) if done else math.nan,
        )  # fmt: skip


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@contextmanager
def interrupts() -> Generator[threading.Event]:
    """Ctrl-C sets the event; a second Ctrl-C raises KeyboardInterrupt as usual."""
    event = threading.Event()
    elsewhere = threading.current_thread() is not threading.main_thread()
    if elsewhere or signal.getsignal(signal.SIGINT) in {signal.SIG_IGN, None}:
        yield event
        return

    def note(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    former = signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, former)
