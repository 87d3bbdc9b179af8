"""Ranges of numbers, real and whole: evenly spread, or their logarithms; with steps or without."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError
from thalweg.searching.spaces.domain import Domain, End

_NEAR = 0.02
"""How much of a range counts as its edge."""
_FIT = 1e-9
_LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class _Numbers(Domain):
    """What ranges of numbers share: the checks of their ends, and values by number."""

    def _named(self) -> str:
        parts = [f"{name}={shown(value)}" for name, value in self._fields().items()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _fields(self) -> dict[str, Any]:
        """Low, high, and what differs from a plain range."""
        kept = {name: getattr(self, name) for name in ("low", "high", "log", "step", "when")}
        return {
            name: value
            for name, value in kept.items()
            if value or name in {"low", "high"} or (name == "step" and value is not None)
        }

    def __repr__(self) -> str:
        return self._named()

    def plain(self) -> dict[str, Any]:
        """Low, high, and what differs from a plain range."""
        return self.with_condition({k: v for k, v in self._fields().items() if k != "when"})

    def _check_ends(self, low: float, high: float, log: Any) -> None:
        if not isinstance(log, bool):
            raise SettingError(f"{self._named()}: log must be True or False, got {shown(log)}")
        if low >= high:
            remedy = f"write {high!r} for a constant" if low == high else "exchange low and high"
            raise SettingError(f"{self._named()} is empty: low must be below high; {remedy}")
        if log and low <= 0:
            raise SettingError(
                f"{self._named()}: a logarithmic range needs low > 0, got {low!r}; choose a small "
                "number above 0, or leave log out"
            )

    def _check_number(self, name: str, value: Any, kinds: Any, wanted: str) -> None:
        good = isinstance(value, kinds) and not isinstance(value, bool)
        if not good or not abs(value) <= sys.float_info.max:
            raise SettingError(f"{self._named()}: {name} must be {wanted}, got {shown(value)}")

    def _check_steps(self, steps: float, log: bool) -> None:
        """Refuse a step that does not lead from low to high in so many whole steps."""
        if log:
            raise SettingError(f"{self._named()}: log and step do not go together; leave one out")
        whole = round(steps) if 0 < steps < _LARGEST_WHOLE else 0
        if whole < 1 or abs(steps - whole) > _FIT * max(1.0, steps):
            raise SettingError(
                f"{self._named()}: step must be above 0 and lead from low to high in a whole "
                f"number of steps, here {steps:.6g}"
            )


def _spaced(count: int, points: int) -> list[int]:
    """At most so many of the numbers from 0 to count − 1, evenly spaced and with both ends."""
    if count <= points:
        return list(range(count))
    if points == 1:
        return [(count - 1) // 2]
    return sorted({round(place) for place in np.linspace(0, count - 1, points)})


@dataclass(frozen=True, repr=False)
class Range(_Numbers):
    """Numbers from low to high, spread evenly, or evenly in their logarithm.

    Args:
        low: the least value.
        high: the largest value, above low.
        log: spread the logarithms evenly: as many values between 0.001 and 0.01 as between 0.01
            and 0.1. Needs low > 0.
        step: only low, low + step, …, high; not together with log.
        when: names of other ranges and the values that they must have for this one to take part.

    Raises:
        SettingError: low ≥ high, log with low ≤ 0, or a step that does not lead from low to high.

    >>> Range(1e-4, 1e-2, log=True).at(0.5)
    0.001
    >>> Range(0, 0.5, step=0.1).grid(3)
    [0.0, 0.2, 0.5]
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        super().__post_init__()
        for name in ("low", "high") if self.step is None else ("low", "high", "step"):
            number = getattr(self, name)
            kinds = (int, float, np.integer, np.floating)
            self._check_number(name, number, kinds, "a finite number")
            object.__setattr__(self, name, float(number))
        self._check_ends(self.low, self.high, self.log)
        if math.isinf(self.high - self.low):
            raise SettingError(f"{self._named()} is too wide for floating-point numbers")
        if self.step is not None:
            steps = (self.high - self.low) / self.step if self.step > 0 else 0.0
            self._check_steps(steps, self.log)

    @property
    def count(self) -> int | None:
        """How many values there are: with a step, one more than there are steps."""
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def _nth(self, number: int) -> float:
        assert self.step is not None
        value = float(f"{self.low + number * self.step:.15g}")
        return min(max(value, self.low), self.high)

    def at(self, place: float) -> float:
        """low + place (high − low), or low (high / low)^place."""
        if self.count is not None:
            return self._nth(min(int(place * self.count), self.count - 1))
        if not self.log:
            value = self.low + place * (self.high - self.low)
        elif place in {0, 1}:
            value = self.high if place else self.low
        else:
            a, b = math.log10(self.low), math.log10(self.high)
            value = 10 ** (a + place * (b - a))
        return min(max(value, self.low), self.high)

    def place(self, value: Any) -> float:
        """Where a value lies between low and high; of steps the middle of each one's part."""
        if self.count is not None:
            assert self.step is not None
            return (round((value - self.low) / self.step) + 0.5) / self.count
        if self.log:
            a, b = math.log10(self.low), math.log10(self.high)
            return min(max((math.log10(value) - a) / (b - a), 0.0), 1.0)
        return (value - self.low) / (self.high - self.low)

    def read(self, plain: Any) -> float:
        """The number, if it lies in the range."""
        number = isinstance(plain, (int, float)) and not isinstance(plain, bool)
        if not number or not self.low <= plain <= self.high:
            raise SettingError(f"{shown(plain)} is not in {self!r}")
        if self.step is None:
            return float(plain)
        nearest = self._nth(round((plain - self.low) / self.step))
        if abs(nearest - plain) > _FIT * self.step + _FIT * abs(plain):
            raise SettingError(f"{shown(plain)} is not in {self!r}")
        return nearest

    def grid(self, points: int) -> list[float]:
        """At most so many numbers, evenly spaced (in their logarithm); of one, the middle."""
        if self.count is not None:
            return [self._nth(number) for number in _spaced(self.count, points)]
        places = np.linspace(0, 1, points) if points > 1 else [0.5]
        return [self.at(float(place)) for place in places]

    def edge(self, value: Any) -> End | None:
        """The end that a value is within 2 % of the range from; of steps, the last one."""
        if self.count is not None:
            return _end(value, self._nth(0), self._nth(self.count - 1))
        place = self.place(value)
        return "lowest" if place <= _NEAR else "highest" if place >= 1 - _NEAR else None


