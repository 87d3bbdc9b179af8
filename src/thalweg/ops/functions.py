"""Functions of tensors under NumPy's names: what users and the floors above compute with.

All of them take tensors, arrays or numbers, broadcast as NumPy does, and run eagerly, traced or
compiled alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import (
    OPERATORS,
    Primitive,
    Shape,
    Tensor,
    as_dtype,
    as_tensor,
    constant,
)
from thalweg.ops import binary, index, layout, product, reduction, repetition, unary
from thalweg.ops import random as random_ops
from thalweg.ops.promotion import (
    broadcast_to,
    common_shape,
    convert,
    same_dtype,
    together,
)

Axis = int | Sequence[int] | None


def _real(x: Any) -> Tensor:
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
    return unary.abs_(as_tensor(x))


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; derivative 0."""
    return unary.sign(as_tensor(x))


def exp(x: Any) -> Tensor:
    """eˣ."""
    return unary.exp(_real(x))


def expm1(x: Any) -> Tensor:
    """eˣ - 1, accurate near 0."""
    return unary.expm1(_real(x))


def log(x: Any) -> Tensor:
    """The natural logarithm; -∞ at 0, NaN below."""
    return unary.log(_real(x))


def log1p(x: Any) -> Tensor:
    """log(1 + x), accurate near 0."""
    return unary.log1p(_real(x))


def sqrt(x: Any) -> Tensor:
    """The square root; NaN below 0."""
    return unary.sqrt(_real(x))


def sin(x: Any) -> Tensor:
    """The sine of x in radians."""
    return unary.sin(_real(x))


