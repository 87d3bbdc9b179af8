"""Tables from what users hold already: pandas, polars and pyarrow frames, dicts of sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from thalweg.data.table import Cells, Note, Table, plural
from thalweg.errors import DataError


def table_from_frame(frame: Any, origin: str = "the frame") -> Table:
    """A table from a pandas, polars or pyarrow frame, or from a dict of equally long sequences.

    Columns keep their type: numbers stay numbers, text stays text. Rows are counted from 0.

    >>> table = table_from_frame({"size": [1.5, 2.0], "city": ["Bonn", None]})
    >>> table.column("size").dtype.name, table.column("city").tolist()
    ('float64', ['Bonn', None])

    Raises:
        DataError: Not a frame, no rows, columns of different length.
    """
    if isinstance(frame, Table):
        return frame
    if isinstance(frame, Mapping):
        return _from_mapping(cast("Mapping[Any, Any]", frame), origin)
    import narwhals as nw
    import pyarrow as pa
    from narwhals.exceptions import NarwhalsError

    try:
        native = nw.from_native(frame, eager_only=True)
        names = [str(name) for name in native.columns]
    except TypeError as error:
        raise DataError(
            "expected a pandas, polars or pyarrow frame (polars: collected) or a dict of columns, "
            f"got {type(frame).__name__}"
        ) from error
    except NarwhalsError as error:
        raise DataError(f"{origin} cannot be read: {error}") from error
    _check_names(names, origin)
    columns = [_to_arrow(series) for series in native.iter_columns()]
    return table_from_arrow(pa.table(columns, names=names), origin)


def _to_arrow(series: Any) -> Any:
    import pyarrow as pa

    try:
        return series.to_arrow()
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _mixed(series.to_list())


def _mixed(values: list[Any]) -> Any:
    """An arrow array of any Python values: what arrow cannot type by itself is turned to text."""
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([None if _is_missing(value) else str(value) for value in values])


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _from_mapping(mapping: Mapping[Any, Any], origin: str) -> Table:
    import pyarrow as pa

    names = [str(name) for name in mapping]
    _check_names(names, origin)
    columns = [_sequence(name, value) for name, value in mapping.items()]
    lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{origin}: columns differ in length: {lengths}")
    return table_from_arrow(pa.table(columns, names=names), origin)


def _sequence(name: Any, values: Any) -> Any:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise DataError(f"column {name!r} needs a sequence of cells, got {values!r:.60}")
    if isinstance(values, np.ndarray):
        array = cast("NDArray[Any]", values)
        if array.ndim != 1:
            raise DataError(f"column {name!r} has shape {array.shape}; a column has one dimension")
        if array.dtype.kind in "biufM":
            import pyarrow as pa

            return pa.array(array, from_pandas=True)
        return _mixed(array.tolist())
    return _mixed(list(values))


def _check_names(names: list[str], origin: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise DataError(f"{origin} has no columns")
    if twice:
        raise DataError(f"{origin} has two columns of the same name: {', '.join(twice)}; rename")


# ---------------------------------------------------------------------------- arrow


def table_from_arrow(arrow: Any, origin: str) -> Table:
    """A table from a pyarrow table; columns of lists or other nested values are left out."""
    columns: dict[str, Cells] = {}
    notes: list[Note] = []
    for name in arrow.column_names:
        cells = _typed(arrow.column(name))
        if cells is None:
            kind = str(arrow.schema.field(name).type)
            message = f"column {name!r} holds {kind:.40} values, not numbers or text: left out"
            notes.append(Note("warning", message, name))
            continue
        columns[name], padded = cells
        if padded:
            message = f"column {name!r}: spaces around {plural(padded, 'cell')} removed"
            notes.append(Note("info", message, name))
    if not columns or not arrow.num_rows:
        raise DataError(f"{origin} has no {'rows' if columns else 'columns that can be used'}")
    return Table(tuple(columns), columns, origin, tuple(notes))


def _typed(column: Any) -> tuple[Cells, int] | None:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    for holds, convert in _conversions():
        if holds(kind):
            return convert(column)
    return None


def _conversions() -> list[tuple[Callable[[Any], bool], Callable[[Any], tuple[Cells, int]]]]:
    import pyarrow.types as kinds

    def plain(kind: Any) -> bool:
        other = (kinds.is_decimal, kinds.is_time, kinds.is_duration, kinds.is_null)
        return any(test(kind) for test in other)

    return [
        (kinds.is_boolean, _booleans),
        (kinds.is_integer, _integers),
        (kinds.is_floating, _floats),
        (kinds.is_date, _dates),
        (kinds.is_timestamp, _dates),
        (kinds.is_string, arrow_text),
        (kinds.is_large_string, arrow_text),
        (kinds.is_string_view, _printed),
        (plain, _printed),
    ]


def _printed(column: Any) -> tuple[Cells, int]:
    return arrow_text(_as_string(column))


def _as_string(column: Any) -> Any:
    import pyarrow as pa

    texts = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _booleans(column: Any) -> tuple[Cells, int]:
    if column.null_count:
        return _printed(column)
    return column.to_numpy().astype(np.bool_), 0


def _integers(column: Any) -> tuple[Cells, int]:
    if not column.null_count:
        return column.to_numpy(), 0
    known = column.drop_null().to_numpy()
    if known.size and max(abs(int(known.min())), abs(int(known.max()))) > 2**53:
        return _printed(column)
    return column.to_numpy(zero_copy_only=False).astype(np.float64), 0


def _floats(column: Any) -> tuple[Cells, int]:
    return column.to_numpy(zero_copy_only=False).astype(np.float64), 0


def _dates(column: Any) -> tuple[Cells, int]:
    import pyarrow as pa

    stamps = column.cast(pa.timestamp("us"), safe=False)
    return stamps.to_numpy(zero_copy_only=False).astype("datetime64[us]"), 0


def arrow_text(column: Any) -> tuple[Cells, int]:
    """An arrow column of text as an object array of ``str`` or ``None``.

    Spaces around cells are removed, and the second value counts those cells. Equal cells share
    one string, so that memory follows the number of distinct texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    raw = encoded.dictionary
    bare = pc.call_function("utf8_trim_whitespace", [raw])
    padded = pc.call_function("not_equal", [bare, raw]).to_numpy(zero_copy_only=False)
    levels = np.empty(len(raw) + 1, dtype=object)
    levels[:-1] = bare.to_numpy(zero_copy_only=False)
    levels[levels == ""] = None
    codes = encoded.indices.fill_null(len(raw)).to_numpy(zero_copy_only=False)
    count = int(np.append(padded, False)[codes].sum()) if padded.any() else 0
    return levels[codes], count


__all__ = ["arrow_text", "table_from_arrow", "table_from_frame"]
