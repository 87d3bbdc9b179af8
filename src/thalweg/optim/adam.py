"""Adam and its kin: moving means of the gradient and of its square, corrected for their start.

Symbols: θ parameters, g their gradient, η the learning rate, t the update's number from 1,
m ← β₁m + (1-β₁)g and v ← β₂v + (1-β₂)g² from 0, m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ). Scalars
are computed in float64 once for all parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.descriptions import flag, register, setting
from thalweg.graph import Tensor
from thalweg.ops.functions import absolute, maximum, power, sqrt, square, where
from thalweg.optim.adaptive import Divisor, corrected
from thalweg.optim.optimizer import (
    SHARED,
    Memory,
    Moment,
    Optimizer,
    Slot,
    State,
    Values,
    is_weight,
    memory,
    time_of,
)
from thalweg.optim.schedule import Rate, double


@dataclass(frozen=True)
class _Moments(Optimizer):
    """The fields that the whole kin has."""

    learning_rate: Rate = setting(1e-3, low=0, schedule=True, help="η, a number or a schedule")
    beta1: float = setting(0.9, low=0, high=1, high_open=True, help="β₁, memory of the mean")
    beta2: float = setting(0.999, low=0, high=1, high_open=True, help="β₂, memory of the square")
    epsilon: float = setting(1e-8, low=0, help="ε, keeps the division finite")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving means of g and g²."""
        return (Slot("mean"), Slot("square"))

    def _memories(self) -> tuple[Memory, Memory]:
        """The moving means of g and of g²."""
        return memory(self.beta1), memory(self.beta2)


@register("optimizer", "adam")
@dataclass(frozen=True)
class Adam(_Moments):
    """Adaptive moments: m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) correct the start from zero. ε outside the root, after
    the correction, is PyTorch's and Optax' convention. ``epsilon_inside`` divides by √(v̂ + ε);
    ``epsilon_corrected`` adds ε before the correction, √v + ε, as Keras does. ``amsgrad`` divides
    by the largest v so far, as PyTorch does; Optax takes the largest v̂, Reddi and others correct
    nothing.

    Args:
        learning_rate: η ≥ 0.
        beta1: β₁ in [0, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        amsgrad: divide by the largest v so far.
        epsilon_inside: ε inside the root.
        epsilon_corrected: ε added before the correction.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; ``amsgrad``: Reddi,
    Kale and Kumar, "On the convergence of Adam and beyond", 2018.

    >>> Adam(1e-3).beta2
    0.999
    """

    amsgrad: bool = flag(False, help="divide by the largest v so far")
    epsilon_inside: bool = flag(False, help="ε inside the root")
    epsilon_corrected: bool = flag(False, help="ε added before the correction (Keras)")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving means of g and g², and the largest of the latter."""
        return (*super().slots, *((Slot("largest_square"),) if self.amsgrad else ()))

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of Adam."""
        time = time_of(moment)
        first, second = self._memories()
        rate = self.rate(moment) / (1.0 - power(first.kept, time))
        divisor = corrected(
            1.0 - power(second.kept, time),
            self.epsilon,
            self.epsilon_inside,
            all_of_it=self.epsilon_corrected,
        )
        kept: State = {slot.name: {} for slot in self.slots}
        moved = self.before(parameters, moment)
        for path, value in moved.items():
            gradient = gradients[path]
            mean = kept["mean"][path] = first(state["mean"][path], gradient)
            squares = kept["square"][path] = second(state["square"][path], square(gradient))
            if self.amsgrad:
                squares = maximum(state["largest_square"][path], squares)
                kept["largest_square"][path] = squares
            moved[path] = value - mean * rate / divisor(squares)
        return moved, kept

    def before(self, parameters: Values, moment: Moment) -> Values:
        """What the step is taken from: the parameters."""
        return dict(parameters)


