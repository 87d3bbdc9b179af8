"""Table: named columns as they were read, before anything is decided about their types."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import ColumnError, DataError

Cells = NDArray[Any]
"""One column: an object array of ``str`` or ``None`` (missing), or a typed array."""


@dataclass(frozen=True)
class Note:
    """Something the reader decided or met, in words: nothing about a table is done silently.

    ``row`` is counted as :meth:`Table.place` counts: lines of a text file, rows of a frame.

    >>> str(Note("warning", "column 'age', line 7: 'x' is not a number", "age", 7))
    "warning: column 'age', line 7: 'x' is not a number"
    """

    level: Literal["info", "warning"]
    message: str
    column: str | None = None
    row: int | None = None

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length under unique names, with the notes taken while reading them.

    Text columns are object arrays of ``str`` or ``None`` (missing). Columns that come typed
    (Parquet, frames) are arrays of bool, integers, floats (NaN is missing) or datetime64 (NaT is
    missing). ``numbers`` holds for every row the number by which a person finds it: the line in a
    text file, the index from 0 in anything else (``unit`` says which).

    >>> table = Table(("x",), {"x": np.array(["1", None], dtype=object)}, origin="two rows")
    >>> len(table), table.column("x").tolist(), table.place(1)
    (2, ['1', None], 'row 1')
    """

    names: tuple[str, ...]
    columns: Mapping[str, Cells]
    origin: str
    notes: tuple[Note, ...] = ()
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    unit: Literal["line", "row"] = "row"

    def __post_init__(self) -> None:
        """Check names and lengths; number the rows from 0 where no numbers were given."""
        if len(set(self.names)) != len(self.names) or set(self.names) != set(self.columns):
            raise DataError(f"{self.origin}: names and columns differ, or a name appears twice")
        lengths = {name: len(self.columns[name]) for name in self.names}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{self.origin}: columns differ in length: {lengths}")
        if not self.numbers.size:
            object.__setattr__(self, "numbers", np.arange(max(lengths.values(), default=0)))

    def __len__(self) -> int:
        return len(self.columns[self.names[0]]) if self.names else 0

    def column(self, name: str) -> Cells:
        """The cells of one column, of shape (rows,).

        Raises:
            ColumnError: No column has this name; the nearest name is offered.
        """
        if name not in self.columns:
            raise ColumnError(unknown_column(name, self.names, self.origin))
        return self.columns[name]

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Table:
        """The given rows in the given order (indices from 0, or a mask); numbers go with them."""
        chosen = np.asarray(rows)
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        columns = {name: self.columns[name][chosen] for name in self.names}
        return replace(self, columns=columns, numbers=self.numbers[chosen])

    def select(self, names: Iterable[str]) -> Table:
        """The given columns in the given order."""
        kept = tuple(names)
        return replace(self, names=kept, columns={name: self.column(name) for name in kept})

    def place(self, row: int) -> str:
        """Where a row stands, in a person's words: ``"line 12"`` of a file, ``"row 10"`` else."""
        return f"{self.unit} {self.number(row)}"

    def number(self, row: int) -> int:
        """The number by which a person finds the row with this index."""
        return int(self.numbers[row])


def unknown_column(name: str, names: Sequence[str], origin: str) -> str:
    """The message for a column that is not there: the nearest name, then the known ones.

    >>> unknown_column("incme", ["age", "income"], "adult.csv")
    "adult.csv has no column 'incme'; did you mean 'income'? Its columns: age, income"
    """
    near = nearest(name, names)
    hint = f"; did you mean {near!r}?" if near else "."
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return f"{origin} has no column {name!r}{hint} Its columns: {shown}"


def nearest(name: str, names: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name most like the given one, ignoring case, or None where none is like it.

    >>> nearest("pclass", ["workclass"]), nearest("pclass", ["workclass"], likeness=0.75)
    ('workclass', None)
    """
    folded = {known.casefold(): known for known in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=likeness)
    return folded[close[0]] if close else None


def short(text: str, width: int = 40) -> str:
    """A cell's text as it is quoted in messages: cut where it is long.

    >>> short("x" * 50, width=5)
    "'xxxxx…'"
    """
    return repr(text if len(text) <= width else text[:width] + "…")


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(1, "row"), plural(1200, "row"), plural(2, "category", "categories")
    ('1 row', '1,200 rows', '2 categories')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


__all__ = ["Cells", "Note", "Table", "nearest", "plural", "short", "unknown_column"]
