"""Running steps: what any backend offers the training loop, and the interpreter's way."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.descriptions import structure_of
from thalweg.graph import Array
from thalweg.model.forward import Forward, Ready
from thalweg.training.job import Chosen, Job
from thalweg.training.recipe import Values
from thalweg.training.step import Batch, Outcome, State


class Sums(NamedTuple):
    """The losses of an epoch's batches so far, added up in order in float64.

    Attributes:
        loss: Σ weight·loss over the batches.
        weight: Σ weight.
    """

    loss: float = 0.0
    weight: float = 0.0

    def plus(self, losses: Sequence[float], weights: Sequence[float]) -> Sums:
        """With more batches, one after the other."""
        loss_sum, weight_sum = self
        for loss, weight in zip(losses, weights, strict=True):
            loss_sum += loss * weight
            weight_sum += weight
        return Sums(loss_sum, weight_sum)

    @property
    def mean(self) -> float:
        """The weighted mean loss; 0 where nothing has weight."""
        return self.loss / (self.weight or 1.0)


class Stretch(NamedTuple):
    """What a stretch of consecutive steps gave.

    Attributes:
        steps: good steps done, ≥ 1 unless it failed.
        epochs: the sums of each epoch that ended within, in order.
        sums: of the running epoch, from its first batch on.
        failed: whether a value of the next step was not finite; that step is undone.
        ended: why no step should follow, if so.
    """

    steps: int
    epochs: tuple[Sums, ...]
    sums: Sums
    failed: bool = False
    ended: str = ""


def gathered(
    job: Job, first: int, losses: Sequence[float] | Array, sums: Sums, failed: bool = False
) -> Stretch:
    """A stretch from the mean losses of its batches; bit for bit the same however it is cut.

    Args:
        job: gives the batches' weights.
        first: number of the first step.
        losses: of the good steps, in order.
        sums: of the running epoch before them.
        failed: whether the step after them failed.
    """
    epochs: list[Sums] = []
    begin, end = first, first + len(losses)
    begins = first % job.steps_per_epoch == 0 and sums == Sums()
    if begins and len(losses) >= _MANY and job.rows.weights is None:
        epochs = _whole_epochs(job, np.asarray(losses, np.float64))
        begin += len(epochs) * job.steps_per_epoch
    rest: list[float] = np.asarray(losses[begin - first :], np.float64).tolist()
    while begin < end:
        after = min(end, (begin // job.steps_per_epoch + 1) * job.steps_per_epoch)
        part = rest[len(rest) - (end - begin) : len(rest) - (end - after)]
        sums = sums.plus(part, job.weights(range(begin, after)))
        if after % job.steps_per_epoch == 0:
            epochs.append(sums)
            sums = Sums()
        begin = after
    return Stretch(end - first, tuple(epochs), sums, failed)


_MANY = 64
"""Losses from which on NumPy adds them up faster."""


def _whole_epochs(job: Job, losses: Array) -> list[Sums]:
    """The sums of all epochs that lie in a stretch from its first step on."""
    length = job.steps_per_epoch
    count = len(losses) // length
    weights = np.array(job.weights(range(length)))
    with np.errstate(all="ignore"):
        parts = losses[: count * length].reshape(count, length) * weights
        totals = np.add.accumulate(parts, axis=1)[:, -1] + 0.0  # in order; no sum is -0
    return [Sums(total, float(weights.sum())) for total in totals.tolist()]


class Executor(Protocol):
    """Runs the steps of one :class:`Job`. The arrays of the run live inside, in its own form."""

    def prepare(self, state: State) -> None:
        """Trace and compile all that the run needs.

        Args:
            state: gives names, shapes and types; its numbers may change until :meth:`load`.
        """
        ...

    def load(self, state: State) -> None:
        """Go on from this state; its arrays are copied, or never written to.

        An executor with memory of its own puts its arrays in the place of the state's, so that
        large ones are not held twice.
        """
        ...

    def run(self, steps: range, sums: Sums, seconds: float) -> Stretch:
        """Run steps, as many as fit in the time: at least one, and never beyond the range.

        Args:
            steps: numbers of steps (from 0 over the whole run) that may be run; it begins at the
                step of the state, is not empty, and may span several epochs.
            sums: of the running epoch so far, which the stretch goes on adding to.
            seconds: about how long.
        """
        ...

    def adjust(self, settings: Mapping[str, float]) -> None:
        """Change numeric settings for later steps, by path; nothing is compiled again."""
        ...

    def state(self, last: bool = False) -> State:
        """The state after the last good step, in arrays that later steps leave alone.

        Args:
            last: no step will follow, so arrays need not be copied.
        """
        ...

    def evaluate(self, x: Array | Chosen, states: Values | None = None) -> Array:
        """The network's outputs for rows, with the parameters that a model would use now.

        Args:
            x: rows.
            states: of the network, in place of those of the run.
        """
        ...


class InterpreterExecutor:
    """Steps run one by one with NumPy.

    Args:
        job: what is trained.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._interpreters: dict[int, Interpreter] = {}
        network = job.recipe.network
        key = ("forward", "interpreter", structure_of(network))
        self._forward = Forward(network, ready=job.programs.once(key, Ready))
        self._state: State | None = None

    def prepare(self, state: State) -> None:
        """Trace the step for each length of a batch."""
        for length in self.job.lengths:
            graph = self.job.graph(state, length).graph
            key = ("interpreter", id(graph))
            made = self.job.programs.once(key, partial(Interpreter, graph), graph)
            self._interpreters[length] = made

    def load(self, state: State) -> None:
        """Go on from this state, which is never written to."""
        self._state = state

    def adjust(self, settings: Mapping[str, float]) -> None:
        """Change numeric settings for later steps, by path."""
        self.job.adjust(settings)

    def state(self, last: bool = False) -> State:
        """The state after the last good step.

        Raises:
            RuntimeError: no state was loaded.
        """
        if self._state is None:
            raise RuntimeError("no state yet: call load() first")
        return self._state

    def run(self, steps: range, sums: Sums, seconds: float) -> Stretch:
        """Run steps until the time is used up; at least one."""
        deadline = time.perf_counter() + seconds
        losses: list[float] = []
        failed = False
        for step in steps:
            outcome = self._step(self.job.batch(step))
            failed = not np.isfinite(outcome.probe)
            if failed:
                break
            self._state = outcome.state
            losses.append(outcome.loss)
            if time.perf_counter() >= deadline:
                break
        return gathered(self.job, steps.start, losses, sums, failed)

    def _step(self, batch: Batch) -> Outcome:
        state, length = self.state(), len(batch.x)
        graph = self.job.graph(state, length)
        results = self._interpreters[length].run(graph.arguments(state, batch, self.job.run))
        return graph.outcome(results, state.step)

    def evaluate(self, x: Array | Chosen, states: Values | None = None) -> Array:
        """The network's outputs for rows."""
        state = self.state()
        used = self.job.recipe.used(state.parameters, state.slots)
        return self._forward(used, state.states if states is None else states, x)
