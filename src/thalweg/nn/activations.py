"""Activation layers: what the units of a layer do with their net input.

Each class says its range and where it saturates, that is where the limit of its derivative is 0
and learning stops. Formulas: :mod:`thalweg.nn.functional`. Shapes: any → the same, unless a class
says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from thalweg.descriptions import flag, option, part, register, setting, size
from thalweg.errors import ShapeError
from thalweg.graph import Tensor
from thalweg.nn import functional
from thalweg.nn.initialisers import Constant, He, Initialiser, LeCun, Xavier, Zeros
from thalweg.nn.layer import Layer, Scope

Saturation = Literal["left", "right", "both", "neither"]


@dataclass(frozen=True)
class Activation(Layer):
    """A nonlinear function of the net input.

    Attributes:
        output_range: bounds of the outputs (for the default constants).
        saturates: on which side the derivative tends to 0.
        start: what weights in front of it should be drawn from.
    """

    output_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    saturates: ClassVar[Saturation] = "neither"
    start: ClassVar[Initialiser] = Xavier()

    @property
    def preferred_initialiser(self) -> Initialiser:
        """What weights in front of this activation should be drawn from."""
        return self.start


# ------------------------------------------------------------------ sigmoids and steps


@register("layer", "logistic")
@dataclass(frozen=True)
class Logistic(Activation):
    """σ(x) = 1 / (1 + e⁻ˣ).

    Derivative σ(1 - σ), at most ¼. Range (0, 1). Saturates on both sides.

    >>> Logistic.output_range, Logistic.saturates
    ((0.0, 1.0), 'both')
    """

    output_range = (0.0, 1.0)
    saturates = "both"
    start = Xavier(gain=4.0)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """σ(x)."""
        return functional.logistic(x)


Sigmoid = Logistic
"""Another name of :class:`Logistic`."""


@register("layer", "tanh")
@dataclass(frozen=True)
class Tanh(Activation):
    """tanh x = 2σ(2x) - 1.

    Derivative 1 - tanh²x, at most 1. Range (-1, 1). Saturates on both sides.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Tanh(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-0.762,  0.   ,  0.964]], dtype=float32)
    """

    output_range = (-1.0, 1.0)
    saturates = "both"

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """Tanh x."""
        return functional.tanh(x)


@register("layer", "hard_logistic")
@dataclass(frozen=True)
class HardLogistic(Activation):
    """max(min(0.25x + 0.5, 1), 0): the logistic function in straight lines.

    Derivative ¼ inside (-2, 2), else 0. Range [0, 1]. Saturates on both sides. Other libraries'
    "hard sigmoid" has slope 1/6.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.HardLogistic(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[0.25, 0.5 , 1.  ]], dtype=float32)
    """

    output_range = (0.0, 1.0)
    saturates = "both"
    start = Xavier(gain=4.0)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """max(min(0.25x + 0.5, 1), 0)."""
        return functional.hard_logistic(x)


@register("layer", "hard_tanh")
@dataclass(frozen=True)
class HardTanh(Activation):
    """max(min(x, 1), -1): tanh in straight lines.

    Derivative 1 inside (-1, 1), else 0. Range [-1, 1]. Saturates on both sides.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.HardTanh(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-1.,  0.,  1.]], dtype=float32)
    """

    output_range = (-1.0, 1.0)
    saturates = "both"

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """max(min(x, 1), -1)."""
        return functional.hard_tanh(x)


@register("layer", "step")
@dataclass(frozen=True)
class Step(Activation):
    """1 where x ≥ 0, else 0: a neuron that fires or not.

    Derivative 0, so gradients cannot train what lies in front of it. Values 0 and 1.

    Source: McCulloch and Pitts, "A logical calculus of the ideas immanent in nervous activity",
    1943.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Step(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[0., 1., 1.]], dtype=float32)
    """

    output_range = (0.0, 1.0)
    saturates = "both"

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """1 where x ≥ 0, else 0."""
        return functional.step(x)


@register("layer", "sign")
@dataclass(frozen=True)
class Sign(Activation):
    """-1, 0 or 1: the sign of x.

    Derivative 0, so gradients cannot train what lies in front of it.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Sign(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-1.,  0.,  1.]], dtype=float32)
    """

    output_range = (-1.0, 1.0)
    saturates = "both"

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The sign of x."""
        return functional.sign(x)


