"""Strict reading of JSON data that a file brought: every key known, every value checked."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import cast

from thalweg.descriptions import Plain
from thalweg.errors import DescriptionError


def plain_object(value: Plain, keys: Collection[str], where: str) -> dict[str, Plain]:
    """The value as an object with exactly the given keys."""
    if not isinstance(value, dict):
        raise DescriptionError(f"{where} must be an object, got {value!r:.60}")
    extra, missing = sorted(value.keys() - set(keys)), sorted(set(keys) - value.keys())
    if extra or missing:
        what = f"unknown {extra}" if extra else f"missing {missing}"
        raise DescriptionError(f"{where}: {what:.200}")
    return value


def plain_list(value: Plain, where: str) -> list[Plain]:
    """The value as a list."""
    if not isinstance(value, list):
        raise DescriptionError(f"{where} must be a list, got {value!r:.60}")
    return value


def plain_text(value: Plain, where: str, options: Collection[str] | None = None) -> str:
    """The value as text, one of ``options`` where they are given."""
    if not isinstance(value, str):
        raise DescriptionError(f"{where} must be text, got {value!r:.60}")
    if options is not None and value not in options:
        raise DescriptionError(f"{where} = {value!r:.60} is not one of {', '.join(options)}")
    return value


def plain_texts(value: Plain, where: str) -> tuple[str, ...]:
    """The value as a tuple of different texts."""
    texts = tuple(plain_text(item, where) for item in plain_list(value, where))
    if len(set(texts)) != len(texts):
        raise DescriptionError(f"{where} holds a text twice")
    return texts


def plain_number(value: Plain, where: str, *, positive: bool = False) -> float:
    """The value as a finite number, above 0 where it has to be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DescriptionError(f"{where} must be a number, got {value!r:.60}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or (positive and number <= 0):
        wanted = "a finite number above 0" if positive else "a finite number"
        raise DescriptionError(f"{where} must be {wanted}, got {number!r}")
    return number


def plain_flag(value: Plain, where: str) -> bool:
    """The value as true or false."""
    if not isinstance(value, bool):
        raise DescriptionError(f"{where} must be true or false, got {value!r:.60}")
    return value


def listed(texts: Iterable[str]) -> list[Plain]:
    """Texts as a JSON list."""
    return cast("list[Plain]", list(texts))


__all__ = [
    "listed",
    "plain_flag",
    "plain_list",
    "plain_number",
    "plain_object",
    "plain_text",
    "plain_texts",
]
