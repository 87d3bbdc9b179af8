"""Sums, means and largest elements over axes, under NumPy's names."""

from __future__ import annotations

import math
from typing import Any

from thalweg.graph import Shape, Tensor, as_tensor
from thalweg.ops import layout, reduction, repetition, unary
from thalweg.ops.elementwise import (
    astype,
    exp,
    isfinite,
    log,
    real,
    square,
    stop_gradient,
    where,
)
from thalweg.ops.shaping import Axis, axes_of, axis_of


def _keep(reduced: Tensor, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
    if not keepdims:
        return reduced
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    return layout.reshape(reduced, shape=kept)


def sum_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes (all by default); booleans are counted, whole numbers add up in 64 bits."""
    tensor = as_tensor(x)
    if not tensor.type.is_float:
        tensor = astype(tensor, "uint64" if tensor.dtype.kind == "u" else "int64")
    axes = axes_of(tensor, axis)
    return _keep(repetition.reduce_sum(tensor, axes=axes), tensor, axes, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over axes (all by default)."""
    tensor = real(x)
    axes = axes_of(tensor, axis)
    count = math.prod(tensor.shape[item] for item in axes)
    return sum_(tensor, axes, keepdims) / count


def variance(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean squared deviation from the mean (divided by N, not N - 1)."""
    tensor = real(x)
    return mean(square(tensor - mean(tensor, axis, keepdims=True)), axis, keepdims)


def max_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes; equal ones share the derivative."""
    tensor = as_tensor(x)
    axes = axes_of(tensor, axis)
    return _keep(reduction.reduce_max(tensor, axes=axes), tensor, axes, keepdims)


def min_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes; equal ones share the derivative."""
    tensor = as_tensor(x)
    opposite = unary.neg if tensor.type.is_float else unary.not_
    return opposite(max_(opposite(tensor), axis, keepdims))


def argmax(x: Any, axis: int = -1) -> Tensor:
    """The index of the largest element along an axis, the first of equal ones."""
    tensor = as_tensor(x)
    return reduction.argmax(tensor, axis=axis_of(tensor, axis))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Log Σ eˣ, without overflow: m + log Σ e^(x - m) with m the largest element."""
    tensor = real(x)
    top = stop_gradient(max_(tensor, axis, keepdims=True))
    top = where(isfinite(top), top, 0.0)
    total = log(sum_(exp(tensor - top), axis, keepdims=True)) + top
    return total if keepdims else layout.reshape(total, shape=_dropped(total, tensor, axis))


def _dropped(total: Tensor, x: Tensor, axis: Axis) -> Shape:
    axes = axes_of(x, axis)
    return tuple(length for item, length in enumerate(total.shape) if item not in axes)
