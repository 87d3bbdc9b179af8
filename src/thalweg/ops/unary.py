"""Elementwise functions of one input.

Conventions at kinks: the derivative of ``abs`` at 0 is 0, that of ``sign``, ``floor`` and ``round``
is 0 everywhere, that of ``sqrt`` at 0 is infinite. NaN goes in, NaN comes out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, as_dtype, register
from thalweg.ops.declare import inputs_of, real_samples, require_kind, same_type, unary


def _special(name: str) -> Any:
    def evaluate(x: Array) -> Array:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return evaluate


def _linear(node: Tensor, tangents: tuple[Tensor | None, ...]) -> Tensor | None:
    """The tangent of a linear function of one input: the function of the tangent."""
    assert node.source is not None
    (change,) = tangents
    return None if change is None else node.source.primitive(change, **node.source.parameters)


def _same(x: Array) -> Array:
    return x


# ------------------------------------------------------------------ linear in the input


def _neg_transpose(node: Tensor, cotangent: Tensor, _: tuple[bool, ...]) -> Sequence[Tensor]:
    return (neg(cotangent),)


neg = register(
    Primitive(
        "neg",
        "elementwise",
        same_type("neg", "fi"),
        np.negative,
        _linear,
        _neg_transpose,
        flops=1,
        samples=lambda: [Sample((array,)) for array in real_samples(-3, 3)],
        failures=lambda: [Sample((np.array([True]),))],
    )
)


def _pass(node: Tensor, cotangent: Tensor, _: tuple[bool, ...]) -> Sequence[Tensor]:
    return (cotangent,)


identity = register(
    Primitive(
        "identity",
        "elementwise",
        same_type("identity", "fiub"),
        _same,
        _linear,
        _pass,
        samples=lambda: [Sample((array,)) for array in real_samples(-3, 3)],
    )
)

stop_gradient = register(
    Primitive(
        "stop_gradient",
        "elementwise",
        same_type("stop_gradient", "fiub"),
        _same,
        samples=lambda: [Sample((array,)) for array in real_samples(-3, 3)],
    )
)


def _cast_type(x: TensorType, dtype: np.dtype[Any]) -> TensorType:
    return TensorType(x.shape, as_dtype(dtype))


def _cast_value(x: Array, dtype: np.dtype[Any]) -> Array:
    return x.astype(dtype)


def _cast_tangent(node: Tensor, tangents: tuple[Tensor | None, ...]) -> Tensor | None:
    (change,) = tangents
    return None if change is None or not node.type.is_float else cast(change, dtype=node.dtype)


def _cast_transpose(node: Tensor, cotangent: Tensor, _: tuple[bool, ...]) -> Sequence[Tensor]:
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

exp = unary("exp", np.exp, lambda x, y: y, flops=1, ulp=2)
expm1 = unary("expm1", np.expm1, lambda x, y: y + 1.0, ulp=2)
log = unary("log", np.log, lambda x, y: 1.0 / x, domain=(0.1, 5.0), ulp=2)
log1p = unary("log1p", np.log1p, lambda x, y: 1.0 / (1.0 + x), domain=(-0.8, 5.0), ulp=2)
sqrt = unary("sqrt", np.sqrt, lambda x, y: 0.5 / y, domain=(0.1, 5.0))

# ------------------------------------------------------------------ trigonometric, sigmoids


def _sin_derivative(x: Tensor, y: Tensor) -> Tensor:
    return cos(x)


sin = unary("sin", np.sin, _sin_derivative, ulp=2)
cos = unary("cos", np.cos, lambda x, _: neg(sin(x)), ulp=2)
tanh = unary("tanh", np.tanh, lambda x, y: 1.0 - y * y, ulp=2)


def _logistic_derivative(x: Tensor, y: Tensor) -> Tensor:
    return y * logistic(-x)


logistic = unary("logistic", _special("expit"), _logistic_derivative, flops=3, ulp=2)
erf = unary("erf", _special("erf"), lambda x, y: exp(-(x * x)) * (2.0 / math.sqrt(math.pi)), ulp=2)

# ------------------------------------------------------------------ kinks and steps


def _sign(x: Array) -> Array:
    return np.sign(x)


abs_ = unary("abs", np.abs, lambda x, y: sign(x), kinds="fi", domain=(0.2, 3.0))
sign = unary("sign", _sign, kinds="fi")
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
        samples=lambda: [Sample((np.array([True, False]),)), Sample((np.array([5, 0]),))],
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
