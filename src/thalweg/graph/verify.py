"""The verifier: the rules of a graph, checked after every transformation in tests."""

from __future__ import annotations

from thalweg.errors import GraphError, ShapeError
from thalweg.graph.graph import Graph
from thalweg.graph.primitive import PRIMITIVES
from thalweg.graph.tensor import Tensor, source_of
from thalweg.graph.types import type_of


def verify(graph: Graph) -> None:
    """Check a graph's rules.

    Inputs are placeholders, constants have the value that their type says, nothing is defined
    twice or used before it is defined, every node's type is what its primitive derives, outputs
    are defined, and every node and constant leads to an output.

    Raises:
        GraphError: naming the node that breaks a rule.
    """
    defined = {id(tensor) for tensor in (*graph.inputs, *graph.constants)}
    if len(defined) != len(graph.inputs) + len(graph.constants):
        raise GraphError("an input or constant occurs twice")
    _verify_ends(graph)
    for position, node in enumerate(graph.nodes):
        _verify_node(f"node {position}", node, defined)
        defined.add(id(node))
    for tensor in graph.outputs:
        if id(tensor) not in defined:
            raise GraphError(f"output {tensor!r} is not defined by the graph")
    _verify_use(graph)


def _verify_ends(graph: Graph) -> None:
    for tensor in graph.inputs:
        if tensor.value is not None or tensor.source is not None:
            raise GraphError(f"input {tensor!r} is not a placeholder")
    for tensor in graph.constants:
        if tensor.value is None:
            raise GraphError(f"constant {tensor!r} has no value")
        if type_of(tensor.value) != tensor.type:
            raise GraphError(f"a constant says {tensor.type}, its value is {type_of(tensor.value)}")


def _verify_node(where: str, node: Tensor, defined: set[int]) -> None:
    if node.source is None:
        raise GraphError(f"{where} ({node!r}) has no source")
    primitive, inputs, parameters = node.source
    where = f"{where} ({primitive.name})"
    if id(node) in defined:
        raise GraphError(f"{where} is defined twice")
    if PRIMITIVES.get(primitive.name) is not primitive:
        raise GraphError(f"{where} is not a registered primitive")
    for item in inputs:
        if id(item) not in defined:
            raise GraphError(f"{where} uses {item!r} before it is defined")
    try:
        derived = primitive.infer(*[item.type for item in inputs], **parameters)
    except (ShapeError, TypeError) as error:
        raise GraphError(f"{where} breaks its type rule: {error}") from error
    if derived != node.type:
        raise GraphError(f"{where} says {node.type}, its rule derives {derived}")


def _verify_use(graph: Graph) -> None:
    used = {id(tensor) for tensor in graph.outputs}
    for node in graph.nodes:
        used.update(id(item) for item in source_of(node).inputs)
    for position, node in enumerate(graph.nodes):
        if id(node) not in used:
            raise GraphError(f"node {position} leads to no output")
    if any(id(tensor) not in used for tensor in graph.constants):
        raise GraphError("a constant leads to no output")
