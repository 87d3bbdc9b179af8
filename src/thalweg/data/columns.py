"""What one column holds: its kind, and why, judged from all of its cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import (
    Style,
    all_days,
    are_booleans,
    boolean_of,
    datetime_days,
    guess_format,
    numbers_of,
)
from thalweg.data.dates import date_layout, judge_dates, judge_days
from thalweg.data.kinds import Column, Evidence, Judged, Kind
from thalweg.data.numbers import judge_numbers, judge_typed_numbers
from thalweg.data.table import Table, short
from thalweg.data.texts import judge_text


def infer_column(table: Table, name: str, prefer: Style = "thousands") -> Judged:
    """The kind of one column, and notes on what a person should know.

    In this order: empty; constant; yes/no pairs; numbers (unless leading zeros say that they are
    codes); dates; else text, which is an identifier where every cell differs, free text where more
    than half do, and a category otherwise. A column of numbers or dates may hold at most 1 % of
    cells that are neither: those count as missing, with a warning.
    """
    cells = table.column(name)
    if cells.dtype.kind == "M":
        return judge_days(name, datetime_days(cells), "iso"), []
    if cells.dtype.kind in "iuf":
        return judge_typed_numbers(table, name, cells)
    evidence = Evidence.of(table, name, prefer)
    judges = (_judge_plain, judge_numbers, judge_dates)
    found = (judged for judge in judges if (judged := judge(evidence)) is not None)
    return next(found, None) or judge_text(evidence)


def _judge_plain(evidence: Evidence) -> Judged | None:
    """Empty and constant columns, and yes/no pairs."""
    name, real = evidence.name, evidence.real
    missing = evidence.empty + evidence.cells(evidence.marked)
    if not real:
        rows = len(evidence.levels.codes)
        return Column(name, Kind.EMPTY, rows, 0, "holds no value"), []
    if len(real) == 1 and not missing:
        return Column(name, Kind.CONSTANT, 0, 1, f"always {short(real[0])}"), []
    if are_booleans(real):
        return Column(name, Kind.BOOLEAN, missing, 2, " / ".join(map(short, real[:2]))), []
    return None


def force_column(table: Table, name: str, kind: Kind, prefer: Style) -> Judged:
    """The column read as the kind that the user asks for, whatever it looks like.

    Texts that do not fit the kind count as missing, which is said.
    """
    evidence = Evidence.of(table, name, prefer)
    texts = evidence.levels.texts
    number_format, _ = guess_format(texts, prefer)
    date_format = date_layout(texts)
    values: NDArray[np.float64] | None = None
    if kind == Kind.NUMERIC:
        values = numbers_of(texts, number_format)
    elif kind == Kind.DATE:
        values = all_days(texts, date_format)
    elif kind == Kind.BOOLEAN:
        values = np.array([np.nan if (v := boolean_of(text)) is None else v for text in texts])
    if values is None:
        column = Column(name, kind, evidence.empty, len(texts), "as asked")
        return column, []
    lost = ~np.isfinite(values)
    stray = np.isnan(values) & ~evidence.marked
    column = Column(
        name,
        kind,
        evidence.empty + evidence.cells(lost),
        len(set(values[~lost].tolist())),
        "as asked",
        number_format=number_format,
        date_format=date_format,
        unreadable=evidence.masked(stray),
    )
    what = {Kind.NUMERIC: "a number", Kind.DATE: "a date"}.get(kind, "yes or no")
    return column, evidence.stray_notes(stray, what)


__all__ = ["force_column", "infer_column"]
