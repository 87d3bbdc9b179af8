"""How operands of different types and shapes are brought together.

Types: Python and NumPy scalars, and 0-dimensional tensors, take the type of the larger tensor
beside them unless their kind is higher; otherwise the wider of two types of one kind wins, and
bool < unsigned < integer < float (an integer beside float32 becomes float32).
Shapes: NumPy's rules; a size-1 or missing axis is repeated, written as a ``broadcast`` node.
"""

from __future__ import annotations

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

    Raises:
        DTypeError: for uint64 beside a signed type, which no whole type holds.

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


_RANK = {"b": 0, "u": 1, "i": 2, "f": 3}


def weak_dtype(value: Any, partner: DType) -> DType:
    """The type that a scalar and its partner are computed in."""
    if isinstance(value, (bool, np.bool_)) or partner.kind == "f":
        return partner
    if isinstance(value, int) and partner.kind in "iu":
        return partner
    own = as_array(value).dtype
    if _RANK[own.kind] <= _RANK[partner.kind]:
        return partner
    return own if partner.kind == "b" or own.kind == "f" else common_dtype(own, partner)


def _scalars_dtype(strong: list[Tensor], values: list[Any]) -> DType:
    """The type of values, of which those that are not tensors are scalars."""
    if not strong:
        return reduce(common_dtype, (as_tensor(value).dtype for value in values))
    shaped = [tensor for tensor in strong if tensor.type.shape]
    dtype = reduce(common_dtype, (tensor.dtype for tensor in shaped or strong))
    for tensor in strong:
        if _RANK[tensor.dtype.kind] > _RANK[dtype.kind]:
            dtype = common_dtype(dtype, tensor.dtype)
    for value in values:
        if not isinstance(value, Tensor):
            dtype = weak_dtype(value, dtype)
    return dtype


def same_dtype(*values: Any) -> tuple[Tensor, ...]:
    """The values as tensors of one type.

    Raises:
        DTypeError: when they have no common type, or a whole number does not fit it.
    """
    given = [value if is_weak(value) else as_tensor(value) for value in values]
    strong = [value for value in given if isinstance(value, Tensor)]
    if len(strong) == len(given) and all(item.dtype == strong[0].dtype for item in strong):
        return tuple(strong)
    dtype = _scalars_dtype(strong, given)
    return tuple(
        convert(value, dtype) if isinstance(value, Tensor) else scalar(value, dtype)
        for value in given
    )


def scalar(value: Any, dtype: DType) -> Tensor:
    """A number as a 0-dimensional tensor of a type.

    Raises:
        DTypeError: for a whole number outside the type's range.
    """
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= int(value) <= np.iinfo(dtype).max:
        raise DTypeError(
            f"{value!r:.60} does not fit {dtype.name}, the type of the tensor beside it; "
            "convert the tensor with astype"
        )
    return constant(as_array(value, dtype))


def convert(tensor: Tensor, dtype: DType) -> Tensor:
    """A tensor in another type; as it is where the type is right."""
    return tensor if tensor.dtype == dtype else cast(tensor, dtype=dtype)


def common_shape(*shapes: Shape) -> Shape:
    """The broadcast shape.

    Raises:
        ShapeError: naming the shapes that do not fit.
    """
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    if sum(map(bool, shapes)) == 1:
        return next(shape for shape in shapes if shape)
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
