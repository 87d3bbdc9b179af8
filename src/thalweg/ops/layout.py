"""Primitives that move elements: reshape, transpose, slice, pad, concatenate."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import (
    Array,
    Primitive,
    Sample,
    Shape,
    Tensor,
    TensorType,
    converted,
    register,
)
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    moved,
    parameters_of,
    real_samples,
)

# ------------------------------------------------------------------ reshape


def _reshape_type(x: TensorType, shape: Shape) -> TensorType:
    count = math.prod(shape)
    if count != x.size or min(shape, default=0) < 0:
        raise ShapeError(
            f"reshape: cannot make {x} ({x.size} elements) into shape {shape} ({count} elements)"
        )
    return TensorType(shape, x.dtype)


def _reshape_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    return (reshape(cotangent, shape=inputs_of(node)[0].shape),)


def _reshape_value(x: Array, shape: Shape) -> Array:
    return x.reshape(shape)


reshape = register(
    Primitive(
        "reshape",
        "layout",
        _reshape_type,
        _reshape_value,
        moved,
        _reshape_transpose,
        samples=lambda: [
            Sample((array,), {"shape": (1, array.size)}) for array in real_samples(-3, 3)
        ],
        failures=lambda: [
            Sample((np.zeros(4),), {"shape": (3,)}),
            Sample((np.zeros(4),), {"shape": (-2, -2)}),
        ],
    )
)

# ------------------------------------------------------------------ transpose


def _transpose_type(x: TensorType, axes: Shape) -> TensorType:
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(
            f"transpose: axes {axes} are no permutation of the {len(x.shape)} axes of {x}"
        )
    return TensorType(tuple(x.shape[axis] for axis in axes), x.dtype)


def _transpose_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    axes = parameters_of(node)["axes"]
    inverse = tuple(int(axis) for axis in np.argsort(axes))
    return (transpose(cotangent, axes=inverse),)


def _transpose_value(x: Array, axes: Shape) -> Array:
    return x.transpose(axes)


transpose = register(
    Primitive(
        "transpose",
        "layout",
        _transpose_type,
        _transpose_value,
        moved,
        _transpose_transpose,
        samples=lambda: [
            Sample((np.arange(24.0).reshape(2, 3, 4),), {"axes": (2, 0, 1)}),
            Sample((np.arange(6.0).reshape(2, 3)[:, ::2],), {"axes": (1, 0)}),
            Sample((np.asarray(3.0),), {"axes": ()}),
            Sample((np.zeros((0, 3)),), {"axes": (1, 0)}),
        ],
        failures=lambda: [
            Sample((np.zeros((2, 3)),), {"axes": (0, 0)}),
            Sample((np.zeros((2, 3)),), {"axes": (0, 1, 2)}),
        ],
    )
)

# ------------------------------------------------------------------ slice and pad


def _slice_type(x: TensorType, start: Shape, stop: Shape, step: Shape) -> TensorType:
    ranks = len(start) == len(stop) == len(step) == len(x.shape)
    if not ranks:
        raise ShapeError(f"slice: needs start, stop and step for each axis of {x}")
    for axis, length in enumerate(x.shape):
        if not (0 <= start[axis] <= stop[axis] <= length and step[axis] >= 1):
            raise ShapeError(
                f"slice: {start[axis]}:{stop[axis]}:{step[axis]} does not fit axis {axis} of {x}"
            )
    lengths = zip(start, stop, step, strict=True)
    return TensorType(tuple(-(-(end - begin) // by) for begin, end, by in lengths), x.dtype)


def _slice_value(x: Array, start: Shape, stop: Shape, step: Shape) -> Array:
    return x[tuple(map(slice, start, stop, step))]


def _slice_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    (x,), bounds = inputs_of(node), parameters_of(node)
    gaps = tuple(by - 1 for by in bounds["step"])
    covered = [
        begin + max(0, (count - 1) * by + 1)
        for begin, by, count in zip(bounds["start"], bounds["step"], node.shape, strict=True)
    ]
    high = tuple(length - end for length, end in zip(x.shape, covered, strict=True))
    return (pad(cotangent, low=bounds["start"], high=high, interior=gaps, value=0.0),)


slice_ = register(
    Primitive(
        "slice",
        "layout",
        _slice_type,
        _slice_value,
        moved,
        _slice_transpose,
        samples=lambda: [
            Sample((np.arange(10.0),), {"start": (1,), "stop": (9,), "step": (3,)}),
            Sample(
                (np.arange(12.0).reshape(3, 4),),
                {"start": (0, 1), "stop": (3, 4), "step": (2, 2)},
            ),
            Sample((np.arange(3.0),), {"start": (2,), "stop": (2,), "step": (1,)}),
            Sample((np.zeros((0, 2)),), {"start": (0, 0), "stop": (0, 1), "step": (2, 1)}),
            Sample((np.ones((3, 4)).T,), {"start": (1, 0), "stop": (4, 3), "step": (2, 1)}),
            Sample((np.asarray(3.0),), {"start": (), "stop": (), "step": ()}),
        ],
        failures=lambda: [
            Sample((np.zeros(3),), {"start": (0,), "stop": (4,), "step": (1,)}),
            Sample((np.zeros(3),), {"start": (2,), "stop": (1,), "step": (1,)}),
            Sample((np.zeros(3),), {"start": (0,), "stop": (3,), "step": (0,)}),
            Sample((np.zeros(3),), {"start": (), "stop": (), "step": ()}),
        ],
    )
)


def _pad_type(x: TensorType, low: Shape, high: Shape, interior: Shape, value: float) -> TensorType:
    if not len(low) == len(high) == len(interior) == len(x.shape):
        raise ShapeError(f"pad: needs low, high and interior for each axis of {x}")
    if min((*low, *high, *interior), default=0) < 0:
        raise ShapeError("pad: takes no negative widths")
    if not x.is_float and converted(np.asarray(value), x.dtype) != value:
        raise DTypeError(f"pad: {x} cannot hold {value!r}")
    shape = tuple(
        before + after + length + gap * max(length - 1, 0)
        for length, before, after, gap in zip(x.shape, low, high, interior, strict=True)
    )
    return TensorType(shape, x.dtype)


def _interior(x: TensorType | Tensor, low: Shape, interior: Shape) -> tuple[slice, ...]:
    return tuple(
        slice(before, before + max(0, (length - 1) * (gap + 1) + 1) if length else before, gap + 1)
        for length, before, gap in zip(x.shape, low, interior, strict=True)
    )


def _pad_value(x: Array, low: Shape, high: Shape, interior: Shape, value: float) -> Array:
    type_ = TensorType(x.shape, x.dtype)
    result = np.full(_pad_type(type_, low, high, interior, value).shape, value, x.dtype)
    result[_interior(type_, low, interior)] = x
    return result


def _pad_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (change,) = tangents
    return None if change is None else pad(change, **{**parameters_of(node), "value": 0.0})


def _pad_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    (x,), widths = inputs_of(node), parameters_of(node)
    places = _interior(x, widths["low"], widths["interior"])
    return (
        slice_(
            cotangent,
            start=tuple(place.start for place in places),
            stop=tuple(place.stop for place in places),
            step=tuple(place.step for place in places),
        ),
    )


def _pad_samples() -> list[Sample]:
    widths: dict[str, Any] = {"low": (1, 0), "high": (0, 2), "interior": (2, 0), "value": 0.0}
    return [
        Sample((np.arange(6.0).reshape(2, 3),), widths),
        Sample((np.zeros((0, 3)),), widths),
        Sample((np.arange(12.0).reshape(4, 3).T[::2],), widths),
        Sample((np.asarray(3.0),), {"low": (), "high": (), "interior": (), "value": 1.0}),
        Sample((np.arange(3.0),), {"low": (1,), "high": (1,), "interior": (0,), "value": 7.0}),
    ]


pad = register(
    Primitive(
        "pad",
        "layout",
        _pad_type,
        _pad_value,
        _pad_tangent,
        _pad_transpose,
        samples=_pad_samples,
        failures=lambda: [
            Sample((np.zeros(3),), {"low": (-1,), "high": (0,), "interior": (0,), "value": 0.0}),
            Sample((np.zeros(3),), {"low": (), "high": (0,), "interior": (0,), "value": 0.0}),
            Sample(
                (np.zeros(3, int),), {"low": (0,), "high": (1,), "interior": (0,), "value": 0.5}
            ),
        ],
    )
)

# ------------------------------------------------------------------ concatenate


def _concatenate_type(*types: TensorType, axis: int) -> TensorType:
    if not types:
        raise ShapeError("concatenate: needs at least one tensor")
    first = types[0]
    if not 0 <= axis < len(first.shape):
        raise ShapeError(f"concatenate: axis {axis} is not an axis of {first}")
    for type_ in types[1:]:
        if type_.dtype != first.dtype:
            raise DTypeError(f"concatenate takes tensors of one type, got {first} and {type_}")
        fits = len(type_.shape) == len(first.shape) and all(
            a == b
            for index, (a, b) in enumerate(zip(type_.shape, first.shape, strict=True))
            if index != axis
        )
        if not fits:
            raise ShapeError(f"concatenate: {first} and {type_} differ outside axis {axis}")
    total = sum(type_.shape[axis] for type_ in types)
    return TensorType((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def _concatenate_value(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis)


def _concatenate_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    from thalweg.ops.repetition import zeros_like

    if all(change is None for change in tangents):
        return None
    filled = [
        zeros_like(x) if change is None else change
        for x, change in zip(inputs_of(node), tangents, strict=True)
    ]
    return concatenate(*filled, axis=parameters_of(node)["axis"])


def _concatenate_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    axis, inputs = parameters_of(node)["axis"], inputs_of(node)
    ends = list(accumulate(x.shape[axis] for x in inputs))
    results: list[Tensor | None] = []
    for x, end, is_linear in zip(inputs, ends, linear, strict=True):
        start = tuple(end - x.shape[axis] if a == axis else 0 for a in range(node.ndim))
        stop = tuple(end if a == axis else length for a, length in enumerate(node.shape))
        ones = (1,) * node.ndim
        results.append(slice_(cotangent, start=start, stop=stop, step=ones) if is_linear else None)
    return results


concatenate = register(
    Primitive(
        "concatenate",
        "layout",
        _concatenate_type,
        _concatenate_value,
        _concatenate_tangent,
        _concatenate_transpose,
        samples=lambda: [
            Sample((np.zeros((2, 3)), np.ones((2, 1)), np.zeros((2, 0))), {"axis": 1}),
            Sample((np.arange(3.0), np.arange(2.0)), {"axis": 0}),
            Sample((np.ones((2, 3)).T, np.zeros((3, 4))[:, ::2]), {"axis": 1}),
        ],
        failures=lambda: [
            Sample((np.zeros((2, 3)), np.zeros((3, 3))), {"axis": 1}),
            Sample((np.zeros(2), np.zeros((2, 1))), {"axis": 0}),
            Sample((np.zeros(2), np.zeros(2, "float32")), {"axis": 0}),
            Sample((np.zeros(()), np.zeros(())), {"axis": 0}),
            Sample((), {"axis": 0}),
        ],
    )
)
