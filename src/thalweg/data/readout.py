"""The values of a typed column: text, numbers or dates to float64, NaN where one is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import (
    Levels,
    all_days,
    boolean_of,
    datetime_days,
    levels_of,
    marked_missing,
    numbers_of,
)
from thalweg.data.kinds import Column, Kind
from thalweg.data.table import Table, short
from thalweg.errors import DataError

_WHAT = {
    Kind.NUMERIC: ("a number", "1234.5"),
    Kind.DATE: ("a date", "2024-01-31"),
    Kind.BOOLEAN: ("yes or no", "yes"),
}


def read_column(table: Table, column: Column) -> NDArray[np.float64]:
    """The column as float64 of shape (rows,): numbers, days since 1970, or 0 and 1.

    Missing cells (empty, marked, or known as unreadable from training) are NaN; infinities stay.

    Raises:
        ColumnError: The table has no such column.
        DataError: A cell does not fit the column's kind, named with its row.
    """
    cells = table.column(column.name)
    if cells.dtype.kind == "M" and column.kind == Kind.DATE:
        return datetime_days(cells)
    if cells.dtype.kind == "b" or (cells.dtype.kind in "iuf" and column.kind == Kind.NUMERIC):
        return cells.astype(np.float64)
    levels = levels_of(cells)
    values = _level_values(levels.texts, column)
    unreadable = frozenset(column.unreadable)
    listed = np.array([text in unreadable for text in levels.texts], dtype=np.bool_)
    known = marked_missing(levels.texts) | listed
    values[known] = np.nan
    stray = np.isnan(values) & ~known
    if stray.any():
        _refuse(table, column, levels, stray)
    return levels.spread(values, np.nan)


def _level_values(texts: list[str], column: Column) -> NDArray[np.float64]:
    if column.kind == Kind.DATE:
        days = all_days(texts, column.date_format)
        return days if column.date_format == "iso" else _or_iso(days, texts)
    if column.kind == Kind.BOOLEAN:
        found = [boolean_of(text) for text in texts]
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    return numbers_of(texts, column.number_format)


def _or_iso(days: NDArray[np.float64], texts: list[str]) -> NDArray[np.float64]:
    return np.where(np.isnan(days), all_days(texts, "iso"), days)


def _refuse(table: Table, column: Column, levels: Levels, stray: NDArray[np.bool_]) -> None:
    row = int(np.argmax(levels.spread(stray, missing=False)))
    text = levels.texts[levels.codes[row]]
    what, example = _WHAT.get(column.kind, _WHAT[Kind.NUMERIC])
    raise DataError(
        f"{table.origin}, column {column.name!r}, {table.place(row)}: expected {what} "
        f"(as in {example}), got {short(text)}; correct the cell or leave it empty"
    )


__all__ = ["read_column"]
