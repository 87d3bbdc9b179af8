"""The verifier: the rules of a graph, checked after every transformation in tests."""

from __future__ import annotations

from thalweg.errors import GraphError
from thalweg.graph.graph import Graph
from thalweg.graph.tensor import PRIMITIVES, Tensor


def verify(graph: Graph) -> None:
    """Check a graph's rules: defined once, before use; every type re-derived; outputs defined.

    Raises:
        GraphError: naming the node that breaks a rule.
    """
    defined = {id(tensor) for tensor in (*graph.inputs, *graph.constants)}
    if len(defined) != len(graph.inputs) + len(graph.constants):
        raise GraphError("an input or constant occurs twice")
    for position, node in enumerate(graph.nodes):
        _verify_node(f"node {position}", node, defined)
        defined.add(id(node))
    for tensor in graph.outputs:
        if id(tensor) not in defined:
            raise GraphError(f"output {tensor!r} is not defined by the graph")


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
    derived = primitive.infer(*[item.type for item in inputs], **parameters)
    if derived != node.type:
        raise GraphError(f"{where} says {node.type}, its rule derives {derived}")
