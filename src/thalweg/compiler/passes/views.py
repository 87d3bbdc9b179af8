"""Views: which layout operations need no copy, because strides express them.

A stored tensor is dense and row-major. ``broadcast``, ``transpose``, ``slice`` and most ``reshape``
of a stored tensor are the same elements read with other strides: an :class:`Access`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from thalweg.graph import Shape, Tensor, source_of

VIEWS = frozenset({"broadcast", "reshape", "transpose", "slice"})
"""Primitives that strides can express."""


class Access(NamedTuple):
    """How the elements of a tensor are read.

    Attributes:
        base: the tensor that is stored (or a number, or ``iota``).
        offset: of the first element, in elements of the base.
        strides: for each axis of the tensor read, in elements of the base.
    """

    base: Tensor
    offset: int
    strides: tuple[int, ...]


def dense(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a row-major array, in elements.

    >>> dense((2, 3, 4))
    (12, 4, 1)
    """
    strides: list[int] = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


def is_view(tensor: Tensor) -> bool:
    """Whether a tensor may be another one, read with strides."""
    return tensor.source is not None and tensor.source.primitive.name in VIEWS


def resolve(tensor: Tensor, stored: Collection[int] = ()) -> Access | None:
    """How a tensor is read; None where a reshape cannot be expressed by strides.

    Args:
        tensor: any node, input or constant.
        stored: identities of views that are stored as copies of their own.
    """
    if not is_view(tensor) or id(tensor) in stored:
        return Access(tensor, 0, dense(tensor.shape))
    return through(tensor, stored)


def through(tensor: Tensor, stored: Collection[int] = ()) -> Access | None:
    """How a view is read from what lies beneath it."""
    primitive, (x,), parameters = source_of(tensor)
    inner = resolve(x, stored)
    if inner is None:
        return None
    base, offset, strides = inner
    if primitive.name == "broadcast":
        return Access(base, offset, _repeated(x.shape, strides, tensor.shape))
    if primitive.name == "transpose":
        return Access(base, offset, tuple(strides[axis] for axis in parameters["axes"]))
    if primitive.name == "slice":
        starts, steps = parameters["start"], parameters["step"]
        offset += sum(start * stride for start, stride in zip(starts, strides, strict=True))
        moved = tuple(stride * step for stride, step in zip(strides, steps, strict=True))
        return Access(base, offset, moved)
    split = reshaped(x.shape, strides, tensor.shape)
    return None if split is None else Access(base, offset, split)


def _repeated(shape: Shape, strides: tuple[int, ...], target: Shape) -> tuple[int, ...]:
    lead = len(target) - len(shape)
    kept = (
        0 if old == 1 and new != 1 else stride
        for old, new, stride in zip(shape, target[lead:], strides, strict=True)
    )
    return (0,) * lead + tuple(kept)


def reshaped(shape: Shape, strides: Sequence[int], target: Shape) -> tuple[int, ...] | None:
    """The strides that read an array of these strides in another shape, if there are such.

    >>> reshaped((4, 6), (6, 1), (2, 2, 6))
    (12, 6, 1)
    >>> reshaped((4, 6), (1, 4), (24,)) is None
    True
    """
    if 0 in target:
        return dense(target)
    parts = [[n, s] for n, s in segments(shape, strides)]
    result: list[int] = []
    for length in reversed(target):
        if length == 1:
            result.append(0)
            continue
        if not parts or parts[-1][0] % length:
            return None
        result.append(parts[-1][1])
        parts[-1][0] //= length
        parts[-1][1] *= length
        if parts[-1][0] == 1:
            parts.pop()
    return tuple(reversed(result))


def segments(shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Axes as (length, stride), outermost first: those of length 1 dropped, neighbours joined.

    >>> segments((2, 3, 1, 4), (12, 4, 9, 1))
    [(24, 1)]
    """
    found: list[tuple[int, int]] = []
    for length, stride in zip(shape, strides, strict=True):
        if length == 1:
            continue
        if found and found[-1][1] == stride * length:
            found[-1] = (found[-1][0] * length, stride)
        else:
            found.append((length, stride))
    return found
