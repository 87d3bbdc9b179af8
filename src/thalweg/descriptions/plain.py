"""Descriptions to JSON data and back, refusing whatever the data should not hold."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, cast

import numpy as np

from thalweg.descriptions.constraints import Constraint, constraint_of, fields_of, shown
from thalweg.descriptions.description import Description
from thalweg.descriptions.families import FAMILIES, is_required, name_of
from thalweg.errors import DescriptionError, SettingError, UnknownNameError

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON can hold."""

MAX_DEPTH = 100
"""How many descriptions may stand inside each other."""

_HINTS: dict[str, Any] = {
    "setting": float | int,
    "numbers": tuple[float | int, ...],
    "size": int,
    "option": str,
    "flag": bool,
}


def to_plain(description: Description) -> dict[str, Plain]:
    """The description as JSON data: its registered name under ``type``, then its fields.

    Raises:
        DescriptionError: a class is not registered, or a field holds what JSON cannot (a tensor
            in place of a setting).
    """
    plain: dict[str, Plain] = {"type": name_of(description)}
    for name, _ in fields_of(type(description)):
        where = f"{type(description).__name__}.{name}"
        plain[name] = _plain_value(where, getattr(description, name))
    return plain


def _plain_value(where: str, value: Any) -> Plain:
    if isinstance(value, Description):
        return to_plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain_value(where, item) for item in cast("list[Any]", value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in cast("list[Any]", value)):
        mapping = cast("dict[str, Any]", value)
        return {key: _plain_value(f"{where}.{key}", item) for key, item in mapping.items()}
    if isinstance(value, (np.integer, np.floating)):
        return cast("Plain", value.item())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DescriptionError(f"cannot write {where} to JSON: {shown(value)}")


def from_plain(family_name: str, plain: Plain) -> Any:
    """The description that JSON data describes; anything unexpected in it is refused.

    Raises:
        DescriptionError: naming what is unknown, missing, of a wrong type or out of range.
    """
    return _description(family_name, plain, 0)


def _description(family_name: str, plain: Plain, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise DescriptionError(f"more than {MAX_DEPTH} descriptions stand inside each other")
    name = plain.get("type") if isinstance(plain, dict) else None
    if not isinstance(plain, dict) or not isinstance(name, str):
        raise DescriptionError(f"a {family_name} needs an object with a 'type', got {shown(plain)}")
    cls = FAMILIES[family_name].members.get(name)
    if cls is None:
        raise UnknownNameError(f"unknown {family_name} {shown(name)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    given = {key: value for key, value in plain.items() if key != "type"}
    _check_names(f"{family_name} {name!r}", fields, given)
    values = {
        key: _field_value(f"{name}.{key}", cls, fields[key], value, depth)
        for key, value in given.items()
    }
    try:
        return cls(**values)
    except SettingError as error:
        raise DescriptionError(str(error)) from error


def _check_names(
    where: str, fields: dict[str, dataclasses.Field[Any]], given: dict[str, Plain]
) -> None:
    extra = sorted(given.keys() - fields.keys())
    missing = [key for key, field in fields.items() if is_required(field) and key not in given]
    if extra or missing:
        found = "unknown" if extra else "missing"
        raise DescriptionError(f"{where}: {found} {shown(extra or missing)}")


def _field_value(
    where: str, cls: type[Any], field: dataclasses.Field[Any], value: Plain, depth: int
) -> Any:
    constraint = constraint_of(field)
    if constraint is None:
        return _convert(where, typing.get_type_hints(cls)[field.name], value)
    if constraint.role == "parts":
        if not isinstance(value, list):
            raise DescriptionError(f"{where} must be a list, got {shown(value)}")
        return tuple(_description(constraint.family, item, depth + 1) for item in value)
    if _is_part(constraint, value):
        empty = value is None and constraint.optional
        return None if empty else _description(constraint.family, value, depth + 1)
    return _convert(where, _HINTS[constraint.role], value)


def _is_part(constraint: Constraint, value: Plain) -> bool:
    return constraint.role == "part" or (bool(constraint.family) and isinstance(value, dict))


def _convert(where: str, hint: Any, value: Plain) -> Any:
    import msgspec

    try:
        return msgspec.convert(value, hint, strict=True)
    except msgspec.ValidationError as error:
        raise DescriptionError(f"{where}: {error}") from error
