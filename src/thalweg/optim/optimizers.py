"""Update rules: gradients in, parameters and state out, as pure functions.

Symbols: θ parameters, g their gradient, η the learning rate, t the update's number from 1. States
are dictionaries of slots, each a dictionary by parameter path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from thalweg.descriptions import Description, family, flag, register, setting
from thalweg.graph import Tensor
from thalweg.ops.functions import astype, power, sqrt, square
from thalweg.optim.schedules import Rate, rate_at

Values = dict[str, Tensor]
State = dict[str, Values]


class Moment(NamedTuple):
    """Where in a run an update stands.

    Attributes:
        step: updates done before this one.
        total_steps: updates of the whole run.
        steps_per_epoch: updates of one epoch.
    """

    step: Any
    total_steps: Any = 1
    steps_per_epoch: Any = 1


@family("optimizer")
@dataclass(frozen=True)
class Optimizer(Description):
    """An update rule.

    Attributes:
        slots: names of the arrays kept for each parameter, which start at zero.
    """

    learning_rate: Rate = setting(1e-3, low=0, schedule=True, help="η, a number or a schedule")

    @property
    def slots(self) -> tuple[str, ...]:
        """The state kept for each parameter."""
        return ()

    def rate(self, moment: Moment) -> Tensor:
        """η at a moment."""
        return rate_at(self.learning_rate, *moment)

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """New parameters and new state."""
        raise NotImplementedError(f"{type(self).__name__} has no update method")


@register("optimizer", "sgd")
@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: θ ← θ - ηg.

    >>> from thalweg.graph import Tensor
    >>> SGD(0.5).update({"w": Tensor([2.0])}, {}, {"w": Tensor([1.0])}, Moment(0))[0]["w"]
    Tensor([0.], float32)
    """

    learning_rate: Rate = setting(0.01, low=0, schedule=True, help="η, a number or a schedule")

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """θ - ηg."""
        rate = self.rate(moment)
        return {path: value - gradients[path] * rate for path, value in parameters.items()}, state


@register("optimizer", "momentum")
@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with momentum: v ← ρv + g, θ ← θ - ηv.

    With ``rate_inside`` the textbook form Δ ← ρΔ - ηg, θ ← θ + Δ, which differs only while η
    changes. The default is PyTorch's form.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    >>> Momentum(0.1).momentum
    0.9
    """

    learning_rate: Rate = setting(0.01, low=0, schedule=True, help="η, a number or a schedule")
    momentum: float = setting(0.9, low=0, high=1, high_open=True, help="ρ")
    rate_inside: bool = flag(False, help="η inside the moving sum (textbook form)")

    @property
    def slots(self) -> tuple[str, ...]:
        """The moving sum v."""
        return ("velocity",)

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step along the moving sum."""
        rate = self.rate(moment)
        inside, outside = (rate, 1.0) if self.rate_inside else (1.0, rate)
        velocity = {
            path: value * self.momentum + _scaled(gradients[path], inside)
            for path, value in state["velocity"].items()
        }
        moved = {
            path: value - _scaled(self.direction(gradients[path], velocity[path], inside), outside)
            for path, value in parameters.items()
        }
        return moved, {"velocity": velocity}

    def direction(self, gradient: Tensor, velocity: Tensor, scale: Tensor | float) -> Tensor:
        """What a step follows: the moving sum."""
        return velocity


def _scaled(value: Tensor, factor: Tensor | float) -> Tensor:
    return value if isinstance(factor, float) and factor == 1.0 else value * factor


@register("optimizer", "nesterov")
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Nesterov's accelerated gradient in the usual re-written form: v ← ρv + g, θ ← θ - η(g + ρv).

    The parameters kept are those of the look-ahead point, where the gradient is taken.

    Source: Nesterov, "A method of solving a convex programming problem with convergence rate
    O(1/k²)", 1983; the form of Sutskever, Martens, Dahl and Hinton, 2013.

    >>> Nesterov(0.1).momentum
    0.9
    """

    def direction(self, gradient: Tensor, velocity: Tensor, scale: Tensor | float) -> Tensor:
        """g + ρv."""
        return _scaled(gradient, scale) + velocity * self.momentum


@register("optimizer", "adam")
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments: m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) correct the start from zero. Scalars are computed in
    float64. ε stands outside the root, as in PyTorch.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.

    >>> Adam(1e-3)
    Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    beta1: float = setting(0.9, low=0, high=1, high_open=True, help="β₁, memory of the mean")
    beta2: float = setting(0.999, low=0, high=1, high_open=True, help="β₂, memory of the square")
    epsilon: float = setting(1e-8, low=0, help="ε, keeps the division finite")

    @property
    def slots(self) -> tuple[str, ...]:
        """The moving means of g and g²."""
        return ("mean", "square")

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of Adam."""
        time = astype(moment.step, "float64") + 1.0
        beta1, beta2 = rate_at(self.beta1, time), rate_at(self.beta2, time)
        rate = self.rate(moment) / (1.0 - power(beta1, time))
        root = 1.0 / sqrt(1.0 - power(beta2, time))
        mean, squares, moved = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
        for path, value in parameters.items():
            gradient = gradients[path]
            mean[path] = state["mean"][path] * beta1 + gradient * (1.0 - beta1)
            squares[path] = state["square"][path] * beta2 + square(gradient) * (1.0 - beta2)
            scale = sqrt(squares[path]) * root + self.epsilon
            moved[path] = value - mean[path] * rate / scale
        return moved, {"mean": mean, "square": squares}


def as_optimizer(value: Any) -> Optimizer:
    """An optimiser as it is, or one by its registered name with its defaults.

    Raises:
        SettingError: for anything else; the nearest name is offered.
    """
    from thalweg.descriptions import make
    from thalweg.errors import SettingError

    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str):
        return make("optimizer", value)
    raise SettingError(f"optimizer must be a name or an optimiser, got {value!r}")
