"""Losses: how far a network's outputs are from the targets.

A loss gives one number for each row, l_i; the loss of a batch is their weighted mean
Σ w_i l_i / Σ w_i. Symbols: z net inputs (outputs without activation), ŷ predictions, y targets,
N rows, K classes, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from thalweg.descriptions import Description, family, make, option, register
from thalweg.errors import DataError, DTypeError, SettingError, ShapeError
from thalweg.graph import Tensor, as_tensor
from thalweg.nn.functional import logistic, softmax, softplus
from thalweg.ops import functions as ops

Kind = Literal["classes", "binary", "numbers"]


@family("loss")
@dataclass(frozen=True)
class Loss(Description):
    """The distance of outputs from targets; subclasses say it for each row.

    Attributes:
        kind: what the outputs mean: K net inputs of ``classes``, net inputs of yes/no labels
            (``binary``), or ``numbers``.
    """

    kind: ClassVar[Kind] = "numbers"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of each row, (N,)."""
        raise NotImplementedError(f"{type(self).__name__} has no values method")

    def predict(self, outputs: Any) -> Tensor:
        """Probabilities from net inputs for classes and labels; the outputs themselves else."""
        return as_tensor(outputs)

    def __call__(self, outputs: Any, targets: Any, weights: Any = None) -> Tensor:
        """The loss of a batch: Σ w_i l_i / Σ w_i, the mean without weights.

        The weighted mean is the convention: doubling all weights changes nothing. A batch whose
        weights are all 0 has loss 0.

        Args:
            outputs: (N, …).
            targets: as the loss says.
            weights: (N,), ≥ 0.

        Raises:
            ShapeError: outputs, targets and weights do not fit together.
        """
        return _mean(self.values(outputs, targets), weights)


def _mean(values: Tensor, weights: Any) -> Tensor:
    if weights is None:
        return values.mean()
    share = as_tensor(weights, values.dtype)
    if share.shape != values.shape:
        raise ShapeError(
            f"sample weights have shape {share.shape}, expected one for each of the "
            f"{values.shape[0]} rows: {values.shape}"
        )
    total = share.sum()
    return (values * share).sum() / ops.where(total == 0, 1.0, total)


def _outputs(name: str, outputs: Any) -> Tensor:
    tensor = as_tensor(outputs)
    if not tensor.ndim:
        raise ShapeError(f"{name} takes outputs (N, …), got {tensor.type}")
    return tensor if tensor.type.is_float else tensor.astype("float32")


def _rows(tensor: Tensor) -> Tensor:
    """(N, …) as (N, numbers of a row)."""
    return tensor.reshape(tensor.shape[0], math.prod(tensor.shape[1:]))


def _stripped(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the length-1 axes at its end, the batch axis kept."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _pair(name: str, outputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Outputs and targets as (N, numbers of a row) of one type; (N,) and (N, 1) fit together."""
    first, second = _outputs(name, outputs), as_tensor(targets)
    if _stripped(first.shape) != _stripped(second.shape):
        raise ShapeError(
            f"{name}: outputs {first.type} and targets {second.type} differ in shape; "
            f"{_advice(first, second)}"
        )
    return _rows(first), _rows(second.astype(first.dtype))


def _advice(outputs: Tensor, targets: Tensor) -> str:
    if not targets.ndim or outputs.shape[0] != targets.shape[0]:
        return "give one target for each row"
    wanted = " × ".join(map(str, targets.shape[1:] or (1,)))
    word = "output" if wanted == "1" else "outputs"
    return f"the last layer should have {wanted} {word} for these targets"


def _nan_unless(valid: Tensor, dtype: Any) -> Tensor:
    """0 where a condition holds, else NaN, which stops training at the row that is wrong."""
    zero = as_tensor(0.0, dtype)
    return ops.sqrt(ops.where(valid, zero, -1.0))


# ------------------------------------------------------------------ numbers


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
        predicted, wanted = _pair("squared_error", outputs, targets)
        squares = ops.square(predicted - wanted)
        return squares.mean(1) if self.form == "mean" else 0.5 * squares.sum(1)


@register("loss", "absolute_error")
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """l = mean over outputs of |y - ŷ|; derivative 0 at ŷ = y.

    Shape:
        outputs and targets (N, …) alike; (N,) fits (N, 1).

    >>> float(AbsoluteError()([1.0, 4.0], [1.0, 1.0]))
    1.5
    """

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The absolute error of each row, (N,)."""
        predicted, wanted = _pair("absolute_error", outputs, targets)
        return ops.absolute(predicted - wanted).mean(1)


# ------------------------------------------------------------------ classes


@register("loss", "cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """l = -Σ_k y_k log ŷ_k with ŷ = softmax(z), computed from z without overflow.

    Its derivative in z is ŷ - y (for targets of sum 1).

    Shape:
        outputs z (N, K), K ≥ 2; targets: class indices 0 … K-1, (N,) of an integer type, or
        probabilities (N, K).

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: class indices that are not of an integer type.
        DataError: an index that is no class (a traced target cannot be looked at: there the
            loss is NaN).

    >>> round(float(CrossEntropy()([[0.0, 0.0], [100.0, 0.0]], [0, 0])), 4)
    0.3466
    """

    kind = "classes"

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The cross entropy of each row, (N,)."""
        net, wanted = _outputs("cross_entropy", outputs), as_tensor(targets)
        _require_classes(net, wanted)
        shifted = net - ops.stop_gradient(net.max(1, keepdims=True))
        log_sum = ops.log(ops.exp(shifted).sum(1, keepdims=True))
        if wanted.shape == net.shape:
            return (wanted.astype(net.dtype) * (log_sum - shifted)).sum(1)
        indices = wanted.reshape(net.shape[0]).astype("int64")
        hits = indices[:, None] == ops.arange(net.shape[1])
        valid = (indices >= 0) & (indices < net.shape[1])
        chosen = ops.where(hits, shifted, 0.0).sum(1)
        return log_sum[:, 0] - chosen + _nan_unless(valid, net.dtype)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K)."""
        return softmax(outputs)


def _require_classes(net: Tensor, targets: Tensor) -> None:
    if net.ndim != 2 or net.shape[1] < 2:
        raise ShapeError(
            f"cross_entropy takes outputs (N, K) with K ≥ 2 classes, got {net.type}; "
            "for two classes and one output use binary_cross_entropy"
        )
    if targets.shape == net.shape:
        return
    if _stripped(targets.shape) != net.shape[:1]:
        raise ShapeError(
            f"cross_entropy: outputs {net.type} and targets {targets.type} do not fit; give class "
            f"indices {net.shape[:1]} or probabilities {net.shape}"
        )
    if targets.type.is_float:
        raise DTypeError(
            f"cross_entropy takes class indices of an integer type, got {targets.type}; convert "
            "them with astype('int64'), or use squared_error for numbers"
        )
    _require_range("cross_entropy", targets, net.shape[1] - 1, "class")


def _require_range(name: str, targets: Tensor, high: int, what: str) -> None:
    """Refuse a target outside 0 … high, where the targets have values to look at."""
    if targets.value is None:
        return
    numbers = targets.numpy()
    wrong = np.argwhere((numbers < 0) | (numbers > high))
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        limits = f"0 … {high}" if what == "class" else f"[0, {high}]"
        raise DataError(
            f"{name}: the target {numbers[place]} in row {place[0]} is no {what} in {limits}"
        )


@register("loss", "binary_cross_entropy")
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """l = Σ over labels of -y log ŷ - (1-y) log(1-ŷ) with ŷ = σ(z), computed from z.

    Stable form: max(z, 0) - zy + log(1 + e^(-|z|)); its derivative in z is ŷ - y.

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
        net, wanted = _pair("binary_cross_entropy", outputs, targets)
        _require_range("binary_cross_entropy", wanted, 1, "probability")
        valid = (wanted >= 0) & (wanted <= 1)
        return (softplus(net) - net * wanted + _nan_unless(valid, net.dtype)).sum(1)

    def predict(self, outputs: Any) -> Tensor:
        """σ(z), of the outputs' shape."""
        return logistic(outputs)


