"""Reverse mode: the transpose of forward mode.

The tangent of y in a symbolic direction v is a graph that is linear in v. Walking that graph
backwards with each primitive's ``transpose`` rule gives, for a cotangent u of y, the product Jᵀu
(vector-Jacobian product). Forward and reverse mode so share one rule and cannot disagree; where
several paths lead to an input their cotangents add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from thalweg.autodiff.forward import push_forward, total
from thalweg.errors import GraphError
from thalweg.graph import Tensor, apply, labelled, placeholder, source_of, topological
from thalweg.ops.repetition import zeros_like


@dataclass(frozen=True, eq=False)
class Linearised:
    """The derivative of outputs at their inputs, as a graph linear in the directions."""

    inputs: tuple[Tensor, ...]
    directions: tuple[Tensor, ...]
    tangents: tuple[Tensor | None, ...]

    @cached_property
    def _linear(self) -> list[Tensor]:
        """The nodes that depend on the directions, each after those that it depends on."""
        found = {id(tensor) for tensor in self.directions}
        present = [tensor for tensor in self.tangents if tensor is not None]
        nodes: list[Tensor] = []
        for node in topological(present, lambda _: False):
            source = node.source
            if source is not None and any(id(item) in found for item in source.inputs):
                found.add(id(node))
                nodes.append(node)
        return nodes

    def push_forward(self, changes: Sequence[Tensor]) -> list[Tensor | None]:
        """Jv for tangents v of the inputs: one tensor (or ``None``, zero) for each output."""
        now = {id(d): change for d, change in zip(self.directions, changes, strict=True)}
        for node in self._linear:
            primitive, inputs, parameters = source_of(node)
            with labelled(*node.label):
                arguments = tuple(now.get(id(item), item) for item in inputs)
                now[id(node)] = apply(primitive, arguments, parameters)
        return [None if change is None else now[id(change)] for change in self.tangents]

    def pull_back(self, cotangents: Sequence[Tensor]) -> list[Tensor]:
        """Jᵀu for cotangents u of the outputs: one tensor for each input."""
        gathered: dict[int, Tensor] = {}
        for change, cotangent in zip(self.tangents, cotangents, strict=True):
            if change is not None:
                gathered[id(change)] = total(gathered.get(id(change)), cotangent)
        dependent = {id(tensor) for tensor in (*self.directions, *self._linear)}
        for node in reversed(self._linear):
            cotangent = gathered.pop(id(node), None)
            if cotangent is not None:
                _pull_through(node, cotangent, dependent, gathered)
        return [
            gathered[id(direction)] if id(direction) in gathered else zeros_like(tensor)
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


def _pull_through(
    node: Tensor, cotangent: Tensor, dependent: set[int], gathered: dict[int, Tensor]
) -> None:
    """Pass a node's cotangent on to the inputs in which the node is linear.

    Raises:
        GraphError: the primitive has a tangent rule but is not linear, or lacks its transpose.
    """
    primitive, inputs, _ = source_of(node)
    if primitive.transpose is None:
        raise GraphError(
            f"a tangent rule used {primitive.name}, which has no transpose rule: reverse mode "
            "needs tangents made of linear operations"
        )
    linear = tuple(id(item) in dependent for item in inputs)
    with labelled(node.label.layer, "backward"):
        for item, part in zip(inputs, primitive.transpose(node, cotangent, linear), strict=True):
            if part is not None and id(item) in dependent:
                gathered[id(item)] = total(gathered.get(id(item)), part)
