"""Folds of cross-validation: which rows each network learns from, and which it is judged on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from thalweg.data.table import plural
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Array
from thalweg.training.beginning import whole_number


class Fold(NamedTuple):
    """The rows of one network, by number.

    Attributes:
        train: rows that it learns from, sorted.
        held_out: rows that it is judged on, sorted.
        repeat: the division of all rows that it belongs to, from 0.
        fold: its place in that, from 0.
    """

    train: Array
    held_out: Array
    repeat: int
    fold: int


def divided(
    count: int,
    folds: int = 10,
    repeats: int = 1,
    *,
    labels: Any = None,
    groups: Any = None,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """Rows divided at random into folds of equal size, once or several times.

    Each row is held out by one fold of every repeat. Repeat r is what scikit-learn's ``KFold``,
    ``StratifiedKFold``, ``GroupKFold`` or ``StratifiedGroupKFold`` gives with ``shuffle=True`` and
    ``random_state=seed + r``.

    Args:
        count: rows.
        folds: 2 … count.
        repeats: ≥ 1.
        labels: of the rows, (count,): each fold holds out its share of every class.
        groups: of the rows, (count,): the rows of a group are held out together.
        seed: of the first repeat.

    Raises:
        SettingError: more folds than rows, than rows of a class, or than groups.
        ShapeError: labels or groups of another length.

    >>> [fold.held_out.tolist() for fold in divided(4, 2, labels=["a", "b", "a", "b"])]
    [[1, 2], [0, 3]]

    Source: Stone, "Cross-validatory choice and assessment of statistical predictions", 1974;
    Kohavi, "A study of cross-validation and bootstrap for accuracy estimation and
    model selection", 1995.
    """
    whole_number("folds", folds, 2)
    whole_number("repeats", repeats, 1)
    whole_number("seed", seed, 0)
    if folds > count:
        raise SettingError(f"folds = {folds} is more than the {plural(count, 'row')}")
    classes = None if labels is None else _codes("labels", labels, count)
    parts = None if groups is None else _codes("groups", groups, count)
    if classes is not None:
        _check_classes(np.asarray(labels), classes, folds)
    if parts is not None and parts.max() + 1 < folds:
        raise SettingError(
            f"folds = {folds} is more than the {plural(int(parts.max()) + 1, 'group')}; choose "
            "fewer folds"
        )
    found: list[Fold] = []
    for repeat in range(repeats):
        held_out = _held_out(count, folds, classes, parts, (seed + repeat) % 2**32)
        for fold, rows in enumerate(held_out):
            _check_fold(rows, fold, folds)
            rest = np.ones(count, bool)
            rest[rows] = False
            found.append(Fold(np.flatnonzero(rest), np.sort(rows), repeat, fold))
    return tuple(found)


def _codes(name: str, values: Any, count: int) -> Array:
    """A number for each distinct value."""
    found = np.asarray(values)
    if found.shape != (count,):
        raise ShapeError(f"{name} has shape {found.shape}, expected ({count},), one for each row")
    if found.dtype.kind == "O":
        found = found.astype(str)
    return np.unique(found, return_inverse=True)[1]


def _check_classes(labels: Array, codes: Array, folds: int) -> None:
    counts = np.bincount(codes)
    rarest = int(np.argmin(counts))
    if counts[rarest] < folds:
        label = labels[int(np.argmax(codes == rarest))]
        shown = label.item() if isinstance(label, np.generic) else label
        raise SettingError(
            f"folds = {folds} is more than the {plural(int(counts[rarest]), 'row')} of class "
            f"{shown!r}; choose fewer folds, or stratify=False"
        )


def _held_out(
    count: int, folds: int, classes: Array | None, groups: Array | None, seed: int
) -> Iterable[Array]:
    from sklearn import model_selection as splitters

    if groups is not None and classes is not None:
        splitter = splitters.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    elif groups is not None:
        splitter = splitters.GroupKFold(folds, shuffle=True, random_state=seed)
    elif classes is not None:
        splitter = splitters.StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = splitters.KFold(folds, shuffle=True, random_state=seed)
    rows = np.zeros(count, np.int8)
    return (np.asarray(held, np.int64) for _, held in splitter.split(rows, classes, groups))


def _check_fold(rows: Array, fold: int, folds: int) -> None:
    if not len(rows):
        raise SettingError(
            f"fold {fold} of {folds} holds out no row, as the groups are too unequal; choose fewer "
            "folds, or stratify=False"
        )


__all__ = ["Fold", "divided"]
