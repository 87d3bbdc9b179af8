"""Rules for maximum pooling: what is done to every place becomes work on the winners alone."""

from __future__ import annotations

from thalweg.compiler.passes.rules import Rule, collected, made_by, uniform_value
from thalweg.graph import Tensor, source_of
from thalweg.ops import binary, repetition
from thalweg.ops.declare import inputs_of
from thalweg.ops.window import window_max, window_place

POOLING: list[Rule] = []

_rule = collected(POOLING)


@_rule("mask-winners", "select", "only a winner is anything, and it equals the maximum")
def _mask_winners(node: Tensor) -> Tensor | None:
    """0 < x at a winner is 0 < the maximum; after ReLU, x = max(z, 0), 0 < z says the same."""
    condition, yes, no = inputs_of(node)
    placed = made_by(yes, window_place)
    if placed is None or uniform_value(no) != 0.0:
        return None
    x, result = placed.inputs
    if not _says_positive(condition, x):
        return None
    best = window_max(x, **placed.parameters)
    mask = binary.lt(repetition.zeros_like(best), best)
    masked = binary.select(mask, result, repetition.zeros_like(result))
    return window_place(x, masked, **placed.parameters)


def _says_positive(condition: Tensor, x: Tensor) -> bool:
    """Whether a condition is 0 < x, or 0 < z with x = max(z, 0)."""
    compared, source = made_by(condition, binary.lt), made_by(x, binary.max_)
    if compared is None or uniform_value(compared.inputs[0]) != 0.0:
        return False
    z = compared.inputs[1]
    if z is x or source is None:
        return z is x
    zeros = [item for item in source.inputs if uniform_value(item) == 0.0]
    return len(zeros) == 1 and any(item is z for item in source.inputs if item is not zeros[0])


@_rule("sum-of-placed", "reduce_sum", "each result is placed once")
def _sum_of_placed(node: Tensor) -> Tensor | None:
    """Σ over places of what is placed = Σ over windows of what there was to place."""
    placed = made_by(inputs_of(node)[0], window_place)
    axes = source_of(node).parameters["axes"]
    if placed is None or not {0, 1} <= set(axes) or any(map(any, placed.parameters["padding"])):
        return None
    return repetition.reduce_sum(placed.inputs[1], axes=axes)
