"""Targets: classes to indices and back, numbers to standardised values and back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import SIGNS, STYLES, Levels, NumberFormat, levels_of, number_of
from thalweg.data.encoders import Moments
from thalweg.data.inference import Schema
from thalweg.data.kinds import Column, Kind
from thalweg.data.plain import listed, plain_number, plain_object, plain_text, plain_texts
from thalweg.data.readout import read_column
from thalweg.data.scaled_target import TargetScale
from thalweg.data.table import Cells, Table, nearest, short
from thalweg.descriptions import Plain
from thalweg.errors import DataError, DescriptionError


@dataclass(frozen=True)
class ClassTarget:
    """The classes of a target, in order: as numbers where all are numbers, else as text.

    >>> target = ClassTarget.fit(np.array(["no", "yes", "no"], dtype=object))
    >>> target.classes, target.encode(np.array(["yes", "no"], dtype=object)).tolist()
    (('no', 'yes'), [1, 0])
    """

    classes: tuple[str, ...]
    name: str = "target"

    @classmethod
    def fit(cls, values: Cells, name: str = "target") -> ClassTarget:
        """The classes of the given cells, of shape (rows,); missing cells give none.

        Raises:
            DataError: Fewer than two classes.
        """
        texts = levels_of(values).texts
        whole = [_whole(text) for text in texts]
        labels = {
            text if number is None else str(number)
            for text, number in zip(texts, whole, strict=True)
        }
        if any(number is None for number in whole):
            labels = set(texts)
        if len(labels) < 2:
            shown = f" ({short(texts[0])})" if texts else ""
            raise DataError(
                f"the target {name!r} has {len(labels)} class{shown} in the training rows; to "
                "learn, it needs two"
            )
        return cls(tuple(sorted(labels, key=_label_order)), name)

    def encode(self, values: Cells, table: Table | None = None) -> NDArray[np.int64]:
        """The index of each row's class, of shape (rows,).

        ``table`` gives the numbers by which messages name rows.

        Raises:
            DataError: A missing cell or a class that training did not have, named with its row.
        """
        levels = levels_of(values)
        place = {label: index for index, label in enumerate(self.classes)}
        found = [place.get(text, place.get(str(_whole(text)), -1)) for text in levels.texts]
        indices = levels.spread(np.array(found, dtype=np.int64), -1)
        if (indices < 0).any():
            self._refuse(levels, int(np.argmax(indices < 0)), table)
        return indices

    def _refuse(self, levels: Levels, row: int, table: Table | None) -> None:
        where = table.place(row) if table is not None else f"row {row}"
        code = int(levels.codes[row])
        if code < 0:
            raise DataError(f"the target {self.name!r} is missing in {where}; leave the row out")
        near = nearest(levels.texts[code], self.classes)
        hint = f"; did you mean {near!r}?" if near else "."
        known = ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        raise DataError(
            f"the target {self.name!r} has the class {short(levels.texts[code])} in {where}, which "
            f"training did not have{hint} Known: {known}"
        )

    def decode(self, indices: NDArray[np.int64]) -> Cells:
        """The class of each index, an object array of ``str`` of the same shape."""
        return np.array(self.classes, dtype=object)[np.asarray(indices)]

    def to_plain(self) -> dict[str, Plain]:
        """The target as JSON data."""
        return {"type": "classes", "name": self.name, "classes": listed(self.classes)}

    @classmethod
    def from_plain(cls, plain: Plain) -> ClassTarget:
        """The target that JSON data describes.

        Raises:
            DescriptionError: Anything missing, unknown or of the wrong type.
        """
        found = plain_object(plain, ("type", "name", "classes"), "target")
        plain_text(found["type"], "target.type", ("classes",))
        classes = plain_texts(found["classes"], "target.classes")
        if len(classes) < 2:
            raise DescriptionError("target.classes needs at least two classes")
        return cls(classes, plain_text(found["name"], "target.name"))


def _whole(text: str) -> int | None:
    number = number_of(text, NumberFormat())
    if number is None or not np.isfinite(number) or number != int(number):
        return None
    if text.lstrip("+-").startswith("0") and number != 0:
        return None
    return int(text) if text.lstrip("+-").isdecimal() else int(number)


def _label_order(label: str) -> tuple[int, float, str]:
    number = number_of(label, NumberFormat())
    return (1, 0.0, label) if number is None else (0, number, label)


@dataclass(frozen=True)
class NumberTarget:
    """A number to predict, standardised with the moments of the training rows.

    z = (y − mean) / scale; :meth:`decode` goes back.
    """

    mean: float
    scale: float
    name: str = "target"
    layout: NumberFormat = field(default_factory=NumberFormat)
    unreadable: tuple[str, ...] = ()

    @classmethod
    def fit(cls, values: Cells, name: str = "target", column: Column | None = None) -> NumberTarget:
        """Mean and standard deviation of the given cells (numbers or text), of shape (rows,).

        ``column`` says how text is to be read (decimal commas, ...).

        Raises:
            DataError: No number among the cells.
        """
        layout = column.number_format if column else NumberFormat()
        target = cls(0.0, 1.0, name, layout, column.unreadable if column else ())
        numbers = target.numbers(values)
        if not np.isfinite(numbers).any():
            raise DataError(f"the target {name!r} holds no number in the training rows")
        moments = Moments.of(numbers)
        return replace(target, mean=moments.mean, scale=moments.scale)

    def numbers(self, values: Cells, table: Table | None = None) -> NDArray[np.float64]:
        """The cells as float64 numbers of shape (rows,); NaN where one is missing.

        Raises:
            DataError: A cell that is no number, named with its row.
        """
        column = Column(self.name, Kind.NUMERIC, 0, 0, number_format=self.layout)
        column = replace(column, unreadable=self.unreadable)
        rows = np.arange(len(values)) if table is None else table.numbers
        unit = table.unit if table is not None else "row"
        origin = table.origin if table is not None else "the target"
        alone = Table((self.name,), {self.name: values}, origin, (), rows, unit)
        return read_column(alone, column)

    def encode(self, values: Cells, table: Table | None = None) -> NDArray[np.float32]:
        """The standardised numbers, of shape (rows,).

        Raises:
            DataError: A cell that is missing, infinite or no number, named with its row.
        """
        numbers = self.numbers(values, table)
        bad = ~np.isfinite(numbers)
        if bad.any():
            row = int(np.argmax(bad))
            where = table.place(row) if table is not None else f"row {row}"
            what = "missing" if np.isnan(numbers[row]) else "infinite"
            raise DataError(f"the target {self.name!r} is {what} in {where}; leave the row out")
        return ((numbers - self.mean) / self.scale).astype(np.float32)

    def decode(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Standardised values back in the target's unit, of the same shape."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.mean

    def to_plain(self) -> dict[str, Plain]:
        """The target as JSON data."""
        return {
            "type": "number",
            "name": self.name,
            "mean": self.mean,
            "scale": self.scale,
            "style": self.layout.style,
            "sign": self.layout.sign,
            "unreadable": listed(self.unreadable),
        }

    @classmethod
    def from_plain(cls, plain: Plain) -> NumberTarget:
        """The target that JSON data describes.

        Raises:
            DescriptionError: Anything missing, unknown or of the wrong type.
        """
        keys = "type name mean scale style sign unreadable"
        found = plain_object(plain, keys.split(), "target")
        plain_text(found["type"], "target.type", ("number",))
        style = plain_text(found["style"], "target.style", STYLES)
        sign = plain_text(found["sign"], "target.sign", ("", *SIGNS))
        return cls(
            mean=plain_number(found["mean"], "target.mean"),
            scale=plain_number(found["scale"], "target.scale", positive=True),
            name=plain_text(found["name"], "target.name"),
            layout=NumberFormat(next(known for known in STYLES if known == style), sign),
            unreadable=plain_texts(found["unreadable"], "target.unreadable"),
        )


Target = ClassTarget | NumberTarget | TargetScale


def fit_target(table: Table, schema: Schema) -> ClassTarget | NumberTarget:
    """The target encoder for a schema's task, fitted on all rows of the table."""
    if schema.target is None:
        raise DataError(f"the schema of {schema.origin} has no target; name one")
    name = schema.target.name
    if schema.task == "classification":
        return ClassTarget.fit(table.column(name), name)
    return NumberTarget.fit(table.column(name), name, schema.target)


def target_from_plain(plain: Plain) -> Target:
    """The target that JSON data describes, of any type.

    Raises:
        DescriptionError: Anything missing, unknown or of the wrong type.
    """
    if not isinstance(plain, dict):
        raise DescriptionError(f"target must be an object, got {plain!r:.60}")
    kind = plain_text(plain.get("type"), "target.type", ("classes", "number", "scale"))
    if kind == "scale":
        return TargetScale.from_plain(plain)
    return ClassTarget.from_plain(plain) if kind == "classes" else NumberTarget.from_plain(plain)


__all__ = ["ClassTarget", "NumberTarget", "Target", "fit_target", "target_from_plain"]
