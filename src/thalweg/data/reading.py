"""Tables from files: CSV and its kin (comma, semicolon, tab, bar) and Parquet.

Every column of a text file is read as text; types are inferred later, and reported
(:mod:`thalweg.data.inference`), so that ``00501`` stays a postcode and ``NA`` stays Namibia.
"""

from __future__ import annotations

import os
from pathlib import Path

from thalweg.data.builtin import BUILTIN_NAMES, load_builtin
from thalweg.data.decoding import to_utf8, unpack
from thalweg.data.delimited import parse_table
from thalweg.data.frames import table_from_arrow, table_from_frame
from thalweg.data.table import Table
from thalweg.errors import DataError, FileError


def read_table(path: str | os.PathLike[str]) -> Table:
    """The table in a CSV, TSV or Parquet file; what the file is follows from its content.

    Separator (comma, semicolon, tab, bar), encoding (UTF-8, UTF-16, Windows-1252, latin-1),
    line ends and gzip are recognised. All cells of a text file are text without the spaces around
    it, and an empty cell is missing (``None``).

    Raises:
        FileError: No such file, a folder, not readable, a binary file.
        DataError: No rows, or a row that is too short or too long, named by its line.
    """
    file = Path(path)
    origin = file.name or str(file)
    data = unpack(_bytes_of(file, origin), origin)
    if data.startswith(b"PAR1"):
        return _read_parquet(data, origin)
    text, notes = to_utf8(data, origin)
    return parse_table(text, origin, notes, tabs=".tsv" in file.suffixes)


def _bytes_of(file: Path, origin: str) -> bytes:
    if file.is_dir():
        raise FileError(f"{origin} is a folder; name one CSV or Parquet file in it")
    if not file.exists():
        raise FileError(f"there is no file {str(file)!r}{_near_file(file)}")
    if not file.is_file():
        raise FileError(f"{origin} is not a plain file; copy its content to one first")
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {str(file)!r}: {error.strerror or error}") from error


def _near_file(file: Path) -> str:
    import difflib

    try:
        known = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"; the folder {str(file.parent)!r} is not there or cannot be listed"
    near = difflib.get_close_matches(file.name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _read_parquet(data: bytes, origin: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{origin} is a damaged Parquet file: {error}") from error
    if not table.num_rows:
        raise DataError(f"{origin} has columns but no rows")
    return table_from_arrow(table, origin)


__all__ = ["BUILTIN_NAMES", "load_builtin", "parse_table", "read_table", "table_from_frame"]
