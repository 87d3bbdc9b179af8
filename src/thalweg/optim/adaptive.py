"""Rules that divide each number's gradient by the size of its former gradients.

Symbols: θ parameters, g their gradient, η the learning rate, β a memory, ε what keeps divisions
finite, G a sum or moving mean of g². Squares, roots and products are elementwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from thalweg.descriptions import flag, option, register, setting
from thalweg.graph import Tensor
from thalweg.ops.functions import maximum, sqrt, square
from thalweg.optim.optimizer import Moment, Optimizer, Slot, State, Values, memory, scaled, time_of
from thalweg.optim.schedule import Rate


class Divisor(NamedTuple):
    """What a gradient is divided by: √G + ε or √(G + ε), with G multiplied by a number before.

    Attributes:
        factor: √c outside the root, c inside; 1.0 for none.
        shift: ε.
        inside: whether ε stands inside the root.
    """

    factor: Tensor | float
    shift: Any
    inside: bool

    def __call__(self, squares: Tensor) -> Tensor:
        """One root for each number.

        >>> float(Divisor(2.0, 1.0, False)(Tensor(4.0)))
        5.0
        """
        if self.inside:
            return sqrt(scaled(squares, self.factor) + self.shift)
        return scaled(sqrt(squares), self.factor) + self.shift


def corrected(share: Tensor, epsilon: Any, inside: bool, *, all_of_it: bool = False) -> Divisor:
    """The divisor of G / share.

    Args:
        share: what G is divided by, a number.
        epsilon: ε.
        inside: ε inside the root.
        all_of_it: ε is divided too, as if it were added to G, or to √G, before.
    """
    factor = 1.0 / (share if inside else sqrt(share))
    return Divisor(factor, factor * epsilon if all_of_it else epsilon, inside)


@register("optimizer", "adagrad")
@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """Steps that shrink where gradients were large: G ← G + g², θ ← θ - η g / (√G + ε).

    ``form="mean"`` divides by the root mean square σ = √(G / t) instead, θ ← θ - η g / (σ + ε),
    whose steps do not shrink by themselves; with the rate η / √t it is the first form again.
    ε outside the root is PyTorch's convention; with ``epsilon_inside`` the divisor is √(G + ε).
    Keras and Optax start G at 0.1, which is ``AdaGrad(η, 0.1, epsilon_inside=True)``.

    Args:
        learning_rate: η ≥ 0.
        epsilon: ε ≥ 0.
        form: ``sum`` or ``mean`` of the squares.
        epsilon_inside: ε inside the root.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", 2011.

    >>> from thalweg.graph import Tensor
    >>> rule, w = AdaGrad(0.5, 0.0), {"w": Tensor([1.0])}
    >>> rule.update({"w": Tensor([3.0])}, rule.initial_state(w), w, Moment(0))[0]["w"]
    Tensor([0.5], float32)
    """

    learning_rate: Rate = setting(0.01, low=0, schedule=True, help="η, a number or a schedule")
    epsilon: float = setting(1e-10, low=0, help="ε, keeps the division finite")
    form: str = option("sum", options=("sum", "mean"), help="of the squares")
    epsilon_inside: bool = flag(False, help="ε inside the root")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The sum of g²."""
        return (Slot("square_sum"),)

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of AdaGrad."""
        rate = self.rate(moment)
        divisor = Divisor(1.0, self.epsilon, self.epsilon_inside)
        if self.form == "mean":
            divisor = corrected(time_of(moment), self.epsilon, self.epsilon_inside)
        sums, moved = Values(), Values()
        for path, value in parameters.items():
            sums[path] = state["square_sum"][path] + square(gradients[path])
            moved[path] = value - gradients[path] * rate / divisor(sums[path])
        return moved, {"square_sum": sums}


@register("optimizer", "rmsprop")
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Division by a moving root mean square: G ← βG + (1-β)g², θ ← θ - η g / (√G + ε).

    ``centered`` divides by the deviation √(G - m²) instead, m ← βm + (1-β)g, where differences
    below 0, which only rounding makes, count as 0. ε outside the root is PyTorch's convention,
    whose default β is 0.99; Keras and Optax have √(G + ε), ``epsilon_inside``.

    Args:
        learning_rate: η ≥ 0.
        beta: β in [0, 1).
        epsilon: ε ≥ 0.
        centered: divide by the deviation.
        epsilon_inside: ε inside the root.

    Source: Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012; centered by Graves, "Generating
    sequences with recurrent neural networks", 2013.

    >>> RMSprop().beta
    0.9
    """

    learning_rate: Rate = setting(1e-3, low=0, schedule=True, help="η, a number or a schedule")
    beta: float = setting(0.9, low=0, high=1, high_open=True, help="β, memory of the square")
    epsilon: float = setting(1e-8, low=0, help="ε, keeps the division finite")
    centered: bool = flag(False, help="divide by the deviation")
    epsilon_inside: bool = flag(False, help="ε inside the root")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving means of g², and of g where it is centered."""
        return (Slot("square"), *((Slot("mean"),) if self.centered else ()))

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of RMSprop."""
        rate = self.rate(moment)
        divisor = Divisor(1.0, self.epsilon, self.epsilon_inside)
        squares, kept = self._sizes(gradients, state)
        moved = {
            path: value - gradients[path] * rate / divisor(squares[path])
            for path, value in parameters.items()
        }
        return moved, kept

    def _sizes(self, gradients: Values, state: State) -> tuple[Values, State]:
        """What stands under the root, and the new moving means."""
        mixed = memory(self.beta)
        squares = {
            path: mixed(former, square(gradients[path])) for path, former in state["square"].items()
        }
        if not self.centered:
            return squares, {"square": squares}
        means = {path: mixed(former, gradients[path]) for path, former in state["mean"].items()}
        spread = {
            path: maximum(value - square(means[path]), 0.0) for path, value in squares.items()
        }
        return spread, {"square": squares, "mean": means}


