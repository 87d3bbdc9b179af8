"""Running steps: the interpreter's executor, and what any executor offers the training loop."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.graph import Array
from thalweg.training.step import Batch, Outcome, Recipe, Run, State, StepGraph


class Rows(NamedTuple):
    """The training rows: inputs, targets and (where given) weights, in the user's own order."""

    x: Array
    y: Array
    weights: Array | None

    def take(self, places: Array) -> Batch:
        """The rows at these places."""
        weights = None if self.weights is None else self.weights[places]
        return Batch(self.x[places], self.y[places], weights)

    def __len__(self) -> int:
        return len(self.x)


class Stretch(NamedTuple):
    """What a stretch of consecutive steps gave.

    Attributes:
        state: after the last good step.
        losses: the mean loss of each batch.
        failed: the batch at which a value was not finite, if any; its step is undone.
    """

    state: State
    losses: list[float]
    failed: Batch | None


class Executor(Protocol):
    """Runs steps of one recipe over one set of rows."""

    def run(
        self, state: State, order: Array, starts: range, seconds: float, batch_size: int
    ) -> Stretch:
        """Run the steps whose batches start at ``order[start]``, until the time is used up."""
        ...


class InterpreterExecutor:
    """Steps run one by one with NumPy.

    Args:
        recipe: network, loss, optimiser, clipping.
        rows: training rows.
        run: the run's key and lengths.
    """

    def __init__(self, recipe: Recipe, rows: Rows, run: Run) -> None:
        self.recipe = recipe
        self.rows = rows
        self.numbers = run
        self._graphs: dict[int, tuple[StepGraph, Interpreter]] = {}

    def graph(self, state: State, batch: Batch) -> tuple[StepGraph, Interpreter]:
        """The step for a batch of this length; traced once for each length."""
        size = len(batch.x)
        if size not in self._graphs:
            step = StepGraph(self.recipe, state, batch)
            self._graphs[size] = step, Interpreter(step.graph)
        return self._graphs[size]

    def step(self, state: State, batch: Batch) -> Outcome:
        """One step."""
        graph, interpreter = self.graph(state, batch)
        results = interpreter.run(graph.arguments(state, batch, self.numbers))
        return graph.outcome(results, state.step)

    def run(
        self, state: State, order: Array, starts: range, seconds: float, batch_size: int
    ) -> Stretch:
        """Run steps until the time is used up; at least one."""
        deadline = time.perf_counter() + seconds
        losses: list[float] = []
        for start in starts:
            batch = self.rows.take(order[start : start + batch_size])
            outcome = self.step(state, batch)
            if not np.isfinite(outcome.probe):
                return Stretch(state, losses, batch)
            state = outcome.state
            losses.append(outcome.loss)
            if time.perf_counter() >= deadline:
                break
        return Stretch(state, losses, None)
