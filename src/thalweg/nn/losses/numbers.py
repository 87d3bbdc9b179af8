"""Losses of numbers: squared, absolute and robust errors, and likelihoods.

Symbols: y targets, ŷ outputs, r = ŷ - y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from thalweg.descriptions import flag, option, register, setting
from thalweg.errors import ShapeError
from thalweg.graph import Tensor, as_tensor
from thalweg.nn.functional import softplus
from thalweg.nn.losses.base import (
    Loss,
    float_outputs,
    nan_unless,
    paired,
    require,
    rows_of,
    stripped,
)
from thalweg.ops import functions as ops

_LARGEST_LOG_RATE = 70.0
"""e⁷⁰ ≈ 2.5·10³⁰: the rate where float32 is still far from its end."""


@register("loss", "squared_error")
@dataclass(frozen=True)
class SquaredError(Loss):
    """l = mean over outputs of (y - ŷ)², or ½ Σ (y - ŷ)².

    The negative log likelihood of a Gaussian of fixed variance, up to constants.

    Args:
        form: ``mean`` (the usual), or ``half_sum``, whose derivative in ŷ is ŷ - y.

    Shape:
        outputs and targets (N, …) alike; (N,) fits (N, 1).

    >>> float(SquaredError()([[1.0], [3.0]], [1.0, 1.0]))
    2.0
    """

    form: str = option("mean", options=("mean", "half_sum"), help="mean or half the sum")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The squared error of each row, (N,)."""
        predicted, wanted = paired("squared_error", outputs, targets)
        squares = ops.square(predicted - wanted)
        return squares.mean(1) if self.form == "mean" else 0.5 * squares.sum(1)


@register("loss", "absolute_error")
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """l = mean over outputs of |y - ŷ|; derivative 0 at ŷ = y.

    The best constant prediction is the median, so that outliers count less than by their square.

    Shape:
        outputs and targets (N, …) alike; (N,) fits (N, 1).

    >>> float(AbsoluteError()([1.0, 4.0], [1.0, 1.0]))
    1.5
    """

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The absolute error of each row, (N,)."""
        predicted, wanted = paired("absolute_error", outputs, targets)
        return ops.absolute(predicted - wanted).mean(1)


@register("loss", "huber")
@dataclass(frozen=True)
class Huber(Loss):
    """l = mean over outputs of ½r² where |r| ≤ δ, else δ(|r| - ½δ): squares near, lines far.

    The derivative is r limited to [-δ, δ], so that no outlier pulls harder than δ. PyTorch's
    ``smooth_l1_loss`` is this divided by δ.

    Args:
        delta: δ > 0.

    Shape:
        outputs and targets (N, …) alike; (N,) fits (N, 1).

    Source: Huber, "Robust estimation of a location parameter", 1964.

    >>> Huber(1.0).values([0.5, 3.0], [0.0, 0.0])
    Tensor([0.125 2.5  ], float32)
    """

    delta: float = setting(1.0, low=0, low_open=True, help="δ, where squares end")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The Huber loss of each row, (N,)."""
        predicted, wanted = paired("huber", outputs, targets)
        residual = predicted - wanted
        delta = as_tensor(self.delta, residual.dtype)
        limited = ops.clip(residual, -delta, delta)
        return (limited * (residual - 0.5 * limited)).mean(1)


@register("loss", "log_cosh")
@dataclass(frozen=True)
class LogCosh(Loss):
    """l = mean over outputs of log cosh r: about ½r² near 0 and |r| - log 2 far away.

    The derivative is tanh r. Computed as -½ log(1 - tanh² r) for |r| < 1, so that small errors keep
    their digits, and as |r| + log(1 + e^(-2|r|)) - log 2 beyond.

    Shape:
        outputs and targets (N, …) alike; (N,) fits (N, 1).

    Source: Green, "Bayesian reconstructions from emission tomography data using a modified EM
    algorithm", 1990.

    >>> LogCosh().values([0.0, 1000.0], [0.0, 0.0])
    Tensor([  0.     999.3068], float32)
    """

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The log cosh of each row's errors, (N,)."""
        predicted, wanted = paired("log_cosh", outputs, targets)
        residual = predicted - wanted
        size = ops.absolute(residual)
        is_near = size < 1.0
        slope = ops.tanh(ops.where(is_near, residual, 0.0))
        near = -0.5 * ops.log1p(-ops.square(slope))
        distance = ops.where(is_near, 1.0, size)
        far = distance + (ops.log1p(ops.exp(-2.0 * distance)) - math.log(2.0))
        return ops.where(is_near, near, far).mean(1)


# ------------------------------------------------------------------ likelihoods


