"""Shapes and data types, and arrays brought to them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from thalweg.errors import DTypeError, GraphError, ShapeError

Array = NDArray[Any]
Shape = tuple[int, ...]
Scalar = bool | int | float

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in ("bool", "uint8", "uint32", "uint64", "int32", "int64", "float32", "float64")
}
_KNOWN = frozenset(DTYPES.values())
_WIDENED = {"float16": "float32", "int8": "int32", "int16": "int32", "uint16": "int32"}


def as_dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    """One of the data types that tensors have.

    Raises:
        DTypeError: for any other type, with the list of known ones.
    """
    if isinstance(dtype, np.dtype) and dtype in _KNOWN:
        return dtype
    try:
        name = None if dtype is None else np.dtype(dtype).name
    except (TypeError, ValueError):
        name = None
    if name is None:
        raise DTypeError(f"{dtype!r} is not a data type; known: {', '.join(DTYPES)}")
    if name not in DTYPES:
        raise DTypeError(f"tensors cannot hold {name}; known: {', '.join(DTYPES)}")
    return DTYPES[name]


def as_shape(shape: int | Sequence[int], least: int = 0) -> Shape:
    """A length or several as a tuple of Python's whole numbers.

    Args:
        shape: one length, or a sequence of them.
        least: the smallest length allowed (-1 where one may be left open).

    Raises:
        ShapeError: when a length is not a whole number, or too small.

    >>> as_shape(3), as_shape([2, 3])
    ((3,), (2, 3))
    """
    given = shape if isinstance(shape, (tuple, list)) else (cast("int", shape),)
    try:
        lengths = tuple(operator.index(length) for length in given)
    except TypeError as error:
        raise ShapeError(f"a shape is made of whole numbers, got {shape!r}") from error
    if min(lengths, default=0) < least:
        raise ShapeError(f"a shape has no negative lengths, got {shape!r}")
    return lengths


class TensorType(NamedTuple):
    """Shape and data type.

    >>> str(TensorType((32, 64), np.dtype("float32")))
    'float32[32,64]'
    """

    shape: Shape
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The memory that the elements take."""
        return self.size * self.dtype.itemsize

    @property
    def is_float(self) -> bool:
        """Whether elements are real numbers, so that derivatives exist."""
        return self.dtype.kind == "f"


def type_of(array: Array | np.generic) -> TensorType:
    """The type of an array."""
    return TensorType(array.shape, array.dtype)


def as_array(data: Any, dtype: DTypeLike | None = None) -> Array:
    """Data as an array of a type that tensors have; Python floats become float32.

    Raises:
        ShapeError: for rows of different lengths.
        DTypeError: for anything but real numbers and truth values.
        GraphError: for a list of tensors that are traced or being differentiated.
    """
    try:
        array = np.asarray(data)
    except GraphError:
        raise
    except ValueError as error:
        raise ShapeError(f"rows of different lengths do not make a tensor: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DTypeError(_refusal(data, array))
    return converted(array, _natural(data, array) if dtype is None else as_dtype(dtype))


def _refusal(data: Any, array: Array) -> str:
    hint = ""
    if array.dtype.kind == "O":
        hint = "; None, mixed types and whole numbers beyond 64 bits are no elements"
    return f"tensors hold real numbers, got {array.dtype.name}: {data!r:.60}{hint}"


def _natural(data: Any, array: Array) -> np.dtype[Any]:
    """The type that data has by itself: arrays keep theirs, Python's floats are float32."""
    name = array.dtype.name
    if array.dtype.kind == "f" and not isinstance(data, (np.ndarray, np.generic)):
        name = "float32"
    return as_dtype(_WIDENED.get(name, name))


def converted(array: Array, dtype: np.dtype[Any]) -> Array:
    """An array in another type; as it is where the type is right.

    Whole numbers that do not fit wrap around. Real numbers lose their fraction, and those beyond a
    whole type's range become its nearest number; NaN becomes 0.
    """
    if array.dtype.kind == "f" and dtype.kind in "iu":
        return _saturated(array, dtype)
    with np.errstate(all="ignore"):
        return array.astype(dtype, copy=False)


def _saturated(array: Array, dtype: np.dtype[Any]) -> Array:
    limits = np.iinfo(dtype)
    below, above = array <= limits.min, array >= float(limits.max)
    outside = below | above | np.isnan(array)
    result = np.asarray(np.where(outside, 0, array).astype(dtype))
    result[below] = limits.min
    result[above] = limits.max
    return result