# ------------------------------------------------------------------ other people's losses


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A plain function ``(outputs, targets) -> (N,)`` or one number, as a loss.

    Files cannot name it: a model trained by it is saved and predicts, but a loaded one does not
    know its loss.
    """

    function: Callable[[Tensor, Tensor], Any]

    def _result(self, outputs: Any, targets: Any) -> Tensor:
        first = as_tensor(outputs)
        result = as_tensor(self.function(first, as_tensor(targets)))
        if result.ndim > 1 and result.size == first.shape[0]:
            result = ops.reshape(result, first.shape[:1])
        if result.shape not in {(), first.shape[:1]}:
            name = getattr(self.function, "__name__", type(self.function).__name__)
            raise ShapeError(
                f"the loss function {name} returned {result.type}; it should return one number "
                f"for each row, {first.shape[:1]}, or one number for the batch"
            )
        return result

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of each row, (N,); one number for the batch is repeated."""
        result = self._result(outputs, targets)
        return result if result.ndim else ops.broadcast(result, as_tensor(outputs).shape[:1])

    def __call__(self, outputs: Any, targets: Any, weights: Any = None) -> Tensor:
        """The function's number, or the weighted mean of its numbers for the rows.

        Raises:
            ShapeError: weights, but one number for the batch.
        """
        result = self._result(outputs, targets)
        if result.ndim:
            return _mean(result, weights)
        if weights is not None:
            raise ShapeError(
                "a loss function used with sample weights should return one number for each row, "
                f"{as_tensor(outputs).shape[:1]}; this one returned one number for the batch"
            )
        return result


@dataclass(frozen=True)
class CustomClassLoss(CustomLoss):
    """A plain function of net inputs of classes and class indices, as a loss."""

    kind: ClassVar[Kind] = "classes"

    def predict(self, outputs: Any) -> Tensor:
        """The softmax of the outputs."""
        return CrossEntropy().predict(outputs)


def as_loss(spec: Any) -> Loss:
    """A loss from its registered name, a description, or a function ``(outputs, targets)``.

    Raises:
        SettingError: an unknown name (the nearest one is offered), or something else.

    >>> as_loss("squared_error")
    SquaredError(form='mean')
    """
    if isinstance(spec, Loss):
        return spec
    if isinstance(spec, str):
        loss: Loss = make("loss", spec)
        return loss
    if isinstance(spec, type):
        raise SettingError(
            f"a loss was expected, got the class {spec.__name__}: write "
            f"{spec.__name__}() with parentheses"
        )
    if callable(spec):
        return CustomLoss(spec)
    raise SettingError(
        f"a loss is a name, a Loss or a function of outputs and targets, got {spec!r}"
    )


__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "CustomLoss",
    "Loss",
    "SquaredError",
    "as_loss",
]
