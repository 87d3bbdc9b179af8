"""The fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.descriptions import flag, part, register, size
from thalweg.errors import ShapeError
from thalweg.graph import Tensor
from thalweg.nn.initialisers import Auto, Constant, Initialiser
from thalweg.nn.layer import Layer, Scope


@register("layer", "linear")
@dataclass(frozen=True)
class Linear(Layer):
    """Every output is a weighted sum of all inputs: z = xW + b.

    The number of inputs is read from the data. Parameters: ``weight`` (inputs, features) and
    ``bias`` (features,).

    Args:
        features: number of outputs, ≥ 1.
        bias: whether there is a b.
        weight: initialiser of W; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, …, inputs) → (N, …, features).

    Raises:
        ShapeError: the input has no feature axis.

    >>> import thalweg as tw
    >>> tw.Sequential(tw.Linear(3)).summary(2).parameters
    9
    """

    features: int = size(help="number of outputs")
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """XW + b."""
        if x.ndim < 2:
            raise ShapeError(f"Linear takes inputs (N, …, features), got {x.type}")
        inputs = x.shape[-1]
        fans = (inputs, self.features)
        result = x @ scope.parameter("weight", (inputs, self.features), self.weight, fans)
        if self.bias:
            result = result + scope.parameter("bias", (self.features,), self.bias_start, fans)
        return result
