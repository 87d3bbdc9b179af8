"""Initialisers whose numbers do not depend on a layer's width: constants and fixed variances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.descriptions import flag, register, setting
from thalweg.graph import Array, Shape
from thalweg.nn.initialisers.base import Fans, Initialiser


@register("initialiser", "zeros")
@dataclass(frozen=True)
class Zeros(Initialiser):
    """Zero everywhere: for biases.

    Weights that start equal stay equal (units of a layer get equal gradients), so weights need a
    random start.

    >>> Zeros().sample(np.random.default_rng(0), (2,), Fans(3, 2))
    array([0., 0.])
    """

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Zeros."""
        return np.zeros(shape)


@register("initialiser", "constant")
@dataclass(frozen=True)
class Constant(Initialiser):
    """One number everywhere.

    ``Linear(64, bias_start=Constant(0.01))`` is sometimes put in front of rectifiers, so that all
    units pass something at first. For weights it is as bad as :class:`Zeros`.

    Args:
        value: the number.

    >>> Constant(0.01).sample(np.random.default_rng(0), (2,), Fans(3, 2))
    array([0.01, 0.01])
    """

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

    >>> weights = Normal(0.1).sample(np.random.default_rng(0), (300, 100), Fans(300, 100))
    >>> round(float(weights.std()), 2)
    0.1
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

    >>> weights = Uniform(0.3).sample(np.random.default_rng(0), (300, 100), Fans(300, 100))
    >>> bool(np.abs(weights).max() <= 0.3), round(float(weights.var()), 2)
    (True, 0.03)
    """

    bound: float = setting(0.05, low=0, help="largest magnitude")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Uniform numbers."""
        return rng.uniform(-self.bound, self.bound, shape)


@register("initialiser", "truncated_normal")
@dataclass(frozen=True)
class TruncatedNormal(Initialiser):
    """N(mean, std²) without what lies more than ``bound`` standard deviations from the mean.

    What remains has a smaller variance than std², 0.774 of it for bound 2. With ``corrected`` the
    Gaussian is so much wider that std is the deviation of what remains, as Keras and JAX do in
    their scaled initialisers; their plain truncated normal is not corrected. PyTorch's
    ``trunc_normal_`` is not corrected either, and its limits are values, not deviations.

    Args:
        std: standard deviation σ, ≥ 0.
        mean: the centre.
        bound: in standard deviations of the Gaussian, > 0.
        corrected: whether σ is that of what remains.

    Source: Abadi, Barham and others, "TensorFlow: a system for large-scale machine learning", 2016.

    >>> weights = TruncatedNormal(1.0).sample(np.random.default_rng(0), (300, 100), Fans(300, 100))
    >>> bool(np.abs(weights).max() <= 2), round(float(weights.var()), 2)
    (True, 0.77)
    """

    std: float = setting(0.01, low=0, help="standard deviation")
    mean: float = setting(0.0, help="centre")
    bound: float = setting(2.0, low=0, low_open=True, help="largest distance, in deviations")
    corrected: bool = flag(False, help="std is the deviation of what remains")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Gaussian numbers within the bound."""
        std = self.std / truncated_deviation(self.bound) if self.corrected else self.std
        return self.mean + std * truncated_gaussian(rng, shape, self.bound)


def truncated_gaussian(rng: np.random.Generator, shape: Shape, bound: float) -> Array:
    """Standard Gaussian numbers within [-bound, bound], by inversion of their distribution."""
    from scipy.special import ndtr, ndtri

    low = float(ndtr(-bound))
    drawn: Array = np.asarray(ndtri(rng.uniform(low, 1 - low, shape)), np.float64)
    return np.clip(drawn, -bound, bound)


def truncated_deviation(bound: float) -> float:
    """The standard deviation of a standard Gaussian cut at ±b: √(1 - 2bφ(b) / (2Φ(b) - 1)).

    >>> round(truncated_deviation(2.0), 5)
    0.87963
    """
    if bound < 0.01:  # nearly uniform; the formula would lose its digits
        return bound / math.sqrt(3.0)
    density = math.exp(-0.5 * bound * bound) / math.sqrt(2 * math.pi)
    return math.sqrt(1 - 2 * bound * density / math.erf(bound / math.sqrt(2)))