@register("layer", "identity")
@dataclass(frozen=True)
class Identity(Activation):
    """X itself: a linear output unit.

    Derivative 1. Range (-∞, ∞). Saturates nowhere.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Identity(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-1.,  0.,  2.]], dtype=float32)
    """

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X."""
        return functional.identity(x)


# ------------------------------------------------------------------ rectifiers


@register("layer", "relu")
@dataclass(frozen=True)
class ReLU(Activation):
    """max(x, 0).

    Derivative 1 where x > 0, else 0 (also at 0). Range [0, ∞). Saturates on the left.

    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.

    >>> from thalweg.nn.layer import apply_network
    >>> apply_network(ReLU(), {}, [[-1.0, 2.0]])
    Tensor([[0. 2.]], float32)
    """

    output_range = (0.0, math.inf)
    saturates = "left"
    start = He()

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """max(x, 0)."""
        return functional.relu(x)


@register("layer", "leaky_relu")
@dataclass(frozen=True)
class LeakyReLU(Activation):
    """X where x > 0, else γx.

    Derivative 1 where x > 0, else γ. Range (-∞, ∞). Saturates nowhere (γ > 0).

    Args:
        slope: γ, ≥ 0.

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic
    models", 2013.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.LeakyReLU(0.1), {}, [[-2.0, 2.0]]).numpy().round(3)
    array([[-0.2,  2. ]], dtype=float32)
    """

    start = He()

    slope: float = setting(0.01, low=0, help="slope on the left")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X where x > 0, else γx."""
        return functional.leaky_relu(x, self.slope)


@register("layer", "prelu")
@dataclass(frozen=True)
class PReLU(Activation):
    """X where x > 0, else γx, with γ learned (parameter ``slope``).

    Derivative 1 where x > 0, else γ; in γ it is min(x, 0). Range (-∞, ∞). Saturates nowhere.

    Args:
        slope: what γ starts from.
        shared: one γ for the layer, or else one for each unit (each channel: axis 1).

    Shape:
        (N, C, …) → the same; ``slope`` is (1,) or (C, 1, …).

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.PReLU(), {"slope": [0.25]}, [[-2.0, 2.0]]).numpy()
    array([[-0.5,  2. ]], dtype=float32)
    """

    start = He()

    slope: float = setting(0.25, help="start of the slope on the left")
    shared: bool = flag(True, help="one slope for all units")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X where x > 0, else γx."""
        if not self.shared and x.ndim < 2:
            raise ShapeError(f"PReLU takes inputs (N, C, …), got {x.type}")
        shape = (1,) if self.shared else (x.shape[1], *(1,) * (x.ndim - 2))
        return functional.prelu(x, scope.parameter("slope", shape, Constant(self.slope)))


@register("layer", "elu")
@dataclass(frozen=True)
class ELU(Activation):
    """X where x > 0, else γ(eˣ - 1).

    Derivative 1 where x > 0, else γeˣ. Range (-γ, ∞). Saturates on the left.

    Args:
        alpha: γ, ≥ 0.

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by
    exponential linear units", 2016.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.ELU(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-0.632,  0.   ,  2.   ]], dtype=float32)
    """

    output_range = (-1.0, math.inf)
    saturates = "left"
    start = He()

    alpha: float = setting(1.0, low=0, help="depth on the left")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X where x > 0, else γ(eˣ - 1)."""
        return functional.elu(x, self.alpha)


