"""Activation functions, as pure functions of tensors.

All of them take tensors, arrays or numbers, keep the shape unless they say otherwise, are stable
for large |x|, and give NaN for NaN. Where a function has a kink the derivative is the one from the
left, so that relu′(0) = 0.
"""

from __future__ import annotations

import math
from typing import Any

from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Tensor, as_tensor
from thalweg.ops import functions as ops

GELU_FORMS = ("exact", "tanh", "logistic")


def _real(x: Any) -> Tensor:
    tensor = as_tensor(x)
    return tensor if tensor.type.is_float else tensor.astype("float32")


# ------------------------------------------------------------------ sigmoids and steps


def logistic(x: Any) -> Tensor:
    """σ(x) = 1 / (1 + e⁻ˣ), in (0, 1); σ′ = σ(1 - σ).

    >>> logistic([-1000.0, 0.0, 1000.0])
    Tensor([0.  0.5 1. ], float32)
    """
    return ops.logistic(_real(x))


def tanh(x: Any) -> Tensor:
    """Tanh x = 2σ(2x) - 1, in (-1, 1); tanh′ = 1 - tanh².

    >>> tanh([-1000.0, 0.0, 1000.0])
    Tensor([-1.  0.  1.], float32)
    """
    return ops.tanh(_real(x))


def hard_logistic(x: Any) -> Tensor:
    """max(min(0.25x + 0.5, 1), 0), in [0, 1]; derivative 0.25 inside (-2, 2), else 0.

    >>> hard_logistic([-3.0, 0.0, 1.0, 3.0])
    Tensor([0.   0.5  0.75 1.  ], float32)
    """
    return ops.clip(0.25 * _real(x) + 0.5, 0.0, 1.0)


def hard_tanh(x: Any) -> Tensor:
    """max(min(x, 1), -1), in [-1, 1]; derivative 1 inside (-1, 1), else 0.

    >>> hard_tanh([-3.0, 0.5, 3.0])
    Tensor([-1.   0.5  1. ], float32)
    """
    return ops.clip(_real(x), -1.0, 1.0)


def step(x: Any) -> Tensor:
    """1 where x ≥ 0, else 0; derivative 0.

    >>> step([-0.1, 0.0, 2.0])
    Tensor([0. 1. 1.], float32)
    """
    return ops.clip(ops.sign(_real(x)) + 1.0, 0.0, 1.0)


def sign(x: Any) -> Tensor:
    """-1 where x < 0, 0 at 0, 1 where x > 0; derivative 0.

    >>> sign([-0.1, 0.0, 2.0])
    Tensor([-1.  0.  1.], float32)
    """
    return ops.sign(_real(x))


def identity(x: Any) -> Tensor:
    """X itself; derivative 1."""
    return as_tensor(x)


# ------------------------------------------------------------------ rectifiers


def relu(x: Any) -> Tensor:
    """max(x, 0), in [0, ∞); derivative 1 where x > 0, else 0.

    >>> relu([-1.0, 0.0, 2.0])
    Tensor([0. 0. 2.], float32)
    """
    return ops.maximum(_real(x), 0.0)


def leaky_relu(x: Any, slope: Any = 0.01) -> Tensor:
    """X where x > 0, else γx; derivative 1 where x > 0, else γ.

    Args:
        x: any shape.
        slope: γ, a number or a tensor that broadcasts to x (then it gets a derivative too).

    >>> leaky_relu([-1.0, 0.0, 2.0])
    Tensor([-0.01  0.    2.  ], float32)
    """
    tensor = _real(x)
    return tensor * ops.where(tensor > 0, 1.0, as_tensor(slope, tensor.dtype))


def prelu(x: Any, slope: Any) -> Tensor:
    """Parametric rectifier: :func:`leaky_relu` whose slope is learned.

    >>> prelu([[-1.0, -1.0], [2.0, 2.0]], [0.25, 0.5])
    Tensor([[-0.25 -0.5 ]
            [ 2.    2.  ]], float32)
    """
    return leaky_relu(x, slope)


def elu(x: Any, alpha: Any = 1.0) -> Tensor:
    """X where x > 0, else γ(eˣ - 1), in (-γ, ∞); derivative 1 where x > 0, else γeˣ.

    Args:
        x: any shape.
        alpha: γ.

    >>> elu([-1000.0, 0.0, 2.0])
    Tensor([-1.  0.  2.], float32)
    """
    tensor = _real(x)
    below = ops.where(tensor > 0, 0.0, tensor)
    return ops.where(tensor > 0, tensor, alpha * ops.expm1(below))


