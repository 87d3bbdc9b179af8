"""The loop around the step: epochs, validation, stopping, checkpoints, Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

import numpy as np

from thalweg.descriptions import Plain
from thalweg.graph import Array
from thalweg.ops.random import key_from_seed, permutation
from thalweg.optim.schedules import rate_at
from thalweg.training.executor import Executor, Rows
from thalweg.training.history import Callback, Display, Epoch, History, Progress
from thalweg.training.step import Batch, Recipe, Run, State
from thalweg.training.stopping import Best, EarlyStopping

SHUFFLE, DROPOUT = 1, 2
"""Sites of the two random streams of a run."""

_STRETCH_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """A run as it was asked for.

    Attributes:
        recipe: network, loss, optimiser, clipping.
        rows: training rows.
        validate: state to the validation numbers of an epoch (``validation_loss``, …), if any.
        epochs: how many at most.
        batch_size: rows of a batch; the last batch of an epoch may be shorter.
        seed: of shuffling and dropout.
        shuffle: whether rows are taken in a new random order in each epoch.
        stopping: early stopping, if any.
        callbacks: called after each epoch.
        display: what shows progress.
        save: writes a checkpoint, if any.
        save_every: epochs between checkpoints.
        save_every_updates: updates between checkpoints; 0 for epochs only.
        identity: what else must be the same for a checkpoint to fit (validation rows, classes).
    """

    recipe: Recipe
    rows: Rows
    validate: Callable[[State], dict[str, float]] | None
    epochs: int
    batch_size: int
    seed: int
    shuffle: bool = True
    stopping: EarlyStopping | None = None
    callbacks: Sequence[Callback] = ()
    display: Display = field(default_factory=Display)
    save: Callable[[Standing], None] | None = None
    save_every: int = 1
    save_every_updates: int = 0
    identity: Mapping[str, Plain] = field(default_factory=dict[str, Plain])

    @property
    def steps_per_epoch(self) -> int:
        """Updates of one epoch."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def run(self) -> Run:
        """The numbers that steps read."""
        key = key_from_seed(self.seed, DROPOUT)
        return Run(key, self.epochs * self.steps_per_epoch, self.steps_per_epoch)


