"""What is learned, checked: rows, what their targets mean, and the arrays to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import DataError, DTypeError, SettingError, ShapeError
from thalweg.graph import Array, Shape, as_dtype
from thalweg.model.model import Model
from thalweg.nn.layer import Network
from thalweg.training.beginning import beginning, whole_number
from thalweg.training.job import Chosen, Rows
from thalweg.training.learning import check_rows, front_takes_missing, learn_states
from thalweg.training.target_scaling import scaled, unscaled
from thalweg.training.targets import TargetCode, fit_targets
from thalweg.training.validation import hold_out, input_rows, row_weights, with_class_weights

_DEFAULT_BATCH = 128


class Problem(NamedTuple):
    """Rows to learn from, and a network's arrays before the first update.

    Attributes:
        rows: for training.
        held_out: for validation, if any.
        code: what the targets mean, with the loss.
        parameters: by path.
        states: by path; layers at the front have learned theirs from the training rows.
        input_shape: of one row.
        dtype: of all arrays.
        digest: of the arrays that came from a start, None where none did.
    """

    rows: Rows
    held_out: Rows | None
    code: TargetCode
    parameters: dict[str, Array]
    states: dict[str, Array]
    input_shape: Shape
    dtype: np.dtype[Any]
    digest: str | None


def problem(
    network: Network,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    classes: Sequence[Any] | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation: Any = None,
    scale_targets: bool = False,
    start: Model | Mapping[str, Any] | None = None,
    seed: int = 0,
    dtype: Any = "float32",
) -> Problem:
    """What :func:`fit` is given, checked; arguments as there.

    Raises:
        SettingError, DataError, ShapeError: what does not fit together.
    """
    kind = float_dtype(dtype)
    whole_number("seed", seed, 0)
    missing = front_takes_missing(network)
    inputs = input_rows(x, missing=missing)
    targets = np.asarray(y)
    _check_rows(inputs, targets)
    begin = beginning(network, inputs.shape[1:], seed, kind, start)
    code = fit_targets(targets, loss, begin.output_shape, kind, classes)
    reader = unscaled(code) if scale_targets else code
    weights = row_weights(sample_weight, len(inputs), kind)
    whole = Rows(inputs, reader.encode(targets), weights)
    rows, held_out = hold_out(whole, reader, validation, begin.input_shape, seed, missing)
    if scale_targets:
        rows, held_out, code = scaled(rows, held_out, code)
    rows = with_class_weights(rows, code, class_weight)
    states = learn_states(network, rows.x, begin.states, kind, begin.taken)
    if held_out is not None:
        check_rows(network, states, held_out.x, kind)
    return Problem(
        rows, held_out, code, begin.parameters, states, begin.input_shape, kind, begin.digest
    )


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """The type of a run's arrays.

    Raises:
        SettingError: neither float32 nor float64.
    """
    try:
        kind = as_dtype(dtype)
    except DTypeError as error:
        raise SettingError(f"dtype must be float32 or float64, got {dtype!r:.80}") from error
    if kind.kind != "f":
        raise SettingError(f"dtype must be float32 or float64, got {kind.name}")
    return kind


def rows_of_a_batch(wanted: int | None, rows: int) -> int:
    """The rows of a batch, 128 by default, or all where there are fewer.

    Raises:
        SettingError: more than there are.
    """
    if wanted is None:
        return min(_DEFAULT_BATCH, rows)
    size = whole_number("batch_size", wanted, 1)
    if size > rows:
        raise SettingError(f"batch_size = {size} is beyond the {rows} training rows")
    return size


def _check_rows(inputs: Array | Chosen, targets: Array) -> None:
    rows = len(targets) if targets.ndim else 0
    if len(inputs) != rows:
        raise ShapeError(f"x has {len(inputs)} rows, y has {rows}")
    if not rows:
        raise DataError("x has no rows; there is nothing to learn from")
