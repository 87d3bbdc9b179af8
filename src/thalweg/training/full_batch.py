"""The risk of all training rows at once, with its gradient: for methods without mini-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from thalweg.training.recipe import Recipe, Values
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
        self._graphs: dict[int, Graph] = {}
        self._programs: dict[int, Callable[..., list[Array]]] = {}
        self._settings = list(job.recipe.settings().values())
        self._key = key_from_seed(job.seed, DROPOUT)

    def __call__(self, parameters: Values, states: Values) -> Whole:
        """Risk, loss, gradients and states."""
        trained = [path for path in parameters if not self.job.recipe.is_frozen(path)]
        sums = [np.zeros(()), np.zeros(())]
        sums += [np.zeros(parameters[path].shape, np.float64) for path in trained]
        total, found = 0.0, list[Array]()
        for batch in self.batches(states):
            found = self._run(parameters, states, batch)
            share = float(len(batch.x) if batch.weights is None else np.sum(batch.weights))
            with np.errstate(over="ignore", invalid="ignore"):
                sums = [held + share * value for held, value in zip(sums, found, strict=False)]
            total += share
        risk, loss, *gradients = (held / (total or 1.0) for held in sums)
        named = dict(zip(trained, gradients, strict=True))
        after = dict(zip(states, found[2 + len(trained) :], strict=True))
        return Whole(float(risk), float(loss), named, after)

    def batches(self, states: Values) -> Iterator[Batch]:
        """All rows, as few at a time as the network allows."""
        rows = self.job.rows
        block = len(rows) if states else min(BLOCK, len(rows))
        for start in range(0, len(rows), block):
            yield rows.take(np.arange(start, min(start + block, len(rows))))

    def graph(self, parameters: Values, states: Values, batch: Batch) -> Graph:
        """What is computed of a batch, as traced; once for each length.

        Raises:
            SettingError: the risk is no function, for random numbers are drawn.
        """
        length = len(batch.x)
        if length not in self._graphs:
            arrays = self.arguments(parameters, states, batch)
            types = [type_of(np.asarray(array)) for array in arrays]
            names = [*parameters, *states, *self.job.recipe.settings(), *_names(batch), "key"]
            traced = self._traced(list(parameters), list(states))
            graph, _ = trace_flat(traced, types, names)
            _refuse_random(graph, self.job.recipe)
            self._graphs[length] = graph
        return self._graphs[length]

    def arguments(self, parameters: Values, states: Values, batch: Batch) -> list[Array]:
        """The arrays of a batch's graph, in its order."""
        given = [array for array in batch if array is not None]
        return [*parameters.values(), *states.values(), *self._settings, *given, self._key]

    def _run(self, parameters: Values, states: Values, batch: Batch) -> list[Array]:
        length = len(batch.x)
        if length not in self._programs:
            graph = self.graph(parameters, states, batch)
            self._programs[length] = self._runner(optimise(graph).graph)
        return self._programs[length](*self.arguments(parameters, states, batch))

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


def gradient_norm(
    job: Job, backend: str, parameters: Values, states: Values
) -> Callable[[State], float]:
    """The norm of the gradient of the risk of all training rows, as a function of a state.

    Args:
        job: gives the recipe and the rows.
        backend: what runs the programs.
        parameters: to begin with.
        states: to begin with.

    Raises:
        SettingError: random numbers are drawn, so that the risk is no function.
    """
    risk = FullBatch(job, backend)
    risk.graph(parameters, states, next(risk.batches(states)))

    def norm(state: State) -> float:
        found = risk(state.parameters, state.states)
        return float(np.sqrt(sum(np.sum(np.square(g)) for g in found.gradients.values())))

    return norm


def _names(batch: Batch) -> list[str]:
    return [name for name, array in zip(batch._fields, batch, strict=True) if array is not None]


def _refuse_random(graph: Graph, recipe: Recipe) -> None:
    key = graph.inputs[-1]
    used = (node.source.inputs for node in graph.nodes if node.source is not None)
    if not any(item is key for inputs in used for item in inputs):
        return
    reason, remedy = "the network draws random numbers (dropout or noise)", "leave these layers out"
    if recipe.augmentation is not None:
        reason = f"augment = {recipe.augmentation!r} changes the rows at random"
        remedy = "leave it out, or the rule that needs the gradient of all rows"
    raise SettingError(
        f"{reason}, so that the risk changes from one evaluation to the next; {remedy}"
    )
