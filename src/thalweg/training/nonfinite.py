"""Where NaN or infinity came from: the failed step replayed, node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.pipeline import optimise
from thalweg.graph import Array, Graph, Tensor
from thalweg.training.full_batch import FullBatch
from thalweg.training.job import Job
from thalweg.training.step import Batch, Run, State, StepGraph


class Origin(NamedTuple):
    """The first node whose result is not finite although its inputs are.

    Attributes:
        layer: the layer's path and kind.
        direction: forward, backward or update.
        operation: the primitive.
        largest_input: the largest magnitude that went into it.
    """

    layer: str
    direction: str
    operation: str
    largest_input: float


def replay(job: Job, state: State) -> Origin | None:
    """Where the step after this state stops being finite, whatever backend ran it."""
    if job.recipe.optimizer.whole_batch:
        return _replay_all(FullBatch(job), state)
    batch = job.batch(state.step)
    return find_origin(job.graph(state, len(batch.x)), state, batch, job.run)


def _replay_all(risk: FullBatch, state: State) -> Origin | None:
    """Where the risk of all rows stops being finite."""
    parameters, states = state.parameters, state.states
    for batch in risk.batches(states):
        graph = optimise(risk.graph(parameters, states, batch)).graph
        found = origin_in(graph, risk.arguments(parameters, states, batch))
        if found is not None:
            return found
    return None


def find_origin(step: StepGraph, state: State, batch: Batch, run: Run) -> Origin | None:
    """Replay one step from its saved state and name where it stopped being finite."""
    return origin_in(step.graph, step.arguments(state, batch, run))


def origin_in(graph: Graph, arguments: Sequence[Array]) -> Origin | None:
    """Run a graph and name where it stops being finite."""
    largest: dict[int, float] = {}
    for tensor, array in zip(graph.inputs, arguments, strict=True):
        largest[id(tensor)] = _largest(array)

    def observe(node: Tensor, value: Array) -> None:
        largest[id(node)] = _largest(value)

    Interpreter(graph).run(list(arguments), observe)
    for tensor in graph.constants:
        largest[id(tensor)] = _largest(tensor.numpy())
    origins = _origins(graph, largest)
    if not origins:
        return None
    node = origins[0]
    assert node.source is not None
    magnitude = max((largest[id(item)] for item in node.source.inputs), default=0.0)
    label = node.label
    return Origin(
        label.layer or "the network", label.direction, node.source.primitive.name, magnitude
    )


def _largest(array: Array) -> float:
    """The largest magnitude; infinite or NaN where any element is."""
    return float(np.max(np.abs(array))) if array.size and array.dtype.kind == "f" else 0.0


def _origins(graph: Graph, largest: dict[int, float]) -> list[Tensor]:
    """The nodes, in order, at which what spoils the outputs began."""
    reached: set[int] = set()
    found: set[int] = set()
    stack = [tensor for tensor in graph.outputs if not np.isfinite(largest[id(tensor)])]
    while stack:
        tensor = stack.pop()
        if id(tensor) in reached or tensor.source is None:
            continue
        reached.add(id(tensor))
        causes = [item for item in tensor.source.inputs if not np.isfinite(largest[id(item)])]
        stack.extend(causes)
        if not causes:
            found.add(id(tensor))
    return [node for node in graph.nodes if id(node) in found]


def explain(origin: Origin | None, step: int, whole_batch: bool = False) -> str:
    """The sentence that a person reads: where it happened, and what to try.

    Args:
        origin: as :func:`replay` gives it.
        step: the number of the update, from 1.
        whole_batch: whether a line search takes care of the steps' lengths.
    """
    if origin is None:
        remedy = _SCALE if whole_batch else "try a smaller learning_rate or clip=1.0"
        return f"update {step}: the loss or a parameter became NaN or infinite; {remedy}"
    place = f"update {step}: {origin.layer}, {origin.direction} pass, operation {origin.operation}"
    return f"{place} gave NaN or infinity from finite inputs up to {origin.largest_input:.3g}; " + (
        _advice(origin, step, whole_batch)
    )


_DOMAINS = {"log": "positive", "log1p": "above -1", "sqrt": "not negative", "div": "not 0"}


_SCALE = "the inputs or starting weights are too large: standardise the inputs"


def _advice(origin: Origin, step: int, whole_batch: bool) -> str:
    if origin.operation in _DOMAINS and origin.largest_input < 1e6 and origin.layer != "loss":
        return f"{origin.operation} needs operands that are {_DOMAINS[origin.operation]}"
    if origin.layer == "loss" and origin.largest_input < 1e6:
        return "the loss is undefined for these outputs or targets: check the targets' range"
    if whole_batch or (origin.direction == "forward" and step == 1):
        return _SCALE
    if origin.direction == "backward":
        return "the gradients explode: try clip=1.0 or a learning_rate ten times smaller"
    return (
        "the weights have grown without bound: try a learning_rate ten times smaller, or clip=1.0"
    )
