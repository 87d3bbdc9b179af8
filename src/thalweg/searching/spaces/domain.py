"""What the ranges of a search have in common: values by place, back again, and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError
from thalweg.searching.spaces.values import canonical, plain_value, settled

Condition = Mapping[str, Sequence[Any]]
"""When a range takes part: names of other ranges, and the values that they must have."""
End = Literal["lowest", "highest"]


@dataclass(frozen=True)
class Domain:
    """The values that one hyperparameter may take.

    Attributes:
        when: names of other ranges and the values that they must have; where they have not, the
            hyperparameter is left out.
    """

    when: Condition = field(default_factory=dict[str, Sequence[Any]], kw_only=True, hash=False)

    def __post_init__(self) -> None:
        """Check the condition.

        Raises:
            SettingError: it is no mapping from names to lists of values.
        """
        object.__setattr__(self, "when", _condition(self.when))

    def takes_part(self, settings: Mapping[str, Any]) -> bool:
        """Whether the condition holds, given the values of what it depends on."""
        return not self.when or all(
            name in settings and canonical(settings[name]) in map(canonical, values)
            for name, values in self.when.items()
        )

    @property
    def count(self) -> int | None:
        """How many values there are; None where there is no end of them."""
        raise NotImplementedError

    def at(self, place: float) -> Any:
        """The value at a place in [0, 1]; equal parts of it hold equally many values."""
        raise NotImplementedError

    def place(self, value: Any) -> float:
        """The place in [0, 1] of a value: ``at(place(value)) == value``, but for rounding."""
        raise NotImplementedError

    def read(self, plain: Any) -> Any:
        """The value that JSON data stands for.

        Raises:
            SettingError: it is none of the values.
        """
        raise NotImplementedError

    def grid(self, points: int) -> list[Any]:
        """At most so many values, evenly spaced and with both ends."""
        raise NotImplementedError

    def edge(self, value: Any) -> End | None:
        """At which end a value lies: within 2 % of the range, or the last whole number."""
        return None

    def plain(self) -> dict[str, Any]:
        """The range as JSON data, which :class:`thalweg.Space` reads."""
        raise NotImplementedError

    def with_condition(self, plain: dict[str, Any]) -> dict[str, Any]:
        """The range as JSON data with its condition, where it has one."""
        when = {name: plain_value(values) for name, values in self.when.items()}
        return {**plain, "when": when} if when else plain


def _condition(when: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(when, Mapping):
        raise SettingError(
            "when must map names to lists of values, as in {'optimizer': ['momentum']}, got "
            f"{shown(when)}"
        )
    found = dict[str, tuple[Any, ...]]()
    for name, values in cast("Mapping[Any, Any]", when).items():
        if not isinstance(values, (list, tuple)) or not values:
            raise SettingError(
                f"when[{shown(name)}] must be a list of at least one value, got {shown(values)}"
            )
        found[str(name)] = settled(values, f"when[{shown(name)}]")
    return found
