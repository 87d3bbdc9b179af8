"""What a field of a description may hold, and how a class declares it."""

from __future__ import annotations

import dataclasses
import math
import operator
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from thalweg.errors import DescriptionError

_KEY = "thalweg"
RELATIONS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "below": ("<", operator.lt),
    "at_most": ("≤", operator.le),
    "above": (">", operator.gt),
    "at_least": ("≥", operator.ge),
}
"""How a field may stand to another one of the same description."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True)
class Constraint:
    """What a field may hold: its role, its range or choices, and one line of help.

    Attributes:
        relations: how it stands to other fields of the same description, as pairs of ``below``,
            ``at_most``, ``above`` or ``at_least`` and a field's name.
        increasing: whether each of several numbers is larger than the one before.
    """

    role: str
    help: str = ""
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    options: tuple[str, ...] = ()
    family: str = ""
    optional: bool = False
    relations: tuple[tuple[str, str], ...] = ()
    increasing: bool = False

    def interval(self) -> str:
        """The range in mathematical notation, for messages and help texts.

        >>> Constraint("setting", low=0, high=1, high_open=True).interval()
        '[0, 1)'
        """
        left = "(" if self.low_open or self.low == -math.inf else "["
        right = ")" if self.high_open or self.high == math.inf else "]"
        return f"{left}{_bound(self.low)}, {_bound(self.high)}{right}"

    def holds(self, value: float) -> bool:
        """Whether a number is finite and lies in the range."""
        try:
            number = float(value)
        except OverflowError:
            return False
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return above and below and math.isfinite(number)


def _bound(value: float) -> str:
    return {math.inf: "∞", -math.inf: "-∞"}.get(value, f"{value:.10g}")


def _field(constraint: Constraint, default: Any) -> Any:
    metadata = {_KEY: constraint}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def setting(
    default: Any = dataclasses.MISSING,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    schedule: bool = False,
    help: str = "",
    **relations: str,
) -> Any:
    """A numeric hyperparameter with its range; with ``schedule=True`` a schedule may stand in.

    Args:
        default: its value where none is given.
        low: the least value.
        high: the largest value.
        low_open: whether the least value itself is excluded.
        high_open: whether the largest value itself is excluded.
        schedule: whether a schedule may stand in.
        help: one line.
        relations: ``below``, ``at_most``, ``above`` or ``at_least`` with another field's name.
    """
    family = "schedule" if schedule else ""
    related = _relations(relations)
    return _field(
        Constraint(
            "setting", help, low, high, low_open, high_open, family=family, relations=related
        ),
        default,
    )


def _relations(given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    unknown = given.keys() - RELATIONS.keys()
    if unknown:
        raise DescriptionError(f"unknown relation {sorted(unknown)}; known: {', '.join(RELATIONS)}")
    return tuple(given.items())


def numbers(
    default: Any = dataclasses.MISSING,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    increasing: bool = False,
    help: str = "",
) -> Any:
    """A tuple of numeric hyperparameters, each within the range; how many is part of the shape."""
    return _field(
        Constraint("numbers", help, low, high, low_open, high_open, increasing=increasing), default
    )


def size(
    default: Any = dataclasses.MISSING,
    *,
    low: int = 1,
    high: int = 2**31 - 1,
    help: str = "",
    **relations: str,
) -> Any:
    """A whole number that shapes the program (a width, a count): changing it recompiles."""
    return _field(Constraint("size", help, low, high, relations=_relations(relations)), default)


def option(default: Any = dataclasses.MISSING, *, options: tuple[str, ...], help: str = "") -> Any:
    """One of a few named choices."""
    return _field(Constraint("option", help, options=options), default)


def flag(default: bool, *, help: str = "") -> Any:
    """True or false."""
    return _field(Constraint("flag", help), default)


def part(
    default: Any = dataclasses.MISSING, *, family: str, optional: bool = False, help: str = ""
) -> Any:
    """Another description, of one family."""
    return _field(Constraint("part", help, family=family, optional=optional), default)


def parts(default: Any = dataclasses.MISSING, *, family: str, help: str = "") -> Any:
    """A tuple of descriptions of one family."""
    return _field(Constraint("parts", help, family=family), default)


def constraint_of(field: dataclasses.Field[Any]) -> Constraint | None:
    """What a field declares, if anything."""
    return field.metadata.get(_KEY)


def fields_of(cls: type[Any]) -> tuple[tuple[str, Constraint | None], ...]:
    """The fields of a description class in order, with what each declares."""
    fields = cls.__dataclass_fields__
    known = _FIELDS.get(cls)
    if known is None or known[0] is not fields:
        if len(_FIELDS) >= _MOST:
            _FIELDS.clear()
        found = tuple((field.name, constraint_of(field)) for field in dataclasses.fields(cls))
        known = _FIELDS[cls] = (fields, found)
    return known[1]


_MOST = 1024
"""Classes whose fields are remembered at most."""

_FIELDS: dict[type[Any], tuple[object, tuple[tuple[str, Constraint | None], ...]]] = {}
"""By class: the fields that the dataclass has noted, and what was read from them."""


def constraints(cls: type[Any]) -> dict[str, Constraint]:
    """The declared fields of a description class, for help texts and generic tests."""
    return {name: constraint for name, constraint in fields_of(cls) if constraint is not None}


def declared(description: Any) -> Iterator[tuple[str, Constraint, Any]]:
    """The declared fields of a description with their values."""
    for name, constraint in fields_of(type(description)):
        if constraint is not None:
            yield name, constraint, getattr(description, name)


def shown(value: object) -> str:
    """A value for a message, short however long or deep it is."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of {value.bit_length()} bits"
    return _SHORT.repr(value)
