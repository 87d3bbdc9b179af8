"""Losses of yes/no labels: from one net input z for each, with ŷ = σ(z)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import register
from thalweg.graph import Array, Tensor
from thalweg.nn.functional import logistic, softplus
from thalweg.nn.losses.base import Loss, nan_unless, paired, require
from thalweg.nn.losses.smoothing import SmoothedLoss
from thalweg.ops import functions as ops


def _is_probability(y: Array) -> Array:
    return np.logical_and(y >= 0, y <= 1)


@register("loss", "binary_cross_entropy")
@dataclass(frozen=True)
class BinaryCrossEntropy(SmoothedLoss):
    """l = Σ over labels of -y log ŷ - (1-y) log(1-ŷ) with ŷ = σ(z), computed from z.

    Stable form: max(z, 0) - zy + log(1 + e^(-|z|)); its derivative in z is ŷ - y.

    Args:
        label_smoothing: ε in [0, 1), a number, kept as ``(ε,)``, and 0 as ``()``.
        smoothing_convention: ``uniform``: (1 - ε) y + ε / 2, as Keras does; ``share``: 1 becomes
            1 - ε and 0 becomes ε.

    Shape:
        outputs z (N,), (N, 1) or (N, L); targets of the same shape ((N,) fits (N, 1)): 0 and 1,
        booleans, or probabilities.

    Raises:
        ShapeError: the shapes do not fit.
        DataError: a target outside [0, 1] (a traced target cannot be looked at: there the loss
            is NaN).

    >>> round(float(BinaryCrossEntropy()([[0.0], [100.0]], [0, 1])), 4)
    0.3466
    """

    kind = "binary"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The binary cross entropy of each row, summed over its labels, (N,)."""
        net, wanted = paired("binary_cross_entropy", outputs, targets)
        self.check_targets(wanted)
        valid = (wanted >= 0) & (wanted <= 1)
        if self.label_smoothing:
            wanted = self.smoothed(wanted, 2)
        return (softplus(net) - net * wanted + nan_unless(valid, net.dtype)).sum(1)

    def check_targets(self, targets: Any) -> None:
        """Refuse a target outside [0, 1]."""
        require("binary_cross_entropy", targets, _is_probability, "no probability in [0, 1]")

    def predict(self, outputs: Any) -> Tensor:
        """σ(z), of the outputs' shape."""
        return logistic(outputs)


@register("loss", "binary_brier")
@dataclass(frozen=True)
class BinaryBrier(Loss):
    """l = Σ over labels of (y - ŷ)² with ŷ = σ(z): squared error of a logistic output.

    Its derivative in z, 2(ŷ - y) ŷ(1 - ŷ), vanishes where ŷ is near 0 or 1, however wrong it is:
    units that are sure and wrong hardly learn. :class:`BinaryCrossEntropy` does not have this.

    Shape:
        outputs z (N,), (N, 1) or (N, L); targets of the same shape ((N,) fits (N, 1)): 0 and 1,
        booleans, or probabilities.

    Raises:
        ShapeError, DataError: as :class:`BinaryCrossEntropy`.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.

    >>> float(BinaryBrier()([[0.0], [100.0]], [0, 0]))
    0.625
    """

    kind = "binary"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The score of each row, summed over its labels, (N,)."""
        net, wanted = paired("binary_brier", outputs, targets)
        self.check_targets(wanted)
        valid = (wanted >= 0) & (wanted <= 1)
        return (ops.square(logistic(net) - wanted) + nan_unless(valid, net.dtype)).sum(1)

    def check_targets(self, targets: Any) -> None:
        """Refuse a target outside [0, 1]."""
        require("binary_brier", targets, _is_probability, "no probability in [0, 1]")

    def predict(self, outputs: Any) -> Tensor:
        """σ(z), of the outputs' shape."""
        return logistic(outputs)
