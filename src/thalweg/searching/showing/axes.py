"""The hyperparameters of a search as axes: values to places in [0, 1], and back to marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from thalweg.descriptions import Description
from thalweg.errors import SettingError
from thalweg.searching.spaces.choices import Choice
from thalweg.searching.spaces.domain import Domain
from thalweg.searching.spaces.ranges import Range, Whole
from thalweg.searching.spaces.space import Space
from thalweg.tabular.choices import choice_text

_LONGEST = 18


class Tried(Protocol):
    """A trial as pictures and importances need it."""

    @property
    def number(self) -> int:
        """Its place in the search, from 0."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its hyperparameters by name; those that were not active are left out."""
        ...

    @property
    def value(self) -> float | None:
        """What is minimised or maximised; None or NaN where the trial failed."""
        ...

    @property
    def state(self) -> str:
        """``finished``, ``stopped`` early, or ``failed``."""
        ...


@dataclass(frozen=True)
class Axis:
    """One hyperparameter.

    Attributes:
        name: its name in the space.
        low: the least number; 0 for categories.
        high: the largest number; the last category's place.
        log: whether equal ratios have equal lengths.
        labels: the categories' texts in their order; empty for numbers.
        whole: whether there are whole numbers only.
    """

    name: str
    low: float
    high: float
    log: bool = False
    labels: tuple[str, ...] = ()
    whole: bool = False

    def place(self, value: Any) -> float:
        """The value's place, from 0 at low to 1 at high; NaN where it has none.

        >>> Axis("learning_rate", 1e-4, 1e-2, log=True).place(1e-3)
        0.5
        >>> Axis("activation", 0, 2, labels=("relu", "tanh", "elu")).place("tanh")
        0.5
        """
        return self._fraction(self.number(value))

    def fraction(self, own: float) -> float:
        """The place of a number as :meth:`own` and :meth:`marks` give it."""
        return self._fraction(math.log10(own) if self.log else own)

    def _fraction(self, inner: float) -> float:
        return (inner - self._start) / ((self._end - self._start) or 1.0)

    def number(self, value: Any) -> float:
        """The value on the axis: its logarithm where the axis is logarithmic, or its place."""
        if self.labels:
            text = value_text(value)
            return float(self.labels.index(text)) if text in self.labels else math.nan
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return math.nan
        if self.log:
            return math.log10(value) if value > 0 else math.nan
        return float(value)

    def own(self, value: Any) -> float:
        """The value as a picture's axis takes it: a number, or a category's place."""
        number = self.number(value)
        return 10.0**number if self.log else number

    def marks(self, most: int = 5) -> list[tuple[float, str]]:
        """Numbers and texts along the axis, both ends among them.

        >>> Axis("learning_rate", 1e-4, 1e-2, log=True).marks(3)
        [(0.0001, '0.0001'), (0.001, '0.001'), (0.01, '0.01')]
        """
        if self.labels:
            return [(float(place), shortened(text)) for place, text in enumerate(self.labels)]
        numbers = self._decades() if self.log and self.high >= 100 * self.low else self._even(most)
        return [(number, f"{number:.3g}") for number in numbers]

    def _decades(self) -> list[float]:
        """The powers of ten between the ends, and the ends."""
        inner = range(math.floor(self._start) + 1, math.ceil(self._end))
        apart = 0.1 * (self._end - self._start)
        kept = [p for p in inner if p - self._start > apart and self._end - p > apart]
        return [self.low, *(10.0**power for power in kept), self.high]

    def _even(self, most: int) -> list[float]:
        """Numbers at even distances, whole ones where the axis has no others."""
        if not self.high > self.low:
            return [self.low]
        if self.whole and self.high - self.low < most:
            return [self.low + step for step in range(int(self.high - self.low) + 1)]
        inner = np.linspace(self._start, self._end, most).tolist()
        numbers = [10.0**item if self.log else item for item in inner]
        numbers = [float(round(number)) for number in numbers] if self.whole else numbers
        return list(dict.fromkeys([self.low, *numbers[1:-1], self.high]))

    @property
    def _start(self) -> float:
        return math.log10(self.low) if self.log else self.low

    @property
    def _end(self) -> float:
        return math.log10(self.high) if self.log else self.high


def axes_of(space: Space) -> tuple[Axis, ...]:
    """An axis for each hyperparameter that varies.

    >>> from thalweg.searching.spaces.space import Space
    >>> axes_of(Space({"width": [16, 32], "dropout": {"low": 0.0, "high": 0.5}, "seed": 3}))
    (Axis(name='width', low=0.0, high=1.0, ...), Axis(name='dropout', low=0.0, high=0.5, ...))
    """
    return tuple(_axis(name, space.domains[name]) for name in space.varying)


def _axis(name: str, domain: Domain) -> Axis:
    if isinstance(domain, Choice):
        labels = tuple(value_text(value) for value in domain.values)
        return Axis(name, 0.0, float(len(labels) - 1), labels=labels)
    if isinstance(domain, (Range, Whole)):
        whole = isinstance(domain, Whole)
        return Axis(name, float(domain.low), float(domain.high), domain.log, whole=whole)
    raise SettingError(f"{name} has no axis: {domain!r}")


def value_text(value: Any) -> str:
    """A hyperparameter's value as people read it.

    >>> value_text(None), value_text(0.00012345678), value_text([64, 32]), value_text(True)
    ('none', '0.0001235', '64,32', 'true')
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        items: Sequence[Any] = value
        return ",".join(map(value_text, items))
    return choice_text(value) if isinstance(value, Description) else str(value)


def shortened(text: str, most: int = _LONGEST) -> str:
    """A text cut where it is long.

    >>> shortened("sgd(cosine(0.1, length=20))", 12)
    'sgd(cosine(…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def places(axes: Sequence[Axis], trials: Iterable[Tried]) -> NDArray[np.float64]:
    """Where trials stand on axes, (trials, axes); NaN where a setting was not active."""
    rows = [
        [
            axis.place(t.settings[axis.name]) if axis.name in t.settings else math.nan
            for axis in axes
        ]
        for t in trials
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(axes))


def judged(trial: Tried) -> bool:
    """Whether a trial has a finite value."""
    return trial.value is not None and math.isfinite(trial.value)


__all__ = ["Axis", "Tried", "axes_of", "judged", "places", "shortened", "value_text"]
