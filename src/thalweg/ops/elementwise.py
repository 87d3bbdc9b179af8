"""Elementwise functions of tensors under NumPy's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from thalweg.graph import Primitive, Tensor, as_dtype, as_tensor
from thalweg.ops import binary, repetition, unary
from thalweg.ops.promotion import broadcast_to, common_shape, convert, same_dtype, together
from thalweg.ops.shaping import ones


def real(x: Any) -> Tensor:
    """X as floating point; whole numbers and truth values become float32."""
    tensor = as_tensor(x)
    return tensor if tensor.type.is_float else unary.cast(tensor, dtype=as_dtype("float32"))


def _pair(primitive: Primitive, a: Any, b: Any) -> Tensor:
    return primitive(*together(a, b))


# ------------------------------------------------------------------ elementwise, one input


def negative(x: Any) -> Tensor:
    """-x."""
    return unary.neg(as_tensor(x))


def absolute(x: Any) -> Tensor:
    """|x|; derivative 0 at 0."""
    tensor = as_tensor(x)
    return tensor if tensor.dtype.kind in "bu" else unary.abs_(tensor)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; derivative 0."""
    return unary.sign(as_tensor(x))


def exp(x: Any) -> Tensor:
    """eˣ."""
    return unary.exp(real(x))


def expm1(x: Any) -> Tensor:
    """eˣ - 1, accurate near 0."""
    return unary.expm1(real(x))


def log(x: Any) -> Tensor:
    """The natural logarithm; -∞ at 0, NaN below."""
    return unary.log(real(x))


def log1p(x: Any) -> Tensor:
    """log(1 + x), accurate near 0."""
    return unary.log1p(real(x))


def sqrt(x: Any) -> Tensor:
    """The square root; NaN below 0."""
    return unary.sqrt(real(x))


def sin(x: Any) -> Tensor:
    """The sine of x in radians."""
    return unary.sin(real(x))


def cos(x: Any) -> Tensor:
    """The cosine of x in radians."""
    return unary.cos(real(x))


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent, in (-1, 1)."""
    return unary.tanh(real(x))


def logistic(x: Any) -> Tensor:
    """1 / (1 + e⁻ˣ), in (0, 1)."""
    return unary.logistic(real(x))


def erf(x: Any) -> Tensor:
    """The error function 2/√π ∫₀ˣ e^(-t²) dt."""
    return unary.erf(real(x))


def floor(x: Any) -> Tensor:
    """The largest whole number ≤ x; derivative 0."""
    return unary.floor(real(x))


def round_(x: Any) -> Tensor:
    """The nearest whole number, halves to even; derivative 0."""
    return unary.round_(real(x))


def square(x: Any) -> Tensor:
    """x²."""
    tensor = as_tensor(x)
    return binary.mul(tensor, tensor)


def isfinite(x: Any) -> Tensor:
    """Whether each element is neither NaN nor infinite."""
    tensor = as_tensor(x)
    if not tensor.type.is_float:
        return ones(tensor.shape, "bool")
    return binary.lt(unary.abs_(tensor), repetition.full_like(tensor, math.inf))


def stop_gradient(x: Any) -> Tensor:
    """The same value, whose derivative counts as zero."""
    return unary.stop_gradient(as_tensor(x))


def astype(x: Any, dtype: DTypeLike) -> Tensor:
    """The elements converted to another type."""
    return convert(as_tensor(x), as_dtype(dtype))


# ------------------------------------------------------------------ elementwise, two inputs


def add(a: Any, b: Any) -> Tensor:
    """A + b."""
    return _pair(binary.add, a, b)


def subtract(a: Any, b: Any) -> Tensor:
    """A - b."""
    return _pair(binary.sub, a, b)


def multiply(a: Any, b: Any) -> Tensor:
    """A · b, elementwise."""
    return _pair(binary.mul, a, b)


def divide(a: Any, b: Any) -> Tensor:
    """A / b, as floating point."""
    first, second = together(a, b)
    return binary.div(real(first), real(second))


def power(a: Any, b: Any) -> Tensor:
    """A to the power b; the numbers -2, -1, ±½ and 0 … 4 become products and roots.

    Whole numbers to a whole number ≥ 0 stay whole; other powers are floating point.
    """
    if isinstance(b, (int, float, np.integer, np.floating)) and not isinstance(b, bool):
        x = as_tensor(a)
        if not x.type.is_float and isinstance(b, (int, np.integer)) and b >= 0:
            return _whole_power(x if x.dtype.kind in "iu" else astype(x, "int64"), int(b))
        known = _known_power(real(x), float(b))
        if known is not None:
            return known
    first, second = together(a, b)
    return binary.pow_(real(first), real(second))


def _whole_power(x: Tensor, exponent: int) -> Tensor:
    """X · x · … · x, by repeated squaring."""
    result, factor = None, x
    while exponent:
        if exponent % 2:
            result = factor if result is None else binary.mul(result, factor)
        exponent //= 2
        factor = binary.mul(factor, factor) if exponent else factor
    return repetition.full_like(x, 1) if result is None else result


def _known_power(x: Tensor, exponent: float) -> Tensor | None:
    if exponent in {0.0, 1.0, 2.0, 3.0, 4.0}:
        return _whole_power(x, int(exponent))
    if exponent in {0.5, -0.5}:
        root = unary.sqrt(x)
        return root if exponent > 0 else 1.0 / root
    if exponent in {-1.0, -2.0}:
        return 1.0 / (x if exponent == -1 else binary.mul(x, x))
    return None


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b; where they are equal the derivative goes to b."""
    return _pair(binary.max_, a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b; where they are equal the derivative goes to b."""
    return _pair(binary.min_, a, b)


def clip(x: Any, low: Any, high: Any) -> Tensor:
    """X limited to [low, high]; derivative 0 at and beyond the limits."""
    return minimum(maximum(x, low), high)


def equal(a: Any, b: Any) -> Tensor:
    """A = b, elementwise."""
    return _pair(binary.eq, a, b)


def not_equal(a: Any, b: Any) -> Tensor:
    """A ≠ b, elementwise."""
    return _pair(binary.ne, a, b)


def less(a: Any, b: Any) -> Tensor:
    """A < b, elementwise."""
    return _pair(binary.lt, a, b)


def less_equal(a: Any, b: Any) -> Tensor:
    """A ≤ b, elementwise."""
    return _pair(binary.le, a, b)


def bitwise_and(a: Any, b: Any) -> Tensor:
    """And, of booleans or of the bits of integers."""
    return _pair(binary.and_, a, b)


def bitwise_or(a: Any, b: Any) -> Tensor:
    """Or, of booleans or of the bits of integers."""
    return _pair(binary.or_, a, b)


def bitwise_xor(a: Any, b: Any) -> Tensor:
    """Exclusive or, of booleans or of the bits of integers."""
    return _pair(binary.xor, a, b)


def bitwise_not(x: Any) -> Tensor:
    """Not, of booleans or of the bits of integers."""
    return unary.not_(as_tensor(x))


def shift_right(a: Any, b: Any) -> Tensor:
    """The bits of a moved right by b places."""
    return _pair(binary.shift_right, a, b)


def where(condition: Any, yes: Any, no: Any) -> Tensor:
    """``yes`` where the condition holds, else ``no``."""
    test = as_tensor(condition)
    first, second = same_dtype(yes, no)
    shape = common_shape(test.shape, first.shape, second.shape)
    return binary.select(*(broadcast_to(item, shape) for item in (test, first, second)))
