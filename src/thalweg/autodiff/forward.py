"""Forward mode: tangents pushed from inputs to outputs along the graph.

For y = f(x) with Jacobian J the tangent of y in the direction v is Jv. Each primitive's ``tangent``
rule gives its part; nodes that do not depend on the inputs have no tangent (``None``, zero).
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.graph import Tensor, labelled, topological
from thalweg.ops.binary import add


def push_forward(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    tangents: Sequence[Tensor],
    direction: str | None = None,
) -> list[Tensor | None]:
    """The tangents of outputs for given tangents of inputs (Jacobian-vector product).

    Args:
        outputs: tensors computed from the inputs.
        inputs: tensors of the graph, each named once.
        tangents: for each input a tensor of its type.
        direction: the label of the new nodes, where it is not that of the nodes they belong to.

    Returns:
        For each output its tangent, or ``None`` where it does not depend on the inputs.
    """
    ends = {id(tensor) for tensor in inputs}
    known: dict[int, Tensor] = {
        id(tensor): change for tensor, change in zip(inputs, tangents, strict=True)
    }
    for node in topological(outputs, lambda tensor: id(tensor) in ends):
        source = node.source
        if source is None or id(node) in ends or source.primitive.tangent is None:
            continue
        changes = tuple(known.get(id(item)) for item in source.inputs)
        if any(change is not None for change in changes):
            with labelled(node.label.layer, direction or node.label.direction):
                result = source.primitive.tangent(node, changes)
            if result is not None:
                known[id(node)] = result
    return [known.get(id(output)) for output in outputs]


def total(first: Tensor | None, second: Tensor) -> Tensor:
    """A running sum that starts with nothing."""
    return second if first is None else add(first, second)
