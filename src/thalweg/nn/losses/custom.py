"""Other people's losses: plain functions, and losses by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Tensor, as_tensor
from thalweg.nn.functional import softmax
from thalweg.nn.losses.base import Kind, Loss, weighted_mean
from thalweg.ops import functions as ops


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
            return weighted_mean(result, weights)
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
        return softmax(outputs)


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
        loss: Loss = parse_spec("loss", spec)
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


__all__ = ["CustomClassLoss", "CustomLoss", "as_loss"]