def _end(value: Any, low: Any, high: Any) -> End | None:
    return "lowest" if value <= low else "highest" if value >= high else None


@dataclass(frozen=True, repr=False)
class Whole(_Numbers):
    """Whole numbers from low to high, both included.

    Args:
        low: the least number.
        high: the largest number, above low.
        log: the probability of n is proportional to log((n + ½) / (n − ½)). Needs low > 0.
        step: only low, low + step, …, high; not together with log.
        when: names of other ranges and the values that they must have for this one to take part.

    Raises:
        SettingError: low ≥ high, log with low ≤ 0, or a step that does not lead from low to high.

    >>> Whole(16, 64, step=16).grid(10), Whole(1, 1000, log=True).grid(4)
    ([16, 32, 48, 64], [1, 10, 100, 1000])
    """

    low: int
    high: int
    log: bool = False
    step: int | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        super().__post_init__()
        for name in ("low", "high") if self.step is None else ("low", "high", "step"):
            number = getattr(self, name)
            self._check_number(name, number, (int, np.integer), "a whole number")
            if abs(number) > _LARGEST_WHOLE:
                raise SettingError(f"{self._named()}: {name} lies beyond ±2⁵³")
            object.__setattr__(self, name, int(number))
        self._check_ends(self.low, self.high, self.log)
        if self.step is not None:
            steps = (self.high - self.low) / self.step if self.step > 0 else 0.0
            self._check_steps(steps, self.log)

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    def _nth(self, number: int) -> int:
        return self.low + number * (self.step or 1)

    def _logs(self) -> tuple[float, float]:
        return math.log(self.low - 0.5), math.log(self.high + 0.5)

    def at(self, place: float) -> int:
        """The number whose part of [0, 1] holds the place."""
        if not self.log:
            return self._nth(min(int(place * self.count), self.count - 1))
        a, b = self._logs()
        return min(max(round(math.exp(a + place * (b - a))), self.low), self.high)

    def place(self, value: Any) -> float:
        """The middle of a number's part of [0, 1]; with log, where its logarithm lies."""
        if not self.log:
            return ((value - self.low) // (self.step or 1) + 0.5) / self.count
        a, b = self._logs()
        return (math.log(value) - a) / (b - a)

    def read(self, plain: Any) -> int:
        """The number, if it is one of the range."""
        whole = isinstance(plain, int) and not isinstance(plain, bool)
        if not whole or not self.low <= plain <= self.high or (plain - self.low) % (self.step or 1):
            raise SettingError(f"{shown(plain)} is not in {self!r}")
        return plain

    def grid(self, points: int) -> list[int]:
        """All numbers, or so many, evenly spaced (in their logarithm)."""
        if not self.log or self.count <= points:
            return [self._nth(number) for number in _spaced(self.count, points)]
        if points == 1:
            return [round(math.sqrt(self.low * self.high))]
        return sorted({round(value) for value in np.geomspace(self.low, self.high, points)})

    def edge(self, value: Any) -> End | None:
        """Whether a number is the first or the last one."""
        return _end(value, self.low, self.high)
