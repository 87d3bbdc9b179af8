"""Fields deep inside a description, by path: ``layers.2.rate``, ``learning_rate.initial``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

from thalweg.descriptions import Constraint, Description
from thalweg.descriptions.constraints import constraints, declared
from thalweg.descriptions.spec import number_or_spec, parse_spec
from thalweg.errors import SettingError

_NOWHERE = object()
"""Where a path leads that no field has."""

_LEAVES = frozenset({"setting", "size", "option", "flag", "part"})


def reached(description: Description, path: str, value: Any) -> Description | None:
    """The same description with one field replaced, None where it has no such field.

    Args:
        description: a network, an optimiser, a penalty …
        path: names and places with dots between them; a place may stand right behind what has
            several parts, as in ``"2.rate"`` for ``"layers.2.rate"``.
        value: a number, a choice, or the text of a description.

    Raises:
        SettingError: a value that the field may not hold.

    >>> import thalweg as tw
    >>> reached(tw.Sequential(tw.Linear(4), tw.Dropout(0.5)), "1.rate", 0.2)[1]
    Dropout(rate=0.2, form='inverted')
    >>> reached(tw.Adam(), "beta3", 0.5) is None
    True
    """
    return _reached(description, path.split("."), value)


def _reached(description: Description, path: Sequence[str], value: Any) -> Description | None:
    name, rest = path[0], path[1:]
    known = constraints(type(description))
    if name not in known:
        several = [field for field, found in known.items() if found.role == "parts"]
        if name.isdecimal() and len(several) == 1:
            return _reached(description, (several[0], *path), value)
        return None
    found = _replaced(known[name], getattr(description, name), rest, value)
    return None if found is _NOWHERE else dataclasses.replace(description, **{name: found})


def _replaced(constraint: Constraint, held: Any, rest: Sequence[str], value: Any) -> Any:
    """What a field then holds."""
    if not rest:
        return _read(constraint, value) if constraint.role in _LEAVES else _NOWHERE
    if constraint.role in {"parts", "numbers"}:
        return _with_item(constraint, cast("tuple[Any, ...]", held), rest, value)
    if not isinstance(held, Description):
        return _NOWHERE
    inner = _reached(held, rest, value)
    return _NOWHERE if inner is None else inner


def _with_item(
    constraint: Constraint, held: tuple[Any, ...], rest: Sequence[str], value: Any
) -> Any:
    """Several parts or numbers with one of them replaced, or a field in it."""
    place = int(rest[0]) if rest[0].isdecimal() else len(held)
    if place >= len(held):
        return _NOWHERE
    if len(rest) > 1:
        item = held[place]
        found = _reached(item, rest[1:], value) if isinstance(item, Description) else None
    elif constraint.role == "parts" and isinstance(value, str):
        found = parse_spec(constraint.family, value)
    else:
        found = value
    return _NOWHERE if found is None else (*held[:place], found, *held[place + 1 :])


def _read(constraint: Constraint, value: Any) -> Any:
    if not isinstance(value, str) or not constraint.family:
        return _plain_number(value) if constraint.role == "setting" else value
    read = number_or_spec if constraint.role == "setting" else parse_spec
    return read(constraint.family, value)


def _plain_number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def paths_in(description: Description, prefix: str = "") -> Iterator[str]:
    """Every path that :func:`reached` can replace.

    >>> import thalweg as tw
    >>> list(paths_in(tw.SGD(), "optimizer."))
    ['optimizer.learning_rate']
    """
    for name, constraint, value in declared(description):
        path = f"{prefix}{name}"
        if constraint.role in _LEAVES:
            yield path
        if isinstance(value, Description):
            yield from paths_in(value, f"{path}.")
        elif constraint.role == "parts":
            for place, item in enumerate(cast("tuple[Description, ...]", value)):
                yield from paths_in(item, f"{path}.{place}.")
        elif constraint.role == "numbers":
            yield from (f"{path}.{place}" for place in range(len(value)))


def check_described(value: Any, head: str, path: str) -> Description:
    """A part that a path may reach into.

    Raises:
        SettingError: it is None, a function, or anything else without fields.
    """
    if isinstance(value, Description):
        return value
    given = "not given" if value is None else f"{value!r:.60}"
    raise SettingError(
        f"the space names {path!r}, but {head} is {given}; give a description whose numbers can "
        "be reached"
    )


__all__ = ["check_described", "paths_in", "reached"]
