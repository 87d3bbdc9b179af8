"""A network's outputs for many rows, in batches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.simplify import simplify
from thalweg.compiler.threads import one_blas_thread
from thalweg.graph import Array, Tensor, TensorType, trace_flat
from thalweg.nn.layer import Network, evaluate

BATCH = 1024
_KEPT = 16
"""Batch lengths whose traces are kept."""


class Forward:
    """A network in use, traced once for each batch length and kept.

    Args:
        network: a layer or function.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._ready: dict[tuple[object, ...], Interpreter] = {}

    def __call__(
        self, parameters: Mapping[str, Array], states: Mapping[str, Array], x: Array
    ) -> Array:
        """The outputs for all rows of x, computed 1024 rows at a time in the parameters' type."""
        names = (*parameters, *states)
        arrays = (*parameters.values(), *states.values())
        dtype = next((array.dtype for array in arrays), np.dtype("float32"))
        pieces: list[Array] = []
        with one_blas_thread():
            for start in range(0, max(len(x), 1), BATCH):
                rows = np.asarray(x[start : start + BATCH]).astype(dtype, copy=False)
                interpreter = self._interpreter(names, arrays, len(parameters), rows)
                pieces.extend(interpreter(*arrays, rows))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _interpreter(
        self, names: tuple[str, ...], arrays: tuple[Array, ...], count: int, rows: Array
    ) -> Interpreter:
        types = [TensorType(array.shape, array.dtype) for array in (*arrays, rows)]
        key = (count, names, *types)
        if key not in self._ready:

            def outputs(*inputs: Tensor) -> Tensor:
                values = dict(zip(names[:count], inputs, strict=False))
                kept = dict(zip(names[count:], inputs[count:-1], strict=True))
                return evaluate(self.network, values, inputs[-1], states=kept).output

            while len(self._ready) >= _KEPT:
                del self._ready[next(iter(self._ready))]
            graph, _ = trace_flat(outputs, types, [*names, "x"])
            self._ready[key] = Interpreter(simplify(graph).graph)
        return self._ready[key]
