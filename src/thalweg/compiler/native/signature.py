"""What a program is recognised by: the canonical form of its graph.

Two graphs with the same form have the same program. Labels do not count, nor do the elements of
constants that a program takes from memory; numbers count bit by bit (0.0 is not -0.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from thalweg.compiler.passes.kernels import is_number
from thalweg.graph import Graph, Tensor, source_of


def signature(graph: Graph, *more: object) -> bytes:
    """A digest of a graph's canonical form, and of whatever else the program depends on."""
    names = {id(tensor): f"i{place}" for place, tensor in enumerate(graph.inputs)}
    lines = [f"{tensor.type}" for tensor in graph.inputs]
    for place, tensor in enumerate(graph.constants):
        names[id(tensor)] = f"c{place}"
        lines.append(_constant(tensor))
    for place, node in enumerate(graph.nodes):
        names[id(node)] = f"n{place}"
        lines.append(_node(node, names))
    lines.append(" ".join(names[id(tensor)] for tensor in graph.outputs))
    lines += [repr(item) for item in more]
    return hashlib.sha256("\n".join(lines).encode()).digest()


def _constant(tensor: Tensor) -> str:
    if is_number(tensor):
        return f"{tensor.type} {tensor.numpy().tobytes().hex()}"
    return f"{tensor.type} in memory"


def _node(node: Tensor, names: Mapping[int, str]) -> str:
    primitive, inputs, parameters = source_of(node)
    taken = " ".join(names[id(item)] for item in inputs)
    return f"{primitive.name} {taken} {_written(parameters)} {node.type}"


def _written(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in sorted(parameters.items()))
