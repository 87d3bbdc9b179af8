r"""The schema of a table: what each column is, what is to be predicted, and all there is to say.

>>> from thalweg.data.reading import parse_table
>>> rows = "".join(f"{size},{'yes' if size > 2 else 'no'}\n" for size in (1, 2, 3, 4, 2, 3))
>>> schema = infer_schema(parse_table(f"size,sold\n{rows}".encode(), "six rows"), "sold")
>>> schema.task, [column.name for column in schema.inputs]
('classification', ['size'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import Style, guess_format, levels_of, numbers_of
from thalweg.data.columns import force_column, infer_column
from thalweg.data.kinds import Column, Judged, Kind
from thalweg.data.relations import Task, leak_notes, repeat_notes
from thalweg.data.table import Note, Table, plural, unknown_column
from thalweg.data.tasks import (
    check_target,
    choose_task,
    dropped_notes,
    target_detail,
    target_rows,
)
from thalweg.errors import ColumnError, DataError, SettingError


@dataclass(frozen=True)
class Schema:
    """The typed columns of a table, its target and task, and all notes since the file was opened.

    ``columns`` holds every column but the target, also those that are left out; ``inputs`` only
    those that are used.
    """

    columns: tuple[Column, ...]
    target: Column | None
    task: Task | None
    notes: tuple[Note, ...]
    rows: int
    origin: str

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that a network is given."""
        return tuple(column for column in self.columns if column.used)

    def column(self, name: str) -> Column:
        """One typed column by name (an input, a column left out, or the target)."""
        known = {column.name: column for column in self._all()}
        if name not in known:
            raise ColumnError(unknown_column(name, list(known), self.origin))
        return known[name]

    def _all(self) -> tuple[Column, ...]:
        return (*self.columns, self.target) if self.target else self.columns

    def report(self) -> str:
        """The schema for people: a line for each column with kind and reason, then the notes."""
        head = ("column", "kind", "missing", "distinct", "what it holds")
        lines = [head, *(_report_line(column, self) for column in self._all())]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        shown = [_aligned(line, widths) for line in lines]
        rule = "-" * max(map(len, shown))
        used = f"{len(self.inputs)} of {plural(len(self.columns), 'column')} used as inputs"
        text = [f"{self.origin}: {plural(self.rows, 'row')}, {used}", "", shown[0], rule]
        text += shown[1:]
        if self.notes:
            text += ["", "Notes", *(f"- {note}" for note in self.notes)]
        return "\n".join(line.rstrip() for line in text)


def _report_line(column: Column, schema: Schema) -> tuple[str, str, str, str, str]:
    role = "" if column.used else "left out: "
    if schema.target is column:
        role = f"TARGET ({schema.task}): "
    missing = f"{column.missing_count:,}" if column.missing_count else "-"
    name = column.name if column.name.isprintable() else repr(column.name)[1:-1]
    name = name if len(name) <= 32 else name[:31] + "…"
    return name, str(column.kind), missing, f"{column.distinct:,}", role + column.detail


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    left = f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}"
    return f"{left}  {line[2]:>{widths[2]}}  {line[3]:>{widths[3]}}  {line[4]}"


