"""The printed form of a graph: one line a node, names short, types at the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.tensor import Tensor


def print_graph(graph: Graph) -> str:
    """The graph as text that a person can read.

    Inputs keep their names, nodes are numbered, scalar constants stand in place.
    """
    names: dict[int, str] = {}
    for index, tensor in enumerate(graph.inputs):
        names[id(tensor)] = tensor.name or f"x{index}"
    lines = [f"graph({_signature(graph, names)}) {{"]
    for tensor in graph.constants:
        names[id(tensor)] = _constant_name(tensor, names)
        if tensor.shape:
            lines.append(f"  {names[id(tensor)]} = constant {_summary(tensor)}")
    width = max(
        (len(_node_text(node, names, index)) for index, node in enumerate(graph.nodes)), default=0
    )
    for index, node in enumerate(graph.nodes):
        text = _node_text(node, names, index)
        lines.append(f"  {text:<{min(width, 72)}}  : {node.type}  # {node.label}")
    results = ", ".join(names[id(tensor)] for tensor in graph.outputs)
    return "\n".join([*lines, f"  return {results}", "}"])


def _signature(graph: Graph, names: dict[int, str]) -> str:
    return ", ".join(f"{names[id(tensor)]}: {tensor.type}" for tensor in graph.inputs)


def _constant_name(tensor: Tensor, names: dict[int, str]) -> str:
    if not tensor.shape:
        return f"{tensor.item()!r}"
    return f"c{sum(name.startswith('c') for name in names.values())}"


def _summary(tensor: Tensor) -> str:
    flat = np.ravel(tensor.numpy())
    shown = " ".join(f"{value:.6g}" for value in flat[:6])
    return f"{tensor.type} [{shown}{' ...' if flat.size > 6 else ''}]"


def _node_text(node: Tensor, names: dict[int, str], index: int) -> str:
    assert node.source is not None
    names[id(node)] = f"%{index}"
    arguments = [names[id(item)] for item in node.source.inputs]
    arguments += [f"{key}={_parameter(value)}" for key, value in node.source.parameters.items()]
    return f"%{index} = {node.source.primitive.name}({', '.join(arguments)})"


def _parameter(value: Any) -> str:
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, tuple):
        return "(" + ",".join(map(str, value)) + ")"
    return str(value)
