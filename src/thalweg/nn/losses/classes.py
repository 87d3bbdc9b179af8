"""Losses of K classes: from net inputs z (N, K), with ŷ = softmax(z)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import option, register, setting
from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Tensor, as_tensor
from thalweg.nn.functional import softmax, softplus
from thalweg.nn.losses.base import Loss, float_outputs, nan_unless, require, stripped
from thalweg.nn.losses.smoothing import SmoothedLoss
from thalweg.ops import functions as ops


def check_classes(name: str, net: Tensor, targets: Tensor, *, indices_only: bool = False) -> None:
    """Refuse outputs that are not (N, K), and targets that are no classes of theirs."""
    if net.ndim != 2 or net.shape[1] < 2:
        raise ShapeError(
            f"{name} takes outputs (N, K) with K ≥ 2 classes, got {net.type}; "
            f"for two classes and one output use {_FOR_TWO.get(name, 'binary_cross_entropy')}"
        )
    if targets.shape == net.shape and not indices_only:
        return
    if stripped(targets.shape) != net.shape[:1]:
        either = "" if indices_only else f" or probabilities {net.shape}"
        raise ShapeError(
            f"{name}: outputs {net.type} and targets {targets.type} do not fit; give class "
            f"indices {net.shape[:1]}{either}"
        )
    if targets.type.is_float:
        raise DTypeError(
            f"{name} takes class indices of an integer type, got {targets.type}; convert "
            "them with astype('int64'), or use squared_error for numbers"
        )
    high = net.shape[1] - 1

    def is_class(y: Array) -> Array:
        return np.logical_and(y >= 0, y <= high)

    require(name, targets, is_class, f"no class in 0 … {high}")


_FOR_TWO = {
    "brier": "binary_brier",
    "multi_class_hinge": "hinge",
    "multi_class_perceptron": "perceptron",
}


def class_hits(net: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Where each row's class is, (N, K), and whether it has one, (N,)."""
    indices = targets.reshape(net.shape[0]).astype("int64")
    hits = indices[:, None] == ops.arange(net.shape[1])
    return hits, (indices >= 0) & (indices < net.shape[1])


def largest_other(net: Tensor, hits: Tensor) -> Tensor:
    """The largest net input of the other classes, (N,)."""
    return ops.where(hits, -np.inf, net).max(1)


