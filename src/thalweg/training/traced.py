"""Small functions of one tensor that are called again and again: traced once, then interpreted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.graph import Array, Graph, Shape, Tensor, TensorType, source_of, trace_flat

_FEW = 2**15
"""Elements up to which intermediate results need not be freed one by one."""


class Traced:
    """A function, traced at its first call for each type; the bits are those of an eager call.

    Args:
        function: of one tensor, gives one tensor.

    >>> import numpy as np
    >>> doubled = Traced(lambda x: x + x)
    >>> doubled(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._ready: dict[tuple[Shape, np.dtype[Any]], Callable[[Array], list[Array]]] = {}

    def __call__(self, value: Array) -> Array:
        """The function's value."""
        key = (value.shape, value.dtype)
        ready = self._ready.get(key)
        if ready is None:
            graph, _ = trace_flat(self._function, [TensorType(*key)])
            ready = self._ready[key] = _Quick(graph) if value.size <= _FEW else Interpreter(graph)
        return ready(value)[0]


class _Quick:
    """A graph of one input and one output, interpreted without checks, for few elements.

    The calls are those of :class:`Interpreter`; what does not depend on the input is computed once.
    """

    def __init__(self, graph: Graph) -> None:
        places = {
            id(tensor): place
            for place, tensor in enumerate((*graph.inputs, *graph.constants, *graph.nodes))
        }
        self._slots: list[Any] = [None, *(tensor.numpy() for tensor in graph.constants)]
        self._slots += [None] * len(graph.nodes)
        self._output = places[id(graph.outputs[0])]
        self._steps: list[tuple[Callable[..., Any], tuple[int, ...], int]] = []
        varying = {0}
        for node in graph.nodes:
            primitive, inputs, parameters = source_of(node)
            call = partial(primitive.evaluate, **parameters) if parameters else primitive.evaluate
            given, place = tuple(places[id(item)] for item in inputs), places[id(node)]
            if varying.isdisjoint(given):
                with np.errstate(all="ignore"):
                    self._slots[place] = call(*(self._slots[item] for item in given))
            else:
                varying.add(place)
                self._steps.append((call, given, place))

    def __call__(self, value: Array) -> list[Array]:
        """The output, an array of its own."""
        slots = self._slots.copy()
        slots[0] = value
        with np.errstate(all="ignore"):
            for call, given, place in self._steps:
                slots[place] = call(*[slots[item] for item in given])
        return [np.array(slots[self._output])]
