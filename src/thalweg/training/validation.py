"""Validation rows: split off or given, and the numbers of an epoch that they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from thalweg.data.splits import split_rows
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Array, Shape, constant
from thalweg.model.model import numeric_rows
from thalweg.training.job import Chosen, Rows
from thalweg.training.targets import TargetCode
from thalweg.training.traced import Traced

_COPIED = 2**26
"""Bytes of inputs up to which training and validation rows are copied apart."""


def row_weights(
    given: Any, count: int, dtype: np.dtype[Any], name: str = "sample_weight"
) -> Array | None:
    """The rows' weights (count,), checked.

    Raises:
        ShapeError: not one for each row.
        DataError: negative, not finite, or all zero.
    """
    if given is None:
        return None
    weights = np.asarray(given, dtype=dtype)
    if weights.shape != (count,):
        raise ShapeError(f"{name} has shape {weights.shape}, expected ({count},)")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(f"{name} must be finite, nowhere negative, and somewhere positive")
    return weights


def with_class_weights(rows: Rows, code: TargetCode, given: Any) -> Rows:
    """Training rows weighted by their class as well.

    Args:
        rows: training rows with encoded targets.
        code: gives the classes.
        given: None, ``balanced``, or weights by label, 1 for labels that are not named.

    Raises:
        SettingError: no classes, an unknown label, or a weight that is no number ≥ 0.
        DataError: ``balanced``, but a class without training rows.
    """
    if given is None:
        return rows
    if code.classes is None or rows.y.size != len(rows):
        raise SettingError("class_weight needs targets that are one label a row")
    codes = rows.y.reshape(-1).astype(np.int64)
    factors = _class_factors(codes, code.classes, given)
    if not np.isfinite(factors).all() or (factors < 0).any() or not factors.any():
        raise SettingError(
            f"class_weight must hold finite numbers ≥ 0, not all zero, got {factors.tolist()}"
        )
    weights = factors[codes].astype(code.dtype)
    return Rows(rows.x, rows.y, weights if rows.weights is None else weights * rows.weights)


def balanced(codes: Array, classes: Sequence[Any]) -> Array:
    """The weight of each class under which all classes count alike: N / (K · rows of the class).

    Raises:
        DataError: a class without rows.

    >>> balanced(np.array([0, 1, 1, 1]), ("a", "b"))
    array([2.        , 0.66666667])
    """
    counts = np.bincount(codes, minlength=len(classes))
    if not counts.all():
        empty = classes[int(np.argmin(counts))]
        raise DataError(f"class_weight='balanced': class {empty!r} has no training rows")
    return len(codes) / (len(classes) * counts)


def _class_factors(codes: Array, classes: Sequence[Any], given: Any) -> Array:
    if isinstance(given, str) and given == "balanced":
        return balanced(codes, classes)
    if not isinstance(given, Mapping):
        raise SettingError(f"class_weight must be 'balanced' or weights by label, got {given!r}")
    unknown = [label for label in given if label not in classes]
    if unknown:
        raise SettingError(
            f"class_weight names {unknown[0]!r}, which is none of the classes "
            f"{', '.join(map(repr, classes[:20]))}"
        )
    try:
        return np.array([float(given.get(label, 1.0)) for label in classes])
    except (TypeError, ValueError) as error:
        raise SettingError(f"class_weight must hold numbers, got {dict(given)!r}") from error


def hold_out(
    rows: Rows,
    code: TargetCode,
    validation: Any,
    shape: Shape,
    seed: int,
    missing: bool = False,
    in_place: bool = False,
) -> tuple[Rows, Rows | None]:
    """Training rows and validation rows.

    Args:
        rows: all rows.
        code: what the targets mean; labels are split in equal shares.
        validation: as :func:`fit` takes it.
        shape: of one row of inputs.
        seed: of the split.
        missing: whether rows of your own may hold NaN.
        in_place: whether both parts leave the inputs where they are, however small.

    Raises:
        SettingError: no share, pair or triple.
        ShapeError: rows of your own that do not fit.
        DataError: they do not fit either, or the rows of a part have no weight.
    """
    if validation is None:
        return rows, None
    if isinstance(validation, (tuple, list)):
        return rows, _own_validation(cast("Sequence[Any]", validation), code, shape, missing)
    if isinstance(validation, bool) or not isinstance(validation, (int, float, np.floating)):
        raise SettingError(f"validation must be None, a share or a pair (x, y), got {validation!r}")
    if not 0 < validation < 1:
        raise SettingError(f"validation = {validation!r} is outside (0, 1)")
    are_labels = code.classes is not None and rows.y.size == len(rows)
    labels = rows.y.reshape(len(rows)) if are_labels else None
    shares = (1 - float(validation), float(validation), 0.0)
    train, held_out, _ = split_rows(len(rows), shares, labels=labels, seed=seed % 2**32)
    for name, places in (("training", train), ("validation", held_out)):
        if rows.weights is not None and not rows.weights[places].any():
            raise DataError(
                f"sample_weight is 0 on all {len(places)} {name} rows that the split has drawn; "
                "choose another seed, or give validation rows of your own: validation=(x, y)"
            )
    return _part(rows, train, in_place), _part(rows, held_out, in_place)


def _part(rows: Rows, places: Array, in_place: bool) -> Rows:
    """Some rows; inputs that are large, or in a file, are left where they are."""
    x = rows.x
    is_small = not in_place and not isinstance(x, (Chosen, np.memmap)) and x.nbytes <= _COPIED
    part = rows.take(places) if is_small else None
    if part is not None:
        return Rows(*part)
    weights = None if rows.weights is None else rows.weights[places]
    base, found = (x.base, x.places[places]) if isinstance(x, Chosen) else (x, places)
    return Rows(Chosen(base, found), rows.y[places], weights)


def _own_validation(given: Sequence[Any], code: TargetCode, shape: Shape, missing: bool) -> Rows:
    if len(given) not in {2, 3}:
        raise SettingError(f"validation takes (x, y) or (x, y, weights), got {len(given)} parts")
    x = input_rows(given[0], shape, "validation x", missing=missing)
    y = code.encode(given[1], "validation y")
    if len(x) != len(y) or not len(x):
        raise ShapeError(f"validation x has {len(x)} rows, y has {len(y)}; both need the same, ≥ 1")
    weights = None
    if len(given) == 3:
        weights = row_weights(given[2], len(x), code.dtype, "validation weights")
    return Rows(x, y, weights)


def input_rows(
    x: Any, shape: Shape | None = None, name: str = "x", *, missing: bool = False
) -> Array | Chosen:
    """Rows of inputs, checked; chosen rows of an array that stays where it is are left there.

    Raises:
        DataError, ShapeError: as :func:`numeric_rows`.
    """
    if isinstance(x, Chosen):
        return Chosen(numeric_rows(x.base, shape, name, missing=missing), x.places)
    return numeric_rows(x, shape, name, missing=missing)


def validator(code: TargetCode, rows: Rows) -> Callable[[Array], dict[str, float]]:
    """What turns the outputs for validation rows into the numbers of an epoch."""
    weights = None if rows.weights is None else constant(rows.weights)
    targets = constant(rows.y)
    loss = Traced(lambda outputs: code.loss(outputs, targets, weights))
    truth = None if code.classes is None else _truth(code, rows)

    def validate(outputs: Array) -> dict[str, float]:
        values = {"validation_loss": float(loss(outputs))}
        if truth is not None:
            values["validation_accuracy"] = _accuracy(code, outputs, truth, rows.weights)
        return values

    return validate


def _truth(code: TargetCode, rows: Rows) -> Array:
    """The rows' classes."""
    if code.loss.kind == "binary":
        return (rows.y > 0.5).reshape(-1)
    return rows.y if rows.y.ndim == 1 else np.argmax(rows.y, axis=1)


def _accuracy(code: TargetCode, outputs: Array, truth: Array, weights: Array | None) -> float:
    binary = code.loss.kind == "binary"
    found = (outputs > 0).reshape(-1) if binary else outputs.argmax(axis=1)
    right = found == truth
    if not right.size or (weights is not None and not weights.any()):
        return float("nan")
    if weights is None:
        return int(np.count_nonzero(right)) / right.size
    return float(np.average(right, weights=weights))
