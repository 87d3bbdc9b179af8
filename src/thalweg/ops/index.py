"""Reading and adding at indices along one axis: ``gather`` and ``scatter_add``, and ``iota``."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, as_dtype, register
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    parameters_of,
    require_kind,
)
from thalweg.ops.repetition import zeros_like


def _gather_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    require_kind("gather", indices, "iu")
    if not 0 <= axis < len(x.shape):
        raise ShapeError(f"gather: axis {axis} is not an axis of {x}")
    some = x.shape[axis] > 0 or indices.size == 0
    if not some:
        raise ShapeError(f"gather: axis {axis} of {x} has no element to take")
    return TensorType((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def _check_range(name: str, indices: Array, length: int) -> None:
    wrong = (indices < 0) | (indices >= length)
    if np.any(wrong):
        first = np.asarray(indices)[wrong].flat[0]
        raise ShapeError(f"{name}: index {first} is outside an axis of {length} elements")


def _places(name: str, indices: Array, length: int) -> Array:
    _check_range(name, indices, length)
    return np.asarray(indices, np.intp)


def _gather_value(x: Array, indices: Array, axis: int) -> Array:
    return np.take(x, _places("gather", indices, x.shape[axis]), axis)


def _gather_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    change = tangents[0]
    return None if change is None else gather(change, inputs_of(node)[1], **parameters_of(node))


def _gather_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
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
            Sample((np.arange(12.0).reshape(3, 4).T[::2], np.array([2, 0], "uint64")), {"axis": 1}),
            Sample((np.zeros((0, 3)), np.zeros(0, "int32")), {"axis": 0}),
        ],
        failures=lambda: [
            Sample((np.zeros(3), np.array([3])), {"axis": 0}),
            Sample((np.zeros(3), np.array([-1])), {"axis": 0}),
            Sample((np.zeros(3), np.array([0.5])), {"axis": 0}),
            Sample((np.zeros(3), np.array([0])), {"axis": 1}),
            Sample((np.zeros(0), np.array([0])), {"axis": 0}),
        ],
    )
)


def _scatter_type(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> TensorType:
    expected = _gather_type(x, indices, axis)
    if updates.dtype != x.dtype:
        raise DTypeError(f"scatter_add takes tensors of one type, got {x} and {updates}")
    if updates.shape != expected.shape:
        raise ShapeError(f"scatter_add: updates are {updates}, not {expected}")
    return x


def _scatter_value(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    places = _places("scatter_add", indices, x.shape[axis])
    result = x.copy()
    rows = np.moveaxis(result, axis, 0)
    np.add.at(rows, places, _indices_first(updates, axis, places.ndim))
    return result


def _indices_first(updates: Array, axis: int, count: int) -> Array:
    """The updates with the axes of the indices, which stand at ``axis``, in front."""
    return np.moveaxis(updates, range(axis, axis + count), range(count))


def _scatter_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (x, indices, _), (dx, _, du) = inputs_of(node), tangents
    if du is None:
        return dx
    base = zeros_like(x) if dx is None else dx
    return scatter_add(base, indices, du, **parameters_of(node))


def _scatter_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
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
            Sample((np.zeros((2, 3)).T, np.asarray(1), np.ones(2)), {"axis": 0}),
            Sample((np.zeros((2, 0)), np.zeros(0, "int64"), np.ones((2, 0))), {"axis": 1}),
        ],
        failures=lambda: [
            Sample((np.zeros(3), np.array([0]), np.zeros(2)), {"axis": 0}),
            Sample((np.zeros(3), np.array([3]), np.zeros(1)), {"axis": 0}),
            Sample((np.zeros(3), np.array([0]), np.zeros(1, "float32")), {"axis": 0}),
        ],
    )
)


def _iota_type(length: int, dtype: np.dtype[Any]) -> TensorType:
    if length < 0:
        raise ShapeError(f"iota: length {length} is negative")
    result = TensorType((length,), as_dtype(dtype))
    require_kind("iota", result, "fiu")
    return result


def _iota_value(length: int, dtype: np.dtype[Any]) -> Array:
    return np.arange(length).astype(dtype)


iota = register(
    Primitive(
        "iota",
        "layout",
        _iota_type,
        _iota_value,
        samples=lambda: [
            Sample((), {"length": length, "dtype": np.dtype(name)})
            for length in (0, 4)
            for name in ("int64", "float32")
        ],
        failures=lambda: [
            Sample((), {"length": -1, "dtype": np.dtype("int64")}),
            Sample((), {"length": 2, "dtype": np.dtype("bool")}),
        ],
        inline=True,
    )
)
