"""``compile``: a function of tensors as a native program for each structure and shape it meets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.explain import explain
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.trace import input_names
from thalweg.errors import GraphError, ShapeError
from thalweg.graph import Array, Graph, Tensor, as_tensor, constant, node_flops, trace_flat
from thalweg.tree import Tree, flatten, unflatten


class _Ready(NamedTuple):
    """A program for one structure of arguments.

    Attributes:
        program: machine code.
        graph: as it was traced.
        fired: uses of each rule.
        structure: of the result.
    """

    program: NativeProgram
    graph: Graph
    fired: Counter[str]
    structure: Any


class Compiled:
    """What :func:`compile` gives: called like the function, traced and compiled at need."""

    def __init__(self, function: Callable[..., Tree], debug: bool) -> None:
        self.function = function
        self.debug = debug
        self._ready: dict[Any, _Ready] = {}
        self._latest: _Ready | None = None

    def __call__(self, *arguments: Any) -> Any:
        """The function's result, as tensors in the function's own structure."""
        leaves, structure = flatten(tuple(arguments))
        tensors = [as_tensor(item) for item in leaves]
        if any(tensor.is_traced or tensor.tracked for tensor in tensors):
            return self.function(*unflatten(structure, list(tensors)))
        ready = self._find(tensors, structure, arguments)
        arrays = [tensor.numpy() for tensor in tensors]
        if self.debug:
            compare(ready.graph, arrays)
        results = [constant(array) for array in ready.program(*arrays)]
        return unflatten(ready.structure, list(results))

    def prepare(self, *arguments: Any) -> Compiled:
        """Trace and compile for arguments like these, without calling; gives itself."""
        leaves, structure = flatten(tuple(arguments))
        self._find([as_tensor(item) for item in leaves], structure, arguments)
        return self

    def _find(self, tensors: list[Tensor], structure: Any, arguments: tuple[Any, ...]) -> _Ready:
        key = (structure, *(tensor.type for tensor in tensors))
        if key not in self._ready:
            self._ready[key] = self._make(tensors, structure, arguments)
        self._latest = self._ready[key]
        return self._latest

    def _make(self, tensors: list[Tensor], structure: Any, arguments: tuple[Any, ...]) -> _Ready:
        def flat(*inputs: Tensor) -> Tree:
            return self.function(*unflatten(structure, list(inputs)))

        names = input_names(self.function, arguments)
        graph, result = trace_flat(flat, [tensor.type for tensor in tensors], names)
        simplified = optimise(graph)
        program = NativeProgram(simplified.graph)
        return _Ready(program, simplified.graph, simplified.fired, flatten(result)[1])

    def _known(self) -> _Ready:
        if self._latest is None:
            raise GraphError(
                "nothing is compiled yet: call the function, or prepare it with examples of its "
                "arguments"
            )
        return self._latest

    @property
    def llvm(self) -> str:
        """The LLVM text of the program used last.

        Raises:
            GraphError: before the first call.
        """
        return str(self._known().program.lowered().module)

    @property
    def graph(self) -> Graph:
        """The optimised graph used last."""
        return self._known().graph

    def explain(self) -> str:
        """Kernels with operations and bytes, the arena, and the rules that fired."""
        ready = self._known()
        return explain(ready.program.lowered(), ready.fired)


def compile(  # noqa: A001 - the field's word for it
    function: Callable[..., Tree], *, debug: bool = False
) -> Compiled:
    """Turn a function of tensors into machine code.

    The function is traced once for each structure, shape and type of its arguments; later calls
    run the program. Inside a trace or a derivative the function itself is used, so a compiled
    function can be differentiated, and derivatives can be compiled.

    Args:
        function: takes and returns tensors, or dictionaries, lists and tuples of them.
        debug: compare every node with the interpreter before each call (slow), and raise
            ``GraphError`` naming the first that disagrees.

    Returns:
        A function with ``llvm`` (text), ``graph``, ``explain()`` and ``prepare(*examples)``.

    Raises:
        GraphError: the function asks a tensor for its value (``if x > 0``, ``float(x)``).

    >>> import thalweg as tw
    >>> slope = tw.compile(tw.grad(lambda x: (x**3).sum()))
    >>> slope(np.array([1.0, 2.0]))
    Tensor([ 3. 12.], float64)
    """
    return Compiled(function, debug)


# ---------------------------------------------------------------------- comparing node by node


def compare(graph: Graph, inputs: list[Array]) -> None:
    """Run a graph natively and by the interpreter, and compare every node.

    Raises:
        GraphError: naming the first node that disagrees, with its largest difference.
    """
    nodes = [node for node in graph.nodes if node.source is not None]
    every = Graph(graph.inputs, tuple(nodes))
    native = NativeProgram(every, cached=False)(*inputs)
    wanted = Interpreter(every).run(inputs)
    for place, (node, got, expected) in enumerate(zip(nodes, native, wanted, strict=True)):
        problem = _difference(node, got, expected)
        if problem:
            assert node.source is not None
            name = node.source.primitive.name
            raise GraphError(f"node {place} ({name}, {node.type}, {node.label}) {problem}")


def _difference(node: Tensor, got: Array, expected: Array) -> str:
    """What is wrong with a native value, or nothing."""
    if got.shape != expected.shape:
        raise ShapeError(f"expected {expected.shape}, got {got.shape}")
    if node.dtype.kind != "f":
        wrong = got != expected
        return f"differs in {int(wrong.sum())} elements" if wrong.any() else ""
    if not np.array_equal(np.isnan(got), np.isnan(expected)):
        return "is NaN in other places"
    with np.errstate(all="ignore"):
        same = (got == expected) | np.isnan(got)
        apart = np.where(same, 0.0, np.abs(got.astype(float) - expected.astype(float)))
        finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 1.0
    bound = np.finfo(node.dtype).eps * 64 * max(1.0, node_flops(node) / max(node.size, 1)) * scale
    worst = float(apart.max()) if apart.size else 0.0
    return f"differs by {worst:.3g} (at most {bound:.3g} expected)" if not worst <= bound else ""
