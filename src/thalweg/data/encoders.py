"""Encoders of single columns: fitted on training rows, then pure functions of a table.

::

    encoder ::= NumberEncoder (numbers, dates) | BooleanEncoder | CategoryEncoder

Each gives a block of inputs of shape (rows, len(features)), and notes on what it met.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import DATE_FORMATS, SIGNS, STYLES, NumberFormat, levels_of
from thalweg.data.kinds import MAX_LEVELS, Column, Kind, infinity_notes, place_note
from thalweg.data.outliers import far_out
from thalweg.data.plain import (
    listed,
    plain_flag,
    plain_number,
    plain_object,
    plain_text,
    plain_texts,
)
from thalweg.data.readout import read_column
from thalweg.data.table import Note, Table, plural, short
from thalweg.descriptions import Plain
from thalweg.errors import DescriptionError

Block = tuple[NDArray[np.float32], list[Note]]


@dataclass(frozen=True)
class Moments:
    """Median, mean and standard deviation of the known values of a column, in float64."""

    median: float
    mean: float
    scale: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Moments:
        """The moments of the finite values; the scale is 1 where they do not differ.

        Values far out (:func:`thalweg.data.outliers.far_out`) do not count: a few of them would
        press all others together.
        Values are first divided by a power of two (which is exact), so that sums and squares of
        numbers near the end of the range of float64 do not overflow.
        """
        known = values[np.isfinite(values) & ~far_out(values)]
        if not known.size:
            return cls(0.0, 0.0, 1.0)
        exponent = int(np.frexp(np.abs(known).max())[1])
        small = np.ldexp(known, -exponent)
        mean = float(small.mean())
        deviation = float(small.std()) if small.min() < small.max() else 0.0
        scale = float(np.ldexp(deviation, exponent)) or 1.0
        median = float(np.ldexp(np.median(small), exponent))
        return cls(median, float(np.ldexp(mean, exponent)), scale)


@dataclass(frozen=True)
class NumberEncoder:
    """Numbers or dates, standardised: (x − mean) / scale, cut at ±``limit``.

    A missing value becomes the training median; where training had missing values, a second
    input says with 1 that it was missing.
    """

    name: str
    kind: str
    layout: NumberFormat
    date_format: str
    unreadable: tuple[str, ...]
    median: float
    mean: float
    scale: float
    indicator: bool
    limit: float

    @classmethod
    def fit(cls, table: Table, column: Column, limit: float) -> NumberEncoder:
        """Moments of one column over all rows of the table."""
        values = read_column(table, column)
        moments = Moments.of(values)
        return cls(
            name=column.name,
            kind=str(column.kind),
            layout=column.number_format,
            date_format=column.date_format,
            unreadable=column.unreadable,
            median=moments.median,
            mean=moments.mean,
            scale=moments.scale,
            indicator=not bool(np.isfinite(values).all()),
            limit=limit,
        )

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def transform(self, table: Table) -> Block:
        """The standardised column, of shape (rows, 1 or 2)."""
        values = read_column(table, self._column())
        notes = infinity_notes(table, self.name, values)
        missing = ~np.isfinite(values)
        values = np.where(missing, self.median, values)
        with np.errstate(over="ignore"):
            standard = (values - self.mean) / self.scale
        block = np.empty((len(values), len(self.features)), dtype=np.float32)
        block[:, 0] = np.clip(standard, -self.limit, self.limit)
        if self.indicator:
            block[:, 1] = missing
        else:
            notes += _missing_notes(table, self.name, missing, f"the median {self.median:g}")
        return block, notes

    def _column(self) -> Column:
        return Column(
            self.name,
            Kind(self.kind),
            0,
            0,
            number_format=self.layout,
            date_format=self.date_format,
            unreadable=self.unreadable,
        )

    def to_plain(self) -> dict[str, Plain]:
        """The encoder as JSON data."""
        return {
            "type": "number",
            "name": self.name,
            "kind": self.kind,
            "style": self.layout.style,
            "sign": self.layout.sign,
            "date_format": self.date_format,
            "unreadable": listed(self.unreadable),
            "median": self.median,
            "mean": self.mean,
            "scale": self.scale,
            "indicator": self.indicator,
            "limit": self.limit,
        }

    @classmethod
    def from_plain(cls, plain: Plain, where: str) -> NumberEncoder:
        """The encoder that JSON data describes."""
        keys = "type name kind style sign date_format unreadable median mean scale indicator limit"
        found = plain_object(plain, keys.split(), where)
        style = plain_text(found["style"], f"{where}.style", STYLES)
        sign = plain_text(found["sign"], f"{where}.sign", ("", *SIGNS))
        return cls(
            name=plain_text(found["name"], f"{where}.name"),
            kind=plain_text(found["kind"], f"{where}.kind", (Kind.NUMERIC, Kind.DATE)),
            layout=NumberFormat(next(known for known in STYLES if known == style), sign),
            date_format=plain_text(found["date_format"], f"{where}.date_format", DATE_FORMATS),
            unreadable=plain_texts(found["unreadable"], f"{where}.unreadable"),
            median=plain_number(found["median"], f"{where}.median"),
            mean=plain_number(found["mean"], f"{where}.mean"),
            scale=plain_number(found["scale"], f"{where}.scale", positive=True),
            indicator=plain_flag(found["indicator"], f"{where}.indicator"),
            limit=plain_number(found["limit"], f"{where}.limit", positive=True),
        )


@dataclass(frozen=True)
class BooleanEncoder:
    """Yes/no as 1 and 0; a missing one as the more frequent of both, marked like numbers."""

    name: str
    unreadable: tuple[str, ...]
    usual: bool
    indicator: bool

    @classmethod
    def fit(cls, table: Table, column: Column) -> BooleanEncoder:
        """The more frequent value over all rows of the table."""
        values = read_column(table, column)
        known = values[np.isfinite(values)]
        usual = bool(known.size and known.mean() >= 0.5)
        return cls(column.name, column.unreadable, usual, known.size < values.size)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def transform(self, table: Table) -> Block:
        """0 and 1, of shape (rows, 1 or 2)."""
        column = Column(self.name, Kind.BOOLEAN, 0, 2, unreadable=self.unreadable)
        values = read_column(table, column)
        missing = ~np.isfinite(values)
        block = np.empty((len(values), len(self.features)), dtype=np.float32)
        block[:, 0] = np.where(missing, float(self.usual), values)
        if not self.indicator:
            usual = "yes" if self.usual else "no"
            return block, _missing_notes(table, self.name, missing, f"the usual {usual!r}")
        block[:, 1] = missing
        return block, []

    def to_plain(self) -> dict[str, Plain]:
        """The encoder as JSON data."""
        return {
            "type": "boolean",
            "name": self.name,
            "unreadable": listed(self.unreadable),
            "usual": self.usual,
            "indicator": self.indicator,
        }

    @classmethod
    def from_plain(cls, plain: Plain, where: str) -> BooleanEncoder:
        """The encoder that JSON data describes."""
        found = plain_object(plain, ["type", "name", "unreadable", "usual", "indicator"], where)
        return cls(
            name=plain_text(found["name"], f"{where}.name"),
            unreadable=plain_texts(found["unreadable"], f"{where}.unreadable"),
            usual=plain_flag(found["usual"], f"{where}.usual"),
            indicator=plain_flag(found["indicator"], f"{where}.indicator"),
        )


@dataclass(frozen=True)
class CategoryEncoder:
    """One input for each category seen in training, 1 where a row has it.

    ``missing`` and ``other`` say whether there is an input for missing cells (training had some)
    and one for rare categories (there were more than 100). A category never seen counts as
    ``other``; where there is none, all inputs of the column are 0.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool
    other: bool

    @classmethod
    def fit(cls, table: Table, column: Column, most: int = MAX_LEVELS) -> CategoryEncoder:
        """The categories over all rows of the table, the most common of them, sorted."""
        levels = levels_of(table.column(column.name))
        order = np.argsort(-levels.counts(), kind="stable")[:most]
        kept = tuple(sorted(levels.texts[index] for index in order))
        missing = levels.filled < len(levels.codes)
        return cls(column.name, kept, missing, len(levels.texts) > most)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the inputs: ``column=category``."""
        named = [f"{self.name}={level}" for level in self.levels]
        named += [f"{self.name} is missing"] if self.missing else []
        return tuple(named + ([f"{self.name} is other"] if self.other else []))

    def transform(self, table: Table) -> Block:
        """Zeros with a one for each row's category, of shape (rows, features)."""
        places, notes = self.places(table)
        width = len(self.features)
        block = np.zeros((len(places), width + 1), dtype=np.float32)
        block[np.arange(len(places)), places] = 1
        return block[:, :width], notes

    def places(self, table: Table) -> tuple[NDArray[np.int64], list[Note]]:
        """Which of the features each row has, of shape (rows,); as many as there are for none."""
        levels = levels_of(table.column(self.name))
        place = {level: index for index, level in enumerate(self.levels)}
        width = len(self.features)
        other = width - 1 if self.other else width
        missing = len(self.levels) if self.missing else width
        targets = [place.get(text, other) for text in levels.texts]
        spread = levels.spread(np.array(targets, dtype=np.int64), missing)
        unseen = [index for index, text in enumerate(levels.texts) if text not in place]
        notes = self._unseen_notes(table, levels.codes, levels.texts, unseen)
        if not self.missing:
            notes += _missing_notes(table, self.name, levels.codes < 0, "no category")
        return spread, notes

    def _unseen_notes(
        self, table: Table, codes: NDArray[np.int32], texts: list[str], unseen: list[int]
    ) -> list[Note]:
        if not unseen:
            return []
        rows = np.flatnonzero(np.isin(codes, unseen))
        row = int(rows[0])
        many = plural(len(unseen), "such category", "such categories")
        rest = f"({many} in {plural(len(rows), 'row')})"
        text = short(texts[codes[row]])
        if self.other:
            message = f"{text} is not among the {len(self.levels)} most common {rest}: 'other'"
            return [place_note(table, self.name, "info", row, message)]
        message = f"{text} was not seen in training {rest}; it counts as none of the known ones"
        return [place_note(table, self.name, "warning", row, message)]

    def to_plain(self) -> dict[str, Plain]:
        """The encoder as JSON data."""
        return {
            "type": "category",
            "name": self.name,
            "levels": listed(self.levels),
            "missing": self.missing,
            "other": self.other,
        }

    @classmethod
    def from_plain(cls, plain: Plain, where: str) -> CategoryEncoder:
        """The encoder that JSON data describes."""
        found = plain_object(plain, ["type", "name", "levels", "missing", "other"], where)
        encoder = cls(
            name=plain_text(found["name"], f"{where}.name"),
            levels=plain_texts(found["levels"], f"{where}.levels"),
            missing=plain_flag(found["missing"], f"{where}.missing"),
            other=plain_flag(found["other"], f"{where}.other"),
        )
        if not encoder.features:
            raise DescriptionError(f"{where} needs at least one level")
        return encoder


def _missing_notes(table: Table, name: str, missing: NDArray[np.bool_], instead: str) -> list[Note]:
    if not missing.any():
        return []
    count = plural(int(missing.sum()), "cell")
    message = f"missing ({count}), though training had none missing here; {instead} stands in"
    return [place_note(table, name, "warning", int(np.argmax(missing)), message)]


Encoder = NumberEncoder | BooleanEncoder | CategoryEncoder

__all__ = ["BooleanEncoder", "CategoryEncoder", "Encoder", "Moments", "NumberEncoder"]
