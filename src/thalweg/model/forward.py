"""A network's outputs for many rows, in batches."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.halves import DEEP
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.threads import one_blas_thread
from thalweg.descriptions import replace_settings, settings_of
from thalweg.graph import Array, Graph, Tensor, TensorType, trace_flat
from thalweg.nn.layer import Layer, Network, evaluate

BATCH = 1024
LENGTHS = (1, 32, BATCH)
"""Lengths of batches for which a compiled network has programs; rows are filled up to one."""

VECTORS = (1, 32, 128, 512, BATCH)
"""The same, where rows are vectors and few: products of matrices give a row the same bits beside
31 others or more, which convolutions need not, nor matrices of many inputs."""

_FEW_INPUTS = DEEP * VECTORS[2]
"""Inputs of a matrix below which a product of 128 rows or more is summed up in one order: of more,
the inner axis may be halved, which depends on the number of rows."""

_KEPT = 16
"""Batch lengths whose traces are kept."""

Program = Callable[..., list[Array]]
Runner = Callable[[Graph], Program]
"""What makes a graph ready to be called with its input arrays: a backend."""


class Sliceable(Protocol):
    """Rows that can be taken piece by piece: an array, or what reads one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Array: ...


class Ready:
    """Programs by the types of their inputs; the oldest are dropped where there are many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: dict[tuple[object, ...], Program] = {}

    def get(self, key: tuple[object, ...], make: Callable[[], Program]) -> Program:
        """The program of a key, made where there is none."""
        with self._lock:
            if key not in self._programs:
                while len(self._programs) >= _KEPT:
                    del self._programs[next(iter(self._programs))]
                self._programs[key] = make()
            return self._programs[key]


class Forward:
    """A network in use, traced once for each batch length and kept.

    Args:
        network: a layer or function.
        runner: the backend that runs the traced graphs.
        lengths: the lengths of batches that there are programs for: shorter batches are filled up
            with zeros, and their results cut off. By default every length has its own.
        vectors: the same, where rows are vectors, and few enough for one batch.
        ready: programs of networks of the same structure, to be used and added to.
    """

    def __init__(
        self,
        network: Network,
        runner: Runner = Interpreter,
        lengths: Sequence[int] = (),
        ready: Ready | None = None,
        vectors: Sequence[int] = (),
    ) -> None:
        self.network = network
        self._settings = _settings(network)
        self._runner = runner
        self._lengths = lengths
        self._vectors = vectors or lengths
        self._ready = Ready() if ready is None else ready

    def __call__(
        self, parameters: Mapping[str, Array], states: Mapping[str, Array], x: Sliceable
    ) -> Array:
        """The outputs for all rows of x, computed 1024 rows at a time in the parameters' type."""
        names = (*parameters, *states)
        arrays = (*parameters.values(), *states.values())
        dtype = next((array.dtype for array in arrays), np.dtype("float32"))
        lengths = self._lengths_for(x, parameters)
        pieces: list[Array] = []
        with one_blas_thread():
            for start in range(0, max(len(x), 1), BATCH):
                rows = np.asarray(x[start : start + BATCH]).astype(dtype, copy=False)
                filled = self._filled(rows, lengths)
                program = self._program(names, arrays, len(parameters), filled)
                given = (*arrays, *self._settings.values(), filled)
                pieces.extend(found[: len(rows)] for found in program(*given))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def bound(
        self,
        parameters: Mapping[str, Array],
        states: Mapping[str, Array],
        rows: Array,
        arena: Callable[[NativeProgram], Array] = NativeProgram.new_arena,
    ) -> Callable[[], Array]:
        """What computes the outputs for the same rows again and again, of arrays that change.

        Args:
            parameters: by path; where they stand is not to change, what they hold may.
            states: likewise.
            rows: as :meth:`filled` gives them.
            arena: memory for a program's intermediate results, which nobody else uses meanwhile.
        """
        names = (*parameters, *states)
        arrays = (*parameters.values(), *states.values())
        program = self._program(names, arrays, len(parameters), rows)
        given = (*arrays, *self._settings.values(), rows)
        if isinstance(program, NativeProgram):
            return _Bound(program, given, arena(program))

        def outputs() -> Array:
            with one_blas_thread():
                return program(*given)[0]

        return outputs

    def filled(self, x: Sliceable, parameters: Mapping[str, Array]) -> Array:
        """Rows of x, at most 1024, in the parameters' type, up to a length that has a program."""
        dtype = next((array.dtype for array in parameters.values()), np.dtype("float32"))
        rows = np.asarray(x[:BATCH]).astype(dtype, copy=False)
        return np.ascontiguousarray(self._filled(rows, self._lengths_for(x, parameters)))

    def _lengths_for(self, x: Sliceable, parameters: Mapping[str, Array]) -> Sequence[int]:
        """The lengths that there are programs for."""
        are_few = len(x) <= BATCH and np.ndim(x[:0]) == 2
        flat = are_few and all(
            array.ndim < 2 or (array.ndim == 2 and len(array) < _FEW_INPUTS)
            for array in parameters.values()
        )
        return self._vectors if flat else self._lengths

    def _filled(self, rows: Array, lengths: Sequence[int]) -> Array:
        """Rows, and zeros up to the next length that there is a program for."""
        length = next((length for length in lengths if length >= len(rows)), len(rows))
        if length == len(rows):
            return rows
        filled = np.zeros((length, *rows.shape[1:]), rows.dtype)
        filled[: len(rows)] = rows
        return filled

    def _program(
        self, names: tuple[str, ...], arrays: tuple[Array, ...], count: int, rows: Array
    ) -> Program:
        given = (*arrays, *self._settings.values(), rows)
        types = [TensorType(array.shape, array.dtype) for array in given]
        kept = len(names)

        def outputs(*inputs: Tensor) -> Tensor:
            values = dict(zip(names[:count], inputs, strict=False))
            states = dict(zip(names[count:], inputs[count:kept], strict=True))
            numbers = dict(zip(self._settings, inputs[kept:-1], strict=True))
            network = _with_settings(self.network, numbers)
            return evaluate(network, values, inputs[-1], states=states).output

        def make() -> Program:
            graph, _ = trace_flat(outputs, types, [*names, *self._settings, "x"])
            return self._runner(optimise(graph).graph)

        return self._ready.get((count, names, *types), make)


