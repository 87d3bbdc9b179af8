"""Rows for training, validation and test, stratified by class where that is possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.data.table import Note, plural
from thalweg.errors import DataError, SettingError

Rows = NDArray[np.int64]


class Split(NamedTuple):
    """Three sorted arrays of row indices that share no row and leave none out."""

    train: Rows
    validation: Rows
    test: Rows


def split_rows(
    count: int,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    labels: NDArray[Any] | Sequence[Any] | None = None,
    seed: int = 0,
) -> Split:
    """Random rows for training, validation and test in the given shares.

    With ``labels`` (of shape (count,)) each class keeps its share in all three, as far as whole
    rows allow; :func:`split_notes` says for which classes they do not.

    >>> train, validation, test = split_rows(10, seed=1)
    >>> len(train), len(validation), len(test)
    (6, 2, 2)

    Raises:
        SettingError: Fractions that are not three shares of 1.
        DataError: Too few rows for every part to get one.
    """
    sizes = _sizes(count, _checked(fractions))
    rows = np.arange(count, dtype=np.int64)
    classes = None if labels is None else _grouped(np.asarray(labels), count)
    rest, test = _cut(rows, sizes[2], classes, seed)
    train, validation = _cut(rest, sizes[1], None if classes is None else classes[rest], seed)
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def split_notes(
    labels: NDArray[Any] | Sequence[Any], fractions: Sequence[float] = (0.6, 0.2, 0.2)
) -> tuple[Note, ...]:
    """Warnings for classes with too few rows to be in every part of a split."""
    values, counts = np.unique(np.asarray(labels).astype(str), return_counts=True)
    parts = sum(share > 0 for share in _checked(fractions))
    rare = [(str(value), int(n)) for value, n in zip(values, counts, strict=True) if n < parts]
    if not rare:
        return ()
    shown = ", ".join(f"{value!r} ({plural(n, 'row')})" for value, n in rare[:5])
    more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
    message = (
        f"too few rows for each of the {parts} parts (training, validation, test) to hold these "
        f"classes: {shown}{more}; collect more, or merge them with others"
    )
    return (Note("warning", message),)


def _checked(fractions: Sequence[float]) -> tuple[float, float, float]:
    shares = tuple(float(share) for share in fractions)
    good = len(shares) == 3 and shares[0] > 0 and min(shares) >= 0
    if not good or not math.isclose(sum(shares), 1, rel_tol=1e-9):
        raise SettingError(
            f"fractions must be three shares (training, validation, test) that add up to 1, the "
            f"first above 0, got {tuple(fractions)!r}"
        )
    return shares[0], shares[1], shares[2]


def _sizes(count: int, shares: tuple[float, float, float]) -> tuple[int, int, int]:
    validation, test = (
        max(1, math.floor(count * share + 0.5)) if share else 0 for share in shares[1:]
    )
    train = count - validation - test
    if train < 1:
        parts = sum(share > 0 for share in shares)
        raise DataError(
            f"{plural(count, 'row')} cannot be split into {parts} parts; add rows, or keep fewer "
            "parts"
        )
    return train, validation, test


def _grouped(labels: NDArray[Any], count: int) -> Rows:
    """Class indices to stratify by; classes of fewer than four rows join the largest."""
    if labels.shape != (count,):
        raise DataError(f"labels have shape {labels.shape}, but there are {plural(count, 'row')}")
    _, codes, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    return np.where(counts[codes] < 4, counts.argmax(), codes).astype(np.int64)


def _cut(rows: Rows, size: int, classes: Rows | None, seed: int) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split

    if not size:
        return rows, rows[:0]
    if classes is not None:
        counts = np.unique(classes, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > min(size, len(rows) - size):
            classes = None
    first, second = train_test_split(rows, test_size=size, stratify=classes, random_state=seed)
    return np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)


__all__ = ["Split", "split_notes", "split_rows"]
