"""Learning rates that rise and fall: triangular cycles, warm restarts, one cycle.

Symbols: t the time done so far (from 0), m the number of the cycle (from 1), η_max and η_min the
bounds between which the rate moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from thalweg.descriptions import flag, option, register, setting
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.ops.functions import (
    absolute,
    cos,
    expm1,
    floor,
    log1p,
    maximum,
    minimum,
    power,
    where,
)
from thalweg.optim.schedule import (
    UNITS,
    Schedule,
    double,
    largest,
    length_or,
    length_text,
    progress,
    run_text,
    updates_of,
)


@register("schedule", "triangular")
@dataclass(frozen=True)
class Triangular(Schedule):
    """η = η_min^m + (η_max^m - η_min^m) max(0, 1 - b): straight up and down, again and again.

    m = ⌊1 + t / 2ΔT⌋ is the cycle's number and b = |t / ΔT - 2m + 1| the distance from its peak.
    The bounds may shrink with m: η_min^m = η_min αᵐ⁻¹ and η_max^m - η_min^m = (η_max - η_min) γᵐ⁻¹.
    PyTorch's ``triangular2`` is γ = ½; its ``exp_range`` is ``fade``, which multiplies the swing by
    ςᵗ.

    Args:
        highest: η_max, the peak of the first cycle.
        half: ΔT, how long a rise takes; a cycle takes 2ΔT.
        lowest: η_min, where the first cycle begins.
        shrink: γ, what a cycle multiplies the swing by.
        shrink_lowest: α, what a cycle multiplies the lower bound by.
        fade: ς, what each update (or epoch) multiplies the swing by.
        per: what t and ΔT count.

    Source: Smith, "Cyclical learning rates for training neural networks", 2017.

    >>> [float(Triangular(1.0, half=2, shrink=0.5)(t)) for t in range(8)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    """

    highest: float = setting(1e-2, low=0, help="η_max, the peak of the first cycle")
    half: float = setting(2000, low=0, low_open=True, help="ΔT, how long a rise takes")
    lowest: float = setting(0.0, low=0, at_most="highest", help="η_min, where a cycle begins")
    shrink: float = setting(1.0, low=0, high=1, help="γ, what a cycle multiplies the swing by")
    shrink_lowest: float = setting(1.0, low=0, high=1, help="α, the same of the lower bound")
    fade: float = setting(1.0, low=0, high=1, help="ς, what a time multiplies the swing by")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η_min^m + (η_max^m - η_min^m) max(0, 1 - b)."""
        half = double(self.half)
        cycle = floor(time / (half * 2.0) + 1.0)
        distance = absolute(time / half - 2.0 * cycle + 1.0)
        low = power(double(self.shrink_lowest), cycle - 1.0) * self.lowest
        swing = power(double(self.shrink), cycle - 1.0) * power(double(self.fade), time)
        swing = swing * (double(self.highest) - self.lowest)
        return low + swing * maximum(1.0 - distance, 0.0)


@register("schedule", "cosine_restarts")
@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """η = η_min^m + ½(η_max^m - η_min^m)(1 + cos(π T_cur / Tₘ)): falls, and starts again.

    T_cur is the time since the last restart and Tₘ = κ Tₘ₋₁ the length of the m-th period. The
    bounds may shrink with m: η_min^m = η_min αᵐ⁻¹ and η_max^m - η_min^m = (η_max - η_min) γᵐ⁻¹.
    The number of the period has a closed form, m - 1 = ⌊log_κ(1 + (κ - 1) t / T₁)⌋.

    Args:
        initial: η_max of the first period.
        length: T₁ > 0, the length of the first period.
        growth: κ ≥ 1.
        final: η_min of the first period.
        shrink: γ, what a restart multiplies the swing by.
        shrink_final: α, what a restart multiplies the lower bound by.
        per: what t and T₁ count.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    >>> [round(float(CosineRestarts(1.0, length=2, growth=2)(t)), 3) for t in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    initial: float = setting(1e-2, low=0, help="η_max, where a period begins")
    length: float = setting(10, low=0, low_open=True, help="T₁, length of the first period")
    growth: float = setting(1.0, low=1, high=1e6, help="κ, what a restart multiplies the length by")
    final: float = setting(0.0, low=0, at_most="initial", help="η_min, where a period ends")
    shrink: float = setting(1.0, low=0, high=1, help="γ, what a restart multiplies the swing by")
    shrink_final: float = setting(1.0, low=0, high=1, help="α, the same of the lower bound")
    per: str = option("epoch", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η_min^m + ½(η_max^m - η_min^m)(1 + cos(πT_cur/Tₘ))."""
        restarts, share = self._place(time / double(self.length))
        low = power(double(self.shrink_final), restarts) * self.final
        swing = power(double(self.shrink), restarts) * (double(self.initial) - self.final)
        return low + swing * (0.5 * (cos(share * math.pi) + 1.0))

    def _place(self, periods: Tensor) -> tuple[Tensor, Tensor]:
        """The restarts before a time, given in first periods, and the share of its own period.

        At a restart the logarithm may come out just below the whole number that it is; what is
        added puts it there, and is far less than a step is worth.
        """
        more = double(self.growth) - 1.0
        grows = more > 0.0
        safe = where(grows, more, 1.0)
        scale = log1p(safe)
        level = where(grows, log1p(periods * safe) / scale, periods)
        restarts = floor(level + _ROUNDING)
        begin = where(grows, expm1(restarts * scale) / safe, restarts)
        length = power(double(self.growth), restarts)
        return restarts, minimum(maximum((periods - begin) / length, 0.0), 1.0)


_ROUNDING = 1e-9


@register("schedule", "one_cycle")
@dataclass(frozen=True)
class OneCycle(Schedule):
    """One rise from η_max / d to η_max, then one fall to η_max / (d f), over a whole run.

    The rise ends at t = ρT - 1 and the fall at t = T - 1, the last update, as in PyTorch; Optax
    ends them at ρT and T. With ``three_phases`` the fall first mirrors the rise, back to
    η_max / d at t = 2ρT - 2, and then goes on to the end. A low momentum while the rate is high is
    not part of it.

    Args:
        highest: η_max.
        length: T; 0 means the whole run.
        rise: ρ, the rise's share of T, in (0, 1).
        divide: d ≥ 1, how far below η_max the rate begins.
        final_divide: f ≥ 1, how far below the beginning it ends.
        curve: ``cosine`` or ``linear`` between the corners.
        three_phases: mirror the rise before the last fall; ρ ≤ ½ then.
        per: what t and T count.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.

    >>> one = OneCycle(1.0, length=11, rise=0.5, divide=4, final_divide=5, curve="linear")
    >>> [round(float(one(t)), 3) for t in (0, 2, 5, 10)]
    [0.25, 0.583, 0.914, 0.05]
    """

    highest: float = setting(1e-2, low=0, help="η_max, the peak")
    length: float = setting(0, low=0, help="T; 0 for the whole run")
    rise: float = setting(0.3, low=0, high=1, low_open=True, high_open=True, help="ρ, its share")
    divide: float = setting(25.0, low=1, help="d, how far below the peak the rate begins")
    final_divide: float = setting(1e4, low=1, help="f, how far below the beginning it ends")
    curve: str = option("cosine", options=("cosine", "linear"), help="the curve between corners")
    three_phases: bool = flag(False, help="mirror the rise before the last fall")
    per: str = option("update", options=UNITS, help="what t counts")

    def __post_init__(self) -> None:
        """Check that the rise and its mirror fit."""
        super().__post_init__()
        rise = largest(self.rise)
        if self.three_phases and rise is not None and rise > 0.5:
            raise SettingError(
                f"OneCycle.rise = {rise:g} is outside (0, 0.5], which three_phases needs: the "
                "fall mirrors the rise"
            )

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """The rise, then the fall, each along the curve."""
        length = length_or(self.length, total)
        peak, end = maximum(length * self.rise - 1.0, 0.0), length - 1.0
        high = double(self.highest)
        low = high / self.divide
        final = low / self.final_divide
        rise = self._between(low, high, progress(time, 0.0, peak))
        if not self.three_phases:
            return where(time < peak, rise, self._between(high, final, progress(time, peak, end)))
        mirror = self._between(high, low, progress(time, peak, peak * 2.0))
        last = self._between(low, final, progress(time, peak * 2.0, end))
        return where(time < peak, rise, where(time < peak * 2.0, mirror, last))

    def _between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        rest = 1.0 - share if self.curve == "linear" else 0.5 * (cos(share * math.pi) + 1.0)
        return end + (begin - end) * rest

    def check(self, total_steps: int, steps_per_epoch: int = 1) -> None:
        """Refuse a cycle that is longer than the run, so that its fall would be cut off."""
        if updates_of(self.length, self.per, steps_per_epoch) > total_steps:
            raise SettingError(
                f"OneCycle.length = {length_text(self.length, self.per)} is longer than the run of "
                f"{run_text(total_steps, steps_per_epoch)}; 0 takes the whole run"
            )
