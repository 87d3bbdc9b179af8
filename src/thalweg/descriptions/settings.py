"""The numeric settings inside a description: found by path, and replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from inspect import isfunction
from typing import Any, TypeVar, cast

import numpy as np

from thalweg.descriptions.constraints import Constraint, declared, fields_of
from thalweg.descriptions.description import SETTINGS, STRUCTURE, Description

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
    found = _settings_of(description)
    return {f"{prefix}{path}": value for path, value in found.items()}


def _settings_of(description: Description) -> dict[str, Any]:
    """The settings, remembered where all are plain numbers: arrays may change."""
    own = vars(description)
    if (known := own.get(SETTINGS)) is not None:
        return known
    found: dict[str, Any] = {}
    lasting = True
    for name, constraint, value in declared(description):
        if isinstance(value, Description):
            inner = [(name, value)]
        elif constraint.role == "parts":
            inner = [(f"{name}.{index}", item) for index, item in enumerate(value)]
        else:
            inner = []
            found |= _own_settings(name, constraint, value)
        for path, part in inner:
            found |= {f"{path}.{rest}": number for rest, number in _settings_of(part).items()}
            lasting = lasting and SETTINGS in vars(part)
        lasting = lasting and own.get(name) is value
    if lasting and all(isinstance(number, _NUMBERS) for number in found.values()):
        own[SETTINGS] = found
    return found


_NUMBERS = (int, float, np.generic)


def _own_settings(name: str, constraint: Constraint, value: Any) -> dict[str, Any]:
    """The settings that one field holds itself."""
    if constraint.role == "numbers":
        return {f"{name}.{index}": item for index, item in enumerate(value)}
    return {name: value} if constraint.role == "setting" else {}


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
        return vars(part).get(STRUCTURE) or _structure_of_description(part)
    if isinstance(part, (tuple, list)):
        return type(part), tuple(structure_of(item) for item in cast("tuple[Any, ...]", part))
    if isinstance(part, np.ndarray):
        array = cast("np.ndarray[Any, Any]", part)
        return array.shape, array.dtype.str, np.ascontiguousarray(array).tobytes()
    return _Same(part)


def _structure_of_description(description: Description) -> object:
    """The structure, remembered where no field holds what may change."""
    own = vars(description)
    fields: list[tuple[str, object]] = []
    lasting = True
    for name, constraint in fields_of(type(description)):
        value = getattr(description, name)
        fields.append((name, _structure_of_field(constraint, value)))
        lasting = lasting and own.get(name) is value and _lasts(constraint, value)
    found = _Structure((type(description), tuple(fields)))
    if lasting:
        own[STRUCTURE] = found
    return found


def _structure_of_field(constraint: Constraint | None, value: Any) -> object:
    if constraint is None or constraint.role in {"part", "parts"}:
        return structure_of(value)
    if constraint.role == "numbers":
        return len(value)
    if constraint.role == "setting":
        return structure_of(value) if isinstance(value, Description) else None
    return type(value), value


def _lasts(constraint: Constraint | None, value: Any) -> bool:
    """Whether the structure of a field's value stays as it is; those inside it are known."""
    if isinstance(value, Description):
        return STRUCTURE in vars(value)
    if constraint is not None and constraint.role == "setting":
        return True
    if isinstance(value, tuple):
        return all(_lasts(None, item) for item in cast("tuple[Any, ...]", value))
    return value is None or isfunction(value) or isinstance(value, _PLAIN)


_PLAIN = (bool, int, float, str, np.generic, type)


def is_fixed(part: Any) -> bool:
    """Whether equal structure means the same program for ever.

    Functions, and descriptions from outside this library, may read what changes between two calls.

    >>> from thalweg.optim.optimizers import Adam
    >>> is_fixed((Adam(0.1), "adam", None)), is_fixed(max)
    (True, False)
    """
    if isinstance(part, Description):
        values = (getattr(part, name) for name, _ in fields_of(type(part)))
        return type(part).__module__.startswith("thalweg.") and all(map(is_fixed, values))
    if isinstance(part, (tuple, list)):
        return all(map(is_fixed, cast("tuple[Any, ...]", part)))
    return part is None or isinstance(part, (bool, int, float, str, np.ndarray, np.generic))


class _Structure:
    """The class and fields of a description, hashed once."""

    __slots__ = ("_fields", "_hash")

    def __init__(self, fields: tuple[object, ...]) -> None:
        self._fields = fields
        self._hash = hash(fields)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Structure):
            return NotImplemented
        return other is self or (other._hash == self._hash and other._fields == self._fields)


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
