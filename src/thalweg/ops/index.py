"""Reading and adding at indices along one axis: ``gather`` and ``scatter_add``, and ``iota``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, as_dtype, register
from thalweg.ops.declare import inputs_of, parameters_of, require, require_kind
from thalweg.ops.layout import Linear, Tangents
from thalweg.ops.repetition import zeros_like


def _gather_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    require_kind("gather", indices, "iu")
    require(0 <= axis < len(x.shape), "gather", f"axis {axis} is not an axis of {x}")
    return TensorType((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def _check_range(name: str, indices: Array, length: int) -> None:
    wrong = indices[(indices < 0) | (indices >= length)] if indices.size else indices
    if wrong.size:
        raise ShapeError(f"{name}: index {wrong.flat[0]} is outside 0 … {length - 1}")


def _gather_value(x: Array, indices: Array, axis: int) -> Array:
    _check_range("gather", indices, x.shape[axis])
    return np.take(x, indices, axis)


def _gather_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    change = tangents[0]
    return None if change is None else gather(change, inputs_of(node)[1], **parameters_of(node))


def _gather_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Sequence[Tensor | None]:
    x, indices = inputs_of(node)
    return scatter_add(zeros_like(x), indices, cotangent, **parameters_of(node)), None


def _rows() -> tuple[Array, Array]:
    return np.arange(12.0).reshape(4, 3), np.array([[0, 2], [2, 3]])


gather = register(
    Primitive(
        "gather",
        "index",
        _gather_type,
        _gather_value,
        _gather_tangent,
        _gather_transpose,
        samples=lambda: [
            Sample(_rows(), {"axis": 0}),
            Sample((np.arange(12.0).reshape(3, 4), np.array([1, 1])), {"axis": 1}),
            Sample((np.arange(3.0), np.asarray(1)), {"axis": 0}),
        ],
        failures=lambda: [
            Sample((np.zeros(3), np.array([3])), {"axis": 0}),
            Sample((np.zeros(3), np.array([0.5])), {"axis": 0}),
        ],
    )
)


def _scatter_type(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> TensorType:
    expected = _gather_type(x, indices, axis)
    if updates.dtype != x.dtype:
        raise DTypeError(f"scatter_add takes tensors of one type, got {x} and {updates}")
    require(
        updates.shape == expected.shape, "scatter_add", f"updates are {updates}, not {expected}"
    )
    return x


def _scatter_value(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    _check_range("scatter_add", indices, x.shape[axis])
    result = x.copy()
    place: Any = (*(slice(None),) * axis, indices)
    np.add.at(result, place, updates)
    return result


def _scatter_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (x, indices, _), (dx, _, du) = inputs_of(node), tangents
    if du is None:
        return dx
    base = zeros_like(x) if dx is None else dx
    return scatter_add(base, indices, du, **parameters_of(node))


def _scatter_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Sequence[Tensor | None]:
    picked = gather(cotangent, inputs_of(node)[1], **parameters_of(node)) if linear[2] else None
    return cotangent if linear[0] else None, None, picked


scatter_add = register(
    Primitive(
        "scatter_add",
        "index",
        _scatter_type,
        _scatter_value,
        _scatter_tangent,
        _scatter_transpose,
        flops=1,
        samples=lambda: [
            Sample((*_rows(), np.ones((2, 2, 3))), {"axis": 0}),
            Sample((np.zeros((2, 3)), np.array([0, 0]), np.ones((2, 2))), {"axis": 1}),
        ],
        failures=lambda: [Sample((np.zeros(3), np.array([0]), np.zeros(2)), {"axis": 0})],
    )
)


def _iota_type(length: int, dtype: np.dtype[Any]) -> TensorType:
    require(length >= 0, "iota", f"length {length} is negative")
    return TensorType((length,), as_dtype(dtype))


def _iota_value(length: int, dtype: np.dtype[Any]) -> Array:
    return np.arange(length, dtype=dtype)


iota = register(
    Primitive(
        "iota",
        "layout",
        _iota_type,
        _iota_value,
        samples=lambda: [Sample((), {"length": 4, "dtype": np.dtype("int64")})],
        failures=lambda: [Sample((), {"length": -1, "dtype": np.dtype("int64")})],
        inline=True,
    )
)
