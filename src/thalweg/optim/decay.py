"""Weight decay beside any rule, outside the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thalweg.descriptions import flag, option, part, register, setting
from thalweg.graph import Shape, Tensor
from thalweg.optim.adam import Adam
from thalweg.optim.optimizer import (
    Moment,
    Optimizer,
    Slot,
    State,
    Values,
    is_weight,
    refuse_whole_batch,
)
from thalweg.optim.schedules import Rate


@register("optimizer", "decoupled_decay")
@dataclass(frozen=True)
class DecoupledDecay(Optimizer):
    """θ ← (1 - ηλ)θ beside another rule's step, which sees nothing of it.

    For plain gradient descent it equals the penalty :class:`L2` of the same λ; for rules that
    divide by the size of gradients, such as Adam, it does not. With ``scaled_by="nothing"`` the
    factor is 1 - λ whatever the rate. Biases and scales (one axis) are exempt unless asked for.
    Around :class:`Groups` η is that of ``otherwise``; place it inside them for each one's own.

    Args:
        then: the rule, with the learning rate η.
        decay: λ ≥ 0.
        biases: let biases and scales decay too.
        scaled_by: ``rate`` (1 - ηλ) or ``nothing`` (1 - λ).

    Source: Hanson and Pratt, "Comparing biases for minimal network construction with
    back-propagation", 1989; Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    >>> DecoupledDecay(Adam(1e-3), decay=0.1).decay
    0.1
    """

    then: Optimizer = part(Adam(), family="optimizer", help="the rule")
    decay: float = setting(0.01, low=0, help="λ")
    biases: bool = flag(False, help="let biases and scales decay too")
    scaled_by: str = option("rate", options=("rate", "nothing"), help="what λ is multiplied by")

    def __post_init__(self) -> None:
        """Check the fields, and that the rule is one of mini-batches."""
        super().__post_init__()
        refuse_whole_batch("the rule of decoupled_decay", self.then)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The rule's."""
        return self.then.slots

    def keeps(self, slot: Slot, path: str, shape: Shape) -> bool:
        """As the rule says."""
        return self.then.keeps(slot, path, shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        """As the rule says."""
        self.then.check(shapes)

    @property
    def chosen_rate(self) -> Rate:
        """The rule's learning rate."""
        return self.then.chosen_rate

    def rate(self, moment: Moment) -> Tensor:
        """The rule's η."""
        return self.then.rate(moment)

    def with_rate(self, rate: Rate) -> DecoupledDecay:
        """With another rate of the rule."""
        return dataclasses.replace(self, then=self.then.with_rate(rate))

    def with_rates(self, change: Callable[[Rate], Rate]) -> DecoupledDecay:
        """With other rates of the rule."""
        return dataclasses.replace(self, then=self.then.with_rates(change))

    def point(self, parameters: Values, state: State, moment: Moment) -> Values:
        """Where the rule takes the gradient."""
        return self.then.point(parameters, state, moment)

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """The rule's step from smaller parameters."""
        scale = self.rate(moment) if self.scaled_by == "rate" else 1.0
        keep = 1.0 - scale * self.decay
        smaller = {
            path: value * keep if self.biases or is_weight(value) else value
            for path, value in parameters.items()
        }
        return self.then.update(gradients, state, smaller, moment)
