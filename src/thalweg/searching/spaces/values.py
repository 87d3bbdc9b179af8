"""The values of a space: what JSON can hold, and descriptions, which are written as their text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from thalweg.descriptions import Description, Plain
from thalweg.descriptions.constraints import shown
from thalweg.descriptions.spec import spec_of
from thalweg.errors import SettingError

NONE = "none"
"""The text that stands for None, for files that have no word for it."""

_MAX_DEPTH = 16


def settled(value: Any, where: str = "a value") -> Any:
    """A value as trials hold it: NumPy's numbers as Python's, lists as tuples, "none" as None.

    Raises:
        SettingError: neither JSON nor a description can hold it.

    >>> settled([64, np.int64(32), "none"])
    (64, 32, None)
    """
    return _settled(value, where, 0)


def _settled(value: Any, where: str, depth: int) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return None if value == NONE else value
    if value is None or isinstance(value, (bool, int, Description)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth < _MAX_DEPTH and isinstance(value, (list, tuple)):
        items = cast("list[Any]", value)
        return tuple(_settled(item, where, depth + 1) for item in items)
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        if all(isinstance(key, str) for key, _ in pairs):
            return {key: _settled(item, where, depth + 1) for key, item in pairs}
    raise SettingError(
        f"{where} must be a finite number, a text, True, False, None, a description, or a list "
        f"or mapping of them, got {shown(value)}"
    )


def plain_value(value: Any) -> Plain:
    """A value as JSON data: descriptions as their text, tuples as lists, NaN and ∞ as text.

    >>> import thalweg as tw
    >>> plain_value((tw.ReLU(), None, float("nan"), np.float64(0.5)))
    ['relu', None, 'nan', 0.5]
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Description):
        return spec_of(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {str(key): plain_value(item) for key, item in pairs}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return cast("Plain", value)


def canonical(value: Any) -> str:
    """One text for each value, by which values are compared and digested.

    >>> canonical({"b": (1, 2), "a": True})
    '{"a":true,"b":[1,2]}'
    """
    return json.dumps(plain_value(value), sort_keys=True, separators=(",", ":"))


def value_text(value: Any) -> str:
    """A value as people read it, in messages, tables and CSV files.

    >>> [value_text(value) for value in (0.1, None, True, "relu", (64, 64))]
    ['0.1', 'none', 'true', 'relu', '[64, 64]']
    """
    plain = plain_value(value)
    if isinstance(plain, str):
        return plain
    return NONE if plain is None else json.dumps(plain)
