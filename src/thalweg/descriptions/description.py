"""The base of every description, which checks its fields when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np

from thalweg.descriptions.constraints import RELATIONS, Constraint, declared, shown
from thalweg.descriptions.families import FAMILIES
from thalweg.errors import SettingError

STRUCTURE, SETTINGS = REMEMBERED = ("thalweg structure", "thalweg settings")
"""Where an instance remembers what follows from its fields, which never change."""


@dataclass(frozen=True)
class Description:
    """The base of every description: validates its fields when it is made."""

    def __post_init__(self) -> None:
        """Check every declared field against its constraint.

        Raises:
            SettingError: naming the class, the field, its value and what it may hold.
        """
        for name, constraint, value in declared(self):
            if isinstance(value, list) and constraint.role in {"parts", "numbers"}:
                value = tuple(cast("list[Any]", value))  # noqa: PLW2901
                object.__setattr__(self, name, value)
            _CHECKS[constraint.role](f"{type(self).__name__}.{name}", constraint, value)
        for name, constraint, value in declared(self):
            for relation, other in constraint.relations:
                _check_relation(type(self).__name__, name, value, relation, other, self)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and other processes get: all but what is remembered of the fields."""
        return {name: value for name, value in vars(self).items() if name not in REMEMBERED}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_tensor(value: object) -> bool:
    """Whether a value stands for numbers that are given later: the graph's tensors lie above."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _check_setting(where: str, constraint: Constraint, value: Any) -> None:
    if constraint.family and isinstance(value, Description):
        _check_part(where, constraint, value)
    elif _is_number(value):
        if not constraint.holds(value):
            raise SettingError(f"{where} = {shown(value)} is outside {constraint.interval()}")
    elif isinstance(value, (np.ndarray, np.generic)):
        _check_array(where, constraint, np.asarray(value))
    elif not _is_tensor(value):
        kinds = "a number or a schedule" if constraint.family else "a number"
        raise SettingError(f"{where} must be {kinds}, got {shown(value)}")


def _check_array(where: str, constraint: Constraint, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.kind not in "iuf":
        raise SettingError(f"{where} must hold numbers, got an array of {array.dtype.name}")
    for number in array.ravel():
        if not constraint.holds(number):
            raise SettingError(f"{where} holds {number}, outside {constraint.interval()}")


_ONE_BY_ONE = (
    "it is no numeric setting: networks of a population that differ in it are given one by one, as "
    "PerMember([...])"
)


def _refuse_array(where: str, wanted: str, value: Any) -> None:
    """Refuse an array for what shapes a program, and say how networks may differ in it."""
    if isinstance(value, np.ndarray) and value.ndim:
        raise SettingError(
            f"{where} must be {wanted}, got an array of shape {value.shape}; {_ONE_BY_ONE}"
        )


def _check_size(where: str, constraint: Constraint, value: Any) -> None:
    _refuse_array(where, "a whole number", value)
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise SettingError(f"{where} must be a whole number, got {shown(value)}")
    if not constraint.holds(int(value)):
        raise SettingError(f"{where} = {shown(value)} is outside {constraint.interval()}")


def _check_option(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, str) or value not in constraint.options:
        choices = ", ".join(constraint.options)
        hint = f"; {_ONE_BY_ONE}" if isinstance(value, np.ndarray) and value.ndim else ""
        raise SettingError(f"{where} = {shown(value)} is not one of {choices}{hint}")


def _check_flag(where: str, _: Constraint, value: Any) -> None:
    _refuse_array(where, "True or False", value)
    if not isinstance(value, bool):
        raise SettingError(f"{where} must be True or False, got {shown(value)}")


def _check_part(where: str, constraint: Constraint, value: Any) -> None:
    if value is None and constraint.optional:
        return
    family = FAMILIES.get(constraint.family)
    if not isinstance(value, family.base if family else Description):
        article = "an" if constraint.family[0] in "aeiou" else "a"
        raise SettingError(f"{where} must be {article} {constraint.family}, got {shown(value)}")


def _check_parts(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, tuple):
        raise SettingError(f"{where} must be a tuple, got {shown(value)}")
    for index, item in enumerate(cast("tuple[Any, ...]", value)):
        _check_part(f"{where}[{index}]", constraint, item)


def _check_numbers(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, tuple):
        raise SettingError(f"{where} must be a tuple of numbers, got {shown(value)}")
    items = cast("tuple[Any, ...]", value)
    for index, item in enumerate(items):
        _check_setting(f"{where}[{index}]", constraint, item)
    if not constraint.increasing or not all(_is_number(item) for item in items):
        return
    for index, (before, after) in enumerate(pairwise(items), 1):
        if not after > before:
            raise SettingError(
                f"{where} must increase, but {shown(after)} at place {index} follows "
                f"{shown(before)}"
            )


def _check_relation(
    kind: str, name: str, value: Any, relation: str, other: str, description: Description
) -> None:
    """Refuse a number that does not stand to another field as declared; tensors are let through."""
    against = getattr(description, other)
    if not (_is_number(value) and _is_number(against)):
        return
    sign, holds = RELATIONS[relation]
    if not holds(value, against):
        raise SettingError(
            f"{kind}.{name} = {shown(value)} must be {sign} {other}, which is {shown(against)}"
        )


_CHECKS: dict[str, Callable[[str, Constraint, Any], None]] = {
    "setting": _check_setting,
    "numbers": _check_numbers,
    "size": _check_size,
    "option": _check_option,
    "flag": _check_flag,
    "part": _check_part,
    "parts": _check_parts,
}
