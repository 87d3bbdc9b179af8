"""The risk of all training rows at once, with its gradient: for methods without mini-batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thalweg.autodiff.transforms import value_and_grad
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.errors import SettingError
from thalweg.graph import Array, Graph, Tensor, as_tensor, trace_flat, type_of
from thalweg.ops.random import key_from_seed
from thalweg.optim.optimizers import Moment
from thalweg.training.job import DROPOUT, Job
from thalweg.training.learner import Given, Learner, Stage
from thalweg.training.recipe import Values
from thalweg.training.step import Batch, State

BLOCK = 4096
"""Rows of one evaluation; all of them where the network has states, which depend on the batch."""

RUNNERS: dict[str, Callable[[Graph], Callable[..., list[Array]]]] = {
    "native": NativeProgram,
    "interpreter": Interpreter,
}


class Whole(NamedTuple):
    """What all training rows give.

    Attributes:
        risk: mean loss + penalty.
        loss: the mean loss.
        gradients: of the risk, by path of the trained parameters.
        states: the network's states afterwards.
    """

    risk: float
    loss: float
    gradients: Values
    states: Values


class FullBatch:
    """The risk of a job's training rows as a function of the parameters.

    Args:
        job: gives the recipe and the rows.
        backend: what runs the programs.

    Raises:
        SettingError: the network draws random numbers, so that the risk is no function.
    """

    def __init__(self, job: Job, backend: str = "native") -> None:
        self.job = job
        self._runner = RUNNERS[backend]
        self._programs: dict[int, Callable[..., list[Array]]] = {}
        self._settings = list(job.recipe.settings().values())
        self._key = key_from_seed(job.seed, DROPOUT)

    def __call__(self, parameters: Values, states: Values) -> Whole:
        """Risk, loss, gradients and states."""
        rows = self.job.rows
        block = len(rows) if states else min(BLOCK, len(rows))
        trained = [path for path in parameters if not self.job.recipe.is_frozen(path)]
        sums = [np.zeros(()), np.zeros(())]
        sums += [np.zeros(parameters[path].shape, np.float64) for path in trained]
        total, found = 0.0, list[Array]()
        for start in range(0, len(rows), block):
            batch = rows.take(np.arange(start, min(start + block, len(rows))))
            found = self._run(parameters, states, batch)
            share = float(len(batch.x) if batch.weights is None else np.sum(batch.weights))
            sums = [held + share * value for held, value in zip(sums, found, strict=False)]
            total += share
        risk, loss, *gradients = (held / (total or 1.0) for held in sums)
        named = dict(zip(trained, gradients, strict=True))
        after = dict(zip(states, found[2 + len(trained) :], strict=True))
        return Whole(float(risk), float(loss), named, after)

    def _run(self, parameters: Values, states: Values, batch: Batch) -> list[Array]:
        given = [array for array in batch if array is not None]
        arrays = [*parameters.values(), *states.values(), *self._settings, *given, self._key]
        length = len(batch.x)
        if length not in self._programs:
            types = [type_of(np.asarray(array)) for array in arrays]
            names = [*parameters, *states, *self.job.recipe.settings()]
            names += [*("x", "y", "weights")[: len(given)], "key"]
            traced = self._traced(list(parameters), list(states))
            graph = optimise(trace_flat(traced, types, names)[0]).graph
            _refuse_random(graph)
            self._programs[length] = self._runner(graph)
        return self._programs[length](*arrays)

    def _traced(self, parameters: list[str], states: list[str]) -> Callable[..., list[Tensor]]:
        recipe = self.job.recipe

        def risk(*inputs: Tensor) -> list[Tensor]:
            feed = iter(inputs)
            values = {path: next(feed) for path in parameters}
            kept = {path: next(feed) for path in states}
            numbers = {path: next(feed) for path in recipe.settings()}
            *batch, key = feed
            given = Given(batch[0], batch[1], batch[2] if len(batch) > 2 else None)
            learner = Learner(recipe.with_settings(numbers))
            stage = Stage(values, {}, Moment(as_tensor(np.int64(0))))
            objective = learner.objective(stage, given, kept, key)
            trained = {path: v for path, v in values.items() if not recipe.is_frozen(path)}
            (total, (loss, after)), slopes = value_and_grad(objective, has_aux=True)(trained)
            return [total, loss, *(slopes[path] for path in trained), *(after[p] for p in states)]

        return risk


def gradient_norm(job: Job, backend: str) -> Callable[[State], float]:
    """The norm of the gradient of the risk of all training rows, as a function of a state."""
    risk = FullBatch(job, backend)

    def norm(state: State) -> float:
        found = risk(state.parameters, state.states)
        return float(np.sqrt(sum(np.sum(np.square(g)) for g in found.gradients.values())))

    return norm


def _refuse_random(graph: Graph) -> None:
    key = graph.inputs[-1]
    for node in graph.nodes:
        if node.source is not None and any(item is key for item in node.source.inputs):
            raise SettingError(
                "the network draws random numbers (dropout or noise), so that its risk changes "
                "from one evaluation to the next; leave these layers out"
            )
