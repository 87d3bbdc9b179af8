"""What every update rule is: gradients in, parameters and state out, as a pure function.

Symbols: θ parameters, g their gradient, η the learning rate, t the update's number from 1. A state
is a dictionary of slots, each a dictionary by parameter path.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np

from thalweg.descriptions import Description, family
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.graph import Shape, Tensor, as_tensor
from thalweg.ops.functions import astype
from thalweg.optim.schedule import Rate, double, rate_at

Values = dict[str, Tensor]
State = dict[str, Values]

SHARED = ""
"""The path of the one number of a shared slot."""


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


class Slot(NamedTuple):
    """What an update rule remembers from one update to the next.

    Attributes:
        name: of the slot, without ``/``.
        start: the value of all its numbers before the first update.
        shared: whether it is one float64 number for all parameters, under the path ``""``, and
            not an array of the shape and type of each parameter.
    """

    name: str
    start: float = 0.0
    shared: bool = False


@family("optimizer")
@dataclass(frozen=True)
class Optimizer(Description):
    """An update rule.

    A rule of one's own is a frozen dataclass with a field ``learning_rate``, the ``slots`` that it
    remembers, and :meth:`update`; a rule that holds others forwards :meth:`rate` and the rest.

    Attributes:
        whole_batch: whether the rule works on all rows at once, outside the mini-batch step.
    """

    whole_batch: ClassVar[bool] = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What is remembered of each parameter, or of all of them together."""
        return ()

    def keeps(self, slot: Slot, path: str, shape: Shape) -> bool:
        """Whether a parameter has a slot that is not shared."""
        return True

    @property
    def chosen_rate(self) -> Rate:
        """The learning rate as it was given: a number or a schedule."""
        return cast("Rate", vars(self)["learning_rate"])

    def with_rate(self, rate: Rate) -> Self:
        """The same rule with another learning rate."""
        return dataclasses.replace(self, **{"learning_rate": rate})

    def with_rates(self, change: Callable[[Rate], Rate]) -> Self:
        """The same rule with another learning rate for each that it has, of itself or inside."""
        return self.with_rate(change(self.chosen_rate))

    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Refuse a rule that does not fit a network's parameters; called before training.

        Args:
            shapes: of the parameters by path.

        Raises:
            SettingError: naming what does not fit.
        """

    def rate(self, moment: Moment) -> Tensor:
        """η at a moment, as float64."""
        return rate_at(self.chosen_rate, *moment)

    def point(self, parameters: Values, state: State, moment: Moment) -> Values:
        """Where the gradient is taken: at the parameters, unless a rule looks ahead."""
        return parameters

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """New parameters and new state.

        Args:
            gradients: g by path, at the :meth:`point`.
            state: of every slot, as the former update left it.
            parameters: θ by path.
            moment: the updates done so far, and the run's length.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update method")

    def initial_state(self, parameters: Mapping[str, Any]) -> State:
        """The state before the first update, of arrays or tensors by path.

        >>> from thalweg.optim.optimizers import Momentum
        >>> Momentum(0.1).initial_state({"w": np.ones(2, np.float32)})
        {'velocity': {'w': Tensor([0. 0.], float32)}}
        """
        state: State = {}
        for slot in self.slots:
            if slot.shared:
                state[slot.name] = {SHARED: as_tensor(np.full((), slot.start, np.float64))}
                continue
            state[slot.name] = {
                path: as_tensor(np.full(value.shape, slot.start, value.dtype))
                for path, value in parameters.items()
                if self.keeps(slot, path, tuple(value.shape))
            }
        return state


def time_of(moment: Moment) -> Tensor:
    """The number t of the update that a moment begins, from 1, as float64.

    >>> float(time_of(Moment(4)))
    5.0
    """
    return astype(moment.step, "float64") + 1.0


class Memory(NamedTuple):
    """A moving mean: m ← βm + (1-β) x, with both factors computed once for all parameters.

    Attributes:
        kept: β.
        fresh: 1 - β.
    """

    kept: Tensor
    fresh: Tensor

    def __call__(self, mean: Tensor, value: Tensor) -> Tensor:
        """The mean with one more value."""
        return mean * self.kept + value * self.fresh


def memory(beta: Any) -> Memory:
    """The moving mean of a setting β, in float64.

    >>> float(memory(0.75)(Tensor(4.0), Tensor(8.0)))
    5.0
    """
    kept = double(beta)
    return Memory(kept, 1.0 - kept)


def is_weight(value: Tensor) -> bool:
    """Whether a parameter is a weight: of two axes or more; biases and scales have one."""
    return value.ndim >= 2


def scaled(value: Tensor, factor: Tensor | float) -> Tensor:
    """A product, left out where the factor is the number 1."""
    return value if isinstance(factor, float) and factor == 1.0 else value * factor


# ------------------------------------------------------------------ rules that hold other rules


def inner_slots(place: str, rule: Optimizer) -> tuple[Slot, ...]:
    """The slots of a rule inside another, under names that begin with its place.

    >>> from thalweg.optim.optimizers import Momentum
    >>> inner_slots("0", Momentum())[0].name
    '0.velocity'
    """
    return tuple(slot._replace(name=f"{place}.{slot.name}") for slot in rule.slots)


def inner_slot(place: str, slot: Slot) -> Slot | None:
    """The slot as the rule at a place knows it; None where it belongs to another rule."""
    prefix = f"{place}."
    if not slot.name.startswith(prefix):
        return None
    return slot._replace(name=slot.name.removeprefix(prefix))


def inner_state(place: str, rule: Optimizer, state: State) -> State:
    """The state of a rule inside another, as the inner one knows it."""
    return {slot.name: state[f"{place}.{slot.name}"] for slot in rule.slots}


def outer_state(place: str, state: State) -> State:
    """The state of an inner rule, as the outer one keeps it."""
    return {f"{place}.{name}": values for name, values in state.items()}


def refuse_whole_batch(where: str, rule: Optimizer) -> None:
    """Refuse a rule that works outside the mini-batch step as a part of another.

    Raises:
        SettingError: naming the part.
    """
    if rule.whole_batch:
        raise SettingError(
            f"{where} cannot be {type(rule).__name__}, which works on all rows at once; give it "
            "to fit as the only optimizer"
        )


def as_optimizer(value: Any) -> Optimizer:
    """An optimiser as it is, or one by its registered name with its defaults.

    Raises:
        SettingError: for anything else; the nearest name is offered.
    """
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str):
        return parse_spec("optimizer", value)
    raise SettingError(f"optimizer must be a name or an optimiser, got {value!r}")
