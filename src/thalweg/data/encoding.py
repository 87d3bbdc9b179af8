"""Tables to network inputs: every column's encoder, fitted on training rows, in one description.

The targets' encoders (:class:`ClassTarget`, :class:`NumberTarget`) are offered here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.data.codes import CodeEncoder
from thalweg.data.encoders import BooleanEncoder, CategoryEncoder, Encoder, NumberEncoder
from thalweg.data.inference import Schema
from thalweg.data.kinds import Column, Kind
from thalweg.data.plain import listed, plain_list, plain_object, plain_text, plain_texts
from thalweg.data.table import Note, Table, nearest
from thalweg.data.targets import ClassTarget, NumberTarget, Target, fit_target, target_from_plain
from thalweg.descriptions import Plain
from thalweg.errors import ColumnError, DataError, DescriptionError, SettingError

LIMIT = 10.0
"""Standardised inputs are cut at this many standard deviations."""

CATEGORIES = ("one_hot", "embedding")
"""How categories reach the network: an input for each, or a number for which it learns a vector."""

_DECODERS: dict[str, Callable[[Plain, str], Encoder | CodeEncoder]] = {
    "number": NumberEncoder.from_plain,
    "boolean": BooleanEncoder.from_plain,
    "category": CategoryEncoder.from_plain,
    "code": CodeEncoder.from_plain,
}


@dataclass(frozen=True)
class Encoded:
    """Network inputs of shape (rows, features), float32 and finite, with notes on the table."""

    values: NDArray[np.float32]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class TableEncoder:
    """The encoders of all input columns, in the order of the network's inputs.

    ``ignored`` are columns that training knew and left out (the target among them): they may be
    in a table or not, without a word.
    """

    encoders: tuple[Encoder | CodeEncoder, ...]
    ignored: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        table: Table,
        schema: Schema,
        rows: Sequence[int] | NDArray[Any] | None = None,
        categories: str = "one_hot",
    ) -> TableEncoder:
        """Encoders fitted on the given rows only (all, where none are given).

        ``categories`` is ``one_hot``, or ``embedding`` for numbers that name categories.

        Raises:
            SettingError: Another word for categories.
            ColumnError: The table lacks a column of the schema.
            DataError: No rows, or no column to encode.
        """
        check_categories(categories)
        chosen = table if rows is None else table.select(_names(schema)).take(rows)
        if not len(chosen) or not schema.inputs:
            what = "rows" if schema.inputs else "columns"
            raise DataError(f"{table.origin}: no {what} to learn the encoding from")
        encoders = tuple(_fit_column(chosen, column, categories) for column in schema.inputs)
        known = [column.name for column in schema.columns if not column.used]
        return cls(encoders, tuple(known + ([schema.target.name] if schema.target else [])))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that a table must have."""
        return tuple(encoder.name for encoder in self.encoders)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the inputs: ``age``, ``age is missing``, ``sex=Female``, ..."""
        return tuple(name for encoder in self.encoders for name in encoder.features)

    @cached_property
    def codes(self) -> dict[int, int]:
        """The inputs that number categories, by place, and how many numbers each of them has."""
        found, place = dict[int, int](), 0
        for encoder in self.encoders:
            if isinstance(encoder, CodeEncoder):
                found[place] = encoder.count
            place += len(encoder.features)
        return found

    def transform(self, table: Table) -> Encoded:
        """The inputs for every row of a table, whose columns are found by name, in any order.

        Raises:
            ColumnError: A column is missing; the nearest name is offered.
            DataError: A cell that does not fit its column, named with its row.
        """
        notes = self._check_columns(table)
        values = np.empty((len(table), len(self.feature_names)), dtype=np.float32)
        start = 0
        for encoder in self.encoders:
            block, found = encoder.transform(table)
            values[:, start : start + block.shape[1]] = block
            start += block.shape[1]
            notes += found
        return Encoded(values, tuple(notes))

    def _check_columns(self, table: Table) -> list[Note]:
        known = {*self.columns, *self.ignored}
        extra = [name for name in table.names if name not in known]
        absent = [name for name in self.columns if name not in table.columns]
        if absent:
            near = nearest(absent[0], extra, likeness=0.75)
            remedy = f"rename {near!r} to it." if near else "add it (its cells may be empty)."
            if not near and 2 * len(absent) > len(self.columns):
                remedy = "is it the right table?"
            others = f" (and {', '.join(map(repr, absent[1:6]))})" if absent[1:] else ""
            raise ColumnError(
                f"{table.origin} has no column {absent[0]!r}{others}, which the model was trained "
                f"with; {remedy} Its columns: {', '.join(table.names[:20])}"
            )
        if not extra:
            return []
        names = ", ".join(map(repr, extra[:8])) + (", ..." if len(extra) > 8 else "")
        return [Note("info", f"not used, as training did not have it: {names}")]

    def to_plain(self) -> dict[str, Plain]:
        """The encoder as JSON data; floats keep every bit."""
        columns: list[Plain] = [encoder.to_plain() for encoder in self.encoders]
        return {"columns": columns, "ignored": listed(self.ignored)}

    @classmethod
    def from_plain(cls, plain: Plain) -> TableEncoder:
        """The encoder that JSON data describes; anything unexpected in it is refused.

        Raises:
            DescriptionError: A missing, unknown or ill-typed entry, named by its place.
        """
        found = plain_object(plain, ("columns", "ignored"), "table")
        encoders: list[Encoder | CodeEncoder] = []
        for index, item in enumerate(plain_list(found["columns"], "table.columns")):
            where = f"table.columns[{index}]"
            kind = item.get("type") if isinstance(item, dict) else item
            encoders.append(_DECODERS[plain_text(kind, f"{where}.type", _DECODERS)](item, where))
        names = [encoder.name for encoder in encoders]
        if not names or len(set(names)) != len(names):
            raise DescriptionError("table.columns needs at least one column, each once")
        return cls(tuple(encoders), plain_texts(found["ignored"], "table.ignored"))


def check_categories(categories: str) -> None:
    """Refuse what is none of :data:`CATEGORIES`.

    Raises:
        SettingError: naming the choices.
    """
    if categories not in CATEGORIES:
        raise SettingError(f"categories = {categories!r:.60} is not one of {', '.join(CATEGORIES)}")


def _names(schema: Schema) -> list[str]:
    return [column.name for column in schema.inputs]


def _fit_column(table: Table, column: Column, categories: str) -> Encoder | CodeEncoder:
    if column.kind == Kind.CATEGORY:
        if categories == "embedding":
            return CodeEncoder.fit(table, column)
        return CategoryEncoder.fit(table, column)
    if column.kind == Kind.BOOLEAN:
        return BooleanEncoder.fit(table, column)
    return NumberEncoder.fit(table, column, LIMIT)


__all__ = [
    "CATEGORIES",
    "LIMIT",
    "ClassTarget",
    "Encoded",
    "NumberTarget",
    "TableEncoder",
    "Target",
    "check_categories",
    "fit_target",
    "target_from_plain",
]
