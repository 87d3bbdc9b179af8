"""Products taken apart, and sums of exponentials found beneath reshapes and repetition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from thalweg.compiler.passes.rules import made_by, uniform_value
from thalweg.graph import Source, Tensor
from thalweg.ops import binary, index, layout, repetition, unary
from thalweg.ops.declare import inputs_of

Put = Callable[[Tensor], Tensor]

_MOST = 24
"""Factors of a product that are looked at."""

_REPEATING = (repetition.broadcast, layout.reshape)
MOVING = (*_REPEATING, layout.transpose, layout.slice_, index.gather)


class Factor(NamedTuple):
    """Something that a product is proportional to.

    Attributes:
        tensor: the factor, of the product's shape or repeated to it.
        layouts: what repeats it, outermost first.
        put: the product with another tensor in the factor's place.
    """

    tensor: Tensor
    layouts: tuple[Source, ...]
    put: Put


def factors(product: Tensor) -> list[Factor]:
    """The product itself and its factors, through signs, numerators and repetition."""
    found = [Factor(product, (), _alone)]
    for factor in found:
        if factor.tensor.source is None or len(found) >= _MOST:
            continue
        primitive, inputs, _ = source = factor.tensor.source
        if primitive in _REPEATING:
            outer = (*factor.layouts, source)
            found.append(Factor(inputs[0], outer, _within(factor.put, source, 0)))
        elif primitive in {unary.neg, binary.div}:
            found.append(Factor(inputs[0], factor.layouts, _within(factor.put, source, 0)))
        elif primitive is binary.mul:
            for place in (0, 1):
                put = _within(factor.put, source, place)
                found.append(Factor(inputs[place], factor.layouts, put))
    return found


def _alone(tensor: Tensor) -> Tensor:
    return tensor


def _within(put: Put, source: Source, place: int) -> Put:
    def replaced(tensor: Tensor) -> Tensor:
        inputs = list(source.inputs)
        inputs[place] = tensor
        return put(source.primitive(*inputs, **source.parameters))

    return replaced


def powers(product: Tensor) -> list[Factor]:
    """Factors eᵗ of a product, in its own shape."""
    return [f for f in factors(product) if made_by(f.tensor, unary.exp) and not f.layouts]


def quotients(product: Tensor) -> list[Factor]:
    """Factors of a product that are quotients."""
    return [f for f in factors(product) if made_by(f.tensor, binary.div)]


def first_replaced(product: Tensor, replace: Callable[[Tensor], Tensor | None]) -> Tensor | None:
    """A product whose first fitting factor is replaced."""
    for factor in factors(product):
        new = replace(factor.tensor) if not factor.layouts else None
        if new is not None:
            return factor.put(new)
    return None


def both(node: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A product's two factors in either order."""
    a, b = inputs_of(node)
    return (a, b), (b, a)


# ------------------------------------------------------------------ moved elements


def peeled(tensor: Tensor) -> tuple[Tensor, tuple[Source, ...]]:
    """What a tensor's elements are taken from, and the operations that take them."""
    moves: list[Source] = []
    while tensor.source is not None and tensor.source.primitive in MOVING:
        moves.append(tensor.source)
        tensor = tensor.source.inputs[0]
    return tensor, tuple(moves)


def moved_again(tensor: Tensor, moves: Sequence[Source]) -> Tensor:
    """The same operations (outermost first) on another tensor."""
    for primitive, inputs, parameters in reversed(moves):
        tensor = primitive(tensor, *inputs[1:], **parameters)
    return tensor


# ------------------------------------------------------------------ small forms


def more_than_one(tensor: Tensor) -> Tensor | None:
    """The x in 1 + x."""
    source = tensor.source
    if source is None or source.primitive not in {binary.add, binary.sub}:
        return None
    a, b = source.inputs
    if source.primitive is binary.sub:
        return a if uniform_value(b) == -1.0 else None
    return b if uniform_value(a) == 1.0 else a if uniform_value(b) == 1.0 else None


def less_than_one(tensor: Tensor) -> Tensor | None:
    """The x in 1 - x."""
    source = made_by(tensor, binary.sub)
    return source.inputs[1] if source and uniform_value(source.inputs[0]) == 1.0 else None


def exponent(tensor: Tensor | None) -> Tensor | None:
    """The x in eˣ."""
    source = None if tensor is None else made_by(tensor, unary.exp)
    return None if source is None else source.inputs[0]


def opposite(x: Tensor) -> Tensor:
    """-x, without a second sign where there is one."""
    source = made_by(x, unary.neg)
    return unary.neg(x) if source is None else source.inputs[0]


def are_opposite(a: Tensor, b: Tensor) -> bool:
    """Whether one tensor is the other with another sign."""
    return any(
        source is not None and source.inputs[0] is other
        for source, other in ((made_by(a, unary.neg), b), (made_by(b, unary.neg), a))
    )
