"""Schedules made of schedules: a rise before another, one after another, scaled, multiplied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import option, part, parts, register, setting
from thalweg.descriptions.constraints import numbers
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import floor, maximum, minimum, where
from thalweg.optim.decays import ConstantRate, Cosine
from thalweg.optim.schedule import (
    UNITS,
    Rate,
    Schedule,
    double,
    length_text,
    rate_at,
    run_text,
    updates_of,
)


@register("schedule", "warm_up")
@dataclass(frozen=True)
class WarmUp(Schedule):
    """A linear rise before another schedule: η = η′(0) (t + 1) / T′ for t < T′, then η′(t - T′).

    Args:
        then: η′, a number or a schedule whose time starts after the rise.
        length: T′, how long the rise takes; no longer than the run.
        per: what t and T′ count.

    Source: Goyal and others, "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.

    >>> [round(float(WarmUp(1.0, length=4)(t)), 3) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    then: Rate = setting(1e-3, low=0, schedule=True, help="η′, what follows the rise")
    length: float = setting(100, low=0, help="T′, the length of the rise")
    per: str = option("update", options=UNITS, help="what t counts")

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """The rate before update ``step``; the schedule behind the rise keeps its own unit."""
        now, total, per_epoch = double(step), double(total_steps), double(steps_per_epoch)
        unit = per_epoch if self.per == "epoch" else as_tensor(np.float64(1.0))
        rise = unit * self.length
        later, rest = maximum(now - rise, 0.0), maximum(total - rise, 1.0)
        target = rate_at(self.then, later, rest, per_epoch)
        share = (floor(now / unit) + 1.0) / maximum(rate_at(self.length, now), 1.0)
        return target * minimum(share, 1.0)

    def check(self, total_steps: int, steps_per_epoch: int = 1) -> None:
        """Refuse a rise that is longer than the run; what follows is checked with the rest."""
        rise = updates_of(self.length, self.per, steps_per_epoch)
        if rise > total_steps:
            raise SettingError(
                f"WarmUp.length = {length_text(self.length, self.per)} is longer than the run of "
                f"{run_text(total_steps, steps_per_epoch)}; train longer or shorten the rise"
            )
        if isinstance(self.then, Schedule):
            self.then.check(max(int(total_steps - rise), 1), steps_per_epoch)


@register("schedule", "sequence")
@dataclass(frozen=True)
class ScheduleSequence(Schedule):
    """One schedule after another: η = η₁(t) for t < T₁, η₂(t - T₁) for T₁ ≤ t < T₂, and so on.

    The time of each schedule starts at its own beginning and counts in its own unit; its run ends
    where the next one begins.

    Args:
        schedules: η₁, η₂, …
        boundaries: T₁ < T₂ < …, one fewer than there are schedules.
        per: what the boundaries count.

    Raises:
        SettingError: boundaries that do not increase, or another number of them.

    >>> from thalweg.optim.decays import LinearDecay
    >>> both = ScheduleSequence((LinearDecay(0.0, final=1.0), LinearDecay(1.0)), boundaries=(2,))
    >>> [float(both(t, 6)) for t in range(6)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    """

    schedules: tuple[Schedule, ...] = parts(
        (ConstantRate(), Cosine()), family="schedule", help="η₁, η₂, …"
    )
    boundaries: tuple[float, ...] = numbers(
        (100,), low=0, low_open=True, increasing=True, help="T₁ …, where the next one begins"
    )
    per: str = option("update", options=UNITS, help="what boundaries count")

    def __post_init__(self) -> None:
        """Check that there is a boundary between each two schedules."""
        super().__post_init__()
        if len(self.boundaries) != len(self.schedules) - 1:
            raise SettingError(
                f"ScheduleSequence has {len(self.schedules)} schedules and {len(self.boundaries)} "
                "boundaries; it needs one boundary between each two schedules"
            )

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """The rate before update ``step``, of the schedule whose stretch it is."""
        now, total, per_epoch = double(step), double(total_steps), double(steps_per_epoch)
        unit = per_epoch if self.per == "epoch" else as_tensor(np.float64(1.0))
        begins = [double(0.0), *(unit * boundary for boundary in self.boundaries)]
        ends = [*begins[1:], total]
        rate = double(0.0)
        for schedule, begin, end in zip(self.schedules, begins, ends, strict=True):
            own = schedule(maximum(now - begin, 0.0), maximum(end - begin, 1.0), per_epoch)
            rate = where(now < begin, rate, own)
        return rate

    def check(self, total_steps: int, steps_per_epoch: int = 1) -> None:
        """Refuse a schedule that would begin after the run; check each with its own stretch."""
        begins = [0.0] + [updates_of(item, self.per, steps_per_epoch) for item in self.boundaries]
        if begins[-1] >= total_steps:
            last = length_text(self.boundaries[-1], self.per)
            raise SettingError(
                f"ScheduleSequence.boundaries: the last schedule would begin after {last}, but the "
                f"run has {run_text(total_steps, steps_per_epoch)}"
            )
        ends = [*begins[1:], float(total_steps)]
        for schedule, begin, end in zip(self.schedules, begins, ends, strict=True):
            schedule.check(max(int(end - begin), 1), steps_per_epoch)


@register("schedule", "scaled")
@dataclass(frozen=True)
class ScaledSchedule(Schedule):
    """η = c η′(t): another schedule times a number.

    >>> float(ScaledSchedule(ConstantRate(0.1), factor=0.5)(0))
    0.05
    """

    schedule: Schedule = part(ConstantRate(), family="schedule", help="η′")
    factor: float = setting(1.0, low=0, help="c")

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """C η′(t)."""
        return self.schedule(step, total_steps, steps_per_epoch) * self.factor


@register("schedule", "product")
@dataclass(frozen=True)
class ScheduleProduct(Schedule):
    """η = η₁(t) η₂(t) …: several schedules multiplied, each with its own unit.

    >>> from thalweg.optim.decays import StepDecay
    >>> schedule = ScheduleProduct((ConstantRate(0.1), StepDecay(1.0, every=2, factor=0.5)))
    >>> [float(schedule(t)) for t in range(4)]
    [0.1, 0.1, 0.05, 0.05]
    """

    schedules: tuple[Schedule, ...] = parts(
        (ConstantRate(), Cosine(1.0)), family="schedule", help="η₁, η₂, …"
    )

    def __post_init__(self) -> None:
        """Check that there is something to multiply."""
        super().__post_init__()
        if not self.schedules:
            raise SettingError("ScheduleProduct has no schedules; it needs one at least")

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """η₁(t) η₂(t) …."""
        rate, *others = (item(step, total_steps, steps_per_epoch) for item in self.schedules)
        for other in others:
            rate = rate * other
        return rate