@register("loss", "cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(SmoothedLoss):
    """l = -Σ_k y_k log ŷ_k with ŷ = softmax(z), computed from z without overflow.

    Its derivative in z is ŷ - y (for targets of sum 1).

    Args:
        label_smoothing: ε in [0, 1), a number: targets become a little uncertain, so that z need
            not grow without end. It is kept as ``(ε,)``, and 0 as ``()``.
        smoothing_convention: ``uniform``: (1 - ε) y + ε / K, as PyTorch and Keras do; ``share``:
            1 - ε for the true class and ε / (K - 1) for each of the others.

    Shape:
        outputs z (N, K), K ≥ 2; targets: class indices 0 … K-1, (N,) of an integer type, or
        probabilities (N, K).

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: class indices that are not of an integer type.
        DataError: an index that is no class (a traced target cannot be looked at: there the
            loss is NaN).

    Source: for the smoothing, Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the
    Inception architecture for computer vision", 2016.

    >>> round(float(CrossEntropy()([[0.0, 0.0], [100.0, 0.0]], [0, 0])), 4)
    0.3466
    >>> round(float(CrossEntropy(0.1)([[100.0, 0.0]], [0])), 4)
    5.0
    """

    kind = "classes"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The cross entropy of each row, (N,)."""
        net, wanted = float_outputs("cross_entropy", outputs), as_tensor(targets)
        check_classes("cross_entropy", net, wanted)
        shifted = net - ops.stop_gradient(net.max(1, keepdims=True))
        log_sum = ops.log(ops.exp(shifted).sum(1, keepdims=True))
        if wanted.shape == net.shape:
            shares = wanted.astype(net.dtype)
            if self.label_smoothing:
                shares = self.smoothed(shares, net.shape[1])
            return (shares * (log_sum - shifted)).sum(1)
        hits, valid = class_hits(net, wanted)
        if self.label_smoothing:
            shares = self.smoothed(hits.astype(net.dtype), net.shape[1])
            return (shares * (log_sum - shifted)).sum(1) + nan_unless(valid, net.dtype)
        chosen = ops.where(hits, shifted, 0.0).sum(1)
        return log_sum[:, 0] - chosen + nan_unless(valid, net.dtype)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K)."""
        return softmax(outputs)


@register("loss", "kl_divergence")
@dataclass(frozen=True)
class KLDivergence(Loss):
    """l = Σ_k y_k log(y_k / ŷ_k) with ŷ = softmax(z): cross entropy minus the targets' entropy.

    It is 0 where prediction and target agree; gradients are those of cross entropy. With class
    indices it is cross entropy itself. PyTorch's ``kl_div`` takes log ŷ in place of z.

    Shape:
        outputs z (N, K), K ≥ 2; targets: probabilities (N, K), or class indices (N,).

    Raises:
        ShapeError, DTypeError, DataError: as :class:`CrossEntropy`.

    Source: Kullback and Leibler, "On information and sufficiency", 1951.

    >>> float(KLDivergence()([[0.0, 0.0]], [[0.5, 0.5]]))
    0.0
    """

    kind = "classes"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The divergence of each row, (N,)."""
        net, wanted = float_outputs("kl_divergence", outputs), as_tensor(targets)
        check_classes("kl_divergence", net, wanted)
        crossed = CrossEntropy().values(net, wanted)
        if wanted.shape != net.shape:
            return crossed
        shares = wanted.astype(net.dtype)
        logarithms = ops.log(ops.where(shares > 0, shares, 1.0))
        return crossed + (shares * logarithms).sum(1)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K)."""
        return softmax(outputs)


@register("loss", "focal")
@dataclass(frozen=True)
class Focal(Loss):
    """l = -(1 - ŷ_c)^γ log ŷ_c with ŷ = softmax(z) and c the true class: easy rows count less.

    γ = 0 is cross entropy. Computed from z_c - log Σ over k ≠ c of e^z_k, so that it keeps its
    digits where ŷ_c is near 0 or 1. The factor α of the source is a class weight:
    ``fit(..., class_weight=...)``.

    Args:
        gamma: γ ≥ 0.

    Shape:
        outputs z (N, K), K ≥ 2; targets: class indices (N,).

    Raises:
        ShapeError, DTypeError, DataError: as :class:`CrossEntropy`.

    Source: Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", 2017.

    >>> round(float(Focal(2.0)([[0.0, 0.0]], [0])), 4)
    0.1733
    """

    kind = "classes"

    gamma: float = setting(2.0, low=0, help="γ, how much less easy rows count")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The focal loss of each row, (N,)."""
        net, wanted = float_outputs("focal", outputs), as_tensor(targets)
        check_classes("focal", net, wanted, indices_only=True)
        hits, valid = class_hits(net, wanted)
        shifted = net - ops.stop_gradient(largest_other(net, hits))[:, None]
        powers = ops.exp(ops.where(hits, 0.0, shifted))
        others = ops.log(ops.where(hits, 0.0, powers).sum(1))
        lead = ops.where(hits, shifted, 0.0).sum(1) - others  # ŷ_c = σ(lead)
        gamma = as_tensor(self.gamma, net.dtype)
        loss = ops.exp(-gamma * softplus(lead)) * softplus(-lead)
        return loss + nan_unless(valid, net.dtype)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K)."""
        return softmax(outputs)


@register("loss", "brier")
@dataclass(frozen=True)
class Brier(Loss):
    """l = Σ_k (y_k - ŷ_k)², or its mean over k, with ŷ = softmax(z): squares of probabilities.

    A proper score, in [0, 2] as a sum, but slow to train by: its derivative in z holds the factor
    ŷ_k, so that it vanishes where the network is sure, however wrong it is. Cross entropy's does
    not.

    Args:
        form: ``sum``, the score's definition, or ``mean``, which is squared error on softmax
            outputs as PyTorch and Keras compute it.

    Shape:
        outputs z (N, K), K ≥ 2; targets: class indices (N,), or probabilities (N, K).

    Raises:
        ShapeError, DTypeError, DataError: as :class:`CrossEntropy`.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.

    >>> float(Brier()([[0.0, 0.0], [100.0, 0.0]], [0, 1]))
    1.25
    """

    kind = "classes"

    form: str = option("sum", options=("sum", "mean"), help="over classes")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The score of each row, (N,)."""
        net, wanted = float_outputs("brier", outputs), as_tensor(targets)
        check_classes("brier", net, wanted)
        if wanted.shape == net.shape:
            return self._over_classes(ops.square(softmax(net) - wanted.astype(net.dtype)))
        hits, valid = class_hits(net, wanted)
        squares = ops.square(softmax(net) - hits.astype(net.dtype))
        return self._over_classes(squares) + nan_unless(valid, net.dtype)

    def _over_classes(self, squares: Tensor) -> Tensor:
        return squares.sum(1) if self.form == "sum" else squares.mean(1)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K)."""
        return softmax(outputs)