@register("optimizer", "rmsprop_momentum")
@dataclass(frozen=True)
class RMSpropMomentum(RMSprop):
    """RMSprop with momentum: v ← ρv + g / (√G + ε), θ ← θ - ηv, with RMSprop's G.

    With ``rate_inside`` v ← ρv + ηg / (√G + ε), θ ← θ - v, the form of Keras and Optax, which
    differs only while η changes. The default is PyTorch's form.

    Args:
        learning_rate: η ≥ 0.
        beta: β in [0, 1).
        epsilon: ε ≥ 0.
        centered: divide by the deviation.
        epsilon_inside: ε inside the root.
        momentum: ρ in [0, 1).
        rate_inside: η inside the moving sum.

    Source: Graves, "Generating sequences with recurrent neural networks", 2013.

    >>> RMSpropMomentum(1e-3, momentum=0.5).momentum
    0.5
    """

    momentum: float = setting(0.9, low=0, high=1, high_open=True, help="ρ")
    rate_inside: bool = flag(False, help="η inside the moving sum")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving means of RMSprop and the moving sum v."""
        return (*super().slots, Slot("velocity"))

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step along the moving sum of divided gradients."""
        rate = self.rate(moment)
        inside, outside = (rate, 1.0) if self.rate_inside else (1.0, rate)
        divisor = Divisor(1.0, self.epsilon, self.epsilon_inside)
        squares, kept = self._sizes(gradients, state)
        velocity, moved = Values(), Values()
        for path, value in parameters.items():
            pull = scaled(gradients[path], inside) / divisor(squares[path])
            velocity[path] = state["velocity"][path] * self.momentum + pull
            moved[path] = value - scaled(velocity[path], outside)
        return moved, {**kept, "velocity": velocity}


@register("optimizer", "adadelta")
@dataclass(frozen=True)
class AdaDelta(Optimizer):
    """Steps in the unit of the parameters: Δ = -√((X + ε) / (G + ε)) g, θ ← θ + ηΔ.

    G ← βG + (1-β)g² before the step, X ← βX + (1-β)Δ² after it. As published η is 1; PyTorch and
    Keras multiply by η as here (Keras' default is 0.001), after X has taken up Δ.

    Args:
        learning_rate: η ≥ 0.
        beta: β in [0, 1).
        epsilon: ε > 0; the first steps have the size √ε.

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.

    >>> AdaDelta().learning_rate
    1.0
    """

    learning_rate: Rate = setting(1.0, low=0, schedule=True, help="η, a number or a schedule")
    beta: float = setting(0.9, low=0, high=1, high_open=True, help="β, memory of both squares")
    epsilon: float = setting(1e-6, low=0, low_open=True, help="ε, size² of the first steps")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving means of g² and of Δ²."""
        return (Slot("square"), Slot("step_square"))

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of AdaDelta."""
        rate, mixed = self.rate(moment), memory(self.beta)
        squares, sizes, moved = Values(), Values(), Values()
        for path, value in parameters.items():
            gradient, former = gradients[path], state["step_square"][path]
            squares[path] = mixed(state["square"][path], square(gradient))
            ratio = (former + self.epsilon) / (squares[path] + self.epsilon)
            step = sqrt(ratio) * gradient
            sizes[path] = mixed(former, square(step))
            moved[path] = value - step * rate
        return moved, {"square": squares, "step_square": sizes}
