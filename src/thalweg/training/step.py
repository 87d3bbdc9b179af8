"""The training step as one graph: loss, gradients, clipping, update, all hyperparameters inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.autodiff.transforms import value_and_grad
from thalweg.compiler.passes.pipeline import optimise
from thalweg.graph import (
    DTYPES,
    Array,
    Graph,
    Shape,
    Tensor,
    TensorType,
    as_tensor,
    labelled,
    trace_flat,
)
from thalweg.ops.functions import astype, fold_in
from thalweg.optim.accumulation import group_of
from thalweg.optim.optimizers import Moment
from thalweg.training.learner import Given, Learner, Stage, nested_slots
from thalweg.training.programs import Programs
from thalweg.training.recipe import Recipe, Values


class State(NamedTuple):
    """Everything that a step changes: one consistent moment of a run.

    Attributes:
        parameters: trained arrays by path.
        slots: the optimiser's arrays, by ``slot/path``.
        states: the network's other arrays (running statistics) by path.
        step: updates done.
    """

    parameters: Values
    slots: Values
    states: Values
    step: int


class Batch(NamedTuple):
    """Rows of inputs, targets and (where given) weights."""

    x: Array
    y: Array
    weights: Array | None = None


class Run(NamedTuple):
    """The numbers of a run that a step reads: its key and its lengths."""

    key: Array
    total_steps: int
    steps_per_epoch: int


class Outcome(NamedTuple):
    """What one step gives: the new state, the batch's mean loss, and 0, or NaN if not finite."""

    state: State
    loss: float
    probe: float


_Kind = tuple[Shape, np.dtype[Any]]

_INTEGER: _Kind = ((), DTYPES["int64"])
_NUMBER: _Kind = ((), DTYPES["float64"])
_KEY: _Kind = ((2,), DTYPES["uint32"])


class StepGraph:
    """A traced and optimised step for one batch shape, with its inputs and outputs in order.

    Args:
        recipe: network, loss, optimiser, clipping.
        state: gives names, shapes and types.
        batch: gives the batch's shape and types.
        programs: where steps of the same structure share their trace.

    Attributes:
        numbers: the numeric settings by path, in the order of the inputs.
    """

    def __init__(
        self, recipe: Recipe, state: State, batch: Batch, programs: Programs | None = None
    ) -> None:
        self.recipe = recipe
        self.numbers = recipe.numbers()
        self._groups: dict[str, list[str]] = {
            "parameters": list(state.parameters),
            "slots": list(state.slots),
            "states": list(state.states),
            "settings": list(self.numbers),
        }
        names, types = self._signature(state, batch)
        self._has_weights = batch.weights is not None
        key = ("step", recipe.structure, names, types, self._has_weights)
        shared = programs or Programs()
        self.traced, self.graph = shared.once(key, lambda: self._made(types, names))

    def _made(self, types: Sequence[_Kind], names: Sequence[str]) -> tuple[Graph, Graph]:
        traced, _ = trace_flat(self._step, [TensorType(*type_) for type_ in types], names)
        return traced, optimise(traced).graph

    def _signature(self, state: State, batch: Batch) -> tuple[tuple[str, ...], tuple[_Kind, ...]]:
        rows = {"x": batch.x, "y": batch.y, "weights": batch.weights}
        given = {name: array for name, array in rows.items() if array is not None}
        groups = (state.parameters, state.slots, state.states)
        names = [name for group in groups for name in group]
        names += [*self.numbers, "step", "total_steps", "steps_per_epoch", "key", *given]
        types = [(array.shape, array.dtype) for group in groups for array in group.values()]
        types += [_NUMBER] * len(self.numbers) + [_INTEGER] * 3 + [_KEY]
        types += [(array.shape, array.dtype) for array in given.values()]
        return tuple(names), tuple(types)

    def adjust(self, settings: Mapping[str, float]) -> None:
        """Change numeric settings for later steps, by path."""
        self.numbers.update(settings)

    @property
    def settings(self) -> tuple[str, ...]:
        """The paths of the numeric settings, in the order of the inputs."""
        return tuple(self.numbers)

    def arguments(self, state: State, batch: Batch, run: Run) -> list[Array]:
        """The arrays of one step in the graph's order."""
        numbers = (state.step, run.total_steps, run.steps_per_epoch)
        return [
            *state.parameters.values(),
            *state.slots.values(),
            *state.states.values(),
            *(np.asarray(number, np.float64) for number in self.numbers.values()),
            *(np.asarray(number, np.int64) for number in numbers),
            run.key,
            batch.x,
            batch.y,
            *(() if batch.weights is None else (batch.weights,)),
        ]

    def outcome(self, results: list[Array], step: int) -> Outcome:
        """The results of running the graph, named again."""
        values = iter(results)
        groups = [
            {path: np.asarray(next(values), order="C") for path in self._groups[name]}
            for name in ("parameters", "slots", "states")
        ]
        loss, probe = (float(next(values)) for _ in range(2))
        return Outcome(State(groups[0], groups[1], groups[2], step + 1), loss, probe)

    def _step(self, *inputs: Tensor) -> list[Tensor]:
        feed = iter(inputs)
        parameters, slots, states, settings = (
            {path: next(feed) for path in self._groups[name]}
            for name in ("parameters", "slots", "states", "settings")
        )
        step, total, per_epoch, key, x, y = (next(feed) for _ in range(6))
        weights = next(feed) if self._has_weights else None
        recipe = self.recipe.with_settings(settings)
        moment = Moment(step, total, per_epoch)
        group = group_of(moment, recipe.accumulate) if recipe.accumulate > 1 else None
        stage = Stage(parameters, nested_slots(recipe, slots), group.moment if group else moment)
        learner = Learner(recipe)
        point = learner.point(stage)
        batch = Given(x, y, weights)
        objective = learner.objective(stage, batch, states, fold_in(key, step))
        (risk, (loss, changed)), gradients = value_and_grad(objective, has_aux=True)(point)
        moved, kept = learner.update(stage, gradients, batch, group)
        flat = _flat(kept)
        reals = [value for value in (*changed.values(), *flat.values()) if value.type.is_float]
        trained = [moved[path] for path in point]
        risks = [loss] if risk is loss else [loss, risk]
        probe = nonfinite_probe([*risks, *gradients.values(), *trained, *reals])
        return [
            *(moved[path] for path in parameters),
            *(flat[path] for path in slots),
            *(changed[path] for path in states),
            loss,
            probe,
        ]


def nonfinite_probe(tensors: list[Tensor]) -> Tensor:
    """Σ 0·x over all elements of all tensors, in the first one's type: 0 when finite, else NaN."""
    kind = tensors[0].dtype
    with labelled("probe", "update"):
        total = as_tensor(np.zeros((), kind))
        for tensor in tensors:
            total = total + astype((tensor * 0.0).sum(), kind)
        return total


def _flat(nested: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {
        f"{slot}/{path}": value for slot, part in nested.items() for path, value in part.items()
    }
