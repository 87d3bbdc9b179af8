"""The numeric settings inside a description: found by path, and replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from thalweg.descriptions.constraints import declared
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
