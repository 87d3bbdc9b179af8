"""Dropout: units left out at random while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.descriptions import register, setting
from thalweg.graph import Tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import uniform, where


@register("layer", "dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """Sets inputs to zero at random in training and scales the others up (inverted dropout).

    y = m ⊙ x / (1 - rate), m = 1 with probability 1 - rate, else 0; y = x outside training, so
    that the expectation is the same. The field's advice is a rate of 0.5 for hidden layers and
    nearer to 0 for inputs.

    Args:
        rate: probability of leaving a unit out, in [0, 1). Texts that speak of a keep probability
            p mean 1 - rate.

    Shape:
        any → the same.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", 2014.

    >>> import thalweg as tw
    >>> tw.Dropout(0.2).rate
    0.2
    """

    transparent: ClassVar[bool] = True

    rate: float = setting(0.5, low=0, high=1, high_open=True, help="probability of leaving out")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X with units left out, in training."""
        if not scope.training:
            return x
        kept = uniform(scope.random_key(), x.shape, x.dtype) >= self.rate
        return where(kept, x / (1.0 - self.rate), 0.0)
