"""Native programs: a graph as machine code that is called with arrays."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.engine import Code, build
from thalweg.compiler.native.lower import Lowered, captured, lower
from thalweg.compiler.native.signature import signature
from thalweg.compiler.native.target import Target, host_target
from thalweg.compiler.passes.windows import without_windows
from thalweg.errors import ShapeError
from thalweg.graph import Array, Graph, TensorType, type_of

_KEPT_BYTES = 2**22
"""Memory for intermediate results that a program keeps from call to call."""


class Facts(NamedTuple):
    """What is known of a program besides its code.

    Attributes:
        arena_bytes: memory for intermediate results.
        threaded: whether it has a version for several threads.
    """

    arena_bytes: int
    threaded: bool


class NativeProgram:
    """A simplified graph as machine code.

    Args:
        graph: what to compute.
        given: by the number of an output, the number of the input whose memory it takes.
        target: the machine; by default this one.
        cached: whether programs are kept on disk.

    Attributes:
        key: what the graph is recognised by; None for programs that are not kept.

    >>> from thalweg.graph import trace_flat, TensorType
    >>> graph, _ = trace_flat(lambda x: x * x, [TensorType((2,), np.dtype("float64"))])
    >>> NativeProgram(graph)(np.array([1.0, 3.0]))
    [array([1., 9.])]
    """

    def __init__(
        self,
        graph: Graph,
        given: Mapping[int, int] | None = None,
        *,
        target: Target | None = None,
        cached: bool = True,
    ) -> None:
        self.graph = graph = without_windows(graph)
        self.given = dict(given or {})
        self.target = target or host_target()
        self.constants = [np.array(tensor.numpy(), order="C") for tensor in captured(graph)]
        self.key = signature(graph, sorted(self.given.items())) if cached else None
        self.code: Code = build(self._make, self.key, self.target)
        self.facts = Facts(**json.loads(self.code.metadata))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._main = kind(self.code.address("main"))
        self._arenas: list[Array] = []
        self._types = [tensor.type for tensor in graph.inputs]
        self._results = [tensor.type for tensor in graph.outputs]

    def lowered(self) -> Lowered:
        """The program's text and plan, written anew."""
        return lower(self.graph, self.target, self.given)

    def _make(self) -> tuple[str, bytes]:
        lowered = self.lowered()
        facts = Facts(lowered.arena_bytes, lowered.threaded)
        return str(lowered.module), json.dumps(facts._asdict()).encode()

    def __call__(self, *inputs: Array) -> list[Array]:
        """The outputs for these input arrays, which must have the graph's types.

        Raises:
            ShapeError: when an input's shape or type is not the graph's, or an index is outside
                its axis.
        """
        self._check(inputs)
        arrays = [_fixed(array) for array in inputs]
        results = [np.empty(type_.shape, type_.dtype) for type_ in self._results]
        for output, place in self.given.items():
            results[output] = arrays[place] = np.array(arrays[place])
        table = self.table(arrays, results)
        arena = self._free_arena()
        notes = np.zeros(16, np.int32)
        self._main(table.ctypes.data, arena.ctypes.data, notes.ctypes.data)
        if arena.nbytes <= _KEPT_BYTES:
            self._arenas.append(arena)
        if notes[0]:
            Interpreter(self.graph).run(inputs)
            raise ShapeError("an index was outside its axis")
        return results

    def table(self, inputs: Sequence[Array], results: Sequence[Array]) -> Array:
        """The addresses that the program reads: of inputs, constants and results."""
        arrays = (*inputs, *self.constants, *results)
        return np.array([array.ctypes.data for array in arrays] or [0], np.uint64)

    def new_arena(self) -> Array:
        """Memory for intermediate results, beginning on a cache line."""
        return aligned(self.facts.arena_bytes)

    def _free_arena(self) -> Array:
        """Memory that no other thread uses now."""
        try:
            return self._arenas.pop()
        except IndexError:
            return self.new_arena()

    def _check(self, inputs: Sequence[Array]) -> None:
        if len(inputs) != len(self._types):
            raise ShapeError(f"the graph takes {len(self._types)} inputs, got {len(inputs)}")
        for array, type_, tensor in zip(inputs, self._types, self.graph.inputs, strict=True):
            if _type(array) != type_:
                given = _type(array) or f"a {type(array).__name__}"
                raise ShapeError(f"input {tensor.name or '?'}: expected {type_}, got {given}")


def aligned(size: int) -> Array:
    """Bytes that begin on a cache line."""
    memory = np.empty(size + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    return memory[begin : begin + size]


def _type(value: object) -> TensorType | None:
    return type_of(value) if isinstance(value, (np.ndarray, np.generic)) else None


def _fixed(array: Any) -> Array:
    """An array whose elements lie side by side; copied only where they do not."""
    return np.asarray(array, order="C") if np.ndim(array) else np.asarray(array)
