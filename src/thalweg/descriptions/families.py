"""Families: the closed registries of descriptions, by the names that files use."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from thalweg.descriptions.constraints import shown
from thalweg.errors import DescriptionError, SettingError

if TYPE_CHECKING:
    from thalweg.descriptions.description import Description


@dataclass
class Family:
    """A closed registry: the names that a file may use, and the class that each stands for."""

    name: str
    base: type[Description]
    members: dict[str, type[Description]] = dataclasses.field(
        default_factory=dict[str, "type[Description]"]
    )


FAMILIES: dict[str, Family] = {}
"""Every family by name."""

D = TypeVar("D", bound="type[Description]")


def family(name: str) -> Callable[[D], D]:
    """Class decorator: make this class the base of a new family of descriptions."""

    def decorate(base: D) -> D:
        FAMILIES[name] = Family(name, base)
        return base

    return decorate


def register(family_name: str, name: str) -> Callable[[D], D]:
    """Class decorator: add a description to a family under the name that files use for it.

    Raises:
        DescriptionError: there is no such family, the class is none of it, or the name is taken.
    """
    if family_name not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise DescriptionError(f"there is no family {family_name!r}; known: {known}")
    found = FAMILIES[family_name]

    def decorate(cls: D) -> D:
        if not issubclass(cls, found.base):
            raise DescriptionError(
                f"{cls.__name__} is registered as {family_name}, so it must be a subclass of "
                f"{found.base.__name__}"
            )
        check_class(cls)
        known = found.members.get(name)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise DescriptionError(f"{family_name} {name!r} is already {known.__qualname__}")
        found.members[name] = cls
        return cls

    return decorate


def check_class(cls: type[Description]) -> None:
    """Refuse a class whose settings are hidden in a constructor of its own.

    Raises:
        DescriptionError: the class has an ``__init__`` and is no frozen dataclass.
    """
    own = "__dataclass_fields__" in cls.__dict__
    frozen = cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if ("__init__" in cls.__dict__ and not own) or (own and not frozen):
        raise DescriptionError(
            f"{cls.__name__} must be a frozen dataclass, whose settings are fields: write "
            "@dataclass(frozen=True) above the class and fields in place of __init__"
        )


def members(family_name: str) -> Mapping[str, type[Description]]:
    """The registered descriptions of a family by name."""
    return dict(FAMILIES[family_name].members)


def make(family_name: str, name: str, **fields: Any) -> Any:
    """A description by its registered name; the nearest name is offered when it is unknown.

    Raises:
        SettingError: for an unknown name or field, a missing field, or a value out of range.
    """
    known = FAMILIES[family_name].members
    if name not in known:
        raise SettingError(f"unknown {family_name} {shown(name)}{_nearest(name, known)}")
    cls = known[name]
    takes = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for given in fields:
        if given not in takes:
            raise SettingError(f"{name} has no field {given!r}{_nearest(given, takes)}")
    missing = [key for key, field in takes.items() if is_required(field) and key not in fields]
    if missing:
        raise SettingError(f"{name} needs {', '.join(missing)}")
    return cls(**fields)


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} known: {', '.join(sorted(known))}"


def name_of(description: Description) -> str:
    """The registered name of a description's class.

    Raises:
        DescriptionError: the class is not registered.
    """
    for known in FAMILIES.values():
        if isinstance(description, known.base):
            names = [name for name, cls in known.members.items() if cls is type(description)]
            if names:
                return names[0]
    raise DescriptionError(
        f"{type(description).__name__} is not registered; decorate it with "
        "@tw.register(family, name), or call tw.register(family, name)(cls), so that files can "
        "name it"
    )
