"""The NumPy interpreter: the definition of what a graph computes, the oracle of every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import Array, Graph, Tensor, TensorType, source_of, type_of

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

        The outputs are arrays of their own: writing to one changes no input and no constant.

        Raises:
            ShapeError: when an input's shape or type is not the graph's, or an index is outside
                its axis.
        """
        self._check(inputs)
        slots: list[Any] = [*inputs, *self._fixed, *[None] * len(self._steps)]
        index = 0
        try:
            with np.errstate(all="ignore"):
                for index, step in enumerate(self._steps):
                    value = step.evaluate(*[slots[slot] for slot in step.inputs])
                    slots[step.output] = value
                    if observe is not None:
                        observe(self.graph.nodes[index], np.asarray(value))
                    for slot in step.dead:
                        slots[slot] = None
        except ShapeError as error:
            raise ShapeError(f"{self.graph.nodes[index].label}: {error}") from error
        return _own([np.asarray(slots[slot]) for slot in self._outputs], [*inputs, *self._fixed])

    def _check(self, inputs: Sequence[Array]) -> None:
        expected = self.graph.inputs
        if len(inputs) != len(expected):
            raise ShapeError(f"the graph takes {len(expected)} inputs, got {len(inputs)}")
        for array, tensor in zip(inputs, expected, strict=True):
            if _type(array) != tensor.type:
                given = _type(array) or f"a {type(array).__name__}"
                raise ShapeError(f"input {tensor.name or '?'}: expected {tensor.type}, got {given}")


def _type(value: object) -> TensorType | None:
    return type_of(value) if isinstance(value, (np.ndarray, np.generic)) else None


def _own(results: list[Array], others: Sequence[Array]) -> list[Array]:
    """Results, copied where they share memory with other arrays or with each other."""
    taken = {id(array) for array in others}
    own: list[Array] = []
    for array in results:
        shared = array.base is not None or id(array) in taken
        own.append(array.copy() if shared else array)
        taken.add(id(array))
    return own


def _plan(graph: Graph, slots: dict[int, int]) -> list[_Step]:
    """The calls in order, each with the slots that nobody needs after it."""
    kept = {slots[id(tensor)] for tensor in (*graph.outputs, *graph.constants)}
    last: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        for item in source_of(node).inputs:
            last[slots[id(item)]] = index
    dead: dict[int, list[int]] = {}
    for slot, index in last.items():
        if slot not in kept:
            dead.setdefault(index, []).append(slot)
    steps: list[_Step] = []
    for index, node in enumerate(graph.nodes):
        primitive, inputs, parameters = source_of(node)
        evaluate = partial(primitive.evaluate, **parameters) if parameters else primitive.evaluate
        places = tuple(slots[id(item)] for item in inputs)
        steps.append(_Step(evaluate, places, slots[id(node)], tuple(dead.get(index, ()))))
    return steps


def interpret(graph: Graph, *inputs: Array) -> list[Array]:
    """Run a graph once; see :class:`Interpreter`."""
    return Interpreter(graph)(*inputs)
