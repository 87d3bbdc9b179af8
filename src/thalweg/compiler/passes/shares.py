"""Shares eˣ / Σ eˣ: the sums that they divide by, and how they are computed without overflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from thalweg.compiler.passes.factors import (
    MOVING,
    Factor,
    are_opposite,
    exponent,
    more_than_one,
    moved_again,
    peeled,
    quotients,
)
from thalweg.compiler.passes.rules import made_by, uniform_value
from thalweg.compiler.passes.views import dense, resolve
from thalweg.graph import Shape, Source, Tensor, source_of
from thalweg.ops import binary, reduction, unary
from thalweg.ops.declare import inputs_of
from thalweg.ops.index import iota
from thalweg.ops.repetition import full_like, reduce_sum, spread, zeros_like

Share = Callable[[Tensor, Tensor, "Factor | None"], "Tensor | None"]
"""``(x, denominator, quotient)``: eˣ / denominator, which stands in the quotient."""

# ------------------------------------------------------------------ sums of exponentials


class PowerSum(NamedTuple):
    """A multiple of Σ eˣ.

    Attributes:
        x: the exponents.
        axes: that the sum runs over.
        total: the sum.
        scale: a positive number that it is multiplied with.
        moves: what repeats the total, outermost first.
    """

    x: Tensor
    axes: Shape
    total: Tensor
    scale: float
    moves: tuple[Source, ...]

    @property
    def largest(self) -> Tensor:
        """The largest exponent over the axes, 0 where it is not finite."""
        top = reduction.reduce_max(self.x, axes=self.axes)
        is_finite = binary.lt(unary.abs_(top), full_like(top, math.inf))
        return binary.select(is_finite, top, zeros_like(top))

    @property
    def shifted(self) -> Tensor:
        """x - m with m the largest element."""
        return binary.sub(self.x, spread(self.largest, self.axes, self.x.shape))

    @property
    def softmax(self) -> Tensor:
        """e^(x - m) / Σ e^(x - m)."""
        power = unary.exp(self.shifted)
        total = reduce_sum(power, axes=self.axes)
        return binary.div(power, spread(total, self.axes, self.x.shape))

    @property
    def is_safe(self) -> bool:
        """Whether the largest element was taken away from the exponents."""
        return is_shifted(self.x, self.axes)

    def fits(self, moves: Sequence[Source] = ()) -> bool:
        """Whether each element of x stands over its own sum, after more repetition."""
        return stands_over(self.total, (*moves, *self.moves), self.axes, self.x.shape)


def stands_over(total: Tensor, moves: Sequence[Source], axes: Shape, shape: Shape) -> bool:
    """Whether moves (outermost first) repeat a result over the axes that it was reduced along."""
    tensor = moved_again(total, moves)
    access = resolve(tensor)
    if tensor.shape != shape or access is None or access.base is not total:
        return False
    kept = iter(dense(total.shape))
    wanted = [0 if axis in axes else next(kept) for axis in range(len(shape))]
    triples = zip(access.strides, wanted, shape, strict=True)
    return not access.offset and all(n == 1 or have == want for have, want, n in triples)


def power_sum(tensor: Tensor) -> PowerSum | None:
    """Σ eˣ over axes that are not empty, through repetition and positive multiples."""
    moves: list[Source] = []
    scale = 1.0
    while tensor.source is not None:
        if tensor.source.primitive in MOVING:
            moves.append(tensor.source)
            tensor = tensor.source.inputs[0]
            continue
        inner, factor = _unscaled(tensor)
        if inner is tensor:
            break
        tensor, scale = inner, scale * factor
    source = made_by(tensor, reduce_sum)
    power = made_by(source.inputs[0], unary.exp) if source else None
    if source is None or power is None:
        return None
    (x,), axes = power.inputs, source.parameters["axes"]
    if not axes or not all(x.shape[axis] for axis in axes):
        return None
    return PowerSum(x, axes, tensor, scale, tuple(moves))


def _unscaled(tensor: Tensor) -> tuple[Tensor, float]:
    """A tensor without the positive number that it is multiplied with."""
    primitive, inputs, _ = source_of(tensor)
    if primitive is binary.div:
        value = uniform_value(inputs[1])
        if value is not None and 0.0 < value < math.inf:
            return inputs[0], 1.0 / value
    if primitive is binary.mul:
        for known, other in (inputs, inputs[::-1]):
            value = uniform_value(known)
            if value is not None and 0.0 < value < math.inf:
                return other, value
    return tensor, 1.0


def is_shifted(x: Tensor, axes: Shape) -> bool:
    """Whether a tensor is y - max y over these axes, or a positive multiple."""
    while x.source is not None and (inner := _unscaled(x)[0]) is not x:
        x = inner
    source = made_by(x, binary.sub)
    if source is None:
        return False
    y, top = source.inputs
    base = peeled(top)[0]
    choice = made_by(base, binary.select)
    tops = [base] if choice is None else [peeled(item)[0] for item in choice.inputs[1:]]
    return any(_is_largest(item, y, axes) for item in tops)


def _is_largest(top: Tensor, y: Tensor, axes: Shape) -> bool:
    source = made_by(top, reduction.reduce_max)
    return source is not None and source.inputs[0] is y and source.parameters["axes"] == axes


def summed_powers(tensor: Tensor) -> tuple[Tensor, Tensor] | None:
    """The exponents a, b in eᵃ + eᵇ."""
    source = made_by(tensor, binary.add)
    found = [made_by(item, unary.exp) for item in source.inputs] if source else []
    inputs = [power.inputs[0] for power in found if power is not None]
    return (inputs[0], inputs[1]) if len(inputs) == 2 else None


# ------------------------------------------------------------------ shares


def scaled(tensor: Tensor, scale: float) -> Tensor:
    """A tensor times a number."""
    return tensor if scale == 1.0 else binary.mul(tensor, full_like(tensor, scale))


def softmax_of(tensor: Tensor) -> PowerSum | None:
    """The sum in a softmax of shifted exponents."""
    source = made_by(tensor, binary.div)
    found = power_sum(source.inputs[1]) if source else None
    if source is None or found is None or found.x is not exponent(source.inputs[0]):
        return None
    return found if found.is_safe and found.fits() else None


def share_of_sum(x: Tensor, bottom: Tensor, quotient: Factor | None) -> Tensor | None:
    """eˣ / Σ eˣ."""
    found = power_sum(bottom)
    if found is None or found.x is not x:
        return None
    if not found.fits(quotient.layouts if quotient else ()):
        return None
    if found.is_safe:
        is_cancelled = (
            quotient is not None and not quotient.layouts and _divides_by_positive(quotient)
        )
        return binary.div(unary.exp(x), bottom) if is_cancelled else None
    return scaled(found.softmax, 1.0 / found.scale)


def share_of_two(x: Tensor, bottom: Tensor, quotient: Factor | None) -> Tensor | None:
    """eˣ / (1 + eˣ) or eˣ / (eˣ + eʸ)."""
    if quotient is not None and quotient.layouts:
        return None
    if exponent(more_than_one(bottom)) is x:
        return None if is_negative(x) else unary.logistic(x)
    pair = summed_powers(bottom)
    if pair is None or all(item is not x for item in pair):
        return None
    other = pair[1] if pair[0] is x else pair[0]
    return unary.logistic(binary.sub(x, other))


def _divides_by_positive(quotient: Factor) -> bool:
    """Whether the numerator holds 1/p for a share p."""
    inner = quotients(inputs_of(quotient.tensor)[0])
    return any(is_positive(inputs_of(item.tensor)[1]) for item in inner)


def is_sum_of_powers(tensor: Tensor) -> bool:
    """Whether a tensor is 1 + eˣ, eᵃ + eᵇ or Σ eˣ, and may overflow."""
    if exponent(more_than_one(tensor)) is not None or summed_powers(tensor) is not None:
        return True
    found = power_sum(tensor)
    return found is not None and not found.is_safe


def is_positive(tensor: Tensor) -> bool:
    """Whether a tensor is a power, a logistic function or a softmax: always positive."""
    if made_by(tensor, unary.logistic) is not None or exponent(tensor) is not None:
        return True
    return softmax_of(tensor) is not None


def is_negative(x: Tensor) -> bool:
    """Whether a tensor is -|y|."""
    source = made_by(x, unary.neg)
    if source is not None:
        return made_by(source.inputs[0], unary.abs_) is not None
    choice = made_by(x, binary.select)
    if choice is None:
        return False
    condition, yes, no = choice.inputs
    above = made_by(condition, binary.lt)
    is_above = above is not None and above.inputs[1] is no and uniform_value(above.inputs[0]) == 0.0
    return is_above and are_opposite(yes, no)


# ------------------------------------------------------------------ one of many


class Picked(NamedTuple):
    """Σ tₖpₖ with a one-hot t: one of the positive numbers p, or 0.

    Attributes:
        mask: t.
        hits: where t is 1.
        p: the numbers.
        axes: the axis that the sum runs over.
    """

    mask: Tensor
    hits: Tensor
    p: Tensor
    axes: Shape


def picked_by(total: Tensor) -> Picked | None:
    """What a sum picks, if it picks."""
    source = made_by(total, reduce_sum)
    product = made_by(source.inputs[0], binary.mul) if source else None
    axes = source.parameters["axes"] if source else ()
    if product is None or len(axes) != 1:
        return None
    for mask, p in (product.inputs, product.inputs[::-1]):
        hits = _hits(mask, axes[0])
        if hits is not None and is_positive(p) and p.shape[axes[0]]:
            return Picked(mask, hits, p, axes)
    return None


def _hits(mask: Tensor, axis: int) -> Tensor | None:
    """Where a one-hot along an axis is 1: where indices, the same along it, are 0, 1, 2, …."""
    while (source := made_by(mask, unary.cast)) is not None:
        (mask,) = source.inputs
    source = made_by(mask, binary.eq)
    for numbers, indices in (source.inputs, source.inputs[::-1]) if source else ():
        counted, fixed = resolve(numbers), resolve(indices)
        if counted is None or fixed is None or made_by(counted.base, iota) is None:
            continue
        steps = tuple(int(place == axis) for place in range(mask.ndim))
        if (counted.offset, counted.strides, fixed.strides[axis]) == (0, steps, 0):
            return mask
    return None
