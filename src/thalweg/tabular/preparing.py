"""A table made ready for training: typed, split, encoded; everything noted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.builtin import BUILTIN_NAMES, load_builtin
from thalweg.data.encoding import TableEncoder, check_categories
from thalweg.data.frames import table_from_frame
from thalweg.data.inference import Schema, infer_schema, rows_with_target
from thalweg.data.reading import read_table
from thalweg.data.relations import Task
from thalweg.data.splits import Split, split_notes, split_rows
from thalweg.data.table import Note, Table, nearest
from thalweg.data.targets import ClassTarget, NumberTarget
from thalweg.errors import FileError, SettingError

FRACTIONS = (0.6, 0.2, 0.2)
"""Shares of the rows for training, validation and test."""


@dataclass(frozen=True, eq=False)
class PreparedTable:
    """A table as training takes it.

    Attributes:
        table: the rows whose target is there.
        schema: what each column is.
        split: indices of the rows for training, validation and test.
        encoder: columns to inputs, fitted on the training rows alone.
        target: the target's encoding; numbers are standardised with the training rows' moments.
        x: inputs of all rows, (rows, features).
        y: encoded targets of all rows, (rows,): class indices, or standardised numbers.
        notes: all that was decided or met, from reading the file on.
    """

    table: Table
    schema: Schema
    split: Split
    encoder: TableEncoder
    target: ClassTarget | NumberTarget
    x: NDArray[np.float32]
    y: NDArray[Any]
    notes: tuple[Note, ...]

    @property
    def task(self) -> Task:
        """``classification`` or ``regression``."""
        return "classification" if isinstance(self.target, ClassTarget) else "regression"

    @property
    def outputs(self) -> int:
        """How many outputs the network needs."""
        return len(self.target.classes) if isinstance(self.target, ClassTarget) else 1

    @cached_property
    def simple(self) -> NDArray[np.float32]:
        """Inputs of all rows as simple models take them: with an input for each category."""
        if not self.encoder.codes:
            return self.x
        encoder = TableEncoder.fit(self.table, self.schema, self.split.train)
        return encoder.transform(self.table).values

    @cached_property
    def values(self) -> NDArray[Any]:
        """The targets as results are judged, (rows,): class indices, or numbers in their unit."""
        if isinstance(self.target, ClassTarget):
            return self.y
        return self.target.numbers(self.table.column(self.target.name), self.table)


def prepare_table(
    source: Any,
    target: str,
    *,
    task: Literal["auto"] | Task = "auto",
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    categories: str = "one_hot",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> PreparedTable:
    """Read, type, split and encode a table; nothing of the held-out rows enters the encoding.

    Args:
        source: a path, a built-in name (``iris``, …), a data frame, a dict of columns, a Table.
        target: the column to predict.
        task: ``classification``, ``regression``, or ``auto`` by the target's values.
        kinds: kinds of columns that overrule what is inferred.
        drop: columns to leave out, such as one that is known only after the target.
        categories: ``one_hot``, or ``embedding`` for numbers for which the network learns vectors.
        fractions: shares of training, validation and test rows; they add up to 1.
        seed: of the split.

    Raises:
        SettingError: another word for categories, or shares that are none.
        FileError: no such file or data set.
        ColumnError: no such column.
        DataError: a table that cannot be learned from.

    >>> prepared = prepare_table("wine", "target")
    >>> prepared.task, prepared.x.shape, [len(rows) for rows in prepared.split]
    ('classification', (178, 13), [106, 36, 36])
    """
    check_categories(categories)
    splitting = _split_seed(seed)
    table = _without(open_table(source), drop, target)
    schema = infer_schema(table, target, task, kinds)
    table = table.take(rows_with_target(table, schema))
    if schema.task == "classification":
        classes = ClassTarget.fit(table.column(target), target)
        y = classes.encode(table.column(target), table)
        split = split_rows(len(table), fractions, labels=y, seed=splitting)
        rare = split_notes(classes.decode(y), fractions)
        return _encoded(table, schema, split, classes, y, rare, categories)
    split = split_rows(len(table), fractions, seed=splitting)
    numbers = NumberTarget.fit(table.column(target)[split.train], target, schema.target)
    y = numbers.encode(table.column(target), table)
    return _encoded(table, schema, split, numbers, y, (), categories)


def _split_seed(seed: Any) -> int:
    """The seed as the split takes it, in 32 bits."""
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**63:
        raise SettingError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed!r}")
    return int(seed) % 2**32


def _without(table: Table, drop: Sequence[str], target: str) -> Table:
    if isinstance(drop, str):
        raise SettingError(f"drop takes a list of columns, such as [{drop!r}], got {drop!r}")
    for name in drop:
        table.column(name)
        if name == target:
            raise SettingError(f"{name!r} is the target and cannot be left out")
    return table.select(name for name in table.names if name not in drop) if drop else table


def _encoded(
    table: Table,
    schema: Schema,
    split: Split,
    target: ClassTarget | NumberTarget,
    y: NDArray[Any],
    notes: tuple[Note, ...],
    categories: str,
) -> PreparedTable:
    encoder = TableEncoder.fit(table, schema, split.train, categories)
    encoded = encoder.transform(table)
    held_out = tuple(_held_out(note) for note in encoded.notes)
    notes = (*schema.notes, *notes, *held_out)
    return PreparedTable(table, schema, split, encoder, target, encoded.values, y, notes)


def _held_out(note: Note) -> Note:
    """A note on rows that the encoding was not fitted on."""
    return Note("info", f"held-out rows: {note.message}", note.column, note.row)


def open_table(source: Any) -> Table:
    """The table that a path, a built-in name, a frame or a dict of columns stands for.

    Raises:
        FileError: no such file; the nearest file or built-in name is offered.
        DataError: nothing that holds a table.

    >>> len(open_table("iris"))
    150
    """
    if not isinstance(source, (str, os.PathLike)):
        return table_from_frame(source)
    name = os.fspath(source)
    if name in BUILTIN_NAMES:
        return load_builtin(name)
    if isinstance(name, bytes):
        raise SettingError(f"the path of a table must be text, got {name!r}")
    if Path(name).name == name and not Path(name).suffix and not Path(name).exists():
        near = nearest(name, BUILTIN_NAMES)
        hint = f"; did you mean {near!r}?" if near else "."
        raise FileError(
            f"there is no file {name!r} and no built-in data set of that name{hint} "
            f"Built in: {', '.join(BUILTIN_NAMES)}"
        )
    return read_table(name)
