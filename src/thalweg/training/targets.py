"""Targets as a loss takes them: labels to class indices, numbers to columns; default losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from thalweg.data.scaled_target import TargetScale
from thalweg.descriptions import make, members
from thalweg.errors import DataError, ShapeError
from thalweg.graph import Array, Shape
from thalweg.model.model import Label
from thalweg.nn.losses import CustomClassLoss, CustomLoss, Loss, as_loss


@dataclass(frozen=True)
class TargetCode:
    """How targets become arrays: classes for labels, the number of columns for numbers.

    Attributes:
        loss: the loss.
        classes: labels in the order of the outputs, where targets are labels.
        single: whether numbers came as (N,).
        shape: the shape of a row of encoded targets.
        dtype: of encoded numbers.
        scale: how numbers were scaled for training, which predictions undo.
    """

    loss: Loss
    classes: tuple[Label, ...] | None
    single: bool
    shape: Shape
    dtype: np.dtype[Any]
    scale: TargetScale | None = None

    def encode(self, y: Any, name: str = "y") -> Array:
        """Targets as the loss takes them.

        Raises:
            DataError: a label outside the classes, or a value that is not finite.
            ShapeError: another shape than the training targets.
        """
        array = _column(_array(y), self.shape)
        if self.classes is not None and array.ndim == 1:
            codes = _codes(array, self.classes, name)
            if self.loss.kind == "binary":
                return codes.reshape(-1, 1).astype(self.dtype)
            return codes
        numbers = _numbers(array, self.shape, self.dtype, name)
        self.loss.check_targets(numbers)
        return numbers


def _array(y: Any) -> Array:
    return np.asarray(y.numpy() if hasattr(y, "numpy") and not isinstance(y, np.ndarray) else y)


def _column(y: Array, outputs: Shape) -> Array:
    """Labels given as one column, (N, 1), as (N,)."""
    text = y.dtype.kind in "OUSb"
    one = y.ndim == 2 and y.shape[1] == 1
    return y[:, 0] if one and (text or outputs != (1,)) else y


def default_loss(y: Array, outputs: Shape) -> Loss:
    """Cross entropy for labels (binary where the network has one output), else squared error."""
    if y.ndim == 1 and (y.dtype.kind in "OUSb" or (y.dtype.kind in "iu" and outputs != (1,))):
        return make("loss", "binary_cross_entropy" if outputs == (1,) else "cross_entropy")
    return make("loss", "squared_error")


def fit_targets(
    y: Any, loss: Any, outputs: Shape, dtype: np.dtype[Any], classes: Any = None
) -> TargetCode:
    """Decide what targets mean for a loss and a network's output shape.

    Args:
        y: training targets: labels (N,), probabilities (N, K), or numbers (N,) or (N, outputs).
        loss: a name, a loss, a function, or None for the default.
        outputs: the shape of a row of the network's output.
        dtype: of numeric targets.
        classes: the labels in order, where y may not hold all of them.

    Raises:
        DataError: one class only, or labels that do not fit the outputs.
        ShapeError: targets whose shape does not fit the outputs.
    """
    array = _array(y)
    array = _column(array, outputs)
    chosen = default_loss(array, outputs) if loss is None else as_loss(loss)
    if type(chosen) is CustomLoss and _are_labels(array, outputs, classes):
        chosen = CustomClassLoss(chosen.function)
    if chosen.kind == "numbers":
        shape = _target_shape(array, chosen, outputs)
        return TargetCode(chosen, None, array.ndim == 1, shape, dtype)
    if array.ndim == 1:
        labels = _classes(array, chosen, outputs, classes)
        return TargetCode(chosen, labels, False, outputs, dtype)
    labels = tuple(range(outputs[0])) if chosen.kind == "classes" else None
    return TargetCode(chosen, labels, False, outputs, dtype)


def _target_shape(y: Array, loss: Loss, outputs: Shape) -> Shape:
    """The shape of a row of targets for a loss of numbers: a part of the outputs' shape.

    Raises:
        ShapeError: the outputs are too many or too few for the targets.
    """
    each = loss.outputs_per_number
    if each > 1:
        wanted = (y.shape[1] if y.ndim > 1 else 1) * each
        if outputs != (wanted,):
            raise ShapeError(
                f"y has shape {y.shape} and loss {loss_name(loss)} takes {each} outputs for each "
                f"number, but the network has {outputs} outputs a row: end it with "
                f"Linear({wanted})"
            )
        return (wanted // each,)
    if y.ndim == 1 and outputs not in {(1,), ()}:
        raise ShapeError(
            f"y has shape {y.shape}, one number a row, but the network has {outputs} "
            "outputs a row: end it with Linear(1), or choose loss='cross_entropy' for labels"
        )
    return outputs


def loss_name(loss: Loss) -> str:
    """The loss's registered name, or its class's name."""
    known = members("loss").items()
    return next((name for name, cls in known if cls is type(loss)), type(loss).__name__)


def _are_labels(y: Array, outputs: Shape, classes: Any) -> bool:
    """Whether targets of a loss function are labels: one a row, for several outputs."""
    several = len(outputs) == 1 and outputs[0] > 1
    return y.ndim == 1 and several and (classes is not None or y.dtype.kind in "OUSbiu")


def _classes(y: Array, loss: Loss, outputs: Shape, given: Any) -> tuple[Label, ...]:
    binary = loss.kind == "binary"
    wide = 2 if binary else (outputs[0] if len(outputs) == 1 else 0)
    if binary and outputs not in {(1,), ()}:
        raise ShapeError(
            f"loss {loss_name(loss)} of labels (N,) needs one output, the network has {outputs}; "
            "use cross_entropy, or give y with a column for each label"
        )
    y = _plain_labels(y)
    found = np.unique(y)
    if given is not None:
        labels = _plain_labels(np.asarray(given), "classes")
        if len(np.unique(labels)) != len(labels):
            raise DataError(f"classes names a label twice: {labels.tolist()}")
    elif y.dtype.kind in "iu" and found.size and found[0] >= 0 and found[-1] < wide:
        labels = np.arange(wide)
    else:
        labels = found
    if len(found) < 2:
        held = f" ({found.tolist()[0]!r})" if len(found) else ""
        raise DataError(f"y holds {len(found)} class{held}; a classifier needs at least two")
    if not wide:
        raise ShapeError(
            f"labels (N,) need outputs (N, classes), the network gives {outputs} for each row; "
            "flatten the inputs first: x.reshape(len(x), -1)"
        )
    if binary and len(labels) > 2:
        raise DataError(
            f"y holds {len(labels)} classes, and loss {loss_name(loss)} takes two; use "
            f"cross_entropy and end the network with Linear({len(labels)})"
        )
    if len(labels) != wide and given is not None:
        raise DataError(f"classes names {len(labels)} labels, the network has {wide} outputs")
    if len(labels) != wide:
        raise DataError(
            f"y holds {len(labels)} classes but the network has {wide} outputs: end the network "
            f"with Linear({1 if binary and len(labels) == 2 else len(labels)})"
        )
    return tuple(cast("list[Label]", labels.tolist()))


def _plain_labels(y: Array, name: str = "y") -> Array:
    """Labels as an array of one kind: text, whole numbers or booleans.

    Raises:
        DataError: a missing label, one of another kind, or mixed kinds, named with its row.
    """
    if y.dtype.kind == "f":
        return _whole(y)
    if y.dtype.kind == "U" or y.dtype.kind in "bi" or (y.dtype.kind == "u" and y.itemsize < 8):
        return y
    labels = [item.item() if isinstance(item, np.generic) else item for item in y.tolist()]
    for row, label in enumerate(labels):
        if label is None or type(label).__name__ == "NAType" or label != label:  # noqa: PLR0124
            raise DataError(f"{name} is missing in row {row} (counted from 0); remove the row")
        if not isinstance(label, (str, int, bool)):
            raise DataError(
                f"{name} holds {label!r} in row {row}, which is no label: labels are text, whole "
                "numbers or booleans"
            )
        if type(label) is not type(labels[0]):
            raise DataError(
                f"{name} holds labels of several types, {labels[0]!r} in row 0 and {label!r} in "
                f"row {row}; make them all text"
            )
    if labels and isinstance(labels[0], str):
        return np.array(labels, dtype=object)
    try:
        return np.array(labels, dtype=None if labels and isinstance(labels[0], bool) else np.int64)
    except OverflowError as error:
        raise DataError(f"{name} holds labels beyond 2⁶³; make them text") from error


def _whole(y: Array) -> Array:
    wrong = ~np.isfinite(y) | (np.floor(y) != y)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"y holds {y[row]} in row {row} (counted from 0), which is no class label; for numbers "
            "use loss='squared_error'"
        )
    return y.astype(np.int64)


def _codes(y: Array, classes: tuple[Label, ...], name: str) -> Array:
    y = _plain_labels(y, name)
    places = {label: place for place, label in enumerate(classes)}
    found, inverse = np.unique(y, return_inverse=True)
    codes = np.empty(len(found), np.int64)
    for index, label in enumerate(found.tolist()):
        place = places.get(label)
        if place is None:
            row = int(np.argmax(inverse == index))
            known = ", ".join(repr(item) for item in classes[:10])
            raise DataError(
                f"{name} holds the label {label!r} in row {row} (counted from 0), which is none of "
                f"the {len(classes)} classes ({known}{', …' if len(classes) > 10 else ''})"
            )
        codes[index] = place
    return codes[inverse.reshape(len(y))]


def _numbers(y: Array, shape: Shape, dtype: np.dtype[Any], name: str) -> Array:
    if y.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {y.dtype.name} values where numbers are due")
    columns = y.reshape(len(y), *shape) if y.ndim == 1 and shape in {(1,), ()} else y
    if columns.shape[1:] != shape:
        rows = ", ".join(["N", *map(str, shape)])
        raise ShapeError(
            f"{name} has shape {y.shape}, the network's outputs are ({rows}); give labels as (N,): "
            f"{name.rsplit(maxsplit=1)[-1]}.ravel()"
        )
    finite = np.isfinite(columns)
    if not finite.all():
        row = int(np.unravel_index(int(np.argmin(finite)), finite.shape)[0])
        raise DataError(
            f"{name} holds {y[row]} in row {row} (counted from 0); remove the row or fill the value"
        )
    with np.errstate(over="ignore"):
        converted = columns.astype(dtype)
    if not np.isfinite(converted).all():
        raise DataError(
            f"{name} holds values beyond {dtype.name}'s range, up to "
            f"{float(np.abs(columns).max()):.3g}; scale the targets, or use dtype='float64'"
        )
    return converted
