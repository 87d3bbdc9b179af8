"""Delimited text to a table: separator, header, rows, and the line on which each row stands.

pyarrow reads the cells, all of them as text. Where a row does not fit, the text is read again with
the standard library's reader, which knows lines, to say where.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.data.frames import arrow_text
from thalweg.data.header import header_record, unique_names
from thalweg.data.table import Cells, Note, Table, plural, short
from thalweg.errors import DataError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """Where the rows of a text lie, as byte positions, and how their cells are separated."""

    delimiter: str
    names: tuple[str, ...]
    start: int
    end: int
    first_line: int


def parse_table(
    data: bytes, origin: str, notes: tuple[Note, ...] = (), *, tabs: bool = False
) -> Table:
    r"""The table in UTF-8 text: a header line, then rows.

    >>> parse_table(b"city;rent\nBonn;9,5\n", "rents").column("rent").tolist()
    ['9,5']

    Raises:
        DataError: No header, no rows, a row that does not fit the header, an open quote.
    """
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    if not data.strip():
        raise DataError(f"{origin} is empty; it needs a line of column names, then rows")
    layout, found = _layout(data, origin, tabs)
    if not data[layout.start : layout.start + 65536].strip() and not data[layout.start :].strip():
        names = ", ".join(layout.names[:5]) + (", ..." if len(layout.names) > 5 else "")
        raise DataError(f"{origin} has a header line ({names}) but no rows")
    columns, padded = _cells(data, layout, origin)
    numbers, blank = _line_numbers(data, layout, len(columns[layout.names[0]]))
    found += _padding_notes(padded)
    if blank:
        found.append(Note("info", f"{plural(blank, 'blank line')} skipped"))
    table = Table(layout.names, columns, origin, notes + tuple(found), numbers, "line")
    return _with_hollow_note(table)


def _layout(data: bytes, origin: str, tabs: bool) -> tuple[Layout, list[Note]]:
    start = len(data) - len(data.lstrip(b"\r\n"))
    line = 1 + data.count(b"\n", 0, start)
    notes: list[Note] = []
    declared = re.match(rb"sep=(.)\r?\n", data[start : start + 8], re.IGNORECASE)
    delimiter = "\t" if tabs else ""
    if declared:
        delimiter = declared[1].decode()
        start, line = start + declared.end(), line + 1
        notes.append(Note("info", f"the first line gives the separator: {delimiter!r}", None, 1))
    delimiter = delimiter or _guess_delimiter(data[start : start + 65536].decode("utf-8", "ignore"))
    cells, lines, stop = header_record(data, start, delimiter, origin, line)
    names, renamed = unique_names(cells, line)
    end = len(data.rstrip(b"\r\n"))
    return Layout(delimiter, names, stop, max(stop, end), line + lines), notes + renamed


def _guess_delimiter(sample: str) -> str:
    """The separator that stands in the header, and as often in the lines below it."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in sample.splitlines()[:30] if line.strip()]
    header, rest = (lines[0], lines[1:-1] or lines[1:]) if lines else ("", [])

    def score(delimiter: str) -> tuple[float, int]:
        wanted = header.count(delimiter)
        agree = sum(line.count(delimiter) == wanted for line in rest)
        return (agree / max(len(rest), 1) if wanted else -1.0, wanted)

    return max(DELIMITERS, key=score)


def _cells(data: bytes, layout: Layout, origin: str) -> tuple[dict[str, Cells], dict[str, int]]:
    """The text of every column, and how many of its cells had spaces around them."""
    import pyarrow as pa

    if data.count(b'"', layout.start) % 2:
        _find_misfit(data, layout, origin)
    try:
        table = _read_arrow(data, layout)
    except pa.ArrowException as error:
        _find_misfit(data, layout, origin)
        raise DataError(f"{origin} cannot be read as a table: {error}") from error
    columns: dict[str, Cells] = {}
    padded: dict[str, int] = {}
    for index, name in enumerate(layout.names):
        columns[name], padded[name] = arrow_text(table.column(index))
    return columns, padded


def _read_arrow(data: bytes, layout: Layout) -> Any:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    body = pa.py_buffer(memoryview(data)[layout.start : layout.end])
    names = list(layout.names)
    return arrow_csv.read_csv(
        pa.BufferReader(body),
        read_options=arrow_csv.ReadOptions(
            column_names=names, block_size=min(len(data) + 1, 2**24)
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter,
            newlines_in_values=b'"' in data,
            ignore_empty_lines=len(names) > 1,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


# ---------------------------------------------------------------------------- lines


def _records(data: bytes, layout: Layout) -> Iterator[tuple[int, int, list[str]]]:
    """First and last line of every record that is not blank, with its cells."""
    raw = io.BytesIO(memoryview(data)[layout.start : layout.end])
    with io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
        reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
        before = 0
        for cells in reader:
            if cells or len(layout.names) == 1:
                yield layout.first_line + before, layout.first_line + reader.line_num - 1, cells
            before = reader.line_num


def _find_misfit(data: bytes, layout: Layout, origin: str) -> None:
    """Raise for the first row that does not fit the header, naming its line."""
    width, line = len(layout.names), layout.first_line
    try:
        for first, last, cells in _records(data, layout):
            line = last + 1
            if len(cells) == width or (not cells and width == 1):
                continue
            shown = short(layout.delimiter.join(cells), 60)
            sort = "short" if len(cells) < width else "long"
            raise DataError(
                f"{origin}, line {first}: the row is too {sort}: {plural(len(cells), 'cell')} "
                f"where the header has {width} ({shown}). Correct the line, or put quotes "
                f"around text that holds {DELIMITERS.get(layout.delimiter, 'the separator')}"
            )
    except csv.Error as error:
        raise DataError(
            f'{origin}, line {line}: a quote (") is opened and not closed properly ({error}); '
            'close it, or write it twice ("") inside quotes'
        ) from error


def _line_numbers(data: bytes, layout: Layout, count: int) -> tuple[NDArray[np.int64], int]:
    """The line on which each row starts, and how many blank lines lie between them."""
    plain = layout.first_line + np.arange(count, dtype=np.int64)
    lines = data.count(b"\n", layout.start, layout.end) + 1
    if lines == count:
        return plain, 0
    starts: list[int] = []
    spans = 0
    try:
        for first, last, _ in _records(data, layout):
            starts.append(first)
            spans += last - first + 1
    except csv.Error:
        return plain, 0
    if len(starts) != count:
        return plain, 0
    return np.array(starts, dtype=np.int64), max(lines - spans, 0)


# ---------------------------------------------------------------------------- notes


def _padding_notes(padded: dict[str, int]) -> list[Note]:
    names = [name for name, cells in padded.items() if cells]
    if not names:
        return []
    total = sum(padded.values())
    where = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return [Note("info", f"spaces around {plural(total, 'cell')} removed (in {where})")]


def _with_hollow_note(table: Table) -> Table:
    """A warning where rows hold no value at all."""
    hollow = np.ones(len(table), dtype=np.bool_)
    for name in table.names:
        rows = np.flatnonzero(hollow)
        missing = [cell is None for cell in table.columns[name][rows]]
        hollow[rows] = missing
        if not hollow.any():
            return table
    row = int(np.argmax(hollow))
    message = (
        f"{table.place(row)}: no value in any column ({plural(int(hollow.sum()), 'such row')}); "
        "remove such lines unless they mean something"
    )
    note = Note("warning", message, None, table.number(row))
    return replace(table, notes=(*table.notes, note))


__all__ = ["DELIMITERS", "Layout", "parse_table"]
