"""The numeric settings inside a description: found by path, and replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from thalweg.descriptions.constraints import constraint_of, declared
from thalweg.descriptions.description import Description

DescriptionT = TypeVar("DescriptionT", bound=Description)


def descriptions_in(description: Description) -> Iterator[Description]:
    """A description and every one inside it, outer ones first."""
    yield description
    for _, _, value in declared(description):
        for item in cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,):
            if isinstance(item, Description):
                yield from descriptions_in(item)


def settings_of(description: Description, prefix: str = "") -> dict[str, Any]:
    """Every numeric setting inside a description, by path (``"layers.2.rate"``)."""
    found: dict[str, Any] = {}
    for name, constraint, value in declared(description):
        path = f"{prefix}{name}"
        if isinstance(value, Description):
            found |= settings_of(value, f"{path}.")
        elif constraint.role == "parts":
            for index, item in enumerate(value):
                found |= settings_of(item, f"{path}.{index}.")
        elif constraint.role == "numbers":
            found |= {f"{path}.{index}": item for index, item in enumerate(value)}
        elif constraint.role == "setting":
            found[path] = value
    return found


def replace_settings(
    description: DescriptionT, values: Mapping[str, Any], prefix: str = ""
) -> DescriptionT:
    """The same description with settings replaced by path, for example by tensors.

    Paths that the description does not have are ignored, so that one mapping serves several
    descriptions.
    """
    changes: dict[str, Any] = {}
    for name, constraint, value in declared(description):
        path = f"{prefix}{name}"
        if isinstance(value, Description):
            changes[name] = replace_settings(value, values, f"{path}.")
        elif constraint.role == "parts":
            changes[name] = tuple(
                replace_settings(item, values, f"{path}.{index}.")
                for index, item in enumerate(value)
            )
        elif constraint.role == "numbers":
            changes[name] = tuple(
                values.get(f"{path}.{index}", item) for index, item in enumerate(value)
            )
        elif constraint.role == "setting" and path in values:
            changes[name] = values[path]
    return dataclasses.replace(description, **changes) if changes else description


def structure_of(part: Any) -> object:
    """What shapes a program: all of a description but its numeric settings, to be compared.

    Two parts of equal structure compute the same with their settings as inputs.

    >>> from thalweg.optim.optimizers import Adam
    >>> structure_of(Adam(0.1)) == structure_of(Adam(0.2))
    True
    """
    if isinstance(part, Description):
        return type(part), tuple(_structure_of_fields(part))
    if isinstance(part, (tuple, list)):
        return type(part), tuple(structure_of(item) for item in cast("tuple[Any, ...]", part))
    if isinstance(part, np.ndarray):
        array = cast("np.ndarray[Any, Any]", part)
        return array.shape, array.dtype.str, np.ascontiguousarray(array).tobytes()
    return _Same(part)


def _structure_of_fields(description: Description) -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(description):
        value = getattr(description, field.name)
        constraint = constraint_of(field)
        if constraint is None or constraint.role in {"part", "parts"}:
            yield field.name, structure_of(value)
        elif constraint.role == "numbers":
            yield field.name, len(value)
        elif constraint.role == "setting":
            is_part = isinstance(value, Description)
            yield field.name, structure_of(value) if is_part else None
        else:
            yield field.name, (type(value), value)


def is_fixed(part: Any) -> bool:
    """Whether equal structure means the same program for ever.

    Functions, and descriptions from outside this library, may read what changes between two calls.

    >>> from thalweg.optim.optimizers import Adam
    >>> is_fixed((Adam(0.1), "adam", None)), is_fixed(max)
    (True, False)
    """
    if isinstance(part, Description):
        values = (getattr(part, field.name) for field in dataclasses.fields(part))
        return type(part).__module__.startswith("thalweg.") and all(map(is_fixed, values))
    if isinstance(part, (tuple, list)):
        return all(map(is_fixed, cast("tuple[Any, ...]", part)))
    return part is None or isinstance(part, (bool, int, float, str, np.ndarray, np.generic))


class _Same:
    """A value that equals an equal one of its type, or only itself where it cannot be hashed."""

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            self.hash = hash((type(value), value))
        except TypeError:
            self.hash = id(value)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same):
            return NotImplemented
        if other.value is self.value:
            return True
        if type(other.value) is not type(self.value) or other.hash != self.hash:
            return False
        return self.hash != id(self.value) and bool(other.value == self.value)
