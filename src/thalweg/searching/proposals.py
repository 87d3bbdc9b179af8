"""What samplers are told and what their chance depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError


@dataclass(frozen=True)
class Known:
    """A trial that has ended, as samplers learn from it.

    Attributes:
        number: its number, from 0.
        settings: its values by name.
        value: what is minimised; None (or NaN, ∞) where the trial failed, which counts as worst.
            Where a metric is maximised this is its negative.
    """

    number: int
    settings: Mapping[str, Any]
    value: float | None

    @property
    def failed(self) -> bool:
        """Whether there is no finite value."""
        return self.value is None or not math.isfinite(self.value)


def losses(known: Sequence[Known], failed: float) -> list[float]:
    """The values of trials, with one number for those that failed."""
    return [
        failed if one.value is None or not math.isfinite(one.value) else float(one.value)
        for one in known
    ]


def chance(seed: int, *numbers: int) -> np.random.Generator:
    """A generator whose numbers depend on the seed and the given numbers alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=numbers))


def check_call(seed: Any, first: Any, count: Any) -> None:
    """Refuse a seed, a first number or a count that is no whole number ≥ 0.

    Raises:
        SettingError: naming it.
    """
    for name, value in (("seed", seed), ("first", first), ("count", count)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 0:
            raise SettingError(f"{name} must be a whole number ≥ 0, got {shown(value)}")
