"""Functions of tensors: elements read and added at indices, NumPy's square brackets."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Tensor, as_dtype, as_tensor, constant
from thalweg.ops import binary, index, layout
from thalweg.ops.promotion import convert, same_dtype, together
from thalweg.ops.shaping import arange, axis_of


def _indices(data: Any) -> Tensor:
    """Whole numbers as a tensor; an empty list holds none."""
    tensor = as_tensor(data)
    return constant(np.zeros(tensor.shape, np.int64)) if _is_empty_list(data, tensor) else tensor


def _is_empty_list(data: Any, tensor: Tensor) -> bool:
    return isinstance(data, (list, tuple)) and not tensor.size


def take(x: Any, indices: Any, axis: int = 0) -> Tensor:
    """The elements of x at whole-number indices ≥ 0 along an axis.

    Raises:
        ShapeError: when an index is outside the axis.
    """
    tensor = as_tensor(x)
    return index.gather(tensor, _indices(indices), axis=axis_of(tensor, axis))


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """X with updates added at indices along an axis; equal indices add up.

    Raises:
        ShapeError: when an index is outside the axis, or the updates have another shape than
            ``take`` of the indices.
    """
    first, second = same_dtype(x, updates)
    place = axis_of(first, axis)
    return index.scatter_add(first, _indices(indices), second, axis=place)


def one_hot(indices: Any, count: int, dtype: DTypeLike = "float32") -> Tensor:
    """For each index a row of ``count`` zeros, with a one at the index if it is in 0 … count - 1.

    Raises:
        DTypeError: when the indices are not whole numbers.
    """
    tensor = _indices(indices)
    if tensor.dtype.kind not in "iu":
        raise DTypeError(f"one_hot takes whole numbers, got {tensor.type}")
    column = layout.reshape(tensor, shape=(*tensor.shape, 1))
    wide = column if column.dtype.itemsize > 1 else convert(column, as_dtype("int64"))
    hits = binary.eq(*together(wide, arange(count, wide.dtype)))
    return convert(hits, as_dtype(dtype))


# ------------------------------------------------------------------ square brackets


def getitem(x: Any, item: Any) -> Tensor:
    """NumPy's indexing: whole numbers, slices, ``None``, ``...``, and one tensor of indices.

    Raises:
        ShapeError: when a whole number is outside its axis, there are more indices than axes, or
            several tensors of indices.
        DTypeError: for a boolean mask.
    """
    tensor = as_tensor(x)
    entries = [_entry(entry) for entry in _filled(item, tensor)]
    _check_alone(entries)
    bounds, picks = _plan(tensor, [entry for entry in entries if entry is not None])
    tensor = _cut(tensor, bounds)
    shape: list[int] = []
    axis = 0
    for entry, pick in zip(entries, _spread(picks, entries), strict=True):
        if pick is not None:
            tensor = index.gather(tensor, pick, axis=axis)
        kept = 1 if pick is None else pick.ndim
        if entry is None:
            shape.append(1)
            continue
        if not isinstance(entry, int):
            shape.extend(tensor.shape[axis : axis + kept])
        axis += kept
    shape.extend(tensor.shape[axis:])
    return tensor if tuple(shape) == tensor.shape else layout.reshape(tensor, shape=tuple(shape))


def _filled(item: Any, x: Tensor) -> list[Any]:
    """The index's parts, ``...`` replaced by whole slices."""
    items = list(item) if isinstance(item, tuple) else [item]
    used = sum(entry is not None and entry is not Ellipsis for entry in items)
    if used > x.ndim:
        raise ShapeError(f"{used} indices for a tensor of {x.ndim} axes")
    dots = [place for place, entry in enumerate(items) if entry is Ellipsis]
    if len(dots) > 1:
        raise ShapeError("an index can hold one '...' only")
    if not dots:
        return items
    filler = [slice(None)] * (x.ndim - used)
    return [*items[: dots[0]], *filler, *items[dots[0] + 1 :]]


def _entry(entry: Any) -> int | slice | Tensor | None:
    """One part of an index, as a Python number, a slice, or a tensor of indices."""
    if entry is None or isinstance(entry, slice):
        return entry
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
        return operator.index(entry)
    indices = _indices(entry)
    if indices.dtype.kind == "b":
        raise DTypeError("a boolean mask has no fixed shape; use where(mask, x, 0) instead")
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"indices are whole numbers, got {indices.type}")
    return indices


def _check_alone(entries: Sequence[int | slice | Tensor | None]) -> None:
    """Refuse where NumPy pairs several tensors of indices, or moves their axes to the front."""
    tensors = [entry for entry in entries if isinstance(entry, Tensor) and entry.ndim]
    if len(tensors) > 1:
        raise ShapeError(
            "an index can hold one tensor of indices; take along one axis after the other"
        )
    points = [place for place, e in enumerate(entries) if isinstance(e, (int, Tensor))]
    if tensors and points[-1] - points[0] >= len(points):
        raise ShapeError(
            "whole numbers and a tensor of indices with a slice between them: index in two steps"
        )


def _plan(
    x: Tensor, entries: Sequence[int | slice | Tensor]
) -> tuple[list[tuple[int, int, int]], dict[int, Tensor]]:
    """For each axis the slice to cut, and the indices to take afterwards."""
    bounds = [(0, length, 1) for length in x.shape]
    picks: dict[int, Tensor] = {}
    for axis, (entry, length) in enumerate(zip(entries, x.shape, strict=False)):
        if isinstance(entry, int):
            _check_inside(entry, x, axis)
            bounds[axis] = (entry % length, entry % length + 1, 1)
        elif isinstance(entry, Tensor):
            _check_inside(entry, x, axis)
            picks[axis] = _counted_from_start(entry, length)
        else:
            start, stop, step = entry.indices(length)
            if step > 0:
                bounds[axis] = (start, max(start, stop), step)
            else:
                picks[axis] = constant(np.arange(start, stop, step))
    return bounds, picks


def _check_inside(entry: int | Tensor, x: Tensor, axis: int) -> None:
    """Refuse indices, as far as they are known, that are outside an axis."""
    known = np.asarray(entry if isinstance(entry, int) else entry.value)
    if known.dtype.kind in "iu":
        outside = known[(known < -x.shape[axis]) | (known >= x.shape[axis])]
        if outside.size:
            raise ShapeError(f"index {outside.flat[0]} is outside axis {axis} of {x.type}")


def _spread(picks: dict[int, Tensor], entries: Sequence[Any]) -> list[Tensor | None]:
    """The indices to take beside each part of the index (``None`` has no axis)."""
    axes = iter(range(len(entries)))
    return [None if entry is None else picks.get(next(axes)) for entry in entries]


def _counted_from_start(indices: Tensor, length: int) -> Tensor:
    """Indices of which negative ones count from the end."""
    if indices.dtype.kind == "u" or (indices.value is not None and np.all(indices.value >= 0)):
        return indices
    return binary.select(indices < 0, indices + length, indices)


def _cut(x: Tensor, bounds: Sequence[tuple[int, int, int]]) -> Tensor:
    if all(bound == (0, length, 1) for bound, length in zip(bounds, x.shape, strict=True)):
        return x
    start, stop, step = (tuple(bound[part] for bound in bounds) for part in range(3))
    return layout.slice_(x, start=start, stop=stop, step=step)
