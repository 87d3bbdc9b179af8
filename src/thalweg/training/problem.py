"""What is learned, checked: rows, what their targets mean, and the arrays to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import DataError, DTypeError, SettingError, ShapeError
from thalweg.graph import Array, Shape, as_dtype
from thalweg.model.model import Model
from thalweg.nn.layer import Blueprint, Network
from thalweg.training.beginning import Beginning, beginning, planned, whole_number
from thalweg.training.job import Chosen, Rows
from thalweg.training.learning import check_rows, front_takes_missing, learn_states
from thalweg.training.programs import Programs
from thalweg.training.target_scaling import scaled, unscaled
from thalweg.training.targets import TargetCode, fit_targets
from thalweg.training.validation import hold_out, input_rows, row_weights, with_class_weights

_DEFAULT_BATCH = 128

_FLOATS = {name: as_dtype(name) for name in ("float32", "float64")}


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


class _Data(NamedTuple):
    """Rows as they are learned from, with what their targets mean."""

    rows: Rows
    held_out: Rows | None
    code: TargetCode


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
    rows: Any = None,
    start: Model | Mapping[str, Any] | None = None,
    seed: int = 0,
    dtype: Any = "float32",
    programs: Programs | None = None,
) -> Problem:
    """What :func:`fit` is given, checked; arguments as there.

    Runs on the same data share what was checked through their ``programs``.

    Raises:
        SettingError, DataError, ShapeError: what does not fit together.
    """
    kind = float_dtype(dtype)
    whole_number("seed", seed, 0)
    missing = front_takes_missing(network)
    shared = Programs() if programs is None else programs
    in_place = programs is not None
    inputs = shared.recent(("x", id(x), missing), lambda: input_rows(x, missing=missing), x)
    shape = inputs.shape[1:]
    plan = shared.recent(
        ("plan", id(network), shape, kind), lambda: planned(network, shape, kind), network
    )
    begin = beginning(network, shape, seed, kind, start, plan)

    def read() -> _Data:
        targets = np.asarray(y)
        _check_rows(inputs, targets)
        code = fit_targets(targets, loss, begin.output_shape, kind, classes)
        reader = unscaled(code) if scale_targets else code
        weights = row_weights(sample_weight, len(inputs), kind)
        return _Data(Rows(inputs, reader.encode(targets), weights), None, code)

    def data() -> _Data:
        whole = shared.recent((*all_rows, *_identities(targets)), read, inputs, *targets)
        code = whole.code
        reader = unscaled(code) if scale_targets else code
        some = chosen_rows(whole.rows, rows)
        part, held_out = hold_out(some, reader, validation, shape, seed, missing, in_place)
        if scale_targets:
            part, held_out, code = scaled(part, held_out, code)
        return _Data(with_class_weights(part, code, class_weight), held_out, code)

    targets = (y, loss, classes, sample_weight)
    given = (*targets, class_weight, validation, rows)
    splits = isinstance(validation, (float, int, np.floating))
    all_rows = ("rows", id(inputs), missing, begin.output_shape, kind, scale_targets)
    key = ("data", *all_rows, splits and seed)
    found = shared.recent((*key, *_identities(given)), data, inputs, *given)
    states = _learned(network, found, begin, kind, plan, shared)
    return Problem(
        found.rows, found.held_out, found.code, begin.parameters, states, begin.input_shape, kind,
        begin.digest,
    )  # fmt: skip


def _identities(given: Sequence[Any]) -> tuple[object, ...]:
    """What tells arguments apart: numbers and text by value, other things by themselves."""
    plain = (bool, int, float, str, type(None))
    return tuple(item if isinstance(item, plain) else ("id", id(item)) for item in given)


def _learned(
    network: Network,
    data: _Data,
    begin: Beginning,
    kind: np.dtype[Any],
    plan: Blueprint,
    shared: Programs,
) -> dict[str, Array]:
    """The states with those of the front layers, which all rows together have taught."""

    def learn() -> dict[str, Array]:
        rows = data.rows.x
        states = learn_states(network, rows, begin.states, kind, begin.taken, plan)
        if data.held_out is not None:
            check_rows(network, states, data.held_out.x, kind)
        return states

    if begin.taken:
        return learn()
    key = ("states", id(network), id(data))
    return dict(shared.recent(key, learn, network, data))


def chosen_rows(whole: Rows, places: Any) -> Rows:
    """The rows at some places, which are left where they are.

    Args:
        whole: all rows.
        places: their numbers, or a truth value for each row; None for all.

    Raises:
        SettingError: places that are no rows.
        DataError: none, or rows without weight.
    """
    if places is None:
        return whole
    found = row_places(places, len(whole))
    weights = None if whole.weights is None else whole.weights[found]
    if weights is not None and not weights.any():
        raise DataError("sample_weight is 0 on all of the chosen rows; choose others")
    x = whole.x
    base, known = (x.base, x.places[found]) if isinstance(x, Chosen) else (x, found)
    return Rows(Chosen(base, known), whole.y[found], weights)


def row_places(places: Any, count: int) -> Array:
    """The numbers of chosen rows, checked.

    Raises:
        SettingError: other than whole numbers from 0 to count - 1, or a truth value for each row.
        DataError: no rows.
    """
    found = np.asarray(places)
    if found.dtype == bool:
        if found.shape != (count,):
            raise SettingError(
                f"rows has truth values of shape {found.shape}, expected ({count},), one for each "
                "row of x"
            )
        found = np.flatnonzero(found)
    if found.size == 0:
        raise DataError("rows chooses no row; there is nothing to learn from")
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise SettingError(
            f"rows takes the numbers of rows (n,), or a truth value for each, got an array of "
            f"{found.dtype.name} of shape {found.shape}"
        )
    if found.min() < 0 or found.max() >= count:
        wrong = found[(found < 0) | (found >= count)][0]
        raise SettingError(f"rows names row {wrong}, but x has rows 0 to {count - 1}")
    return found.astype(np.int64)


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """The type of a run's arrays.

    Raises:
        SettingError: neither float32 nor float64.
    """
    if isinstance(dtype, str) and dtype in _FLOATS:
        return _FLOATS[dtype]
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
