"""The header of delimited text: the record of names, made unique and not empty."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from thalweg.data.table import Note
from thalweg.errors import DataError

_NUMBER = re.compile(r"[-+]?[0-9.,]+(?:e[-+]?[0-9]+)?", re.IGNORECASE)


def header_record(
    data: bytes, start: int, delimiter: str, origin: str, line: int
) -> tuple[list[str], int, int]:
    r"""The cells of the record at a byte position, its number of lines, and where it ends.

    >>> header_record(b'a,"b\nc"\n1,2', 0, ",", "example", 1)
    (['a', 'b\nc'], 2, 8)

    Raises:
        DataError: A quote that is not closed.
    """
    ends: list[int] = []
    reader = csv.reader(_lines(data, start, ends), delimiter=delimiter, strict=True)
    try:
        cells = next(reader)
    except csv.Error as error:
        raise DataError(
            f'{origin}, line {line}: a quote (") in the header is not closed properly ({error}); '
            'close it, or write it twice ("") inside quotes'
        ) from error
    return cells, len(ends), ends[-1]


def _lines(data: bytes, start: int, ends: list[int]) -> Iterator[str]:
    while start < len(data):
        stop = data.find(b"\n", start)
        end = len(data) if stop < 0 else stop + 1
        ends.append(end)
        yield data[start:end].decode("utf-8").replace("\r\n", "\n")
        start = end


def unique_names(header: list[str], line: int) -> tuple[tuple[str, ...], list[Note]]:
    """The names without spaces around them; empty and repeated ones get a name, with a warning.

    >>> names, notes = unique_names(["a", "", "a"], 1)
    >>> names, str(notes[1])
    (('a', 'column_2', 'a_2'),
     "warning: line 1: the name 'a' appears again at column 3; it is called 'a_2' here")
    """
    bare = [name.strip() for name in header]
    notes: list[Note] = []
    if bare != header:
        notes.append(Note("info", f"line {line}: spaces around column names removed", None, line))
    names: dict[str, None] = {}
    for position, name in enumerate(bare, start=1):
        if name and name not in names:
            names[name] = None
            continue
        free = _free_name(name, position, names.keys() | set(bare))
        names[free] = None
        what = f"the name {name!r} appears again" if name else "there is no name"
        message = f"line {line}: {what} at column {position}; it is called {free!r} here"
        notes.append(Note("warning", message, free, line))
    if all(_NUMBER.fullmatch(name) for name in bare):
        message = (
            f"line {line} is taken as column names but holds only numbers ({bare[0]}, ...); if it "
            "is data, add a line of names above it"
        )
        notes.append(Note("warning", message, None, line))
    return tuple(names), notes


def _free_name(name: str, position: int, taken: set[str]) -> str:
    if not name and f"column_{position}" not in taken:
        return f"column_{position}"
    stem, number = name or f"column_{position}", 2
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"


__all__ = ["header_record", "unique_names"]
