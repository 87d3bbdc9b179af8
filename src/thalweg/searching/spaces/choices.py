"""Hyperparameters without an order: one of some values, and values that do not vary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError
from thalweg.searching.spaces.domain import Condition, Domain
from thalweg.searching.spaces.values import canonical, plain_value, settled, value_text


@dataclass(frozen=True, init=False, repr=False)
class Choice(Domain):
    """One of some values: numbers, texts, True, False, None, lists, descriptions.

    Args:
        values: at least one, each once; the text "none" stands for None.
        when: names of other ranges and the values that they must have for this one to take part.

    Raises:
        SettingError: no value, one given twice, or one that JSON cannot hold.

    >>> Choice(16, 32, 64).at(0.5), Choice("relu", "none").values
    (32, ('relu', None))
    """

    values: tuple[Any, ...] = field(hash=False)

    def __init__(self, *values: Any, when: Condition | None = None) -> None:
        object.__setattr__(self, "when", {} if when is None else when)
        object.__setattr__(self, "values", settled(values, "a value of Choice"))
        super().__post_init__()
        if not values:
            raise SettingError("Choice is empty: give at least one value")
        texts = [canonical(value) for value in self.values]
        for number, text in enumerate(texts):
            if text in texts[:number]:
                raise SettingError(f"Choice holds {value_text(self.values[number])} twice")

    def __repr__(self) -> str:
        when = f", when={dict(self.when)!r}" if self.when else ""
        return f"Choice({', '.join(map(shown, self.values))}{when})"

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.values)

    def at(self, place: float) -> Any:
        """The value whose part of [0, 1] holds the place."""
        return self.values[min(int(place * self.count), self.count - 1)]

    def place(self, value: Any) -> float:
        """The middle of a value's part of [0, 1]."""
        return (self.number(value) + 0.5) / self.count

    def number(self, value: Any) -> int:
        """Which of the values it is, from 0.

        Raises:
            SettingError: it is none of them.
        """
        for number, known in enumerate(self.values):
            if known is value:
                return number
        text = canonical(value)
        for number, known in enumerate(self.values):
            if canonical(known) == text:
                return number
        raise SettingError(f"{value_text(value)} is not in {self!r}")

    def read(self, plain: Any) -> Any:
        """The value that the data stands for."""
        return self.values[self.number(plain)]

    def grid(self, points: int) -> list[Any]:
        """All values."""
        return list(self.values)

    def plain(self) -> dict[str, Any]:
        """The values."""
        return self.with_condition({"values": plain_value(self.values)})


@dataclass(frozen=True)
class Fixed(Domain):
    """One value that does not vary.

    >>> Fixed(3).at(0.9)
    3
    """

    value: Any = field(hash=False)

    def __post_init__(self) -> None:
        """Check the value."""
        super().__post_init__()
        object.__setattr__(self, "value", settled(self.value, "a constant"))

    @property
    def count(self) -> int:
        """One."""
        return 1

    def at(self, place: float) -> Any:
        """The value."""
        return self.value

    def place(self, value: Any) -> float:
        """The middle."""
        return 0.5

    def read(self, plain: Any) -> Any:
        """The value, if it is the same."""
        if canonical(plain) != canonical(self.value):
            raise SettingError(f"{value_text(plain)} is not {value_text(self.value)}")
        return self.value

    def grid(self, points: int) -> list[Any]:
        """The value."""
        return [self.value]

    def plain(self) -> dict[str, Any]:
        """The value."""
        return self.with_condition({"value": plain_value(self.value)})
