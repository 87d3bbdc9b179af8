"""Shapes and data types, and arrays brought to them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from thalweg.errors import DTypeError, ShapeError

Array = NDArray[Any]
Shape = tuple[int, ...]
Scalar = bool | int | float

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in ("bool", "uint8", "uint32", "uint64", "int32", "int64", "float32", "float64")
}
_WIDENED = {"float16": "float32", "int8": "int32", "int16": "int32", "uint16": "int32"}


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """One of the data types that tensors have.

    Raises:
        DTypeError: for any other type, with the list of known ones.
    """
    try:
        name = np.dtype(dtype).name
    except TypeError as error:
        raise DTypeError(f"{dtype!r} is not a data type; known: {', '.join(DTYPES)}") from error
    if name not in DTYPES:
        raise DTypeError(f"tensors cannot hold {name}; known: {', '.join(DTYPES)}")
    return DTYPES[name]


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


def as_array(data: Any, dtype: DTypeLike | None = None) -> Array:
    """Data as an array of a type that tensors have; Python floats become float32."""
    is_array = isinstance(data, (np.ndarray, np.generic))
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(f"rows of different lengths do not make a tensor: {error}") from error
    if dtype is not None:
        wanted = as_dtype(dtype)
    elif array.dtype.name in DTYPES:
        wanted = array.dtype if is_array or array.dtype.kind != "f" else DTYPES["float32"]
    else:
        wanted = as_dtype(_WIDENED.get(array.dtype.name, array.dtype))
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"tensors hold numbers, got an array of {array.dtype}")
    return array.astype(wanted.newbyteorder("="), copy=False)