@register("optimizer", "adamw")
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 - ηλ) θ, then a step of Adam without the decay in g.

    As in PyTorch, λ is multiplied by η and every parameter decays; ``biases=False`` exempts those
    with fewer than two axes. To decay by λ alone, or with another rule, see ``DecoupledDecay``.

    Args:
        learning_rate: η ≥ 0.
        beta1: β₁ in [0, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        amsgrad: divide by the largest v so far.
        epsilon_inside: ε inside the root.
        epsilon_corrected: ε added before the correction.
        weight_decay: λ ≥ 0; Optax' default is 0.0001, Keras' 0.004.
        biases: biases and scales decay too.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    >>> AdamW(1e-3).weight_decay
    0.01
    """

    weight_decay: float = setting(0.01, low=0, help="λ, decoupled")
    biases: bool = flag(True, help="biases and scales decay too")

    def before(self, parameters: Values, moment: Moment) -> Values:
        """(1 - ηλ) θ."""
        kept = 1.0 - self.rate(moment) * self.weight_decay
        return {
            path: value * kept if self.biases or is_weight(value) else value
            for path, value in parameters.items()
        }


@register("optimizer", "nadam")
@dataclass(frozen=True)
class Nadam(_Moments):
    """Adam with Nesterov's momentum, which grows: μ_t = β₁ (1 - ½ 0.96^(tψ)).

    θ ← θ - η (μ_{t+1} m / (1 - Π μ_{1…t+1}) + (1 - μ_t) g / (1 - Π μ_{1…t})) / (√v̂ + ε).
    ψ = 0.004 is PyTorch's and Dozat's; Keras has ψ = 1, and with a very large ψ μ is β₁, as in
    Optax.

    Args:
        learning_rate: η ≥ 0.
        beta1: β₁ in [0, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.
        momentum_decay: ψ ≥ 0.

    Source: Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    >>> Nadam().momentum_decay
    0.004
    """

    learning_rate: Rate = setting(2e-3, low=0, schedule=True, help="η, a number or a schedule")
    momentum_decay: float = setting(0.004, low=0, help="ψ, how fast the momentum grows")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving means of g and g², and the product of all μ."""
        return (*super().slots, Slot("momentum_product", 1.0, shared=True))

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of Nadam."""
        time, rate = time_of(moment), self.rate(moment)
        now, later = self._momentum(time), self._momentum(time + 1.0)
        product = state["momentum_product"][SHARED] * now
        ahead = rate * later / (1.0 - product * later)
        beside = rate * (1.0 - now) / (1.0 - product)
        first, second = self._memories()
        divisor = corrected(1.0 - power(second.kept, time), self.epsilon, False)
        means, squares, moved = Values(), Values(), Values()
        for path, value in parameters.items():
            gradient = gradients[path]
            means[path] = first(state["mean"][path], gradient)
            squares[path] = second(state["square"][path], square(gradient))
            step = means[path] * ahead + gradient * beside
            moved[path] = value - step / divisor(squares[path])
        return moved, {"mean": means, "square": squares, "momentum_product": {SHARED: product}}

    def _momentum(self, time: Tensor) -> Tensor:
        return double(self.beta1) * (1.0 - 0.5 * power(0.96, time * self.momentum_decay))


@register("optimizer", "radam")
@dataclass(frozen=True)
class RAdam(_Moments):
    """Rectified Adam: θ ← θ - η r m̂ / √v̂, or θ ← θ - η m̂ while the variance of v is unknown.

    ρ_∞ = 2 / (1 - β₂) - 1 and ρ_t = ρ_∞ - 2 t β₂ᵗ / (1 - β₂ᵗ); while ρ_t ≤ 5 the step is that of
    momentum, later r = √((ρ_t - 4)(ρ_t - 2) ρ_∞ / ((ρ_∞ - 4)(ρ_∞ - 2) ρ_t)). √v̂ is computed as
    (√v + ε) / √(1 - β₂ᵗ), as in PyTorch; Optax adds ε to √v̂.

    Args:
        learning_rate: η ≥ 0.
        beta1: β₁ in [0, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0.

    Source: Liu, Jiang, He, Chen, Liu, Gao and Han, "On the variance of the adaptive learning rate
    and beyond", 2020.

    >>> RAdam().beta2
    0.999
    """

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of RAdam."""
        time = time_of(moment)
        known, rectified = self._rectification(time)
        first, second = self._memories()
        rate = self.rate(moment) / (1.0 - power(first.kept, time)) * rectified
        root = 1.0 / sqrt(1.0 - power(second.kept, time))
        divisor = Divisor(
            where(known, root, 0.0), where(known, root * self.epsilon, 1.0), inside=False
        )
        means, squares, moved = Values(), Values(), Values()
        for path, value in parameters.items():
            means[path] = first(state["mean"][path], gradients[path])
            squares[path] = second(state["square"][path], square(gradients[path]))
            moved[path] = value - means[path] * rate / divisor(squares[path])
        return moved, {"mean": means, "square": squares}

    def _rectification(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Whether the variance of v is known, and r, or 1 where it is not."""
        beta2 = double(self.beta2)
        last = 2.0 / (1.0 - beta2) - 1.0
        memory = power(beta2, time)
        length = last - 2.0 * time * memory / (1.0 - memory)
        known = length > 5.0
        now, end = maximum(length, 5.0), maximum(last, 5.0)
        ratio = (now - 4.0) * (now - 2.0) * end / ((end - 4.0) * (end - 2.0) * now)
        return known, where(known, sqrt(ratio), 1.0)


@register("optimizer", "adamax")
@dataclass(frozen=True)
class AdaMax(_Moments):
    """Adam with the largest gradient in place of the mean square: θ ← θ - η m̂ / u.

    u ← max(β₂u, |g| + ε), with ε where PyTorch and Optax have it; as published ε is 0. Keras
    divides by u + ε.

    Args:
        learning_rate: η ≥ 0.
        beta1: β₁ in [0, 1).
        beta2: β₂ in [0, 1).
        epsilon: ε ≥ 0; with 0, a gradient that is 0 from the start gives NaN.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.

    >>> AdaMax().learning_rate
    0.002
    """

    learning_rate: Rate = setting(2e-3, low=0, schedule=True, help="η, a number or a schedule")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The moving mean of g, and the largest |g|, which fades."""
        return (Slot("mean"), Slot("largest"))

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of AdaMax."""
        first, second = self._memories()
        rate = self.rate(moment) / (1.0 - power(first.kept, time_of(moment)))
        means, largest, moved = Values(), Values(), Values()
        for path, value in parameters.items():
            gradient = gradients[path]
            means[path] = first(state["mean"][path], gradient)
            faded = state["largest"][path] * second.kept
            largest[path] = maximum(faded, absolute(gradient) + self.epsilon)
            moved[path] = value - means[path] * rate / largest[path]
        return moved, {"mean": means, "largest": largest}
