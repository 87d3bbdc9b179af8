"""Functions of tensors: matrix products, and shapes changed under NumPy's names."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from thalweg.errors import ShapeError
from thalweg.graph import Shape, Tensor, as_dtype, as_shape, as_tensor, constant
from thalweg.ops import index, layout, product
from thalweg.ops.promotion import broadcast_to, common_shape, same_dtype

Axis = int | Sequence[int] | None


def axis_of(x: Tensor, axis: int) -> int:
    """The axis meant, counted from 0.

    Raises:
        ShapeError: when it is not an axis of x.
    """
    try:
        place = operator.index(axis)
    except TypeError as error:
        raise ShapeError(f"an axis is a whole number, got {axis!r}") from error
    if not -x.ndim <= place < x.ndim:
        raise ShapeError(f"axis {axis} is not an axis of {x.type}")
    return place % x.ndim


def axes_of(x: Tensor, axis: Axis) -> Shape:
    """The axes meant, ascending and counted from 0.

    Raises:
        ShapeError: when one of them is not an axis of x, or occurs twice.
    """
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, Sequence) else (axis,)
    axes = sorted(axis_of(x, item) for item in given)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {axis} names an axis twice")
    return tuple(axes)


# ------------------------------------------------------------------ products


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
    return _shaped(result, tuple(shape))


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


# ------------------------------------------------------------------ shapes


def _shaped(x: Tensor, shape: Shape) -> Tensor:
    """X in a shape of as many elements; as it is where the shape is right."""
    return x if x.shape == shape else layout.reshape(x, shape=shape)


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in another shape; one length may be -1.

    Raises:
        ShapeError: when the numbers of elements differ.
    """
    tensor = as_tensor(x)
    wanted = list(as_shape(shape[0] if len(shape) == 1 else shape, least=-1))
    if wanted.count(-1) > 1:
        raise ShapeError(f"one length of a shape may be -1, got {tuple(wanted)}")
    known = math.prod(length for length in wanted if length != -1)
    if -1 in wanted and known and tensor.size % known == 0:
        wanted[wanted.index(-1)] = tensor.size // known
    return layout.reshape(tensor, shape=tuple(wanted))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order; reversed by default.

    Raises:
        ShapeError: when the order does not name each axis once.
    """
    tensor = as_tensor(x)
    order = range(tensor.ndim)[::-1] if axes is None else (axis_of(tensor, item) for item in axes)
    return layout.transpose(tensor, axes=tuple(order))


def broadcast(x: Any, shape: int | Sequence[int]) -> Tensor:
    """X repeated to a shape by NumPy's rules."""
    return broadcast_to(as_tensor(x), as_shape(shape))


def concatenate(tensors: Iterable[Any], axis: int = 0) -> Tensor:
    """Tensors joined along an axis.

    Raises:
        ShapeError: when there are none, or their shapes differ along another axis.
    """
    given = [as_tensor(item) for item in tensors]
    if not given:
        raise ShapeError("concatenate needs at least one tensor")
    parts = same_dtype(*given)
    return layout.concatenate(*parts, axis=axis_of(parts[0], axis))


def stack(tensors: Iterable[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    Raises:
        ShapeError: when there are none, or their shapes differ.
    """
    parts = [as_tensor(item) for item in tensors]
    if not parts:
        raise ShapeError("stack needs at least one tensor")
    for item in parts:
        if item.shape != parts[0].shape:
            raise ShapeError(f"stack takes one shape, got {parts[0].type} and {item.type}")
    rank = parts[0].ndim + 1
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is not an axis of a stack with {rank} axes")
    place = axis % rank
    shape = (*parts[0].shape[:place], 1, *parts[0].shape[place:])
    return concatenate([layout.reshape(item, shape=shape) for item in parts], place)


def pad(x: Any, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """X with ``(before, after)`` elements of a value added along each axis.

    Raises:
        ShapeError: when there is not one pair of widths for each axis.
        DTypeError: when x cannot hold the value.
    """
    tensor = as_tensor(x)
    pairs = [as_shape(pair) for pair in widths]
    if len(pairs) != tensor.ndim or any(len(pair) != 2 for pair in pairs):
        raise ShapeError(f"pad needs a pair of widths for each axis of {tensor.type}, got {widths}")
    low, high = (tuple(pair[side] for pair in pairs) for side in (0, 1))
    zeros = (0,) * tensor.ndim
    return layout.pad(tensor, low=low, high=high, interior=zeros, value=float(value))


# ------------------------------------------------------------------ new tensors


def arange(length: int, dtype: DTypeLike = "int64") -> Tensor:
    """0, 1, …, length - 1."""
    (count,) = as_shape((length,))
    return index.iota(length=count, dtype=as_dtype(dtype))


def zeros(shape: int | Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Zeros of a shape."""
    return broadcast_to(constant(np.zeros((), as_dtype(dtype))), as_shape(shape))


def ones(shape: int | Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Ones of a shape."""
    return broadcast_to(constant(np.ones((), as_dtype(dtype))), as_shape(shape))
