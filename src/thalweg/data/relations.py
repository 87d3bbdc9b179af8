"""Columns that say too much: copies of the target, and inputs that repeat each other."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import levels_of
from thalweg.data.kinds import Column, Kind
from thalweg.data.readout import read_column
from thalweg.data.table import Note, Table

Task = Literal["classification", "regression"]


def leak_notes(table: Table, columns: tuple[Column, ...], target: Column, task: Task) -> list[Note]:
    """Warnings for inputs that give the target away.

    For classes: each value of the input goes with one class only, and values recur (at least five
    rows a value). For numbers: the same with one number only, or a correlation of ±1 within 1e-9.
    """
    notes: list[Note] = []
    codes, count = _codes(table, target.name)
    numbers = read_column(table, target) if task == "regression" else None
    for column in columns:
        reason = ""
        if column.used and column.distinct * 5 <= len(table) and len(table) >= 10:
            reason = _determines(_codes(table, column.name), (codes, count), target.name)
        if not reason and numbers is not None and column.kind == Kind.NUMERIC:
            reason = _proportional(read_column(table, column), numbers, target.name)
        if reason:
            message = (
                f"column {column.name!r} {reason}; if it is known only after the target is, "
                f"leave it out, or the results mean nothing"
            )
            notes.append(Note("warning", message, column.name))
    return notes


def repeat_notes(table: Table, columns: tuple[Column, ...]) -> list[Note]:
    """Notes for inputs that carry the same information as an earlier one, value for value.

    Only columns whose values recur (two rows a value, on average) can show that.
    """
    notes: list[Note] = []
    seen: dict[tuple[int, bytes], str] = {}
    used = [column for column in columns if column.used]
    widths = Counter(column.distinct for column in used)
    for column in used:
        if widths[column.distinct] < 2 or column.distinct * 2 > len(table):
            continue
        codes, count = _codes(table, column.name)
        key = (count, _digest(codes))
        first = seen.setdefault(key, column.name)
        if first != column.name:
            message = (
                f"column {column.name!r} repeats {first!r}: each value of one goes with one "
                "value of the other"
            )
            notes.append(Note("info", message, column.name))
    return notes


def _digest(codes: NDArray[np.int32]) -> bytes:
    import hashlib

    return hashlib.blake2b(codes.tobytes(), digest_size=16).digest()


def _codes(table: Table, name: str) -> tuple[NDArray[np.int32], int]:
    levels = levels_of(table.column(name))
    return levels.codes, len(levels.texts)


def _determines(
    column: tuple[NDArray[np.int32], int], target: tuple[NDArray[np.int32], int], name: str
) -> str:
    codes, count = column
    classes, class_count = target
    keys = (codes.astype(np.int64) + 1) * (class_count + 1) + classes + 1
    pairs = len(np.unique(keys))
    levels = count + bool((codes < 0).any())
    if pairs != levels or levels < 2:
        return ""
    if levels == class_count:
        return f"copies the target {name!r} (each value of one goes with one value of the other)"
    return f"determines the target {name!r} (each of its values goes with one value of it)"


def _proportional(values: NDArray[np.float64], target: NDArray[np.float64], name: str) -> str:
    both = np.isfinite(values) & np.isfinite(target)
    if both.sum() < 10:
        return ""
    x, y = values[both], target[both]
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt(np.sum(x * x)) * np.sqrt(np.sum(y * y)))
    if norm == 0 or not np.isfinite(norm) or abs(float(np.sum(x * y)) / norm) < 1 - 1e-9:
        return ""
    return f"is the target {name!r} times a factor, plus a constant"


__all__ = ["Task", "leak_notes", "repeat_notes"]
