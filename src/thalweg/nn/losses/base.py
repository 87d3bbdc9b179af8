"""What every loss is: one number for each row, and their weighted mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from thalweg.descriptions import Description, family
from thalweg.errors import DataError, ShapeError
from thalweg.graph import Array, Shape, Tensor, as_tensor
from thalweg.ops import functions as ops

Kind = Literal["classes", "binary", "numbers"]


@family("loss")
@dataclass(frozen=True)
class Loss(Description):
    """The distance of outputs from targets; subclasses say it for each row.

    Attributes:
        kind: what the outputs mean: K net inputs of ``classes``, net inputs of yes/no labels
            (``binary``), or ``numbers``.
        outputs_per_number: how many outputs a loss of numbers takes for each target.
        standardised: whether numbers may be shifted and scaled before training; counts may not.
    """

    kind: ClassVar[Kind] = "numbers"
    outputs_per_number: ClassVar[int] = 1
    standardised: ClassVar[bool] = True

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of each row, (N,)."""
        raise NotImplementedError(f"{type(self).__name__} has no values method")

    def predict(self, outputs: Any) -> Tensor:
        """Probabilities from net inputs for classes and labels; the outputs themselves else."""
        return as_tensor(outputs)

    def check_targets(self, targets: Any) -> None:
        """Refuse targets that mean nothing to this loss, where they have values to look at.

        Raises:
            DataError: with the target and its row.
        """

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
        return weighted_mean(self.values(outputs, targets), weights)


def weighted_mean(values: Tensor, weights: Any) -> Tensor:
    """Σ w_i l_i / Σ w_i."""
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


# ------------------------------------------------------------------ shapes


def float_outputs(name: str, outputs: Any) -> Tensor:
    """Outputs as a floating-point tensor with an axis of rows."""
    tensor = as_tensor(outputs)
    if not tensor.ndim:
        raise ShapeError(f"{name} takes outputs (N, …), got {tensor.type}")
    return tensor if tensor.type.is_float else tensor.astype("float32")


def rows_of(tensor: Tensor) -> Tensor:
    """(N, …) as (N, numbers of a row)."""
    return tensor.reshape(tensor.shape[0], math.prod(tensor.shape[1:]))


def stripped(shape: Shape) -> Shape:
    """A shape without the length-1 axes at its end, the batch axis kept."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def paired(name: str, outputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Outputs and targets as (N, numbers of a row) of one type; (N,) and (N, 1) fit together."""
    first, second = float_outputs(name, outputs), as_tensor(targets)
    if stripped(first.shape) != stripped(second.shape):
        raise ShapeError(
            f"{name}: outputs {first.type} and targets {second.type} differ in shape; "
            f"{_advice(first, second)}"
        )
    return rows_of(first), rows_of(second.astype(first.dtype))


def _advice(outputs: Tensor, targets: Tensor) -> str:
    if not targets.ndim or outputs.shape[0] != targets.shape[0]:
        return "give one target for each row"
    wanted = " × ".join(map(str, targets.shape[1:] or (1,)))
    word = "output" if wanted == "1" else "outputs"
    return f"the last layer should have {wanted} {word} for these targets"


# ------------------------------------------------------------------ targets that mean nothing


def nan_unless(valid: Tensor, dtype: Any) -> Tensor:
    """0 where a condition holds, else NaN, which stops training at the row that is wrong."""
    zero = as_tensor(0.0, dtype)
    return ops.sqrt(ops.where(valid, zero, -1.0))


def require(name: str, targets: Any, holds: Callable[[Array], Array], wanted: str) -> None:
    """Refuse the first target for which a condition does not hold.

    Args:
        name: of the loss.
        targets: nothing is done where they are traced, without values.
        holds: whether each target is as it should be.
        wanted: what it should be, for the message: ``"no class in 0 … 3"``.
    """
    given = as_tensor(targets)
    if given.value is None:
        return
    numbers = given.numpy()
    wrong = np.argwhere(~holds(numbers))
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        raise DataError(f"{name}: the target {numbers[place]} in row {place[0]} is {wanted}")