@dataclass(frozen=True)
class Standing:
    """Where a run stands between two steps: all that a checkpoint must hold.

    Attributes:
        state: parameters, optimiser slots, network states, step.
        history: finished epochs.
        best: the best epoch so far.
        loss_sum: weighted losses of the running epoch's batches, added up in order.
        weight_sum: their weights.
        seconds: training time so far.
    """

    state: State
    history: History = field(default_factory=History)
    best: Best = field(default_factory=Best)
    loss_sum: float = 0.0
    weight_sum: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        standing: where.
        reason: ``epochs``, ``early stopping``, ``callback``, ``interrupted``, ``non-finite`` or
            ``checkpoint`` (it could not be written).
        failed: the batch at which a value was not finite.
    """

    standing: Standing
    reason: str
    failed: Batch | None = None


class Loop:
    """One run, from a standing to its end.

    Args:
        plan: what was asked for.
        executor: runs the steps.
        standing: where to begin.
    """

    def __init__(self, plan: Plan, executor: Executor, standing: Standing) -> None:
        self.plan = plan
        self.executor = executor
        self.standing = standing
        self._began = time.perf_counter()
        self._before = standing.seconds
        self._steps_before = standing.state.step
        self._order: tuple[int, Array] | None = None

    def run(self) -> Ended:
        """Train to the end; Ctrl-C ends after the running step."""
        plan = self.plan
        try:
            plan.display.start(plan.epochs, "training")
            with _interrupts() as interrupted:
                ended = self._train(interrupted)
                if plan.save is not None:
                    plan.save(self.standing)
                plan.display.finish(self.progress(), ended.reason)
        finally:
            plan.display.close()
        return ended

    def _train(self, interrupted: threading.Event) -> Ended:
        total = self.plan.run.total_steps
        reason = self._reason_to_stop() if self._at_epoch_start() else ""
        while not reason and self.standing.state.step < total:
            failed = self._stretch()
            if failed is not None:
                return Ended(self.standing, "non-finite", failed)
            finished = self._at_epoch_start()
            if finished:
                reason = self._finish_epoch()
            self._checkpoint(finished)
            if finished:
                reason = self._call_back() or reason
            self.plan.display.update(self.progress())
            if interrupted.is_set():
                reason = reason or "interrupted"
        return Ended(self.standing, reason or "epochs")

    def _at_epoch_start(self) -> bool:
        step = self.standing.state.step
        return step > 0 and step % self.plan.steps_per_epoch == 0

    def _stretch(self) -> Batch | None:
        """Run some steps of the running epoch; gives the batch that failed, if one did."""
        plan, standing = self.plan, self.standing
        epoch, within = divmod(standing.state.step, plan.steps_per_epoch)
        last = plan.steps_per_epoch
        if plan.save_every_updates:
            rest = standing.state.step % plan.save_every_updates
            last = min(last, within + plan.save_every_updates - rest)
        starts = range(within * plan.batch_size, last * plan.batch_size, plan.batch_size)
        starts = range(starts.start, min(starts.stop, len(plan.rows)), starts.step)
        order = self._order_of(epoch)
        stretch = self.executor.run(
            standing.state, order, starts, _STRETCH_SECONDS, plan.batch_size
        )
        loss_sum, weight_sum = standing.loss_sum, standing.weight_sum
        for start, loss in zip(starts, stretch.losses, strict=False):
            weight = self._weight(order[start : start + plan.batch_size])
            loss_sum += loss * weight
            weight_sum += weight
        self.standing = replace(
            standing,
            state=stretch.state,
            loss_sum=loss_sum,
            weight_sum=weight_sum,
            seconds=self._seconds(),
        )
        return stretch.failed

    def _order_of(self, epoch: int) -> Array:
        """The order of the rows in an epoch: it depends on the seed and the epoch alone."""
        if self._order is None or self._order[0] != epoch:
            count = len(self.plan.rows)
            key = key_from_seed(self.plan.seed, SHUFFLE, epoch)
            order = permutation(key, count) if self.plan.shuffle else np.arange(count)
            self._order = epoch, order
        return self._order[1]

    def _weight(self, places: Array) -> float:
        weights = self.plan.rows.weights
        return float(len(places)) if weights is None else float(np.sum(weights[places]))

    def _finish_epoch(self) -> str:
        plan, standing = self.plan, self.standing
        state = standing.state
        values = {"train_loss": standing.loss_sum / (standing.weight_sum or 1.0)}
        if plan.validate is not None:
            values |= plan.validate(state)
        values["learning_rate"] = self._learning_rate(state.step - 1)
        history = History(standing.history.rows)
        history.append(values)
        number = len(history.rows)
        monitored = values.get("validation_loss", values["train_loss"])
        best = standing.best
        if plan.stopping is not None:
            best = best.after(
                number, monitored, plan.stopping.min_delta, state.parameters, state.states
            )
        self.standing = replace(
            standing, history=history, best=best, loss_sum=0.0, weight_sum=0.0,
            seconds=self._seconds(),
        )  # fmt: skip
        plan.display.epoch(self.progress())
        return self._reason_to_stop()

    def _call_back(self) -> str:
        """Tell the callbacks of the finished epoch, after its checkpoint is written."""
        plan, state = self.plan, self.standing.state
        rows = self.standing.history.rows
        shown = {path: _read_only(value) for path, value in state.parameters.items()}
        event = Epoch(len(rows), rows[-1], shown, state.step)
        wishes = [callback(event) for callback in plan.callbacks]
        stops = any(isinstance(wish, (bool, np.bool_)) and wish for wish in wishes)
        return "callback" if stops else ""

    def _reason_to_stop(self) -> str:
        stopping, standing = self.plan.stopping, self.standing
        if stopping is None or not standing.history.rows:
            return ""
        waited = len(standing.history.rows) - standing.best.epoch
        return "early stopping" if waited >= stopping.patience else ""

    def _learning_rate(self, step: int) -> float:
        run = self.plan.run
        rate = self.plan.recipe.optimizer.learning_rate
        return float(rate_at(rate, step, run.total_steps, run.steps_per_epoch))

    def _checkpoint(self, finished_epoch: bool) -> None:
        plan, step = self.plan, self.standing.state.step
        if plan.save is None:
            return
        by_epoch = finished_epoch and len(self.standing.history.rows) % plan.save_every == 0
        if by_epoch or (plan.save_every_updates and step % plan.save_every_updates == 0):
            plan.save(self.standing)

    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._began

    def progress(self) -> Progress:
        """Where the run stands, for a display."""
        plan, standing = self.plan, self.standing
        step, total = standing.state.step, plan.run.total_steps
        done = step - self._steps_before
        passed = time.perf_counter() - self._began
        left = passed / done * (total - step) if done else math.nan
        rows = standing.history.rows
        latest = rows[-1] if rows else {}
        loss = standing.loss_sum / standing.weight_sum if standing.weight_sum else math.nan
        if math.isnan(loss):
            loss = latest.get("train_loss", math.nan)
        return Progress(
            len(rows), plan.epochs, step, total, loss, latest, standing.best.epoch,
            self._seconds(), left,
        )  # fmt: skip


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@contextmanager
def _interrupts() -> Generator[threading.Event]:
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
