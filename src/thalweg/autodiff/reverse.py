"""Reverse mode: the transpose of forward mode.

The tangent of y in a symbolic direction v is a graph that is linear in v. Walking that graph
backwards with each primitive's ``transpose`` rule gives, for a cotangent u of y, the product Jᵀu
(vector-Jacobian product). Forward and reverse mode so share one rule and cannot disagree; where
several paths lead to an input their cotangents add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.autodiff.forward import push_forward, total
from thalweg.graph import Tensor, labelled, placeholder, topological
from thalweg.ops.repetition import zeros_like


@dataclass(frozen=True, eq=False)
class Linearised:
    """The derivative of outputs at their inputs, as a graph linear in the directions."""

    inputs: tuple[Tensor, ...]
    directions: tuple[Tensor, ...]
    tangents: tuple[Tensor | None, ...]

    def pull_back(self, cotangents: Sequence[Tensor]) -> list[Tensor]:
        """Jᵀu for cotangents u of the outputs: one tensor for each input."""
        ends = {id(tensor) for tensor in self.directions}
        present = [tensor for tensor in self.tangents if tensor is not None]
        order = topological(present, lambda tensor: id(tensor) in ends)
        dependent = _dependent(order, ends)
        gathered: dict[int, Tensor] = {}
        for change, cotangent in zip(self.tangents, cotangents, strict=True):
            if change is not None:
                gathered[id(change)] = total(gathered.get(id(change)), cotangent)
        for node in reversed(order):
            if id(node) in gathered and id(node) in dependent and id(node) not in ends:
                _pull_through(node, gathered[id(node)], dependent, gathered)
        return [
            gathered.get(id(direction), zeros_like(tensor))
            for tensor, direction in zip(self.inputs, self.directions, strict=True)
        ]


def linearise(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> Linearised:
    """The derivative of outputs with respect to inputs, ready to be transposed."""
    directions = tuple(placeholder(tensor.type, "direction") for tensor in inputs)
    tangents = push_forward(outputs, inputs, directions, "backward")
    return Linearised(tuple(inputs), directions, tuple(tangents))


def pull_back(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Tensor]:
    """Jᵀu: the derivative of Σ outputs · cotangents with respect to each input."""
    return linearise(outputs, inputs).pull_back(cotangents)


def _dependent(order: Sequence[Tensor], ends: set[int]) -> set[int]:
    found = set(ends)
    for node in order:
        if node.source is not None and any(id(item) in found for item in node.source.inputs):
            found.add(id(node))
    return found


def _pull_through(
    node: Tensor, cotangent: Tensor, dependent: set[int], gathered: dict[int, Tensor]
) -> None:
    """Pass a node's cotangent on to the inputs in which the node is linear."""
    assert node.source is not None
    primitive, inputs, _ = node.source
    assert primitive.transpose is not None, f"{primitive.name} has no transpose rule"
    linear = tuple(id(item) in dependent for item in inputs)
    with labelled(node.label.layer, "backward"):
        for item, part in zip(inputs, primitive.transpose(node, cotangent, linear), strict=True):
            if part is not None and id(item) in dependent:
                gathered[id(item)] = total(gathered.get(id(item)), part)
