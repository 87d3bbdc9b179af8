"""Settings a little changed, as population-based training explores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from thalweg.searching.spaces.choices import Choice
from thalweg.searching.spaces.domain import Domain
from thalweg.searching.spaces.ranges import Range, Whole
from thalweg.searching.spaces.space import Space

_ANEW = 0.25
"""How often a choice is drawn anew."""


def explored(
    space: Space,
    settings: Mapping[str, Any],
    names: Iterable[str],
    factor: float,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Settings with numbers multiplied or divided by a factor, and some choices drawn anew.

    Args:
        space: inside which they stay.
        settings: to change.
        names: those that may change.
        factor: above 1.
        random: decides.

    >>> from thalweg.searching.spaces.ranges import Range
    >>> space = Space({"rate": Range(0.01, 1.0), "width": [8, 16]})
    >>> random = np.random.default_rng(0)
    >>> changed = explored(space, {"rate": 0.9, "width": 8}, ["rate"], 1.2, random)
    >>> changed["rate"] in (0.75, 1.0), changed["width"]
    (True, 8)
    """
    found = dict(settings)
    for name in names:
        if name in found:
            found[name] = _changed(space[name], found[name], factor, random)
    return found


def _changed(domain: Domain, value: Any, factor: float, random: np.random.Generator) -> Any:
    if isinstance(domain, Choice):
        draw, number = random.random(), int(random.integers(domain.count))
        return domain.values[number] if draw < _ANEW else value
    if not isinstance(domain, (Range, Whole)):
        return value
    up = bool(random.integers(2))
    moved = value * factor if up else value / factor
    step = domain.step or (1 if isinstance(domain, Whole) else 0.0)
    if abs(moved - value) < step:
        moved = value + step if up else value - step
    moved = round(moved) if isinstance(domain, Whole) else moved
    return _on_grid(domain, min(max(moved, domain.low), domain.high))


def _on_grid(domain: Range | Whole, value: float) -> Any:
    """The value of the range that is nearest."""
    if domain.step is None:
        return value
    number = min(max(round((value - domain.low) / domain.step), 0), (domain.count or 1) - 1)
    return domain.at((number + 0.5) / (domain.count or 1))


__all__ = ["explored"]
