"""Learning rates that fall, smoothly or in steps.

Symbols: η₀ the initial rate, η₁ the final one, t the time done so far (from 0), T the length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from thalweg.descriptions import option, register, setting
from thalweg.descriptions.constraints import numbers
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.ops.functions import cos, exp, floor, minimum, power, sqrt, where
from thalweg.optim.schedule import UNITS, Schedule, double, length_or


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
        return double(self.initial)


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
        return power(double(self.factor), floor(time / self.every)) * self.initial


@register("schedule", "piecewise")
@dataclass(frozen=True)
class PiecewiseConstant(Schedule):
    """η = η₀ Π βᵢ over the Tᵢ ≤ t: multiplied by βᵢ once Tᵢ epochs (or updates) are done.

    With ``of="initial"`` each factor is a share of η₀ and takes the place of the one before:
    η = η₀ βᵢ for Tᵢ ≤ t < Tᵢ₊₁. PyTorch's MultiStepLR and Optax multiply, and change at t = Tᵢ as
    here; Keras keeps the old rate at t = Tᵢ itself.

    Args:
        initial: η₀, the rate before T₁.
        boundaries: T₁ < T₂ < … < Tₘ, each > 0.
        factors: β₁ … βₘ, one for each boundary, each ≥ 0.
        of: what a factor multiplies: the ``previous`` rate or the ``initial`` one.
        per: what t and Tᵢ count.

    Raises:
        SettingError: boundaries that do not increase, or another number of factors.

    >>> schedule = PiecewiseConstant(1.0, boundaries=(2, 4), factors=(0.5, 0.1))
    >>> [round(float(schedule(t)), 3) for t in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.05, 0.05]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    boundaries: tuple[float, ...] = numbers(
        (30, 60, 90), low=0, low_open=True, increasing=True, help="T₁ … Tₘ, where the rate changes"
    )
    factors: tuple[float, ...] = numbers((0.1, 0.1, 0.1), low=0, help="β₁ … βₘ, by what")
    of: str = option("previous", options=("previous", "initial"), help="what factors multiply")
    per: str = option("epoch", options=UNITS, help="what t counts")

    def __post_init__(self) -> None:
        """Check that there is a factor for each boundary."""
        super().__post_init__()
        if len(self.boundaries) != len(self.factors):
            raise SettingError(
                f"PiecewiseConstant has {len(self.boundaries)} boundaries and "
                f"{len(self.factors)} factors; it needs one factor for each boundary (the rate "
                "before the first boundary is initial)"
            )

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ times the factors of all boundaries passed."""
        share = double(1.0)
        for boundary, factor in zip(self.boundaries, self.factors, strict=True):
            after = share * factor if self.of == "previous" else double(factor)
            share = where(time < boundary, share, after)
        return share * self.initial


@register("schedule", "inverse_time")
@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """η = η₀ / (1 + βt).

    >>> [round(float(InverseTimeDecay(1.0, decay=0.5)(t)), 3) for t in range(4)]
    [1.0, 0.667, 0.5, 0.4]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    decay: float = setting(0.01, low=0, help="β")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ / (1 + βt)."""
        return double(self.initial) / (time * self.decay + 1.0)


@register("schedule", "exponential")
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """η = η₀ βᵗ.

    >>> [float(ExponentialDecay(1.0, factor=0.5)(t)) for t in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    factor: float = setting(0.95, low=0, high=1, help="β")
    per: str = option("epoch", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ βᵗ."""
        return power(double(self.factor), time) * self.initial


@register("schedule", "natural_exponential")
@dataclass(frozen=True)
class NaturalExponentialDecay(Schedule):
    """η = η₀ e^(-βt).

    >>> [round(float(NaturalExponentialDecay(1.0, decay=0.5)(t)), 3) for t in range(3)]
    [1.0, 0.607, 0.368]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    decay: float = setting(0.05, low=0, help="β")
    per: str = option("epoch", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ e^(-βt)."""
        return exp(-time * self.decay) * self.initial


@register("schedule", "inverse_root")
@dataclass(frozen=True)
class InverseRootDecay(Schedule):
    """η = η₀ √s / √(t + s): η₀ / √t with t counted from s, so that the rate begins at η₀.

    With s = 1 it is η₀ / √1, η₀ / √2, η₀ / √3, …

    >>> [round(float(InverseRootDecay(1.0)(t)), 3) for t in range(4)]
    [1.0, 0.707, 0.577, 0.5]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    offset: float = setting(1.0, low=0, low_open=True, help="s, where t begins")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ √(s / (t + s))."""
        offset = double(self.offset)
        return sqrt(offset / (time + offset)) * self.initial


@register("schedule", "linear")
@dataclass(frozen=True)
class LinearDecay(Schedule):
    """η = η₀ + (η₁ - η₀) t / T, and η₁ from T on; it may rise as well.

    Args:
        initial: η₀.
        length: T; 0 means the whole run.
        final: η₁.
        per: what t and T count.

    >>> [round(float(LinearDecay(1.0, length=4)(t)), 3) for t in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    length: float = setting(0, low=0, help="T; 0 for the whole run")
    final: float = setting(0.0, low=0, help="η₁")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₁ + (η₀ - η₁)(1 - t/T)."""
        rest = 1.0 - minimum(time / length_or(self.length, total), 1.0)
        return rest * (double(self.initial) - self.final) + self.final


@register("schedule", "polynomial")
@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """η = η₁ + (η₀ - η₁)(1 - t / T)ᵖ, and η₁ from T on.

    Args:
        initial: η₀.
        length: T; 0 means the whole run.
        exponent: p > 0; 1 is a straight line.
        final: η₁.
        per: what t and T count.

    >>> [round(float(PolynomialDecay(1.0, length=4, exponent=2)(t)), 3) for t in range(6)]
    [1.0, 0.562, 0.25, 0.062, 0.0, 0.0]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    length: float = setting(0, low=0, help="T; 0 for the whole run")
    exponent: float = setting(2.0, low=0, low_open=True, help="p")
    final: float = setting(0.0, low=0, help="η₁")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₁ + (η₀ - η₁)(1 - t/T)ᵖ."""
        rest = 1.0 - minimum(time / length_or(self.length, total), 1.0)
        return power(rest, double(self.exponent)) * (double(self.initial) - self.final) + self.final


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
        share = minimum(time / length_or(self.length, total), 1.0)
        wave = 0.5 * (cos(share * math.pi) + 1.0)
        return wave * (double(self.initial) - self.final) + self.final


@register("schedule", "geometric")
@dataclass(frozen=True)
class Geometric(Schedule):
    """η = η₀ (η₁ / η₀)^(t / T), and η₁ from T on: even steps on a logarithmic scale.

    The ramp of the learning-rate range test; with η₁ < η₀ a decay to a given end.

    Args:
        initial: η₀ > 0.
        final: η₁ > 0.
        length: T; 0 means the whole run.
        per: what t and T count.

    >>> [round(float(Geometric(0.001, final=1.0, length=3)(t)), 3) for t in range(5)]
    [0.001, 0.01, 0.1, 1.0, 1.0]
    """

    initial: float = setting(1e-7, low=0, low_open=True, help="η₀")
    final: float = setting(10.0, low=0, low_open=True, help="η₁")
    length: float = setting(0, low=0, help="T; 0 for the whole run")
    per: str = option("update", options=UNITS, help="what t counts")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ (η₁/η₀)^(t/T)."""
        share = minimum(time / length_or(self.length, total), 1.0)
        return power(double(self.final) / self.initial, share) * self.initial