@register("loss", "gaussian_nll")
@dataclass(frozen=True)
class GaussianNLL(Loss):
    """l = mean over targets of ½ (log σ² + (y - μ)² / σ²): a mean and a variance are learned.

    The network has two outputs for each target: the first M are means μ, the last M are numbers s
    that give variances, σ² = v + eˢ or v + log(1 + eˢ), with a small v > 0 that keeps the loss
    bounded. So the last layer for one target is ``Linear(2)``. ``predict`` gives μ;
    :meth:`deviation` gives σ; of a model, :meth:`Model.deviation` gives it in the target's unit.
    PyTorch's ``gaussian_nll_loss`` takes σ² itself and limits it to at least ``eps``.

    Args:
        link: ``exp`` (s is about log σ²) or ``softplus``.
        floor: v > 0, the least variance.
        full: add the constant ½ log 2π.

    Shape:
        outputs (N, 2M); targets (N, M), or (N,) for M = 1.

    Raises:
        ShapeError: not two outputs for each target.

    Source: Nix and Weigend, "Estimating the mean and variance of the target probability
    distribution", 1994.

    >>> loss = GaussianNLL()
    >>> round(float(loss([[1.0, 0.0], [3.0, 0.0]], [1.0, 1.0])), 4)
    1.0
    >>> loss.predict([[3.0, 0.0]]), loss.deviation([[3.0, 0.0]])
    (Tensor([[3.]], float32), Tensor([[1.0000005]], float32))
    """

    outputs_per_number = 2

    link: str = option("exp", options=("exp", "softplus"), help="from outputs to variances")
    floor: float = setting(1e-6, low=0, low_open=True, help="v, the least variance")
    full: bool = flag(False, help="add ½ log 2π")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The negative log likelihood of each row, (N,)."""
        mean, raw = self._parts(outputs)
        wanted = as_tensor(targets)
        if stripped(wanted.shape) != stripped(mean.shape):
            raise ShapeError(
                f"gaussian_nll: outputs {as_tensor(outputs).type} hold means {mean.shape}, but the "
                f"targets are {wanted.type}; give the last layer two outputs for each target"
            )
        log_variance = self._log_variance(raw)
        residual = mean - rows_of(wanted.astype(mean.dtype))
        scaled = ops.square(residual * ops.exp(-0.5 * log_variance))
        constant = math.log(2 * math.pi) if self.full else 0.0
        return 0.5 * (log_variance + scaled + constant).mean(1)

    def _parts(self, outputs: Any) -> tuple[Tensor, Tensor]:
        net = float_outputs("gaussian_nll", outputs)
        if net.ndim != 2 or net.shape[1] % 2 or not net.shape[1]:
            raise ShapeError(
                "gaussian_nll takes outputs (N, 2M), a mean and a variance for each of M targets, "
                f"got {net.type}; for one target end the network with Linear(2)"
            )
        half = net.shape[1] // 2
        return net[:, :half], net[:, half:]

    def _log_variance(self, raw: Tensor) -> Tensor:
        floor = as_tensor(self.floor, raw.dtype)
        if self.link == "exp":
            return raw + softplus(ops.log(floor) - raw)
        return ops.log(floor + softplus(raw))

    def predict(self, outputs: Any) -> Tensor:
        """The means μ, (N, M)."""
        return self._parts(outputs)[0]

    def deviation(self, outputs: Any) -> Tensor:
        """The standard deviations σ, (N, M)."""
        return ops.exp(0.5 * self._log_variance(self._parts(outputs)[1]))


@register("loss", "poisson_nll")
@dataclass(frozen=True)
class PoissonNLL(Loss):
    """l = mean over outputs of λ - y log λ, for counts y of rate λ = eᶻ or log(1 + eᶻ).

    ``predict`` gives λ. Beyond z = 70 (a rate of 10³⁰) eᶻ goes on as its tangent, so that the loss
    stays finite. With ``softplus`` the logarithm is log(λ + 10⁻⁸).

    Args:
        link: ``exp``: outputs are log rates, PyTorch's ``log_input=True``; or ``softplus``.
        full: add Stirling's y log y - y + ½ log 2πy for y > 1, about log y!, as PyTorch does.

    Shape:
        outputs z and targets (N, …) alike; (N,) fits (N, 1).

    Raises:
        DataError: a target below 0 (a traced target cannot be looked at: there the loss is NaN).

    Source: Nelder and Wedderburn, "Generalized linear models", 1972.

    >>> float(PoissonNLL()([0.0, 0.0], [2, 5])), float(PoissonNLL().predict([0.0])[0])
    (1.0, 1.0)
    """

    standardised = False

    link: str = option("exp", options=("exp", "softplus"), help="from outputs to rates")
    full: bool = flag(False, help="add Stirling's approximation of log y!")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The negative log likelihood of each row, (N,)."""
        net, counts = paired("poisson_nll", outputs, targets)
        self.check_targets(counts)
        if self.link == "exp":
            limited = ops.minimum(net, _LARGEST_LOG_RATE)
            loss = ops.exp(limited) * (1.0 + (net - limited)) - counts * net
        else:
            rate = softplus(net)
            loss = rate - counts * ops.log(rate + 1e-8)
        if self.full:
            loss = loss + _stirling(counts)
        return (loss + nan_unless(counts >= 0, net.dtype)).mean(1)

    def check_targets(self, targets: Any) -> None:
        """Refuse a count below 0."""
        require("poisson_nll", targets, lambda y: y >= 0, "no count of at least 0")

    def predict(self, outputs: Any) -> Tensor:
        """The rates λ, of the outputs' shape."""
        net = float_outputs("poisson_nll", outputs)
        return ops.exp(ops.minimum(net, _LARGEST_LOG_RATE)) if self.link == "exp" else softplus(net)


def _stirling(counts: Tensor) -> Tensor:
    """Y log y - y + ½ log 2πy where y > 1, else 0."""
    large = ops.where(counts > 1, counts, 1.0)
    logarithm = ops.log(large)
    series = large * logarithm - large + 0.5 * (logarithm + math.log(2 * math.pi))
    return ops.where(counts > 1, series, 0.0)
