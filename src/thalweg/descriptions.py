"""Descriptions: frozen dataclasses for layers, losses, optimisers, schedules and their kin.

A description is data. Its fields declare their own constraints (:func:`setting`, :func:`size`,
:func:`option`, ...), from which validation, JSON conversion, help texts and generic tests follow::

    description ::= dataclass registered under a family and a name
    field       ::= setting | size | option | part | parts | plain data
    setting     ::= a number that the compiled program takes as input (never a constant in it)

Numeric settings may be replaced by tensors (:func:`replace_settings`), which is how a training
step is traced once and run with any learning rate.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from thalweg.errors import DescriptionError, SettingError

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON can hold."""

_META = "thalweg"


@dataclass(frozen=True)
class Constraint:
    """What a field may hold: its role, its range or choices, and one line of help."""

    role: str
    help: str = ""
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    options: tuple[str, ...] = ()
    family: str = ""
    optional: bool = False

    def interval(self) -> str:
        """The range in mathematical notation, for messages and help texts.

        >>> Constraint("setting", low=0, high=1, high_open=True).interval()
        '[0, 1)'
        """
        left = "(" if self.low_open or self.low == -math.inf else "["
        right = ")" if self.high_open or self.high == math.inf else "]"
        return f"{left}{_bound(self.low)}, {_bound(self.high)}{right}"

    def holds(self, value: float) -> bool:
        """Whether one finite number lies in the range."""
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)


def _bound(value: float) -> str:
    return {math.inf: "∞", -math.inf: "-∞"}.get(value, f"{value:g}")


def _field(constraint: Constraint, default: Any) -> Any:
    metadata = {_META: constraint}
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
) -> Any:
    """A numeric hyperparameter with its range; with ``schedule=True`` a schedule may stand in."""
    family = "schedule" if schedule else ""
    return _field(
        Constraint("setting", help, low, high, low_open, high_open, family=family), default
    )


def size(
    default: Any = dataclasses.MISSING, *, low: int = 1, high: int = 2**31 - 1, help: str = ""
) -> Any:
    """A whole number that shapes the program (a width, a count): changing it recompiles."""
    return _field(Constraint("size", help, low, high), default)


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


@dataclass(frozen=True)
class Description:
    """The base of every description: validates its fields when it is made."""

    def __post_init__(self) -> None:
        """Check every declared field against its constraint."""
        for name, constraint, value in _declared(self):
            _check(f"{type(self).__name__}.{name}", constraint, value)


def _declared(description: Description) -> Iterator[tuple[str, Constraint, Any]]:
    for field in dataclasses.fields(description):
        constraint = field.metadata.get(_META)
        if constraint is not None:
            yield field.name, constraint, getattr(description, field.name)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _check_setting(where: str, constraint: Constraint, value: Any) -> None:
    if constraint.family and isinstance(value, Description):
        _check_part(where, constraint, value)
    elif not _is_number(value):
        if isinstance(value, (str, bytes, bool, list, tuple, dict, set, type(None))):
            raise SettingError(f"{where} must be a number, got {value!r}")
    elif not constraint.holds(float(value)):
        raise SettingError(f"{where} = {value!r} is outside {constraint.interval()}")


def _check_size(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise SettingError(f"{where} must be a whole number, got {value!r}")
    if not constraint.holds(int(value)):
        raise SettingError(f"{where} = {value!r} is outside {constraint.interval()}")


def _check_option(where: str, constraint: Constraint, value: Any) -> None:
    if value not in constraint.options:
        raise SettingError(f"{where} = {value!r} is not one of {', '.join(constraint.options)}")


def _check_flag(where: str, _: Constraint, value: Any) -> None:
    if not isinstance(value, bool):
        raise SettingError(f"{where} must be True or False, got {value!r}")


def _check_part(where: str, constraint: Constraint, value: Any) -> None:
    if value is None and constraint.optional:
        return
    family = _FAMILIES.get(constraint.family)
    if family is not None and not isinstance(value, family.base):
        kind = f"{_article(constraint.family)} {constraint.family}"
        raise SettingError(f"{where} must be {kind}, got {value!r}")


def _check_parts(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, tuple):
        raise SettingError(f"{where} must be a tuple, got {value!r}")
    for index, item in enumerate(cast("tuple[Any, ...]", value)):
        _check_part(f"{where}[{index}]", constraint, item)


_CHECKS: dict[str, Callable[[str, Constraint, Any], None]] = {
    "setting": _check_setting,
    "size": _check_size,
    "option": _check_option,
    "flag": _check_flag,
    "part": _check_part,
    "parts": _check_parts,
}


def _check(where: str, constraint: Constraint, value: Any) -> None:
    _CHECKS[constraint.role](where, constraint, value)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


# ---------------------------------------------------------------------------- families


@dataclass
class Family:
    """A closed registry: the names that a file may use, and the class that each stands for."""

    name: str
    base: type[Description]
    members: dict[str, type[Description]] = dataclasses.field(
        default_factory=dict[str, type[Description]]
    )


_FAMILIES: dict[str, Family] = {}

D = TypeVar("D", bound=type[Description])


def family(name: str) -> Callable[[D], D]:
    """Class decorator: make this class the base of a new family of descriptions."""

    def decorate(base: D) -> D:
        _FAMILIES[name] = Family(name, base)
        return base

    return decorate


def register(family_name: str, name: str) -> Callable[[D], D]:
    """Class decorator: add a description to a family under the name that files use for it."""

    def decorate(cls: D) -> D:
        members = _FAMILIES[family_name].members
        known = members.get(name)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise DescriptionError(f"{family_name} {name!r} is already {known.__qualname__}")
        members[name] = cls
        return cls

    return decorate


def members(family_name: str) -> Mapping[str, type[Description]]:
    """The registered descriptions of a family by name."""
    return dict(_FAMILIES[family_name].members)


def constraints(cls: type[Description]) -> dict[str, Constraint]:
    """The declared fields of a description class, for help texts and generic tests."""
    return {
        field.name: field.metadata[_META]
        for field in dataclasses.fields(cls)
        if _META in field.metadata
    }


def make(family_name: str, name: str, **fields: Any) -> Any:
    """A description by its registered name; the nearest name is offered when it is unknown."""
    return _member(family_name, name)(**fields)


def _member(family_name: str, name: str) -> type[Description]:
    import difflib

    known = _FAMILIES[family_name].members
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(sorted(known))
    raise SettingError(f"unknown {family_name} {name!r};{hint} known: {listed}")


def name_of(description: Description) -> str:
    """The registered name of a description's class."""
    for known in _FAMILIES.values():
        for name, cls in known.members.items():
            if cls is type(description):
                return name
    raise DescriptionError(
        f"{type(description).__name__} is not registered; decorate it with "
        "@tw.register(family, name) so that files can name it"
    )


# ---------------------------------------------------------------------------- JSON


def to_plain(description: Description) -> dict[str, Plain]:
    """The description as JSON data: its registered name under ``type``, then its fields."""
    plain: dict[str, Plain] = {"type": name_of(description)}
    for field in dataclasses.fields(description):
        plain[field.name] = _plain_value(getattr(description, field.name))
    return plain


def _plain_value(value: Any) -> Plain:
    if isinstance(value, Description):
        return to_plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in cast("list[Any]", value)]
    if isinstance(value, (np.integer, np.floating)):
        return cast("Plain", value.item())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DescriptionError(f"cannot write {type(value).__name__} to JSON: {value!r}")


