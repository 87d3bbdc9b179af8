"""A network's outputs for many rows, in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.threads import one_blas_thread
from thalweg.graph import Array, Graph, Tensor, TensorType, trace_flat
from thalweg.nn.layer import Network, evaluate

BATCH = 1024
LENGTHS = (1, 32, BATCH)
"""Lengths of batches for which a compiled network has programs; rows are filled up to one."""

_KEPT = 16
"""Batch lengths whose traces are kept."""

Runner = Callable[[Graph], Callable[..., list[Array]]]
"""What makes a graph ready to be called with its input arrays: a backend."""


class Sliceable(Protocol):
    """Rows that can be taken piece by piece: an array, or what reads one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Array: ...


class Forward:
    """A network in use, traced once for each batch length and kept.

    Args:
        network: a layer or function.
        runner: the backend that runs the traced graphs.
        lengths: the lengths of batches that there are programs for: shorter batches are filled up
            with zeros, and their results cut off. By default every length has its own.
    """

    def __init__(
        self, network: Network, runner: Runner = Interpreter, lengths: Sequence[int] = ()
    ) -> None:
        self.network = network
        self._runner = runner
        self._lengths = lengths
        self._ready: dict[tuple[object, ...], Callable[..., list[Array]]] = {}

    def __call__(
        self, parameters: Mapping[str, Array], states: Mapping[str, Array], x: Sliceable
    ) -> Array:
        """The outputs for all rows of x, computed 1024 rows at a time in the parameters' type."""
        names = (*parameters, *states)
        arrays = (*parameters.values(), *states.values())
        dtype = next((array.dtype for array in arrays), np.dtype("float32"))
        pieces: list[Array] = []
        with one_blas_thread():
            for start in range(0, max(len(x), 1), BATCH):
                rows = np.asarray(x[start : start + BATCH]).astype(dtype, copy=False)
                filled = self._filled(rows)
                program = self._program(names, arrays, len(parameters), filled)
                pieces.extend(found[: len(rows)] for found in program(*arrays, filled))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _filled(self, rows: Array) -> Array:
        """Rows, and zeros up to the next length that there is a program for."""
        length = next((length for length in self._lengths if length >= len(rows)), len(rows))
        if length == len(rows):
            return rows
        filled = np.zeros((length, *rows.shape[1:]), rows.dtype)
        filled[: len(rows)] = rows
        return filled

    def _program(
        self, names: tuple[str, ...], arrays: tuple[Array, ...], count: int, rows: Array
    ) -> Callable[..., list[Array]]:
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
            self._ready[key] = self._runner(optimise(graph).graph)
        return self._ready[key]


def native_forward(network: Network) -> Forward:
    """A network in use as machine code."""
    return Forward(network, NativeProgram, LENGTHS)
