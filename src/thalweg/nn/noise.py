"""Layers that add Gaussian noise while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.descriptions import option, register, setting
from thalweg.graph import Tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import normal


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
