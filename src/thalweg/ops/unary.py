"""Elementwise functions of one input.

Conventions at kinks: the derivative of ``abs`` at 0 is 0, that of ``sign``, ``floor`` and ``round``
is 0 everywhere, that of ``sqrt`` at 0 is infinite. NaN goes in, NaN comes out. ``cast`` to whole
numbers drops the fraction; what lies beyond the type's range becomes its nearest number, and NaN
becomes 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.graph import (
    Array,
    Primitive,
    Sample,
    Tensor,
    TensorType,
    as_dtype,
    converted,
    register,
)
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    moved,
    real_samples,
    require_kind,
    same_type,
    unary,
)


def _logistic_value(x: Array) -> Array:
    from scipy.special import expit

    return expit(x)


def _erf_value(x: Array) -> Array:
    from scipy.special import erf

    return erf(x)


# ------------------------------------------------------------------ linear in the input


def _neg_transpose(_node: Tensor, cotangent: Tensor, _linear: Linear) -> Cotangents:
    return (neg(cotangent),)


neg = register(
    Primitive(
        "neg",
        "elementwise",
        same_type("neg", "fi"),
        np.negative,
        moved,
        _neg_transpose,
        flops=1,
        samples=lambda: [Sample((array,)) for array in real_samples(-3, 3)],
        failures=lambda: [Sample((np.array([True]),))],
    )
)


def _pass(_node: Tensor, cotangent: Tensor, _linear: Linear) -> Cotangents:
    return (cotangent,)


def _same_value(x: Array) -> Array:
    return x


identity = register(
    Primitive(
        "identity",
        "elementwise",
        same_type("identity", "fiub"),
        _same_value,
        moved,
        _pass,
        samples=lambda: [Sample((array,)) for array in real_samples(-3, 3)],
    )
)

stop_gradient = register(
    Primitive(
        "stop_gradient",
        "elementwise",
        same_type("stop_gradient", "fiub"),
        _same_value,
        samples=lambda: [Sample((array,)) for array in real_samples(-3, 3)],
    )
)


def _cast_type(x: TensorType, dtype: np.dtype[Any]) -> TensorType:
    return TensorType(x.shape, as_dtype(dtype))


def _cast_value(x: Array, dtype: np.dtype[Any]) -> Array:
    return converted(np.asarray(x), dtype)


def _cast_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (change,) = tangents
    return None if change is None or not node.type.is_float else cast(change, dtype=node.dtype)


def _cast_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    return (cast(cotangent, dtype=inputs_of(node)[0].dtype),)


cast = register(
    Primitive(
        "cast",
        "elementwise",
        _cast_type,
        _cast_value,
        _cast_tangent,
        _cast_transpose,
        samples=lambda: [
            Sample((array,), {"dtype": np.dtype(name)})
            for array in real_samples(-3, 3)
            for name in ("float64", "int32")
        ],
        failures=lambda: [Sample((np.zeros(2),), {"dtype": np.dtype("complex64")})],
    )
)

# ------------------------------------------------------------------ exponentials, logarithms

exp = unary("exp", np.exp, lambda _, y: y, flops=1, ulp=1.67)
expm1 = unary("expm1", np.expm1, lambda x, _: exp(x), ulp=1.27)
log = unary("log", np.log, lambda x, _: 1.0 / x, domain=(0.1, 5.0), ulp=1.31)
log1p = unary("log1p", np.log1p, lambda x, _: 1.0 / (1.0 + x), domain=(-0.8, 5.0), ulp=1.8)
sqrt = unary("sqrt", np.sqrt, lambda _, y: 0.5 / y, domain=(0.1, 5.0), ulp=1)

# ------------------------------------------------------------------ trigonometric, sigmoids

sin = unary("sin", np.sin, lambda x, _: cos(x), ulp=1.67)
cos = unary("cos", np.cos, lambda x, _: -sin(x), ulp=1.81)
tanh = unary("tanh", np.tanh, lambda _, y: 1.0 - y * y, ulp=1.72)


def _logistic_slope(x: Tensor, y: Tensor) -> Tensor:
    return y * logistic(-x)


logistic = unary("logistic", _logistic_value, _logistic_slope, flops=3, ulp=2.0)
erf = unary("erf", _erf_value, lambda x, _: exp(-(x * x)) * (2.0 / math.sqrt(math.pi)), ulp=1.29)

# ------------------------------------------------------------------ kinks and steps


def _sign_value(x: Array) -> Array:
    return np.sign(x)


abs_ = unary("abs", np.abs, lambda x, _: sign(x), kinds="fi")
sign = unary("sign", _sign_value, kinds="fiu")
floor = unary("floor", np.floor)
round_ = unary("round", np.rint)


def _not_type(x: TensorType) -> TensorType:
    require_kind("not", x, "biu")
    return x


not_ = register(
    Primitive(
        "not",
        "elementwise",
        _not_type,
        np.invert,
        samples=lambda: [
            Sample((np.array([True, False]),)),
            Sample((np.array([[5, 0], [-1, 7]]),)),
            Sample((np.array([[5, 0], [255, 7]], "uint8").T,)),
            Sample((np.zeros(0, "uint32"),)),
            Sample((np.asarray(3),)),
        ],
        failures=lambda: [Sample((np.zeros(2),))],
    )
)

__all__ = [
    "abs_",
    "cast",
    "cos",
    "erf",
    "exp",
    "expm1",
    "floor",
    "identity",
    "log",
    "log1p",
    "logistic",
    "neg",
    "not_",
    "round_",
    "sign",
    "sin",
    "sqrt",
    "stop_gradient",
    "tanh",
]
