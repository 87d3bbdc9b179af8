"""Layers that add Gaussian noise while training, and Gaussian random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import DTypeLike

from thalweg.descriptions import option, register, setting
from thalweg.graph import Tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import cos, fold_in, log, sqrt, uniform


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


@register("layer", "gaussian_noise")
@dataclass(frozen=True)
class GaussianNoise(Layer):
    """Gaussian noise in training: y = x + sn, or y = x(1 + sn), n ~ N(0, 1) for each element.

    Outside training y = x, which is the expectation. In front of a network additive noise is data
    augmentation for numeric features; between layers it regularises as dropout does. The
    multiplicative form with s = √(rate / (1 - rate)) has the mean and variance of :class:`Dropout`
    (Gaussian dropout).

    Args:
        std: s ≥ 0, in units of x or, multiplicative, as a share of it.
        form: ``additive`` or ``multiplicative``.

    Shape:
        any → the same.

    Source: Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995; Srivastava
    and others, "Dropout: a simple way to prevent neural networks from overfitting", 2014, §10.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.GaussianNoise(0.5), {}, [[1.0, 2.0]])
    Tensor([[1. 2.]], float32)
    """

    transparent: ClassVar[bool] = True

    std: float = setting(0.1, low=0, help="standard deviation of the noise")
    form: str = option("additive", options=("additive", "multiplicative"), help="x + n or x(1 + n)")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X with noise, in training."""
        if not scope.training:
            return x
        noise = normal(scope.random_key(), x.shape, x.dtype) * self.std
        return x + noise if self.form == "additive" else x * (1.0 + noise)
