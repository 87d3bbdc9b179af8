"""The base of every description, which checks its fields when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from thalweg.descriptions.constraints import Constraint, declared, shown
from thalweg.descriptions.families import FAMILIES
from thalweg.errors import SettingError


@dataclass(frozen=True)
class Description:
    """The base of every description: validates its fields when it is made."""

    def __post_init__(self) -> None:
        """Check every declared field against its constraint.

        Raises:
            SettingError: naming the class, the field, its value and what it may hold.
        """
        for name, constraint, value in declared(self):
            _CHECKS[constraint.role](f"{type(self).__name__}.{name}", constraint, value)


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


def _check_size(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise SettingError(f"{where} must be a whole number, got {shown(value)}")
    if not constraint.holds(int(value)):
        raise SettingError(f"{where} = {shown(value)} is outside {constraint.interval()}")


def _check_option(where: str, constraint: Constraint, value: Any) -> None:
    if not isinstance(value, str) or value not in constraint.options:
        choices = ", ".join(constraint.options)
        raise SettingError(f"{where} = {shown(value)} is not one of {choices}")


def _check_flag(where: str, _: Constraint, value: Any) -> None:
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


_CHECKS: dict[str, Callable[[str, Constraint, Any], None]] = {
    "setting": _check_setting,
    "size": _check_size,
    "option": _check_option,
    "flag": _check_flag,
    "part": _check_part,
    "parts": _check_parts,
}
