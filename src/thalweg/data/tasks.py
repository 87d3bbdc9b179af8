"""The target: whether it can be learned, as classes or as a number, and from which rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import levels_of
from thalweg.data.kinds import Column, Judged, Kind, place_note
from thalweg.data.readout import read_column
from thalweg.data.relations import Task
from thalweg.data.table import Note, Table, plural, short
from thalweg.errors import DataError

FEW_CLASSES = 20
"""A target of whole numbers has classes when it has at most this many different values."""


def check_target(table: Table, judged: Judged) -> Judged:
    """The judged target column, if it holds at least two values and no infinity.

    Raises:
        DataError: No value, one value, or an infinite one, named with its row.
    """
    column, notes = judged
    name = column.name
    if column.kind == Kind.EMPTY:
        raise DataError(f"the target {name!r} holds no value in {plural(len(table), 'row')}")
    if column.counter:
        column = replace(column, kind=Kind.NUMERIC)
    if column.kind == Kind.CONSTANT:
        raise DataError(
            f"the target {name!r} has one value only ({column.detail}); to learn, it needs two"
        )
    if column.kind == Kind.NUMERIC:
        rows = np.flatnonzero(np.isinf(read_column(table, column)))
        if rows.size:
            where = table.place(int(rows[0]))
            raise DataError(
                f"the target {name!r} is infinite in {where}; correct the cell or leave it empty"
            )
    return column, [note for note in notes if "most common get an input" not in note.message]


def choose_task(
    table: Table, target: Column, task: Literal["auto"] | Task
) -> tuple[Task, list[Note]]:
    """Classification or regression for a target, by the rule of :func:`infer_schema`.

    Raises:
        DataError: A target that does not suit the task.
    """
    if target.kind == Kind.DATE and task != "classification":
        raise DataError(
            f"the target {target.name!r} is a date; turn it into a number, such as days"
        )
    chosen, notes = (task, list[Note]()) if task != "auto" else _auto_task(table, target)
    if chosen == "regression":
        _require_numbers(table, target)
    else:
        _require_classes(table, target)
    return chosen, notes


def _auto_task(table: Table, target: Column) -> tuple[Task, list[Note]]:
    if target.kind != Kind.NUMERIC:
        return "classification", []
    values = read_column(table, target)
    finite = values[np.isfinite(values)]
    whole = bool(np.all(finite == np.round(finite)))
    if not whole or target.distinct > FEW_CLASSES or len(finite) < 2 * target.distinct:
        return "regression", []
    message = (
        f"the target {target.name!r} has {target.distinct} different whole numbers, which are "
        "taken as classes; set task='regression' to predict a number"
    )
    return "classification", [Note("info", message, target.name)]


def _require_numbers(table: Table, target: Column) -> None:
    if target.kind in (Kind.NUMERIC, Kind.BOOLEAN):
        read_column(table, replace(target, kind=Kind.NUMERIC))
        return
    example = short(levels_of(table.column(target.name)).texts[0])
    raise DataError(
        f"the target {target.name!r} is not a number but {target.kind} (as in {example}), so a "
        "number cannot be predicted; set task='classification', or choose a column of numbers"
    )


def _require_classes(table: Table, target: Column) -> None:
    rows = target_rows(table, target, "classification")
    levels = levels_of(table.column(target.name)[rows])
    filled, classes = levels.filled, len(levels.texts)
    if classes < 2:
        raise DataError(
            f"the target {target.name!r} has one class only ({short(levels.texts[0])}); to "
            "learn, it needs two"
        )
    if classes > 2 and (classes == filled or classes > max(FEW_CLASSES, filled / 2)):
        raise DataError(
            f"the target {target.name!r} has {classes:,} classes in {plural(filled, 'row')}, so "
            "hardly any comes twice; choose another target, or task='regression' for numbers"
        )


def target_rows(table: Table, target: Column, task: Task) -> NDArray[np.int64]:
    """The indices of the rows whose target is there, of shape (rows,)."""
    if task == "regression":
        numbers = read_column(table, replace(target, kind=Kind.NUMERIC))
        return np.flatnonzero(np.isfinite(numbers))
    if target.kind in (Kind.NUMERIC, Kind.BOOLEAN):
        return np.flatnonzero(np.isfinite(read_column(table, target)))
    return np.flatnonzero(levels_of(table.column(target.name)).codes >= 0)


def dropped_notes(table: Table, target: str, kept: NDArray[np.int64]) -> list[Note]:
    """A warning where rows without a target are left out."""
    dropped = len(table) - len(kept)
    if not dropped:
        return []
    gone = np.ones(len(table), dtype=np.bool_)
    gone[kept] = False
    message = f"no target here: {plural(dropped, 'row')} left out"
    return [place_note(table, target, "warning", int(np.argmax(gone)), message)]


def target_detail(table: Table, target: Column) -> str:
    """The shares of the classes, or the range of the numbers, for the report."""
    levels = levels_of(table.column(target.name))
    if len(levels.texts) > FEW_CLASSES:
        return target.detail
    counts = levels.counts()
    order = np.argsort(-counts, kind="stable")[:6]
    shown = ", ".join(f"{short(levels.texts[i], 20)} {counts[i] / counts.sum():.1%}" for i in order)
    return shown + (f", … {len(counts) - 6} more" if len(counts) > 6 else "")


__all__ = [
    "FEW_CLASSES",
    "check_target",
    "choose_task",
    "dropped_notes",
    "target_detail",
    "target_rows",
]