def cos(x: Any) -> Tensor:
    """The cosine of x in radians."""
    return unary.cos(_real(x))


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent, in (-1, 1)."""
    return unary.tanh(_real(x))


def logistic(x: Any) -> Tensor:
    """1 / (1 + e⁻ˣ), in (0, 1)."""
    return unary.logistic(_real(x))


def erf(x: Any) -> Tensor:
    """The error function 2/√π ∫₀ˣ e^(-t²) dt."""
    return unary.erf(_real(x))


def floor(x: Any) -> Tensor:
    """The largest whole number ≤ x; derivative 0."""
    return unary.floor(_real(x))


def round_(x: Any) -> Tensor:
    """The nearest whole number, halves to even; derivative 0."""
    return unary.round_(_real(x))


def square(x: Any) -> Tensor:
    """x²."""
    tensor = as_tensor(x)
    return binary.mul(tensor, tensor)


def isfinite(x: Any) -> Tensor:
    """Whether each element is neither NaN nor infinite."""
    return binary.lt(absolute(x), repetition.full_like(as_tensor(x), math.inf))


def stop_gradient(x: Any) -> Tensor:
    """The same value, whose derivative counts as zero."""
    return unary.stop_gradient(as_tensor(x))


def astype(x: Any, dtype: DTypeLike) -> Tensor:
    """The elements converted to another type."""
    return convert(as_tensor(x), as_dtype(dtype))


# ------------------------------------------------------------------ elementwise, two inputs


def add(a: Any, b: Any) -> Tensor:
    """a + b."""
    return _pair(binary.add, a, b)


def subtract(a: Any, b: Any) -> Tensor:
    """a - b."""
    return _pair(binary.sub, a, b)


def multiply(a: Any, b: Any) -> Tensor:
    """a · b, elementwise."""
    return _pair(binary.mul, a, b)


def divide(a: Any, b: Any) -> Tensor:
    """a / b, as floating point."""
    first, second = together(a, b)
    return binary.div(_real(first), _real(second))


def power(a: Any, b: Any) -> Tensor:
    """a to the power b; whole exponents -2 … 4 and ±½ become products and roots."""
    if isinstance(b, (int, float)) and not isinstance(b, bool):
        known = _known_power(as_tensor(a), float(b))
        if known is not None:
            return known
    first, second = together(a, b)
    return binary.pow_(_real(first), _real(second))


def _known_power(x: Tensor, exponent: float) -> Tensor | None:
    if exponent in {2.0, 3.0, 4.0}:
        squared = x * x
        return squared if exponent == 2 else squared * (x if exponent == 3 else squared)
    if exponent == 1:
        return x
    if exponent == 0:
        return repetition.full_like(x, 1)
    if exponent in {0.5, -0.5}:
        root = sqrt(x)
        return root if exponent > 0 else 1.0 / root
    if exponent in {-1.0, -2.0}:
        return 1.0 / (_real(x) if exponent == -1 else _real(x) * x)
    return None


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b; where they are equal the derivative goes to b."""
    return _pair(binary.max_, a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b; where they are equal the derivative goes to b."""
    return _pair(binary.min_, a, b)


def clip(x: Any, low: Any, high: Any) -> Tensor:
    """x limited to [low, high]; derivative 0 at and beyond the limits."""
    return minimum(maximum(x, low), high)


def equal(a: Any, b: Any) -> Tensor:
    """a = b, elementwise."""
    return _pair(binary.eq, a, b)


def not_equal(a: Any, b: Any) -> Tensor:
    """a ≠ b, elementwise."""
    return _pair(binary.ne, a, b)


def less(a: Any, b: Any) -> Tensor:
    """a < b, elementwise."""
    return _pair(binary.lt, a, b)


def less_equal(a: Any, b: Any) -> Tensor:
    """a ≤ b, elementwise."""
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


# ------------------------------------------------------------------ reductions


def axes_of(x: Tensor, axis: Axis) -> Shape:
    """The axes meant, ascending and counted from 0.

    Raises:
        ShapeError: when one of them is not an axis of x, or occurs twice.
    """
    if axis is None:
        return tuple(range(x.ndim))
    given = [int(axis)] if isinstance(axis, (int, np.integer)) else [int(item) for item in axis]
    for item in given:
        if not -x.ndim <= item < x.ndim:
            raise ShapeError(f"axis {item} is not an axis of {x.type}")
    axes = sorted(item % x.ndim for item in given)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {axis} names an axis twice")
    return tuple(axes)


def _keep(reduced: Tensor, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
    if not keepdims:
        return reduced
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    return layout.reshape(reduced, shape=kept)


def sum_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes (all by default); booleans are counted."""
    tensor = as_tensor(x)
    if tensor.dtype.kind == "b":
        tensor = astype(tensor, "int64")
    axes = axes_of(tensor, axis)
    return _keep(repetition.reduce_sum(tensor, axes=axes), tensor, axes, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over axes (all by default)."""
    tensor = _real(x)
    axes = axes_of(tensor, axis)
    count = math.prod(tensor.shape[item] for item in axes)
    return sum_(tensor, axes, keepdims) / count


def variance(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean squared deviation from the mean (divided by N, not N - 1)."""
    tensor = _real(x)
    return mean(square(tensor - mean(tensor, axis, keepdims=True)), axis, keepdims)


def max_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes; equal ones share the derivative."""
    tensor = as_tensor(x)
    axes = axes_of(tensor, axis)
    return _keep(reduction.reduce_max(tensor, axes=axes), tensor, axes, keepdims)


def min_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes; equal ones share the derivative."""
    return negative(max_(negative(x), axis, keepdims))


def argmax(x: Any, axis: int = -1) -> Tensor:
    """The index of the largest element along an axis, the first of equal ones."""
    tensor = as_tensor(x)
    return reduction.argmax(tensor, axis=axes_of(tensor, axis)[0])


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ eˣ, without overflow: m + log Σ e^(x - m) with m the largest element."""
    tensor = _real(x)
    top = stop_gradient(max_(tensor, axis, keepdims=True))
    top = where(isfinite(top), top, 0.0)
    total = log(sum_(exp(tensor - top), axis, keepdims=True)) + top
    return total if keepdims else layout.reshape(total, shape=_dropped(total, tensor, axis))


def _dropped(total: Tensor, x: Tensor, axis: Axis) -> Shape:
    axes = axes_of(x, axis)
    return tuple(length for item, length in enumerate(total.shape) if item not in axes)


# ------------------------------------------------------------------ products and layout


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product; vectors and batch axes as in NumPy.

    Raises:
        ShapeError: when the inner lengths differ or an operand has no axis.
    """
    first, second = same_dtype(a, b)
    if not first.ndim or not second.ndim:
        raise ShapeError(f"matmul takes vectors or matrices, got {first.type} and {second.type}")
    left = layout.reshape(first, shape=(1, *first.shape)) if first.ndim == 1 else first
    right = layout.reshape(second, shape=(*second.shape, 1)) if second.ndim == 1 else second
    result = _matmul_matrices(left, right)
    shape = list(result.shape)
    if second.ndim == 1:
        del shape[-1]
    if first.ndim == 1:
        del shape[-1 if second.ndim == 1 else -2]
    return result if tuple(shape) == result.shape else layout.reshape(result, shape=tuple(shape))


def _matmul_matrices(a: Tensor, b: Tensor) -> Tensor:
    if b.ndim == 2 and a.ndim > 2:
        rows = math.prod(a.shape[:-1])
        flat = _plain_product(layout.reshape(a, shape=(rows, a.shape[-1])), b)
        return layout.reshape(flat, shape=(*a.shape[:-1], b.shape[-1]))
    batch = common_shape(a.shape[:-2], b.shape[:-2])
    return _plain_product(
        broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))
    )


