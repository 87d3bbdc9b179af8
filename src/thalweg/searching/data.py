"""The data of a search: one split for all trials, and a digest that tells data sets apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from thalweg.data.splits import split_rows
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Array
from thalweg.training.job import Chosen

_PIECE = 2**24
_MOST_CLASSES = 1000


def one_split(x: Any, y: Any, validation: Any, weights: Any, seed: int) -> dict[str, Any]:
    """The data of every trial: the same training rows, and the same ones for validation.

    A share is split off by the seed of the search; labels keep their shares in both parts.

    Args:
        x: inputs, (N, …).
        y: targets, (N, …).
        validation: a share, rows of your own, or None.
        weights: of the rows, if any.
        seed: of the split.

    Returns:
        ``x``, ``y``, ``rows`` and ``validation``, as :class:`Arguments` takes them.

    Raises:
        SettingError: a share outside (0, 1).
        ShapeError: x and y of unequal lengths.
        DataError: too few rows.
    """
    inputs = x if isinstance(x, (np.ndarray, Chosen)) else np.asarray(x)
    targets = np.asarray(y)
    _check_rows(inputs, targets)
    if validation is None or isinstance(validation, (tuple, list)):
        held = tuple(cast("Sequence[Any]", validation)) if validation is not None else None
        return {"x": inputs, "y": targets, "rows": None, "validation": held}
    if isinstance(validation, bool) or not isinstance(validation, (int, float, np.floating)):
        raise SettingError(f"validation must be None, a share or a pair (x, y), got {validation!r}")
    share = float(validation)
    if not 0 < share < 1:
        raise SettingError(f"validation = {validation!r} is outside (0, 1)")
    shares = (1 - share, share, 0.0)
    split = split_rows(len(targets), shares, labels=_labels(targets), seed=seed % 2**32)
    places = split.validation
    pair = (_rows(inputs, places), targets[places])
    if weights is not None:
        pair = (*pair, _weights(weights, len(targets))[places])
    return {"x": inputs, "y": targets, "rows": split.train, "validation": pair}


def _check_rows(inputs: Any, targets: Array) -> None:
    if targets.ndim == 0 or np.ndim(inputs) == 0 or not len(targets):
        raise DataError("x and y must hold at least one row each")
    if len(inputs) != len(targets):
        raise ShapeError(f"x has {len(inputs)} rows, y has {len(targets)}")


def _rows(inputs: Any, places: Array) -> Any:
    if isinstance(inputs, Chosen):
        return Chosen(inputs.base, inputs.places[places])
    return inputs[places]


def _weights(weights: Any, count: int) -> Array:
    found = np.asarray(weights)
    if found.shape != (count,):
        raise ShapeError(f"sample_weight has shape {found.shape}, expected ({count},)")
    return found


def _labels(targets: Array) -> Array | None:
    """Targets by which rows are stratified: labels, but no numbers with fractions."""
    if targets.ndim != 1:
        return None
    if targets.dtype.kind == "f" and not (targets == np.floor(targets)).all():
        return None
    return targets if len(np.unique(targets.astype(str))) <= _MOST_CLASSES else None


def digest_of(data: dict[str, Any], weights: Any = None) -> str:
    """A digest of all of the data: types, shapes and contents.

    >>> one, other = (one_split([[1.0], [2.0]], y, None, None, 0) for y in ([0, 1], [1, 0]))
    >>> digest_of(one) == digest_of(other)
    False
    """
    digest = hashlib.sha256()
    held = data["validation"] or ()
    for array in (data["x"], data["y"], data["rows"], weights, *held):
        if array is None:
            digest.update(b"none")
            continue
        for piece in _pieces(array):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(array: Any) -> Iterator[bytes]:
    """Type and shape, then the contents bit by bit, in no more memory than a piece takes."""
    whole = array if isinstance(array, (np.ndarray, Chosen)) else np.asarray(array)
    kind, shape = whole.dtype, whole.shape
    yield f"{'text' if kind.kind in 'OU' else kind}{shape}".encode()
    rows = max(1, _PIECE // max(1, int(np.prod(shape[1:])) * 8))
    for start in range(0, shape[0], rows):
        part = np.asarray(whole[start : start + rows])
        if kind.kind in "OU":
            yield "\0".join(map(str, part.ravel().tolist())).encode()
        else:
            yield np.ascontiguousarray(part).tobytes()


__all__ = ["digest_of", "one_split"]
