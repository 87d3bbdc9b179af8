"""Gradient descent and its accelerated forms.

Symbols: θ parameters, g their gradient, η the learning rate, ρ the momentum, v the moving sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.descriptions import flag, option, register, setting
from thalweg.graph import Tensor
from thalweg.optim.optimizer import Moment, Optimizer, Slot, State, Values, scaled
from thalweg.optim.schedule import Rate

Factor = Tensor | float


@register("optimizer", "sgd")
@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: θ ← θ - ηg.

    Args:
        learning_rate: η ≥ 0.

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

    With ``rate_inside`` the textbook form Δ ← ρΔ - ηg, θ ← θ + Δ, where v = -Δ is kept; it is also
    Keras' form and differs only while η changes. The default is PyTorch's form.

    Args:
        learning_rate: η ≥ 0.
        momentum: ρ in [0, 1).
        rate_inside: η inside the moving sum.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    >>> Momentum(0.1).momentum
    0.9
    """

    learning_rate: Rate = setting(0.01, low=0, schedule=True, help="η, a number or a schedule")
    momentum: float = setting(0.9, low=0, high=1, high_open=True, help="ρ")
    rate_inside: bool = flag(False, help="η inside the moving sum (textbook form)")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving sum v."""
        return (Slot("velocity"),)

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step along the moving sum."""
        inside, outside = self.factors(moment)
        velocity, moved = Values(), Values()
        for path, value in parameters.items():
            gradient = scaled(gradients[path], inside)
            velocity[path] = state["velocity"][path] * self.momentum + gradient
            moved[path] = value - scaled(self.direction(gradient, velocity[path]), outside)
        return moved, {"velocity": velocity}

    def factors(self, moment: Moment) -> tuple[Factor, Factor]:
        """What the gradient is multiplied by inside the moving sum, and the sum outside."""
        rate = self.rate(moment)
        return (rate, 1.0) if self.rate_inside else (1.0, rate)

    def direction(self, gradient: Tensor, velocity: Tensor) -> Tensor:
        """What a step follows: the moving sum."""
        return velocity


@register("optimizer", "nesterov")
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Nesterov's accelerated gradient: a momentum step whose gradient is taken ahead.

    ``form="look_ahead"`` is the published rule Δ ← ρΔ - ηg(θ + ρΔ), θ ← θ + Δ: the gradient is
    taken where the momentum alone would lead. ``form="rewritten"``, the default, keeps the point
    ahead, θ' = θ + ρΔ, in place of θ, so that the gradient is taken at the parameters:
    v ← ρv + g(θ'), θ' ← θ' - η(g + ρv). It is PyTorch's and Keras' form. For a constant η, or with
    ``rate_inside``, both give the same iterates under this change of variables.

    Args:
        learning_rate: η ≥ 0.
        momentum: ρ in [0, 1).
        rate_inside: η inside the moving sum, v = -Δ.
        form: which parameters are kept.

    Source: Nesterov, "A method of solving a convex programming problem with convergence rate
    O(1/k²)", 1983; the forms of Sutskever, Martens, Dahl and Hinton, "On the importance of
    initialization and momentum in deep learning", 2013.

    >>> Nesterov(0.1).form
    'rewritten'
    """

    form: str = option(
        "rewritten", options=("rewritten", "look_ahead"), help="which parameters are kept"
    )

    def point(self, parameters: Values, state: State, moment: Moment) -> Values:
        """θ + ρΔ where the look-ahead form is chosen, else the parameters."""
        if self.form == "rewritten":
            return parameters
        _, outside = self.factors(moment)
        return {
            path: value - scaled(state["velocity"][path] * self.momentum, outside)
            for path, value in parameters.items()
        }

    def direction(self, gradient: Tensor, velocity: Tensor) -> Tensor:
        """The step g + ρv, or v in the look-ahead form."""
        return velocity if self.form == "look_ahead" else gradient + velocity * self.momentum