def _plain_product(a: Tensor, b: Tensor) -> Tensor:
    return product.matmul(a, b, transpose_a=False, transpose_b=False)


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in another shape; one length may be -1."""
    tensor = as_tensor(x)
    given = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    wanted = [int(length) for length in given]
    if wanted.count(-1) == 1:
        known = math.prod(length for length in wanted if length != -1)
        if known and tensor.size % known == 0:
            wanted[wanted.index(-1)] = tensor.size // known
    return layout.reshape(tensor, shape=tuple(wanted))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order; reversed by default."""
    tensor = as_tensor(x)
    order = range(tensor.ndim)[::-1] if axes is None else [int(item) % tensor.ndim for item in axes]
    return layout.transpose(tensor, axes=tuple(order))


def broadcast(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated to a shape by NumPy's rules."""
    return broadcast_to(as_tensor(x), tuple(shape))


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors joined along an axis."""
    if not tensors:
        raise ShapeError("concatenate needs at least one tensor")
    parts = same_dtype(*(as_tensor(item) for item in tensors))
    return layout.concatenate(*parts, axis=axes_of(parts[0], axis)[0])


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    parts = [as_tensor(item) for item in tensors]
    place = axis % (parts[0].ndim + 1)
    return concatenate(
        [reshape(item, (*item.shape[:place], 1, *item.shape[place:])) for item in parts], place
    )


def pad(x: Any, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """x with ``(before, after)`` elements of a value added along each axis."""
    tensor = as_tensor(x)
    low, high = (tuple(int(pair[side]) for pair in widths) for side in (0, 1))
    zeros = (0,) * tensor.ndim
    return layout.pad(tensor, low=low, high=high, interior=zeros, value=float(value))


def take(x: Any, indices: Any, axis: int = 0) -> Tensor:
    """The elements of x at whole-number indices along an axis."""
    tensor = as_tensor(x)
    return index.gather(tensor, as_tensor(indices), axis=axes_of(tensor, axis)[0])


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """x with updates added at indices along an axis; equal indices add up."""
    first, second = same_dtype(x, updates)
    place = axes_of(first, axis)[0]
    return index.scatter_add(first, as_tensor(indices), second, axis=place)


def arange(length: int, dtype: DTypeLike = "int64") -> Tensor:
    """0, 1, …, length - 1."""
    return index.iota(length=int(length), dtype=as_dtype(dtype))


def zeros(shape: Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Zeros of a shape."""
    return broadcast_to(constant(np.zeros((), as_dtype(dtype))), tuple(shape))


def ones(shape: Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Ones of a shape."""
    return broadcast_to(constant(np.ones((), as_dtype(dtype))), tuple(shape))


def one_hot(indices: Any, count: int, dtype: DTypeLike = "float32") -> Tensor:
    """For each index a row of ``count`` zeros with a one at the index; none if it is outside."""
    tensor = as_tensor(indices)
    hits = equal(reshape(tensor, (*tensor.shape, 1)), arange(count, tensor.dtype))
    return astype(hits, dtype)


# ------------------------------------------------------------------ random numbers


def random_bits(key: Any, shape: Sequence[int]) -> Tensor:
    """Uniform 32-bit words from a key ``uint32[2]``."""
    return random_ops.random_bits(as_tensor(key), shape=tuple(shape))


def fold_in(key: Any, number: Any) -> Tensor:
    """A new key from a key and a whole number."""
    return random_ops.fold_in_bits(as_tensor(key), astype(number, "uint32"))


def uniform(key: Any, shape: Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Uniform numbers in [0, 1) with 24 random bits each."""
    return astype(shift_right(random_bits(key, shape), 8), dtype) * 2.0**-24


# ------------------------------------------------------------------ indexing


def getitem(x: Any, item: Any) -> Tensor:
    """NumPy's indexing: whole numbers, slices, ``None``, ``...``, or one tensor of indices."""
    tensor = as_tensor(x)
    items = list(item) if isinstance(item, tuple) else [item]
    items = _fill_ellipsis(items, tensor.ndim)
    axis = 0
    shape: list[int] = []
    for entry in items:
        if entry is None:
            shape.append(1)
            continue
        tensor, keeps = _index_axis(tensor, axis, entry)
        shape.extend(tensor.shape[axis : axis + keeps])
        axis += keeps
        if keeps == 0:
            tensor = layout.reshape(tensor, shape=(*tensor.shape[:axis], *tensor.shape[axis + 1 :]))
    shape.extend(tensor.shape[axis:])
    return tensor if tuple(shape) == tensor.shape else layout.reshape(tensor, shape=tuple(shape))


def _fill_ellipsis(items: list[Any], ndim: int) -> list[Any]:
    used = sum(entry is not None and entry is not Ellipsis for entry in items)
    if used > ndim:
        raise ShapeError(f"{used} indices for a tensor of {ndim} axes")
    dots = [place for place, entry in enumerate(items) if entry is Ellipsis]
    if len(dots) > 1:
        raise ShapeError("an index can hold one '...' only")
    if not dots:
        return items
    filler = [slice(None)] * (ndim - used)
    return [*items[: dots[0]], *filler, *items[dots[0] + 1 :]]


def _index_axis(x: Tensor, axis: int, entry: Any) -> tuple[Tensor, int]:
    """Index one axis; gives the tensor and how many axes stand in the axis' place (0: drop it)."""
    length = x.shape[axis]
    if isinstance(entry, slice):
        return _slice_axis(x, axis, entry), 1
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
        place = int(entry)
        if not -length <= place < length:
            raise ShapeError(f"index {place} is outside axis {axis} of {x.type}")
        return _cut(x, axis, place % length, place % length + 1, 1), 0
    indices = as_tensor(entry)
    if indices.dtype.kind == "b":
        raise DTypeError("a boolean mask has no fixed shape; use where(mask, x, 0) instead")
    return take(x, indices, axis), indices.ndim


def _slice_axis(x: Tensor, axis: int, entry: slice) -> Tensor:
    start, stop, step = entry.indices(x.shape[axis])
    if step < 0:
        return take(x, np.arange(start, stop, step), axis)
    stop = max(start, stop)
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    return _cut(x, axis, start, stop, step)


def _cut(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    def at(value: int, others: Sequence[int]) -> Shape:
        return tuple(value if place == axis else other for place, other in enumerate(others))

    rest = (0,) * x.ndim
    return layout.slice_(
        x, start=at(start, rest), stop=at(stop, x.shape), step=at(step, (1,) * x.ndim)
    )


OPERATORS.update(
    {
        "abs": absolute,
        "add": add,
        "argmax": argmax,
        "astype": astype,
        "bitwise_and": bitwise_and,
        "bitwise_not": bitwise_not,
        "bitwise_or": bitwise_or,
        "bitwise_xor": bitwise_xor,
        "divide": divide,
        "equal": equal,
        "getitem": getitem,
        "less": less,
        "less_equal": less_equal,
        "matmul": matmul,
        "max": max_,
        "mean": mean,
        "min": min_,
        "multiply": multiply,
        "negative": negative,
        "not_equal": not_equal,
        "power": power,
        "reshape": reshape,
        "stop_gradient": stop_gradient,
        "subtract": subtract,
        "sum": sum_,
        "transpose": transpose,
    }
)
