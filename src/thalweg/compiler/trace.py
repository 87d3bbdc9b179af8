"""``trace``: from a Python function and examples of its arguments to a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from thalweg.graph import Graph, Tensor, as_tensor, trace_flat
from thalweg.tree import Tree, flatten, leaf_paths, unflatten


def trace(function: Callable[..., Tree], *examples: Any) -> Graph:
    """Record what a function computes, without computing it.

    Args:
        function: takes and returns tensors, or dictionaries, lists and tuples of them.
        examples: for each argument a value of the right structure, shapes and types; the values
            themselves are not used.

    Returns:
        The graph: print it, count its ``operations()``, ``flops`` and ``bytes``, or call it with
        tensors. Its inputs and outputs are the leaves of the arguments and of the result.

    Raises:
        GraphError: the function asks a tensor for its value (``if x > 0``, ``float(x)``).

    >>> import numpy as np
    >>> print(trace(lambda x, y: (x * y).sum(), np.ones(3, "float32"), np.ones(3, "float32")))
    graph(x: float32[3], y: float32[3]) {
      %0 = mul(x, y)                 : float32[3]  # top forward
      %1 = reduce_sum(%0, axes=(0))  : float32[]  # top forward
      return %1
    }
    """
    leaves, structure = flatten(tuple(examples))
    types = [as_tensor(item).type for item in leaves]
    names = input_names(function, examples)

    def flat(*inputs: Tensor) -> Tree:
        return function(*unflatten(structure, list(inputs)))

    return trace_flat(flat, types, names)[0]


def input_names(function: Callable[..., Any], examples: tuple[Any, ...]) -> list[str]:
    """Names of the inputs: the function's own argument names with paths inside trees."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        found = []
    named = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    plain = [item.name for item in found if item.kind in named]
    plain += [f"x{place}" for place in range(len(plain), len(examples))]
    pairs = zip(plain, examples, strict=False)
    return [path for name, tree in pairs for path in leaf_paths(tree, name)]