def infer_schema(
    table: Table,
    target: str | None = None,
    task: Literal["auto"] | Task = "auto",
    kinds: Mapping[str, str] | None = None,
) -> Schema:
    """The kind of every column, the task, and notes on everything that a person should know.

    With ``task="auto"`` a target of text or yes/no has classes; whole numbers have classes when
    there are at most 20 different ones and at least two rows for each; other numbers are
    regression. ``kinds`` overrides single columns (``{"zip": "category"}``). Rows whose target is
    missing do not count: :func:`rows_with_target` gives the others.

    Raises:
        ColumnError: No column of the name given as target or in ``kinds``.
        SettingError: Unknown task or kind.
        DataError: A target that cannot be learned (one value, no value, text for regression,
            infinite, a class for each row), or no column left to learn from.
    """
    if task not in ("auto", "classification", "regression"):
        raise SettingError(f"task {task!r} is not one of auto, classification, regression")
    wanted = _wanted_kinds(table, kinds or {})
    prefer: Style = "comma" if _writes_commas(table) else "thousands"
    notes = list(table.notes)
    aim: Column | None = None
    chosen: Task | None = None
    if target is not None:
        aim, found = check_target(table, _judge(table, target, wanted, prefer))
        chosen, more = choose_task(table, aim, task)
        kept = target_rows(table, aim, chosen)
        notes += found + more + dropped_notes(table, target, kept)
        table = table.take(kept) if len(kept) < len(table) else table
        aim = replace(aim, detail=target_detail(table, aim))
    judged = [_judge(table, name, wanted, prefer) for name in table.names if name != target]
    columns = _with_counters([column for column, _ in judged])
    notes += [note for _, found in judged for note in found]
    notes += _left_out_notes(columns)
    if aim is not None and chosen is not None:
        _require_inputs(table, columns)
        notes += leak_notes(table, columns, aim, chosen)
    notes += repeat_notes(table, columns)
    return Schema(columns, aim, chosen, tuple(notes), len(table), table.origin)


def rows_with_target(table: Table, schema: Schema) -> NDArray[np.int64]:
    """The indices of the rows whose target is there, of shape (rows,): those to learn from."""
    if schema.target is None or schema.task is None:
        return np.arange(len(table), dtype=np.int64)
    return target_rows(table, schema.target, schema.task)


def _wanted_kinds(table: Table, kinds: Mapping[str, str]) -> dict[str, Kind]:
    wanted: dict[str, Kind] = {}
    for name, kind in kinds.items():
        table.column(name)
        if kind not in set(Kind):
            raise SettingError(f"kind {kind!r} of column {name!r} is not one of {', '.join(Kind)}")
        wanted[name] = Kind(kind)
    return wanted


def _writes_commas(table: Table) -> bool:
    """Whether a column among the first rows can only be read with decimal commas."""
    head = table.take(np.arange(min(len(table), 1000)))
    for name in head.names:
        if head.columns[name].dtype == object:
            texts = levels_of(head.columns[name]).texts
            layout, ambiguous = guess_format(texts, "thousands")
            read = int(np.isfinite(numbers_of(texts, layout)).sum())
            if layout.style == "comma" and not ambiguous and 2 * read >= len(texts):
                return True
    return False


def _with_counters(columns: list[Column]) -> tuple[Column, ...]:
    """Columns that count the rows are inputs after all where there is no other."""
    if any(column.used for column in columns):
        return tuple(columns)
    return tuple(replace(c, kind=Kind.NUMERIC) if c.counter else c for c in columns)


def _left_out_notes(columns: tuple[Column, ...]) -> list[Note]:
    out = [f"{column.name!r} ({column.kind})" for column in columns if not column.used]
    if not out:
        return []
    shown = ", ".join(out[:10]) + (f", ... ({len(out)} in all)" if len(out) > 10 else "")
    return [Note("info", f"not used as inputs: {shown}")]


def _judge(table: Table, name: str, wanted: Mapping[str, Kind], prefer: Style) -> Judged:
    if name in wanted:
        return force_column(table, name, wanted[name], prefer)
    return infer_column(table, name, prefer)


def _require_inputs(table: Table, columns: tuple[Column, ...]) -> None:
    if any(column.used for column in columns):
        return
    reasons = "; ".join(f"{column.name}: {column.kind}" for column in columns[:10])
    raise DataError(
        f"{table.origin} has no column to learn from ({reasons or 'only the target'}); add one, "
        "or name a kind for one, as in kinds={'column': 'category'}"
    )


__all__ = ["Column", "Kind", "Schema", "infer_schema", "rows_with_target"]