class _Bound:
    """A compiled program on arrays whose addresses it knows.

    Args:
        program: with one output.
        inputs: in one piece each.
        arena: for its intermediate results.
    """

    _KIND = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)

    def __init__(self, program: NativeProgram, inputs: Sequence[Array], arena: Array) -> None:
        self._program = program
        self._inputs = inputs
        self._result = np.empty(*program.graph.outputs[0].type)
        self._notes = np.zeros(16, np.int32)
        self._held = (program.table(inputs, [self._result]), arena)
        self._main = self._KIND(program.code.address("main"))
        self._places = (*(item.ctypes.data for item in self._held), self._notes.ctypes.data)

    def __call__(self) -> Array:
        """The outputs, in an array of their own.

        Raises:
            ShapeError: an index is outside its axis.
        """
        self._main(*self._places)
        if self._notes[0]:
            self._notes[:] = 0
            return self._program(*self._inputs)[0]
        return self._result.copy()


def _settings(network: Network) -> dict[str, Array]:
    """The numeric settings of a network, which are inputs of its program."""
    if not isinstance(network, Layer):
        return {}
    return {path: np.asarray(value, np.float64) for path, value in settings_of(network).items()}


def _with_settings(network: Network, numbers: Mapping[str, Tensor]) -> Network:
    return replace_settings(network, numbers) if isinstance(network, Layer) else network


def native_forward(network: Network, ready: Ready | None = None) -> Forward:
    """A network in use as machine code."""
    return Forward(network, NativeProgram, LENGTHS, ready, VECTORS)