@register("layer", "softplus")
@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + eˣ): a smooth rectifier.

    Derivative σ(x). Range (0, ∞). Saturates on the left.

    Source: Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating second-order functional
    knowledge for better option pricing", 2001.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Softplus(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[0.313, 0.693, 2.127]], dtype=float32)
    """

    output_range = (0.0, math.inf)
    saturates = "left"
    start = He()

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """log(1 + eˣ)."""
        return functional.softplus(x)


@register("layer", "swish")
@dataclass(frozen=True)
class Swish(Activation):
    """x·σ(βx); with β = 1 also known as SiLU.

    Derivative σ(βx) + βx·σ(βx)(1 - σ(βx)). Range [-0.2785/β, ∞). Saturates on the left (β > 0);
    β = 0 is x/2, a large β is nearly ReLU.

    Args:
        beta: β, or what it starts from.
        learned: whether β is a parameter (``beta``, one for the layer).

    Source: Ramachandran, Zoph and Le, "Searching for activation functions", 2017.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.Swish(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-0.269,  0.   ,  1.762]], dtype=float32)
    """

    output_range = (-0.2785, math.inf)
    saturates = "left"
    start = He()

    beta: float = setting(1.0, help="steepness of the gate")
    learned: bool = flag(False, help="learn the steepness")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """x·σ(βx)."""
        if not self.learned:
            return functional.swish(x, self.beta)
        return functional.swish(x, scope.parameter("beta", (1,), Constant(self.beta)))


@register("layer", "gelu")
@dataclass(frozen=True)
class GELU(Activation):
    """x·Φ(x), with Φ the distribution function of the standard normal distribution.

    Derivative Φ(x) + x·φ(x). Range [-0.17, ∞). Saturates on the left.

    Args:
        approximation: ``exact`` (erf), ``tanh``, or ``logistic``, which is x·σ(1.702x).

    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.GELU(), {}, [[-1.0, 0.0, 2.0]]).numpy().round(3)
    array([[-0.159,  0.   ,  1.954]], dtype=float32)
    """

    output_range = (-0.1701, math.inf)
    saturates = "left"
    start = He()

    approximation: str = option("exact", options=functional.GELU_FORMS, help="the form of Φ")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """x·Φ(x)."""
        return functional.gelu(x, self.approximation)


@register("layer", "maxout")
@dataclass(frozen=True)
class Maxout(Activation):
    """y_j = max over k of (xW⁽ᵏ⁾ + b⁽ᵏ⁾)_j: each unit learns a convex function of K linear pieces.

    A layer with weights of its own: it takes the place of Linear and activation. Derivative: that
    of the largest piece. Range (-∞, ∞). Saturates nowhere.

    Parameters: ``weight`` (inputs, K·features) and ``bias`` (K·features,), piece after piece.

    Args:
        features: number of outputs, ≥ 1.
        pieces: K, ≥ 1.
        weight: initialiser of W; variance 1/M_in keeps the mean square of signals for K = 2.

    Shape:
        (N, …, inputs) → (N, …, features).

    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, "Maxout networks", 2013.

    >>> import thalweg as tw
    >>> tw.Maxout(4, pieces=3).summary(2).parameters
    36
    """

    start = He()

    features: int = size(help="number of outputs")
    pieces: int = size(2, help="linear pieces of a unit")
    weight: Initialiser = part(LeCun(), family="initialiser", help="start of the weights")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The largest piece of each unit."""
        if x.ndim < 2:
            raise ShapeError(f"Maxout takes inputs (N, …, features), got {x.type}")
        inputs, columns = x.shape[-1], self.features * self.pieces
        fans = (inputs, self.features)
        net = x @ scope.parameter("weight", (inputs, columns), self.weight, fans)
        return functional.maxout(
            net + scope.parameter("bias", (columns,), Zeros(), fans), self.pieces
        )


# ------------------------------------------------------------------ functions of a whole axis


@register("layer", "softmax")
@dataclass(frozen=True)
class Softmax(Activation):
    """e^x_k / Σ_j e^x_j along an axis: probabilities of K classes.

    Jacobian diag(a) - aaᵀ. Range (0, 1), sum 1. Saturates on both sides in each input. The loss
    ``cross_entropy`` takes net inputs and has the softmax inside: a network trained by it ends
    with Linear.

    Args:
        axis: along which the sum is 1.

    >>> from thalweg.nn.layer import apply_network
    >>> apply_network(Softmax(), {}, [[0.0, 0.0, 1000.0]])
    Tensor([[0. 0. 1.]], float32)
    """

    output_range = (0.0, 1.0)
    saturates = "both"

    axis: int = size(-1, low=-16, high=16, help="axis of the classes")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """e^x_k / Σ_j e^x_j."""
        return functional.softmax(x, self.axis)


@register("layer", "log_softmax")
@dataclass(frozen=True)
class LogSoftmax(Activation):
    """x_k - log Σ_j e^x_j along an axis: logarithms of probabilities.

    Jacobian I - 1aᵀ with a = softmax(x). Range (-∞, 0]. Saturates on the right in its own input.

    Args:
        axis: along which the probabilities sum to 1.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.LogSoftmax(), {}, [[0.0, 0.0]]).numpy().round(3)
    array([[-0.693, -0.693]], dtype=float32)
    """

    output_range = (-math.inf, 0.0)
    saturates = "right"

    axis: int = size(-1, low=-16, high=16, help="axis of the classes")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """x_k - log Σ_j e^x_j."""
        return functional.log_softmax(x, self.axis)


__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "HardLogistic",
    "HardTanh",
    "Identity",
    "LeakyReLU",
    "LogSoftmax",
    "Logistic",
    "Maxout",
    "PReLU",
    "ReLU",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Softplus",
    "Step",
    "Swish",
    "Tanh",
]
