"""Learning-rate schedules: the learning rate as a function of the step.

Symbols: η₀ the initial rate, t the number of updates (or epochs) done so far, counted from 0,
T the length of the run in the same unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import Description, family, option, register, setting
from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import astype, cos, floor, maximum, minimum, power, where

UNITS = ("update", "epoch")


@family("schedule")
@dataclass(frozen=True)
class Schedule(Description):
    """A learning rate that changes while training.

    A schedule defines :meth:`at`; one that holds another schedule defines the call itself.
    """

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """The rate at a time, of a run of a total length, both in the schedule's unit."""
        raise NotImplementedError(f"{type(self).__name__} has no at method")

    @property
    def unit(self) -> str:
        """What time counts: updates or epochs."""
        return getattr(self, "per", "update")

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """The learning rate before update number ``step`` (from 0), as float64.

        Args:
            step: updates done so far; a number, array or tensor.
            total_steps: updates of the whole run.
            steps_per_epoch: updates of one epoch.
        """
        time, total = (astype(as_tensor(value), "float64") for value in (step, total_steps))
        if self.unit == "epoch":
            per_epoch = astype(as_tensor(steps_per_epoch), "float64")
            time, total = floor(time / per_epoch), total / per_epoch
        return self.at(time, total)


Rate = float | Schedule
"""A constant learning rate or a schedule."""


def rate_at(rate: Any, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
    """The learning rate before an update, of a number or of a schedule.

    >>> float(rate_at(0.1, 7))
    0.1
    """
    if isinstance(rate, Schedule):
        return rate(step, total_steps, steps_per_epoch)
    return as_tensor(rate if isinstance(rate, Tensor) else np.float64(rate))


@register("schedule", "constant")
@dataclass(frozen=True)
class ConstantRate(Schedule):
    """η = η₀.

    >>> float(ConstantRate(0.1)(5))
    0.1
    """

    initial: float = setting(1e-3, low=0, help="η₀")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀."""
        return rate_at(self.initial, time)


@register("schedule", "step")
@dataclass(frozen=True)
class StepDecay(Schedule):
    """η = η₀ β^⌊t / s⌋: multiplied by β every s epochs (or updates).

    >>> [round(float(StepDecay(1.0, every=2, factor=0.5)(t)), 3) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    every: float = setting(10, low=0, low_open=True, help="s, how long a rate is kept")
    factor: float = setting(0.1, low=0, high=1, help="β, what a step multiplies by")
    per: str = option("epoch", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ β^⌊t/s⌋."""
        return power(rate_at(self.factor, time), floor(time / self.every)) * self.initial


@register("schedule", "cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """η = η₁ + ½(η₀ - η₁)(1 + cos(π t / T)), and η₁ from T on.

    Args:
        initial: η₀.
        length: T; 0 means the whole run.
        final: η₁.
        per: what t and T count.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    >>> [round(float(Cosine(1.0, length=4)(t)), 3) for t in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    length: float = setting(0, low=0, help="T; 0 for the whole run")
    final: float = setting(0.0, low=0, help="η₁")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₁ + ½(η₀ - η₁)(1 + cos(πt/T))."""
        length = rate_at(self.length, time)
        length = where(length > 0.0, length, total)
        share = minimum(time / length, 1.0)
        wave = 0.5 * (cos(share * math.pi) + 1.0)
        return wave * (rate_at(self.initial, time) - self.final) + self.final


@register("schedule", "warm_up")
@dataclass(frozen=True)
class WarmUp(Schedule):
    """A linear rise before another schedule: η = η′(0) (t + 1) / T′ for t < T′, then η′(t - T′).

    Args:
        then: η′, a number or a schedule whose time starts after the rise.
        length: T′, how long the rise takes.
        per: what t and T′ count.

    >>> [round(float(WarmUp(1.0, length=4)(t)), 3) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    then: Rate = setting(1e-3, low=0, schedule=True, help="η′, what follows the rise")
    length: float = setting(100, low=0, help="T′, the length of the rise")
    per: str = option("update", options=UNITS, help="what t counts")

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """The rate before update ``step``; the schedule behind the rise keeps its own unit."""
        now, total, per_epoch = (
            astype(as_tensor(value), "float64") for value in (step, total_steps, steps_per_epoch)
        )
        unit = per_epoch if self.per == "epoch" else as_tensor(np.float64(1.0))
        rise = unit * self.length
        later, rest = maximum(now - rise, 0.0), maximum(total - rise, 1.0)
        target = rate_at(self.then, later, rest, per_epoch)
        share = (floor(now / unit) + 1.0) / maximum(rate_at(self.length, now), 1.0)
        return target * minimum(share, 1.0)
