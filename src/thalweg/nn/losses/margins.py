"""Losses of margins: how far a net input is on the right side.

Symbols: t = ±1 for a label of two classes, tz the margin; c the true class of K, z_c its net
input. What these losses ``predict`` for classes are σ(z) and softmax(z): in the right order, and
right at ½, but no estimates of probabilities, for margins fit none. The tanh form is an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import flag, option, register, setting
from thalweg.graph import Array, Tensor, as_tensor
from thalweg.nn.functional import logistic, softmax, softplus
from thalweg.nn.losses.base import Loss, float_outputs, nan_unless, paired, require
from thalweg.nn.losses.classes import check_classes, class_hits, largest_other
from thalweg.ops import functions as ops


def _is_sign(y: Array) -> Array:
    return np.isin(y, (-1, 0, 1))


def _require_signs(name: str, targets: Any) -> None:
    require(name, targets, _is_sign, "no label: labels are 0 and 1, or -1 and 1")


def _margins(name: str, outputs: Any, targets: Any) -> Tensor:
    """The margins tz, (N, L); NaN for what is no label."""
    net, wanted = paired(name, outputs, targets)
    _require_signs(name, wanted)
    valid = (wanted == 1) | (wanted == 0) | (wanted == -1)
    signs = ops.where(wanted > 0, as_tensor(1.0, net.dtype), -1.0)
    return net * (signs + nan_unless(valid, net.dtype))


def _positive_part(x: Tensor, *, squared: bool = False) -> Tensor:
    """max(0, x), or its square; the derivative at x = 0 is that of the right side."""
    part = ops.maximum(0.0, x)
    return ops.square(part) if squared else part


# ------------------------------------------------------------------ two classes


@register("loss", "hinge")
@dataclass(frozen=True)
class Hinge(Loss):
    """l = Σ over labels of max(0, m - tz), or of its square: right by at least m costs nothing.

    The loss of a support vector machine. At tz = m the derivative is -t.

    Args:
        squared: square each label's loss.
        margin: m > 0.

    Shape:
        outputs z (N,), (N, 1) or (N, L); targets of the same shape ((N,) fits (N, 1)): 0 and 1,
        or -1 and 1, or booleans.

    Raises:
        ShapeError: the shapes do not fit.
        DataError: another label (a traced one cannot be looked at: there the loss is NaN).

    Source: Cortes and Vapnik, "Support-vector networks", 1995.

    >>> Hinge().values([0.5, 0.5, 2.0], [1, 0, 1])
    Tensor([0.5 1.5 0. ], float32)
    """

    kind = "binary"

    squared: bool = flag(False, help="square each label's loss")
    margin: float = setting(1.0, low=0, low_open=True, help="m, the margin that is asked for")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The hinge loss of each row, summed over its labels, (N,)."""
        margins = _margins("hinge", outputs, targets)
        short = as_tensor(self.margin, margins.dtype) - margins
        return _positive_part(short, squared=self.squared).sum(1)

    def check_targets(self, targets: Any) -> None:
        """Refuse what is no label."""
        _require_signs("hinge", targets)

    def predict(self, outputs: Any) -> Tensor:
        """σ(z), of the outputs' shape: above ½ where z > 0, but no estimate of a probability."""
        return logistic(outputs)


@register("loss", "perceptron")
@dataclass(frozen=True)
class PerceptronLoss(Loss):
    """l = Σ over labels of max(0, -tz): only what is wrong is corrected.

    The derivative is -t where tz ≤ 0, at 0 too, so that a network that starts from zeros learns;
    elsewhere it is 0. With one row a batch, ``Linear(1)`` and gradient descent of rate 1 it is
    the perceptron algorithm.

    Shape:
        outputs z (N,), (N, 1) or (N, L); targets of the same shape ((N,) fits (N, 1)): 0 and 1,
        or -1 and 1, or booleans.

    Raises:
        ShapeError, DataError: as :class:`Hinge`.

    Source: Rosenblatt, "The perceptron: a probabilistic model for information storage and
    organization in the brain", 1958.

    >>> PerceptronLoss().values([0.5, 0.5], [1, 0])
    Tensor([0.  0.5], float32)
    """

    kind = "binary"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The perceptron loss of each row, summed over its labels, (N,)."""
        return _positive_part(-_margins("perceptron", outputs, targets)).sum(1)

    def check_targets(self, targets: Any) -> None:
        """Refuse what is no label."""
        _require_signs("perceptron", targets)

    def predict(self, outputs: Any) -> Tensor:
        """σ(z), of the outputs' shape: above ½ where z > 0, but no estimate of a probability."""
        return logistic(outputs)


