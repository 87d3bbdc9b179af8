"""The printed form of a graph: one line a node, names short, types at the end."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from thalweg.graph.graph import Graph
from thalweg.graph.tensor import Tensor, source_of

_COLUMN = 72


def print_graph(graph: Graph) -> str:
    """The graph as text that a person can read.

    Inputs keep their names, nodes are numbered, scalar constants stand in place.
    """
    names = _names(graph)
    lines = [f"graph({', '.join(f'{names[id(x)]}: {x.type}' for x in graph.inputs)}) {{"]
    arrays = (tensor for tensor in graph.constants if tensor.shape)
    lines += [f"  {names[id(tensor)]} = constant {_summary(tensor)}" for tensor in arrays]
    texts = [_node_text(node, names) for node in graph.nodes]
    width = min(max(map(len, texts), default=0), _COLUMN)
    for node, text in zip(graph.nodes, texts, strict=True):
        lines.append(f"  {text:<{width}}  : {node.type}  # {node.label}")
    results = ", ".join(names[id(tensor)] for tensor in graph.outputs)
    return "\n".join([*lines, f"  return {results}", "}"])


def _names(graph: Graph) -> dict[int, str]:
    """A name for every tensor of the graph, each used once (numbers name themselves)."""
    names: dict[int, str] = {}
    used: set[str] = set()
    for index, tensor in enumerate(graph.inputs):
        names[id(tensor)] = _unused(tensor.name or f"x{index}", used)
    spare = (f"c{number}" for number in count())
    for tensor in graph.constants:
        if tensor.shape:
            names[id(tensor)] = next(name for name in spare if name not in used)
        else:
            names[id(tensor)] = str(tensor.numpy()[()])
    names |= {id(node): f"%{index}" for index, node in enumerate(graph.nodes)}
    return names


def _unused(name: str, used: set[str]) -> str:
    """The name, with a number behind it where it is taken."""
    choices = (name if number == 1 else f"{name}_{number}" for number in count(1))
    free = next(choice for choice in choices if choice not in used)
    used.add(free)
    return free


def _summary(tensor: Tensor) -> str:
    flat = np.ravel(tensor.numpy())
    shown = " ".join(f"{value:.6g}" for value in flat[:6])
    return f"{tensor.type} [{shown}{' ...' if flat.size > 6 else ''}]"


def _node_text(node: Tensor, names: dict[int, str]) -> str:
    primitive, inputs, parameters = source_of(node)
    arguments = [names[id(item)] for item in inputs]
    arguments += [f"{key}={_parameter(value)}" for key, value in parameters.items()]
    return f"{names[id(node)]} = {primitive.name}({', '.join(arguments)})"


def _parameter(value: Any) -> str:
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, tuple):
        return "(" + ",".join(map(str, value)) + ")"
    return str(value)
