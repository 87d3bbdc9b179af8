"""How operands of different types and shapes are brought together.

Types: Python and NumPy scalars, and 0-dimensional tensors, take the type of the larger tensor
beside them unless their kind is higher; otherwise the wider of two types of one kind wins, and
bool < integer < float (an integer beside float32 becomes float32).
Shapes: NumPy's rules; a size-1 or missing axis is repeated, written as a ``broadcast`` node.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import DTYPES, Shape, Tensor, as_array, as_tensor, constant
from thalweg.ops.repetition import broadcast
from thalweg.ops.unary import cast

DType = np.dtype[Any]


def common_dtype(first: DType, second: DType) -> DType:
    """The type that two tensors are computed in.

    >>> common_dtype(np.dtype("int64"), np.dtype("float32")).name
    'float32'
    """
    if first == second:
        return first
    kinds = {first.kind, second.kind}
    if "f" in kinds and kinds != {"f"}:
        return first if first.kind == "f" else second
    joined = np.promote_types(first, second)
    if joined.kind == "f" and "f" not in kinds:
        raise DTypeError(
            f"{first.name} and {second.name} have no common integer type; convert one with astype"
        )
    return DTYPES[joined.name]


def is_weak(value: Any) -> bool:
    """Whether a value takes the type of its partner: a Python or NumPy scalar."""
    return isinstance(value, (bool, int, float, np.generic))


def weak_dtype(value: Any, partner: DType) -> DType:
    """The type of a scalar beside a tensor."""
    if isinstance(value, (bool, np.bool_)):
        return partner
    is_integer = isinstance(value, (int, np.integer))
    if partner.kind == "f" or (is_integer and partner.kind != "b"):
        return partner
    return DTYPES["int64" if is_integer else "float32"]


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def result_dtype(values: Sequence[Any]) -> DType:
    """The type that values are computed in together.

    Scalars, and 0-dimensional tensors beside larger ones of their kind, do not widen the others:
    a float64 learning rate times float32 gradients is float32.
    """
    strong = [as_tensor(value).type for value in values if not is_weak(value)]
    if not strong:
        return reduce(common_dtype, (as_tensor(value).dtype for value in values))
    shaped = [type_ for type_ in strong if type_.shape]
    dtype = reduce(common_dtype, (type_.dtype for type_ in shaped or strong))
    for type_ in strong:
        if _RANK[type_.dtype.kind] > _RANK[dtype.kind]:
            dtype = common_dtype(dtype, type_.dtype)
    for value in values:
        if is_weak(value):
            dtype = weak_dtype(value, dtype)
    return dtype


def same_dtype(*values: Any) -> tuple[Tensor, ...]:
    """The values as tensors of one type."""
    dtype = result_dtype(values)
    return tuple(
        constant(as_array(value, dtype)) if is_weak(value) else convert(as_tensor(value), dtype)
        for value in values
    )


def convert(tensor: Tensor, dtype: DType) -> Tensor:
    """A tensor in another type; as it is where the type is right."""
    return tensor if tensor.dtype == dtype else cast(tensor, dtype=dtype)


def common_shape(*shapes: Shape) -> Shape:
    """The broadcast shape.

    Raises:
        ShapeError: naming the shapes that do not fit.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        listed = " and ".join(str(shape) for shape in shapes)
        raise ShapeError(
            f"shapes {listed} do not broadcast: counted from the last axis, lengths must be equal "
            "or 1"
        ) from error


def broadcast_to(tensor: Tensor, shape: Shape) -> Tensor:
    """A tensor repeated to a shape; as it is where the shape is right."""
    return tensor if tensor.shape == shape else broadcast(tensor, shape=shape)


def together(*values: Any) -> tuple[Tensor, ...]:
    """The values as tensors of one type and shape."""
    tensors = same_dtype(*values)
    shape = common_shape(*[tensor.shape for tensor in tensors])
    return tuple(broadcast_to(tensor, shape) for tensor in tensors)
