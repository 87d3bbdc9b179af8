"""The kinds of columns, and the evidence from which a column's kind is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import Levels, NumberFormat, Style, levels_of, marked_missing
from thalweg.data.table import Note, Table, plural, short

MAX_LEVELS = 100
"""Most categories of one column that get an input of their own; rarer ones share ``other``."""

_STRAY_SHARE, _STRAY_TEXTS = 0.01, 20


class Kind(StrEnum):
    """What a column holds. The first four are inputs; the others are left out, which is said."""

    NUMERIC = "numeric"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATE = "date"
    IDENTIFIER = "identifier"
    TEXT = "text"
    CONSTANT = "constant"
    EMPTY = "empty"


USED = frozenset({Kind.NUMERIC, Kind.CATEGORY, Kind.BOOLEAN, Kind.DATE})


@dataclass(frozen=True)
class Column:
    """One typed column: its kind, why, and how its cells are to be read.

    ``distinct`` counts different values, ``missing_count`` cells without one (empty, marked
    missing, unreadable or infinite). ``unreadable`` are the few texts in a column of numbers or
    dates that count as missing. ``counter`` marks an identifier that only counts the rows.
    """

    name: str
    kind: Kind
    missing_count: int = 0
    distinct: int = 0
    detail: str = ""
    number_format: NumberFormat = field(default_factory=NumberFormat)
    date_format: str = "iso"
    unreadable: tuple[str, ...] = ()
    counter: bool = False

    @property
    def used(self) -> bool:
        """Whether the column is an input of the network."""
        return self.kind in USED


Judged = tuple[Column, list[Note]]
"""A column's kind, and what is to be said about it."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that a judge needs to know of a column of text.

    ``prefer`` decides how ``1,234`` is read where nothing else does.
    """

    table: Table
    name: str
    levels: Levels
    prefer: Style

    @classmethod
    def of(cls, table: Table, name: str, prefer: Style) -> Evidence:
        """The evidence in one column of a table."""
        return cls(table, name, levels_of(table.column(name)), prefer)

    @cached_property
    def marked(self) -> NDArray[np.bool_]:
        """Which texts are markers of missing values, of shape (texts,)."""
        return marked_missing(self.levels.texts)

    @cached_property
    def real(self) -> list[str]:
        """The texts that are no such markers."""
        pairs = zip(self.levels.texts, self.marked, strict=True)
        return [text for text, marked in pairs if not marked]

    @property
    def empty(self) -> int:
        """How many cells are empty."""
        return len(self.levels.codes) - self.levels.filled

    def cells(self, mask: NDArray[np.bool_]) -> int:
        """How many cells hold one of the masked texts."""
        return int(self.levels.counts()[mask].sum())

    def first_row(self, mask: NDArray[np.bool_]) -> int:
        """The first row that holds one of the masked texts."""
        return int(np.argmax(self.levels.spread(mask, missing=False)))

    def text(self, row: int) -> str:
        """The text in a row."""
        return self.levels.texts[self.levels.codes[row]]

    def note(self, level: Literal["info", "warning"], row: int, message: str) -> Note:
        """A note that names the column and the row."""
        return place_note(self.table, self.name, level, row, message)

    def few(self, stray: NDArray[np.bool_], good: NDArray[np.bool_]) -> bool:
        """Whether so few cells do not fit that they count as missing: 1 %, or one among twenty."""
        cells, read = self.cells(stray), self.cells(good)
        few = cells <= _STRAY_SHARE * (cells + read) or (cells == 1 and read >= 20)
        return read > 0 and few and int(stray.sum()) <= _STRAY_TEXTS

    def masked(self, mask: NDArray[np.bool_]) -> tuple[str, ...]:
        """The masked texts."""
        return tuple(self.levels.texts[index] for index in np.flatnonzero(mask))

    def stray_notes(self, stray: NDArray[np.bool_], what: str) -> list[Note]:
        """A warning for texts that do not fit the column and count as missing."""
        if not stray.any():
            return []
        row, count = self.first_row(stray), self.cells(stray)
        rest = f", nor {'is' if count == 2 else 'are'} {count - 1} more" if count > 1 else ""
        message = (
            f"{short(self.text(row))} is not {what}, unlike the other cells{rest}; it counts as "
            f"missing. Correct it, or set kinds={{{self.name!r}: 'category'}}"
        )
        return [self.note("warning", row, message)]


def place_note(
    table: Table, name: str, level: Literal["info", "warning"], row: int, message: str
) -> Note:
    """A note whose message begins with its column and row."""
    text = f"column {name!r}, {table.place(row)}: {message}"
    return Note(level, text, name, table.number(row))


def infinity_notes(table: Table, name: str, values: NDArray[np.float64]) -> list[Note]:
    """A warning where a column of numbers holds infinities, which count as missing."""
    rows = np.flatnonzero(np.isinf(values))
    if not rows.size:
        return []
    row = int(rows[0])
    sign = "-" if values[row] < 0 else ""
    message = f"{sign}infinity ({plural(rows.size, 'cell')} in all) counts as missing"
    return [place_note(table, name, "warning", row, message)]


__all__ = [
    "MAX_LEVELS",
    "USED",
    "Column",
    "Evidence",
    "Judged",
    "Kind",
    "infinity_notes",
    "place_note",
]
