"""Small functions of one tensor that are called again and again: traced once, then interpreted."""

from __future__ import annotations

from collections.abc import Callable

from thalweg.compiler.interpreter import Interpreter
from thalweg.graph import Array, Tensor, TensorType, trace_flat, type_of


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
        self._ready: dict[TensorType, Interpreter] = {}

    def __call__(self, value: Array) -> Array:
        """The function's value."""
        type_ = type_of(value)
        if type_ not in self._ready:
            graph, _ = trace_flat(self._function, [type_])
            self._ready[type_] = Interpreter(graph)
        return self._ready[type_](value)[0]
