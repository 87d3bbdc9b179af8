"""Functions of tensors under NumPy's names: what users and the floors above compute with.

All of them take tensors, arrays or numbers, broadcast as NumPy does, and run eagerly, traced or
compiled alike. Importing this module gives tensors their operators and methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from thalweg.graph import OPERATORS, Tensor, as_shape, as_tensor
from thalweg.ops import random as random_ops
from thalweg.ops.elementwise import (
    absolute,
    add,
    astype,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    clip,
    cos,
    divide,
    equal,
    erf,
    exp,
    expm1,
    floor,
    isfinite,
    less,
    less_equal,
    log,
    log1p,
    logistic,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    round_,
    shift_right,
    sign,
    sin,
    sqrt,
    square,
    stop_gradient,
    subtract,
    tanh,
    where,
)
from thalweg.ops.indexing import getitem, one_hot, scatter_add, take
from thalweg.ops.reducing import argmax, logsumexp, max_, mean, min_, sum_, variance
from thalweg.ops.shaping import (
    Axis,
    arange,
    axes_of,
    axis_of,
    broadcast,
    concatenate,
    matmul,
    ones,
    pad,
    reshape,
    stack,
    transpose,
    zeros,
)


def random_bits(key: Any, shape: int | Sequence[int]) -> Tensor:
    """Uniform 32-bit words from a key ``uint32[2]``."""
    return random_ops.random_bits(as_tensor(key), shape=as_shape(shape))


def fold_in(key: Any, number: Any) -> Tensor:
    """A new key from a key and a whole number, of which 32 bits count."""
    return random_ops.fold_in_bits(as_tensor(key), astype(number, "uint32"))


def uniform(key: Any, shape: int | Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Uniform numbers in [0, 1) with 24 random bits each."""
    return astype(shift_right(random_bits(key, shape), 8), dtype) * 2.0**-24


def normal(key: Any, shape: int | Sequence[int], dtype: DTypeLike = "float32") -> Tensor:
    """Gaussian numbers of mean 0 and variance 1: √(-2 log(1 - u)) · cos(2πv), u and v uniform.

    u and v have 24 random bits each, so that no number is beyond √(48 log 2) ≈ 5.77; of true
    Gaussian numbers one in 10⁸ is.

    Args:
        key: ``uint32[2]``.
        shape: of the result.
        dtype: float32 or float64.

    Source: Box and Muller, "A note on the generation of random normal deviates", 1958.

    >>> from thalweg.ops.random import key_from_seed
    >>> normal(key_from_seed(0), 1000).numpy().std().round(1)
    np.float32(1.0)
    """
    radius = sqrt(-2.0 * log(1.0 - uniform(fold_in(key, 0), shape, dtype)))
    return radius * cos(2.0 * math.pi * uniform(fold_in(key, 1), shape, dtype))


OPERATORS.update(
    {
        "abs": absolute,
        "add": add,
        "argmax": argmax,
        "astype": astype,
        "bitwise_and": bitwise_and,
        "bitwise_not": bitwise_not,
        "bitwise_or": bitwise_or,
        "bitwise_xor": bitwise_xor,
        "divide": divide,
        "equal": equal,
        "getitem": getitem,
        "less": less,
        "less_equal": less_equal,
        "matmul": matmul,
        "max": max_,
        "mean": mean,
        "min": min_,
        "multiply": multiply,
        "negative": negative,
        "not_equal": not_equal,
        "power": power,
        "reshape": reshape,
        "stop_gradient": stop_gradient,
        "subtract": subtract,
        "sum": sum_,
        "transpose": transpose,
    }
)

__all__ = [
    "Axis",
    "absolute",
    "add",
    "arange",
    "argmax",
    "astype",
    "axes_of",
    "axis_of",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "broadcast",
    "clip",
    "concatenate",
    "cos",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "fold_in",
    "getitem",
    "isfinite",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logistic",
    "logsumexp",
    "matmul",
    "max_",
    "maximum",
    "mean",
    "min_",
    "minimum",
    "multiply",
    "negative",
    "normal",
    "not_equal",
    "one_hot",
    "ones",
    "pad",
    "power",
    "random_bits",
    "reshape",
    "round_",
    "scatter_add",
    "shift_right",
    "sign",
    "sin",
    "sqrt",
    "square",
    "stack",
    "stop_gradient",
    "subtract",
    "sum_",
    "take",
    "tanh",
    "transpose",
    "uniform",
    "variance",
    "where",
    "zeros",
]
