"""Closed computations: inputs, nodes in order of evaluation, outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.errors import GraphError, ShapeError
from thalweg.graph.label import labelled
from thalweg.graph.primitive import apply
from thalweg.graph.tensor import Tensor, as_tensor, placeholder, source_of
from thalweg.graph.types import TensorType
from thalweg.tree import Tree, flatten


def topological(outputs: Iterable[Tensor], stop: Callable[[Tensor], bool]) -> list[Tensor]:
    """The tensors that outputs depend on, each after its inputs; ``stop`` ends the search."""
    order: list[Tensor] = []
    seen: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(tensor, False) for tensor in reversed(list(outputs))]
    while stack:
        tensor, done = stack.pop()
        if done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if tensor.source is not None and not stop(tensor):
                stack.extend(
                    (item, False) for item in reversed(tensor.source.inputs) if id(item) not in seen
                )
    return order


def is_constant(tensor: Tensor) -> bool:
    """Whether a graph takes a tensor as its value, whatever it was computed from."""
    return tensor.value is not None and not (tensor.source and tensor.source.primitive.inline)


@dataclass(frozen=True, eq=False)
class Graph:
    """A closed computation: inputs, nodes in order of evaluation, outputs.

    Tensors with a value are constants, repeated ones (``broadcast``) excepted: these are nodes, so
    that they take no memory. Calling a graph applies its nodes to tensors, so a graph can be
    traced, differentiated or inlined again.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...] = field(init=False)
    constants: tuple[Tensor, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Order the nodes and find the constants.

        Raises:
            GraphError: when an output depends on a traced tensor that is no input, or an input is
                not a placeholder.
        """
        for tensor in self.inputs:
            if tensor.value is not None or tensor.source is not None:
                raise GraphError(f"inputs of a graph are placeholders, got {tensor!r}")
        known = {id(tensor) for tensor in self.inputs}
        order = topological(self.outputs, lambda tensor: id(tensor) in known or is_constant(tensor))
        nodes: list[Tensor] = []
        constants: list[Tensor] = []
        for tensor in order:
            if id(tensor) in known:
                continue
            if tensor.source is not None and not is_constant(tensor):
                nodes.append(tensor)
            elif tensor.value is not None:
                constants.append(tensor)
            else:
                raise GraphError(
                    f"the graph depends on {tensor!r}, which is none of its inputs; pass it as an "
                    "argument instead of capturing it from another trace"
                )
        object.__setattr__(self, "nodes", tuple(nodes))
        object.__setattr__(self, "constants", tuple(constants))

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        """Apply the nodes to other tensors, or arrays, of the same types."""
        if len(inputs) != len(self.inputs):
            raise GraphError(f"the graph takes {len(self.inputs)} inputs, got {len(inputs)}")
        now: dict[int, Tensor] = {}
        for formal, given in zip(self.inputs, inputs, strict=True):
            actual = as_tensor(given)
            if formal.type != actual.type:
                raise ShapeError(f"input {formal.name}: expected {formal.type}, got {actual.type}")
            now[id(formal)] = actual
        for node in self.nodes:
            primitive, arguments, parameters = source_of(node)
            arguments = tuple(now.get(id(item), item) for item in arguments)
            with labelled(*node.label):
                now[id(node)] = apply(primitive, arguments, parameters)
        return tuple(now.get(id(output), output) for output in self.outputs)

    def __str__(self) -> str:
        from thalweg.graph.text import print_graph

        return print_graph(self)

    @property
    def flops(self) -> int:
        """Floating-point operations of one evaluation (a multiply-add counts two)."""
        return sum(node_flops(node) for node in self.nodes)

    @property
    def bytes(self) -> int:
        """Bytes read and written if every node went through memory."""
        return sum(
            node.type.bytes + sum(item.type.bytes for item in source_of(node).inputs)
            for node in self.nodes
        )

    def operations(self) -> dict[str, int]:
        """How often each primitive occurs, most frequent first."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            name = source_of(node).primitive.name
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def node_flops(node: Tensor) -> int:
    """Floating-point operations of one node."""
    rule = source_of(node).primitive.flops
    return rule(node) if callable(rule) else rule * node.size


def trace_flat(
    function: Callable[..., Tree], types: Sequence[TensorType], names: Sequence[str] = ()
) -> tuple[Graph, Tree]:
    """Trace a function of tensors; gives the graph and the function's own (nested) result."""
    labels = list(names) or [f"x{index}" for index in range(len(types))]
    inputs = tuple(placeholder(type_, name) for type_, name in zip(types, labels, strict=True))
    result = function(*inputs)
    leaves, _ = flatten(result)
    return Graph(inputs, tuple(as_tensor(item) for item in leaves)), result
