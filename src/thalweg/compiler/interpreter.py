"""The NumPy interpreter: the definition of what a graph computes, and every backend's oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import Array, Graph, Tensor

Observer = Callable[[Tensor, Array], None]


class _Step(NamedTuple):
    evaluate: Callable[..., Array]
    inputs: tuple[int, ...]
    output: int
    dead: tuple[int, ...]


class Interpreter:
    """A graph made ready to run with NumPy, node by node; what is dead is freed at once.

    Args:
        graph: what to run.

    >>> from thalweg.graph import trace_flat, TensorType
    >>> graph, _ = trace_flat(lambda x: x * x, [TensorType((2,), np.dtype("float64"))])
    >>> Interpreter(graph)(np.array([1.0, 3.0]))
    [array([1., 9.])]
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        slots = {
            id(tensor): slot
            for slot, tensor in enumerate((*graph.inputs, *graph.constants, *graph.nodes))
        }
        self._fixed = [tensor.numpy() for tensor in graph.constants]
        self._outputs = [slots[id(tensor)] for tensor in graph.outputs]
        self._steps = _plan(graph, slots)

    def __call__(self, *inputs: Array) -> list[Array]:
        """The outputs for these input arrays, which must have the graph's types."""
        return self.run(inputs)

    def run(self, inputs: Sequence[Array], observe: Observer | None = None) -> list[Array]:
        """As calling; ``observe(node, value)`` sees each value as it is computed.

        Raises:
            ShapeError: when an input's shape or type is not the graph's.
        """
        self._check(inputs)
        slots: list[Any] = [*inputs, *self._fixed, *[None] * len(self._steps)]
        with np.errstate(all="ignore"):
            for index, step in enumerate(self._steps):
                value = step.evaluate(*[slots[slot] for slot in step.inputs])
                slots[step.output] = value
                if observe is not None:
                    observe(self.graph.nodes[index], np.asarray(value))
                for slot in step.dead:
                    slots[slot] = None
        return [np.asarray(slots[slot]) for slot in self._outputs]

    def _check(self, inputs: Sequence[Array]) -> None:
        expected = self.graph.inputs
        if len(inputs) != len(expected):
            raise ShapeError(f"the graph takes {len(expected)} inputs, got {len(inputs)}")
        for array, tensor in zip(inputs, expected, strict=True):
            if array.shape != tensor.shape or array.dtype != tensor.dtype:
                raise ShapeError(
                    f"input {tensor.name or '?'}: expected {tensor.type}, "
                    f"got {array.dtype}{list(array.shape)}"
                )


def _plan(graph: Graph, slots: dict[int, int]) -> list[_Step]:
    """The calls in order, each with the slots that nobody needs after it."""
    kept = {slots[id(tensor)] for tensor in graph.outputs}
    permanent = len(graph.inputs) + len(graph.constants)
    last: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        assert node.source is not None
        for item in node.source.inputs:
            last[slots[id(item)]] = index
    dead: dict[int, list[int]] = {}
    for slot, index in last.items():
        is_constant = len(graph.inputs) <= slot < permanent
        if slot not in kept and not is_constant:
            dead.setdefault(index, []).append(slot)
    steps: list[_Step] = []
    for index, node in enumerate(graph.nodes):
        assert node.source is not None
        primitive, inputs, parameters = node.source
        evaluate = partial(primitive.evaluate, **parameters) if parameters else primitive.evaluate
        places = tuple(slots[id(item)] for item in inputs)
        steps.append(_Step(evaluate, places, slots[id(node)], tuple(dead.get(index, ()))))
    return steps


def interpret(graph: Graph, *inputs: Array) -> list[Array]:
    """Run a graph once; see :class:`Interpreter`."""
    return Interpreter(graph)(*inputs)
