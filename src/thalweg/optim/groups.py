"""Different rules for different parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thalweg.descriptions import Description, family, part, parts, register
from thalweg.errors import SettingError
from thalweg.graph import Shape, Tensor
from thalweg.nn.paths import check_patterns, selects
from thalweg.optim.adam import Adam
from thalweg.optim.optimizer import (
    Moment,
    Optimizer,
    Slot,
    State,
    Values,
    inner_slot,
    inner_slots,
    inner_state,
    outer_state,
    refuse_whole_batch,
)
from thalweg.optim.schedules import Rate


@family("group")
@dataclass(frozen=True)
class ParameterGroup(Description):
    """Which parameters a rule is for."""


@register("group", "group")
@dataclass(frozen=True)
class Group(ParameterGroup):
    """The parameters that a pattern means, and their rule.

    Args:
        pattern: a path such as ``"0.weight"``, a layer such as ``"0"`` (all under it), or a glob
            such as ``"*.bias"``.
        optimizer: their rule, with its own learning rate.

    >>> Group("*.bias", Adam(1e-3)).pattern
    '*.bias'
    """

    pattern: str
    optimizer: Optimizer = part(Adam(), family="optimizer", help="their rule")

    def __post_init__(self) -> None:
        """Check the fields, and that the pattern is text."""
        super().__post_init__()
        pattern: Any = self.pattern
        if not isinstance(pattern, str) or not pattern:
            raise SettingError(
                "Group.pattern must be a parameter's path such as '0.weight', its beginning such "
                f"as '0', or a glob such as '*.bias', got {pattern!r:.80}"
            )


@register("optimizer", "groups")
@dataclass(frozen=True)
class Groups(Optimizer):
    """Each parameter is updated by the rule of the first group that it is in, or by ``otherwise``.

    Args:
        groups: patterns with rules, the first that fits counts.
        otherwise: the rule of all other parameters; its learning rate is the one that the history
            shows.

    Raises:
        SettingError: when training begins, for a pattern that fits no parameter, or only such as
            earlier groups have.

    >>> rule = Groups((Group("*.bias", Adam(0.01)),), otherwise=Adam(0.001))
    >>> rule.rule_of("0.bias"), rule.rule_of("0.weight")
    (0, 1)
    """

    groups: tuple[Group, ...] = parts((), family="group", help="patterns with rules")
    otherwise: Optimizer = part(Adam(), family="optimizer", help="rule of the others")

    def __post_init__(self) -> None:
        """Check the fields, and that the rules are ones of mini-batches."""
        super().__post_init__()
        for place, rule in enumerate(self.rules):
            refuse_whole_batch(f"rule {place} of groups", rule)

    @property
    def rules(self) -> tuple[Optimizer, ...]:
        """The groups' rules, then that of the others."""
        return (*(group.optimizer for group in self.groups), self.otherwise)

    def rule_of(self, path: str) -> int:
        """The number of a parameter's rule."""
        fits = (place for place, group in enumerate(self.groups) if selects(group.pattern, path))
        return next(fits, len(self.groups))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All rules' slots, the rule's number in front of their names."""
        rules = enumerate(self.rules)
        return tuple(slot for place, rule in rules for slot in inner_slots(str(place), rule))

    def keeps(self, slot: Slot, path: str, shape: Shape) -> bool:
        """A parameter keeps what its own rule keeps."""
        own = self.rule_of(path)
        inner = inner_slot(str(own), slot)
        return inner is not None and self.rules[own].keeps(inner, path, shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Refuse a pattern that fits nothing, or only what earlier groups have.

        Raises:
            SettingError: naming the pattern.
        """
        check_patterns("groups", [group.pattern for group in self.groups], shapes)
        for place, rule in enumerate(self.rules):
            own = {path: shape for path, shape in shapes.items() if self.rule_of(path) == place}
            if not own and place < len(self.groups):
                raise SettingError(
                    f"groups: all that {self.groups[place].pattern!r} fits belongs to earlier "
                    "groups; place it before them"
                )
            rule.check(own)

    @property
    def chosen_rate(self) -> Rate:
        """The learning rate of the others."""
        return self.otherwise.chosen_rate

    def rate(self, moment: Moment) -> Tensor:
        """η of the others."""
        return self.otherwise.rate(moment)

    def with_rate(self, rate: Rate) -> Groups:
        """With another rate of the others."""
        return dataclasses.replace(self, otherwise=self.otherwise.with_rate(rate))

    def with_rates(self, change: Callable[[Rate], Rate]) -> Groups:
        """With other rates of all rules."""
        groups = tuple(
            dataclasses.replace(group, optimizer=group.optimizer.with_rates(change))
            for group in self.groups
        )
        return dataclasses.replace(self, groups=groups, otherwise=self.otherwise.with_rates(change))

    def point(self, parameters: Values, state: State, moment: Moment) -> Values:
        """Where each rule takes the gradient of its parameters."""
        found: Values = {}
        for place, rule in enumerate(self.rules):
            found |= rule.point(
                self._part(parameters, place), inner_state(str(place), rule, state), moment
            )
        return {path: found[path] for path in parameters}

    def update(
        self, gradients: Values, state: State, parameters: Values, moment: Moment
    ) -> tuple[Values, State]:
        """One step of each rule for its parameters."""
        moved: Values = {}
        after: State = {}
        for place, rule in enumerate(self.rules):
            own = self._part(parameters, place)
            found, kept = rule.update(gradients, inner_state(str(place), rule, state), own, moment)
            moved |= found
            after |= outer_state(str(place), kept)
        return {path: moved[path] for path in parameters}, after

    def _part(self, parameters: Values, place: int) -> Values:
        return {p: value for p, value in parameters.items() if self.rule_of(p) == place}
