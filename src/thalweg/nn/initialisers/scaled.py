"""Initialisers whose variance follows from the widths: M_in inputs and M_out outputs of a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.descriptions import option, register, setting
from thalweg.graph import Array, Shape
from thalweg.nn.initialisers.base import Fans, Initialiser
from thalweg.nn.initialisers.fixed import truncated_deviation, truncated_gaussian

DISTRIBUTIONS = ("uniform", "normal")


def draw(rng: np.random.Generator, shape: Shape, variance: float, distribution: str) -> Array:
    """Numbers of mean 0 and a variance; uniform ones lie within √(3σ²)."""
    if distribution == "uniform":
        bound = math.sqrt(3 * variance)
        return rng.uniform(-bound, bound, shape)
    if distribution == "truncated_normal":
        std = math.sqrt(variance) / truncated_deviation(2.0)
        return std * truncated_gaussian(rng, shape, 2.0)
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
        return draw(rng, shape, variance, self.distribution)


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

    >>> weights = He().sample(np.random.default_rng(0), (300, 100), Fans(300, 100))
    >>> round(float(weights.var() * 300), 1)
    2.0
    """

    distribution: str = option("normal", options=DISTRIBUTIONS, help="normal or uniform")
    mode: str = option("inputs", options=("inputs", "outputs"), help="which width counts")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of variance 2 / M."""
        width = fans.inputs if self.mode == "inputs" else fans.outputs
        return draw(rng, shape, 2 / max(width, 1), self.distribution)


@register("initialiser", "lecun")
@dataclass(frozen=True)
class LeCun(Initialiser):
    """σ² = 1 / M_in; uniform: r = √(3 / M_in).

    Keeps the variance of signals equal where the activation is near the identity.

    Args:
        distribution: normal or uniform.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    >>> weights = LeCun().sample(np.random.default_rng(0), (300, 100), Fans(300, 100))
    >>> round(float(weights.var() * 300), 1)
    1.0
    """

    distribution: str = option("normal", options=DISTRIBUTIONS, help="normal or uniform")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of variance 1 / M_in."""
        return draw(rng, shape, 1 / max(fans.inputs, 1), self.distribution)


@register("initialiser", "variance_scaling")
@dataclass(frozen=True)
class VarianceScaling(Initialiser):
    """σ² = scale / M with M the inputs of a unit, its outputs, or their average: the general form.

    :class:`LeCun` is scale 1 with inputs, :class:`He` scale 2 with inputs, :class:`Xavier` scale
    gain² with the average. The truncated normal distribution is cut at two deviations and made
    wider, so that σ² is the variance of what remains: with it the three are ``lecun_normal``,
    ``he_normal`` and ``glorot_normal`` of Keras.

    Args:
        scale: ≥ 0.
        mode: which width counts: ``inputs``, ``outputs`` or ``average``.
        distribution: ``truncated_normal``, ``normal`` or ``uniform``, with r = √(3 scale / M).

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.

    >>> weights = VarianceScaling(2.0).sample(np.random.default_rng(0), (300, 100), Fans(300, 100))
    >>> round(float(weights.var() * 300), 1)
    2.0
    """

    scale: float = setting(1.0, low=0, help="factor on the variance")
    mode: str = option(
        "inputs", options=("inputs", "outputs", "average"), help="which width counts"
    )
    distribution: str = option(
        "truncated_normal",
        options=("truncated_normal", "normal", "uniform"),
        help="shape of the distribution",
    )

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of variance scale / M."""
        widths = {
            "inputs": fans.inputs,
            "outputs": fans.outputs,
            "average": (fans.inputs + fans.outputs) / 2,
        }
        return draw(rng, shape, self.scale / max(widths[self.mode], 1), self.distribution)