def softplus(x: Any) -> Tensor:
    """log(1 + eˣ) = max(x, 0) + log(1 + e^(-|x|)), in (0, ∞); derivative σ(x).

    >>> softplus([-1000.0, 1000.0])
    Tensor([   0. 1000.], float32)
    """
    tensor = _real(x)
    above = ops.where(tensor > 0, tensor, 0.0)
    minus_magnitude = ops.where(tensor > 0, -tensor, tensor)  # -|x| with derivative 1 at 0
    return above + ops.log1p(ops.exp(minus_magnitude))


def swish(x: Any, beta: Any = 1.0) -> Tensor:
    """x·σ(βx); derivative σ(βx) + βx·σ(βx)(1 - σ(βx)).

    Args:
        x: any shape.
        beta: β, a number or a tensor that broadcasts to x (then it gets a derivative too).

    >>> swish([-1000.0, 0.0, 1000.0])
    Tensor([  -0.    0. 1000.], float32)
    """
    tensor = _real(x)
    return tensor * ops.logistic(tensor * beta)


def gelu(x: Any, approximation: str = "exact") -> Tensor:
    """x·Φ(x), with Φ the distribution function of the standard normal distribution.

    Args:
        x: any shape.
        approximation: ``exact``: ½x(1 + erf(x/√2)); ``tanh``: ½x(1 + tanh(√(2/π)(x +
            0.044715x³))); ``logistic``: x·σ(1.702x).

    Raises:
        SettingError: another approximation.

    >>> gelu([-1000.0, 0.0, 1.0])
    Tensor([-0.         0.         0.8413447], float32)
    """
    tensor = _real(x)
    if approximation == "exact":
        return 0.5 * tensor * (1.0 + ops.erf(tensor * math.sqrt(0.5)))
    if approximation == "tanh":
        inner = math.sqrt(2 / math.pi) * tensor * (1.0 + 0.044715 * tensor * tensor)
        return 0.5 * tensor * (1.0 + ops.tanh(inner))
    if approximation == "logistic":
        return swish(tensor, 1.702)
    raise SettingError(
        f"gelu: approximation {approximation!r} is not one of {', '.join(GELU_FORMS)}"
    )


def maxout(x: Any, pieces: int) -> Tensor:
    """The largest of K linear pieces: y_j = max over k of x_(k·M + j).

    Args:
        x: (…, K·M), piece after piece.
        pieces: K.

    Returns:
        (…, M); the derivative goes to the largest piece, equal ones share it.

    Raises:
        ShapeError: when K does not divide the last axis.

    >>> maxout([[1.0, 5.0, 3.0, 4.0]], 2)
    Tensor([[3. 5.]], float32)
    """
    tensor = _real(x)
    if not tensor.ndim or tensor.shape[-1] % pieces:
        raise ShapeError(f"maxout: {pieces} pieces do not divide the last axis of {tensor.type}")
    units = tensor.shape[-1] // pieces
    return ops.max_(tensor.reshape(*tensor.shape[:-1], pieces, units), axis=-2)


# ------------------------------------------------------------------ functions of a whole axis


def _shifted(x: Any, axis: int) -> Tensor:
    """X minus its largest element along an axis, which exp() cannot overflow on."""
    tensor = _real(x)
    if not tensor.ndim:
        raise ShapeError(f"softmax takes tensors with an axis, got {tensor.type}")
    return tensor - ops.stop_gradient(ops.max_(tensor, axis, keepdims=True))


def softmax(x: Any, axis: int = -1) -> Tensor:
    """e^x_k / Σ_j e^x_j along an axis: positive numbers of sum 1; Jacobian diag(a) - aaᵀ.

    >>> softmax([[0.0, 0.0], [1000.0, 0.0]])
    Tensor([[0.5 0.5]
            [1.  0. ]], float32)
    """
    powers = ops.exp(_shifted(x, axis))
    return powers / powers.sum(axis, keepdims=True)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x_k - log Σ_j e^x_j along an axis, without overflow; Jacobian I - 1aᵀ, a = softmax(x).

    >>> log_softmax([[0.0, 0.0], [1000.0, 0.0]])
    Tensor([[-6.931472e-01 -6.931472e-01]
            [ 0.000000e+00 -1.000000e+03]], float32)
    """
    shifted = _shifted(x, axis)
    return shifted - ops.log(ops.exp(shifted).sum(axis, keepdims=True))


__all__ = [
    "elu",
    "gelu",
    "hard_logistic",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_softmax",
    "logistic",
    "maxout",
    "prelu",
    "relu",
    "sign",
    "softmax",
    "softplus",
    "step",
    "swish",
    "tanh",
]