def from_plain(family_name: str, plain: Plain) -> Any:
    """The description that JSON data describes; anything unexpected in it is refused."""
    if not isinstance(plain, dict) or not isinstance(plain.get("type"), str):
        raise DescriptionError(f"a {family_name} needs an object with a 'type', got {plain!r:.80}")
    name = cast("str", plain["type"])
    cls = _FAMILIES[family_name].members.get(name)
    if cls is None:
        raise DescriptionError(f"unknown {family_name} {name!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    extra = plain.keys() - fields.keys() - {"type"}
    missing = {
        key for key, field in fields.items() if field.default is dataclasses.MISSING
    } - plain.keys()
    if extra or missing:
        found = "unknown" if extra else "missing"
        raise DescriptionError(f"{family_name} {name!r}: {found} {sorted(extra or missing)}")
    hints = typing.get_type_hints(cls)
    values = {
        key: _field_value(f"{name}.{key}", fields[key], hints[key], value)
        for key, value in plain.items()
        if key != "type"
    }
    try:
        return cls(**values)
    except SettingError as error:
        raise DescriptionError(str(error)) from error


def _field_value(where: str, field: dataclasses.Field[Any], hint: Any, value: Plain) -> Any:
    constraint: Constraint | None = field.metadata.get(_META)
    role = constraint.role if constraint else ""
    if constraint and (role == "part" or (constraint.family and isinstance(value, dict))):
        if value is None and constraint.optional:
            return None
        return from_plain(constraint.family, value)
    if constraint and role == "parts":
        if not isinstance(value, list):
            raise DescriptionError(f"{where} must be a list, got {value!r:.80}")
        return tuple(from_plain(constraint.family, item) for item in value)
    if role == "setting":
        hint = float | int
    import msgspec

    try:
        return msgspec.convert(value, hint, strict=True)
    except msgspec.ValidationError as error:
        raise DescriptionError(f"{where}: {error}") from error


# ---------------------------------------------------------------------------- settings


def settings_of(description: Description, prefix: str = "") -> dict[str, Any]:
    """Every numeric setting inside a description, by path (``"layers.2.rate"``)."""
    return dict(_walk(description, prefix))


def _walk(description: Description, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, constraint, value in _declared(description):
        path = f"{prefix}{name}"
        if isinstance(value, Description):
            yield from _walk(value, f"{path}.")
        elif constraint.role == "parts":
            for index, item in enumerate(value):
                yield from _walk(item, f"{path}.{index}.")
        elif constraint.role == "setting":
            yield path, value


DescriptionT = TypeVar("DescriptionT", bound=Description)


def replace_settings(
    description: DescriptionT, values: Mapping[str, Any], prefix: str = ""
) -> DescriptionT:
    """The same description with settings replaced by path, for example by tensors."""
    changes: dict[str, Any] = {}
    for name, constraint, value in _declared(description):
        path = f"{prefix}{name}"
        if isinstance(value, Description):
            changes[name] = replace_settings(value, values, f"{path}.")
        elif constraint.role == "parts":
            changes[name] = tuple(
                replace_settings(item, values, f"{path}.{index}.")
                for index, item in enumerate(value)
            )
        elif constraint.role == "setting" and path in values:
            changes[name] = values[path]
    return dataclasses.replace(description, **changes) if changes else description


__all__ = [
    "Constraint",
    "Description",
    "Family",
    "Plain",
    "constraints",
    "family",
    "flag",
    "from_plain",
    "make",
    "members",
    "name_of",
    "option",
    "part",
    "parts",
    "register",
    "replace_settings",
    "setting",
    "settings_of",
    "size",
    "to_plain",
]