@register("loss", "tanh_cross_entropy")
@dataclass(frozen=True)
class TanhCrossEntropy(Loss):
    """l = Σ over labels of -log ½(1 + tŷ) with ŷ = tanh z: likelihood of a tanh output, t = ±1.

    Computed from z as log(1 + e^(-2tz)); its derivative in z is ŷ - t. It is binary cross entropy
    of 2z, for (1 + tanh z) / 2 = σ(2z), which is the probability that it predicts. End the network
    without a Tanh: the loss applies it.

    Shape:
        outputs z (N,), (N, 1) or (N, L); targets of the same shape ((N,) fits (N, 1)): 0 and 1,
        or -1 and 1, or booleans.

    Raises:
        ShapeError, DataError: as :class:`Hinge`.

    Source: Bishop, "Pattern recognition and machine learning", 2006, chapter 5.

    >>> round(float(TanhCrossEntropy()([0.0, 100.0], [-1, 1])), 4)
    0.3466
    """

    kind = "binary"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of each row, summed over its labels, (N,)."""
        return softplus(-2.0 * _margins("tanh_cross_entropy", outputs, targets)).sum(1)

    def check_targets(self, targets: Any) -> None:
        """Refuse what is no label."""
        _require_signs("tanh_cross_entropy", targets)

    def predict(self, outputs: Any) -> Tensor:
        """The probability σ(2z) of 1, of the outputs' shape."""
        return logistic(2.0 * float_outputs("tanh_cross_entropy", outputs))


# ------------------------------------------------------------------ K classes


@register("loss", "multi_class_hinge")
@dataclass(frozen=True)
class MultiClassHinge(Loss):
    """l = max(0, m + max over k ≠ c of z_k - z_c): the true class should lead by at least m.

    PyTorch's ``multi_margin_loss`` is the ``sum`` divided by K.

    Args:
        form: ``largest``: the strongest other class counts (Crammer and Singer); ``sum``: Σ over
            k ≠ c of max(0, m + z_k - z_c) (Weston and Watkins).
        squared: square each max(0, …).
        margin: m > 0.

    Shape:
        outputs z (N, K), K ≥ 2; targets: class indices (N,).

    Raises:
        ShapeError, DTypeError, DataError: as :class:`CrossEntropy`.

    Source: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based
    vector machines", 2001; Weston and Watkins, "Support vector machines for multi-class pattern
    recognition", 1999.

    >>> MultiClassHinge().values([[2.0, 0.5, 1.5], [2.0, 0.5, 0.5]], [0, 0])
    Tensor([0.5 0. ], float32)
    """

    kind = "classes"

    form: str = option("largest", options=("largest", "sum"), help="which other classes count")
    squared: bool = flag(False, help="square each class's loss")
    margin: float = setting(1.0, low=0, low_open=True, help="m, the lead that is asked for")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The hinge loss of each row, (N,)."""
        net, wanted = float_outputs("multi_class_hinge", outputs), as_tensor(targets)
        check_classes("multi_class_hinge", net, wanted, indices_only=True)
        hits, valid = class_hits(net, wanted)
        own = ops.where(hits, net, 0.0).sum(1)
        margin = as_tensor(self.margin, net.dtype)
        if self.form == "largest":
            short = margin + largest_other(net, hits) - own
            loss = _positive_part(short, squared=self.squared)
        else:
            shorts = _positive_part(margin + net - own[:, None], squared=self.squared)
            loss = ops.where(hits, 0.0, shorts).sum(1)
        return loss + nan_unless(valid, net.dtype)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K): in the order of z, but no estimates of probabilities."""
        return softmax(outputs)


@register("loss", "multi_class_perceptron")
@dataclass(frozen=True)
class MultiClassPerceptronLoss(Loss):
    """l = max over k of z_k - z_c: 0 where the true class has the largest net input.

    The derivative is 1 for the largest class (shared where several are) and -1 for the true one.

    Shape:
        outputs z (N, K), K ≥ 2; targets: class indices (N,).

    Raises:
        ShapeError, DTypeError, DataError: as :class:`CrossEntropy`.

    Source: Collins, "Discriminative training methods for hidden Markov models: theory and
    experiments with perceptron algorithms", 2002.

    >>> MultiClassPerceptronLoss().values([[2.0, 0.5], [2.0, 0.5]], [0, 1])
    Tensor([0.  1.5], float32)
    """

    kind = "classes"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The perceptron loss of each row, (N,)."""
        net, wanted = float_outputs("multi_class_perceptron", outputs), as_tensor(targets)
        check_classes("multi_class_perceptron", net, wanted, indices_only=True)
        hits, valid = class_hits(net, wanted)
        return net.max(1) - ops.where(hits, net, 0.0).sum(1) + nan_unless(valid, net.dtype)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K): in the order of z, but no estimates of probabilities."""
        return softmax(outputs)
