"""Initialisers: what parameters start from.

Symbols: M_in inputs and M_out outputs of a unit (:class:`Fans`), σ² the variance of the weights.
A uniform distribution U(-r, r) has variance r²/3, so that one of variance σ² has r = √(3σ²).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.descriptions import Description, family, option, register, setting
from thalweg.graph import Array, Shape

DISTRIBUTIONS = ("uniform", "normal")


class Fans(NamedTuple):
    """What an initialiser knows of a unit: its inputs, its outputs, the layer that follows."""

    inputs: int
    outputs: int
    following: Any = None


@family("initialiser")
@dataclass(frozen=True)
class Initialiser(Description):
    """The distribution that a parameter is drawn from at the start."""

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """A float64 array of a shape."""
        raise NotImplementedError(f"{type(self).__name__} has no sample method")


@register("initialiser", "zeros")
@dataclass(frozen=True)
class Zeros(Initialiser):
    """Zero everywhere: for biases.

    Weights that start equal stay equal (units of a layer get equal gradients), so weights need a
    random start.
    """

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Zeros."""
        return np.zeros(shape)


@register("initialiser", "constant")
@dataclass(frozen=True)
class Constant(Initialiser):
    """One number everywhere."""

    value: float = setting(0.0, help="the number")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """The number repeated."""
        return np.full(shape, self.value, np.float64)


@register("initialiser", "normal")
@dataclass(frozen=True)
class Normal(Initialiser):
    """N(mean, std²): Gaussian of fixed variance, whatever the layer's width.

    Args:
        std: standard deviation σ, ≥ 0.
        mean: the centre.
    """

    std: float = setting(0.01, low=0, help="standard deviation")
    mean: float = setting(0.0, help="centre")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Gaussian numbers."""
        return rng.normal(self.mean, self.std, shape)


@register("initialiser", "uniform")
@dataclass(frozen=True)
class Uniform(Initialiser):
    """U(-bound, bound): uniform of fixed variance σ² = bound²/3, so bound = √(3σ²).

    Args:
        bound: r, the largest magnitude, ≥ 0.
    """

    bound: float = setting(0.05, low=0, help="largest magnitude")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Uniform numbers."""
        return rng.uniform(-self.bound, self.bound, shape)


def _draw(rng: np.random.Generator, shape: Shape, variance: float, distribution: str) -> Array:
    """Numbers of mean 0 and a variance; uniform ones lie within √(3σ²)."""
    if distribution == "uniform":
        bound = math.sqrt(3 * variance)
        return rng.uniform(-bound, bound, shape)
    return rng.normal(0.0, math.sqrt(variance), shape)


@register("initialiser", "xavier")
@dataclass(frozen=True)
class Xavier(Initialiser):
    """σ² = gain² · 2 / (M_in + M_out); uniform: r = gain · √(6 / (M_in + M_out)).

    Keeps the variance of signals and of gradients about equal from layer to layer where the
    activation is near the identity around 0. For tanh the gain is 1; for the logistic function,
    whose slope at 0 is ¼, it is 4 (variance × 16).

    Args:
        distribution: uniform or normal.
        gain: factor on the standard deviation, ≥ 0.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    >>> rng = np.random.default_rng(0)
    >>> weights = Xavier().sample(rng, (300, 100), Fans(300, 100))
    >>> bool(np.abs(weights).max() <= np.sqrt(6 / 400)), round(float(weights.var() * 200), 1)
    (True, 1.0)
    """

    distribution: str = option("uniform", options=DISTRIBUTIONS, help="uniform or normal")
    gain: float = setting(1.0, low=0, help="factor on the standard deviation")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of variance gain² · 2 / (M_in + M_out)."""
        variance = self.gain**2 * 2 / max(fans.inputs + fans.outputs, 1)
        return _draw(rng, shape, variance, self.distribution)


@register("initialiser", "he")
@dataclass(frozen=True)
class He(Initialiser):
    """σ² = 2 / M with M the inputs (or outputs) of a unit; uniform: r = √(6 / M).

    Keeps the mean square of signals (or of gradients) equal from layer to layer of rectifiers,
    which let half of it through.

    Args:
        distribution: normal or uniform.
        mode: ``inputs`` keeps signals, ``outputs`` keeps gradients.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.
    """

    distribution: str = option("normal", options=DISTRIBUTIONS, help="normal or uniform")
    mode: str = option("inputs", options=("inputs", "outputs"), help="which width counts")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of variance 2 / M."""
        width = fans.inputs if self.mode == "inputs" else fans.outputs
        return _draw(rng, shape, 2 / max(width, 1), self.distribution)


@register("initialiser", "lecun")
@dataclass(frozen=True)
class LeCun(Initialiser):
    """σ² = 1 / M_in; uniform: r = √(3 / M_in).

    Keeps the variance of signals equal where the activation is near the identity.

    Args:
        distribution: normal or uniform.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    """

    distribution: str = option("normal", options=DISTRIBUTIONS, help="normal or uniform")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of variance 1 / M_in."""
        return _draw(rng, shape, 1 / max(fans.inputs, 1), self.distribution)


@register("initialiser", "auto")
@dataclass(frozen=True)
class Auto(Initialiser):
    """What the activation that follows asks for (its ``preferred_initialiser``).

    Rectifiers (ReLU and its kin) ask for :class:`He`, tanh for :class:`Xavier`, the logistic
    function for Xavier with gain 4; where nothing is asked for, as in an output layer, it is
    Xavier.
    """

    def choose(self, fans: Fans) -> Initialiser:
        """The initialiser that is used before the layer that follows.

        >>> Auto().choose(Fans(3, 4))
        Xavier(distribution='uniform', gain=1.0)
        """
        wanted = getattr(fans.following, "preferred_initialiser", None)
        return wanted if isinstance(wanted, Initialiser) else Xavier()

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of the chosen distribution."""
        return self.choose(fans).sample(rng, shape, fans)


__all__ = [
    "Auto",
    "Constant",
    "Fans",
    "He",
    "Initialiser",
    "LeCun",
    "Normal",
    "Uniform",
    "Xavier",
    "Zeros",
]
