"""Dropout: units left out at random while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.descriptions import option, register, setting
from thalweg.graph import Tensor, as_tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import sqrt, uniform, where

SELU_SATURATION = -1.7580993408473766
"""What SELU tends to for x → -∞: -λα."""


def _kept(x: Tensor, rate: Any, scope: Scope) -> Tensor:
    """For each element whether it stays: true with probability 1 - rate."""
    return uniform(scope.random_key(), x.shape, x.dtype) >= rate


@register("layer", "dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """Leaves inputs out at random in training: y = m ⊙ x, m = 1 with probability 1 - rate, else 0.

    The ``inverted`` form divides by 1 - rate in training and changes nothing in use. The
    ``classical`` form leaves training as it is and multiplies by 1 - rate in use. Either way the
    expectation in training is the output in use; weights trained with one form are those of the
    other times 1 - rate. The field's advice is a rate of 0.5 for hidden layers and nearer to 0 for
    inputs (0.2), in wider layers than without dropout, and not right in front of batch
    normalisation, whose statistics it shifts between training and use.

    Args:
        rate: probability of leaving a unit out, in [0, 1). Texts that speak of a keep probability
            p mean 1 - rate.
        form: ``inverted`` (PyTorch's and Keras') or ``classical``.

    Shape:
        any → the same.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", 2014.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Dropout(0.25, form="classical"), {}, [[4.0, 8.0]])
    Tensor([[3. 6.]], float32)
    """

    transparent: ClassVar[bool] = True

    rate: float = setting(0.5, low=0, high=1, high_open=True, help="probability of leaving out")
    form: str = option("inverted", options=("inverted", "classical"), help="when x is scaled")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X with units left out, in training."""
        classical = self.form == "classical"
        if not scope.training:
            return x * (1.0 - self.rate) if classical else x
        kept = _kept(x, self.rate, scope)
        return where(kept, x if classical else x * (1.0 / (1.0 - self.rate)), 0.0)


@register("layer", "alpha_dropout")
@dataclass(frozen=True)
class AlphaDropout(Layer):
    """Dropout for SELU networks, which keeps mean 0 and variance 1.

    In training y = a·(m ⊙ x + (1 - m)·α′) + b, with m = 1 with probability p = 1 - rate, else 0,
    α′ = -λα ≈ -1.7581 (what SELU tends to on the left), a = (p + α′²p(1 - p))^-½ and
    b = -a·(1 - p)·α′; outside training y = x.

    Args:
        rate: probability of leaving a unit out, in [0, 1).

    Shape:
        any → the same.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.AlphaDropout(0.2), {}, [[1.0, 2.0]])
    Tensor([[1. 2.]], float32)
    """

    transparent: ClassVar[bool] = True

    rate: float = setting(0.5, low=0, high=1, high_open=True, help="probability of leaving out")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X with units at α′, scaled and shifted, in training."""
        if not scope.training:
            return x
        rate = as_tensor(self.rate, x.dtype)
        scale = 1.0 / sqrt((1.0 - rate) * (1.0 + SELU_SATURATION**2 * rate))
        shift = -SELU_SATURATION * rate * scale
        left_out = SELU_SATURATION * scale + shift
        return where(_kept(x, self.rate, scope), x * scale + shift, left_out)
