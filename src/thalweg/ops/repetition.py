"""Repeating elements and summing over them: ``broadcast`` and ``reduce_sum``.

Each is the other's transpose. A sum starts from 0, so that zeros of any sign add up to 0.
"""

from __future__ import annotations

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import Array, Primitive, Sample, Shape, Tensor, TensorType, constant, register
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    inputs_of,
    moved,
    parameters_of,
    require_kind,
)
from thalweg.ops.layout import reshape


def _broadcast_type(x: TensorType, shape: Shape) -> TensorType:
    lead = len(shape) - len(x.shape)
    fits = (
        lead >= 0
        and min(shape, default=0) >= 0
        and all(old in {1, new} for old, new in zip(x.shape, shape[lead:], strict=True))
    )
    if not fits:
        raise ShapeError(f"broadcast: cannot repeat {x} to shape {shape}")
    return TensorType(shape, x.dtype)


def _broadcast_value(x: Array, shape: Shape) -> Array:
    if x.shape or not shape:
        return np.broadcast_to(x, shape)
    repeated = np.ndarray(shape, x.dtype, np.asarray(x), strides=(0,) * len(shape))
    repeated.flags.writeable = False
    return repeated


def _broadcast_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    (x,) = inputs_of(node)
    lead = node.ndim - x.ndim
    repeated = tuple(
        axis
        for axis, length in enumerate(node.shape)
        if axis < lead or (x.shape[axis - lead] == 1 and length != 1)
    )
    total = reduce_sum(cotangent, axes=repeated) if repeated else cotangent
    return (total if total.shape == x.shape else reshape(total, shape=x.shape),)


broadcast = register(
    Primitive(
        "broadcast",
        "layout",
        _broadcast_type,
        _broadcast_value,
        moved,
        _broadcast_transpose,
        samples=lambda: [
            Sample((np.arange(3.0),), {"shape": (2, 3)}),
            Sample((np.arange(2.0).reshape(2, 1),), {"shape": (4, 2, 3)}),
            Sample((np.asarray(5.0),), {"shape": (2, 0)}),
            Sample((np.ones((1, 1)),), {"shape": (1, 3)}),
            Sample((np.ones((3, 2)).T[:, ::2],), {"shape": (3, 2, 2)}),
            Sample((np.ones((0, 1)),), {"shape": (0, 4)}),
        ],
        failures=lambda: [
            Sample((np.zeros(3),), {"shape": (3, 2)}),
            Sample((np.zeros(()),), {"shape": (-1,)}),
        ],
        inline=True,
    )
)


def reduced_type(name: str, x: TensorType, axes: Shape) -> TensorType:
    """The type left when axes are reduced."""
    valid = list(axes) == sorted(set(axes)) and all(0 <= axis < len(x.shape) for axis in axes)
    if not valid:
        raise ShapeError(f"{name}: axes {axes} are not ascending axes of {x}")
    kept = tuple(length for axis, length in enumerate(x.shape) if axis not in axes)
    return TensorType(kept, x.dtype)


def _sum_type(x: TensorType, axes: Shape) -> TensorType:
    require_kind("reduce_sum", x, "fiu")
    return reduced_type("reduce_sum", x, axes)


def _sum_value(x: Array, axes: Shape) -> Array:
    return np.add.reduce(x, axis=axes, dtype=x.dtype) if axes else x


def spread(reduced: Tensor, axes: Shape, shape: Shape) -> Tensor:
    """Put reduced axes back: the value repeated along them."""
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return broadcast(reshape(reduced, shape=kept), shape=shape)


def _sum_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    return (spread(cotangent, parameters_of(node)["axes"], inputs_of(node)[0].shape),)


def _input_flops(node: Tensor) -> int:
    return inputs_of(node)[0].size


reduce_sum = register(
    Primitive(
        "reduce_sum",
        "reduction",
        _sum_type,
        _sum_value,
        moved,
        _sum_transpose,
        flops=_input_flops,
        samples=lambda: [
            Sample((np.arange(24.0).reshape(2, 3, 4),), {"axes": (0, 2)}),
            Sample((np.arange(6.0).reshape(2, 3),), {"axes": (0, 1)}),
            Sample((np.zeros((0, 3)),), {"axes": (0,)}),
            Sample((np.asarray(2.0),), {"axes": ()}),
            Sample((np.arange(12.0).reshape(3, 4).T[::2],), {"axes": (1,)}),
        ],
        failures=lambda: [
            Sample((np.array([True]),), {"axes": (0,)}),
            Sample((np.zeros((2, 3)),), {"axes": (2,)}),
            Sample((np.zeros((2, 3)),), {"axes": (1, 0)}),
        ],
    )
)


def full_like(x: Tensor, value: float) -> Tensor:
    """A number repeated to a tensor's type."""
    number = constant(np.asarray(value, x.dtype))
    return broadcast(number, shape=x.shape) if x.shape else number


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of a tensor's type."""
    return full_like(x, 0)
