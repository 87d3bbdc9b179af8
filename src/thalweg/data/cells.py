"""What single cells mean: numbers, dates, booleans and missing markers, judged on distinct texts.

A column is first reduced to its :class:`Levels`, so that a text is looked at once however often it
stands in the column.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.table import Cells

MISSING_MARKERS = frozenset(
    {"na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "<na>", "nat"}
)
"""Texts (in lower case) that mean "missing" in a column of numbers, dates or booleans."""

TRUE_WORDS = frozenset({"yes", "y", "true", "t", "on", "1", "1.0"})
FALSE_WORDS = frozenset({"no", "n", "false", "f", "off", "0", "0.0"})
_PAIRS = frozenset(
    frozenset(pair)
    for pair in (("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f"), ("on", "off"))
) | {frozenset(("0", "1")), frozenset(("0.0", "1.0"))}


@dataclass(frozen=True, eq=False)
class Levels:
    """The distinct texts of a column in order of first appearance.

    ``codes``, of shape (rows,), says for each row which text it holds; -1 is a missing cell.
    """

    texts: list[str]
    codes: NDArray[np.int32]

    @property
    def filled(self) -> int:
        """How many cells are not missing."""
        return int((self.codes >= 0).sum())

    def counts(self) -> NDArray[np.int64]:
        """How often each text stands in the column, of shape (texts,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))

    def first_row(self, level: int) -> int:
        """The index of the first row that holds a text."""
        return int(np.argmax(self.codes == level))

    def spread(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        """One value for each text to one value for each row, of shape (rows,)."""
        return np.append(values, np.array([missing], dtype=values.dtype))[self.codes]


def levels_of(cells: Cells) -> Levels:
    """The levels of a column; typed cells are printed (1.0 as ``1``, dates in ISO form).

    >>> found = levels_of(np.array(["b", None, "a", "b"], dtype=object))
    >>> found.texts, found.codes.tolist()
    (['b', 'a'], [0, -1, 1, 0])
    """
    import pyarrow as pa

    kind = pa.string() if cells.dtype == object else None
    if cells.dtype.kind == "f":
        cells = cells + 0.0
    encoded = pa.array(cells, kind, from_pandas=True).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Levels([print_cell(value) for value in encoded.dictionary.to_pylist()], codes)


def print_cell(value: Any) -> str:
    """A cell as text: whole floats without their point, dates without an empty time.

    >>> print_cell(2.0), print_cell(True), print_cell(0.5)
    ('2', 'True', '0.5')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return str(value)


def marked_missing(texts: list[str]) -> NDArray[np.bool_]:
    """Which texts are markers of a missing value (``NA``, ``?``, ``-``, ...)."""
    found = [len(text) <= 5 and text.casefold() in MISSING_MARKERS for text in texts]
    return np.array(found, dtype=np.bool_)


def has_leading_zero(text: str) -> bool:
    """Whether a text is a whole number written with leading zeros, as codes are.

    >>> has_leading_zero("00501"), has_leading_zero("0"), has_leading_zero("0.5")
    (True, False, False)
    """
    return text[:1] in "0+-" and _LEADING_ZERO.fullmatch(text) is not None


# ---------------------------------------------------------------------------- numbers

Style = Literal["plain", "thousands", "comma"]


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written: ``1234.5``, ``1,234.5`` or ``1.234,5``, perhaps with a sign.

    ``sign`` is a currency or per-cent sign that may stand beside each number, or empty.
    """

    style: Style = "plain"
    sign: str = ""


STYLES: tuple[Style, ...] = ("plain", "thousands", "comma")
SIGNS = "$€£¥%"
_NUMBER = {
    "plain": re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    "thousands": re.compile(r"[+-]?[0-9]{1,3}(?:[, '\u00a0\u202f’][0-9]{3})+(?:\.[0-9]+)?"),
    "comma": re.compile(
        r"[+-]?(?:[0-9]{1,3}(?:[. '\u00a0\u202f’][0-9]{3})+|[0-9]+)(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    ),
}
_GROUPS = {
    "plain": {},
    "thousands": str.maketrans("", "", ", '\u00a0\u202f’"),
    "comma": str.maketrans(
        {".": "", " ": "", "'": "", "\u00a0": "", "\u202f": "", "’": "", ",": "."}
    ),
}
_INFINITE = re.compile(r"([+-]?)(?:inf|infinity|∞)", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")


def number_of(text: str, layout: NumberFormat) -> float | None:
    """The number that a text stands for, or None where it is none; infinity comes as ±inf.

    >>> number_of("1,234.5", NumberFormat("thousands")), number_of("1.234,5", NumberFormat("comma"))
    (1234.5, 1234.5)
    >>> number_of("12 %", NumberFormat(sign="%")), number_of("twelve", NumberFormat())
    (12.0, None)
    """
    if layout.sign and layout.sign in text:
        text = text.replace(layout.sign, "", 1).strip()
    text = text.replace("\u2212", "-")
    if layout.style != "comma" and _NUMBER["plain"].fullmatch(text):
        return float(text)
    if layout.style != "plain" and _NUMBER[layout.style].fullmatch(text):
        return float(text.translate(_GROUPS[layout.style]))
    infinite = _INFINITE.fullmatch(text)
    if infinite:
        return -math.inf if infinite[1] == "-" else math.inf
    return None


def numbers_of(texts: list[str], layout: NumberFormat) -> NDArray[np.float64]:
    """The number of each text, of shape (texts,); NaN where a text is no number."""
    values = _arrow_numbers(texts) if layout == NumberFormat() else None
    if values is not None:
        return values
    values = np.full(len(texts), np.nan)
    for index, text in enumerate(texts):
        value = number_of(text, layout)
        values[index] = math.nan if value is None else value
    return values


def _arrow_numbers(texts: list[str]) -> NDArray[np.float64] | None:
    """The numbers where every text is a finite one, written plainly; else None."""
    import pyarrow as pa

    try:
        values = pa.array(texts, pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values.copy() if np.isfinite(values).all() else None


def guess_format(texts: list[str], prefer: Style) -> tuple[NumberFormat, bool]:
    """The layout that reads most texts as numbers, and whether commas leave it ambiguous.

    ``prefer`` decides where ``1,234`` could be read with thousands or with a decimal comma.

    >>> guess_format(["1,234", "950"], "thousands")
    (NumberFormat(style='thousands', sign=''), True)
    >>> guess_format(["1,5", "2"], "thousands")
    (NumberFormat(style='comma', sign=''), False)
    """
    sign = _common_sign(texts)
    read: dict[Style, int] = {}
    for style in STYLES:
        layout = NumberFormat(style, sign)
        read[style] = int(np.sum(~np.isnan(numbers_of(texts, layout))))
        if style == "plain" and read[style] == len(texts):
            return _dotted(texts, layout, prefer)
    best = max(read.values())
    if read["plain"] == best:
        return NumberFormat("plain", sign), False
    if read["thousands"] == read["comma"]:
        return NumberFormat(prefer, sign), True
    return NumberFormat("thousands" if read["thousands"] == best else "comma", sign), False


def _dotted(texts: list[str], plain: NumberFormat, prefer: Style) -> tuple[NumberFormat, bool]:
    """Where the table writes decimal commas, 1.234 in all of a column is a thousand."""
    dotted = [text for text in texts if "." in text] if prefer == "comma" else []
    if dotted and all(_NUMBER["comma"].fullmatch(text.strip(SIGNS + " ")) for text in dotted):
        return NumberFormat("comma", plain.sign), True
    return plain, False


def _common_sign(texts: list[str]) -> str:
    for sign in SIGNS:
        if texts and texts[0].count(sign) == 1:
            marked = sum(text.count(sign) == 1 for text in texts)
            return sign if marked > 0.9 * len(texts) else ""
    return ""


# ---------------------------------------------------------------------------- dates

_ISO_DATE = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:[T ](.+))?")
_LOCAL_DATE = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4})(?:[T ](.+))?")
DATE_FORMATS = ("iso", "dmy", "mdy")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def days_of(text: str, layout: str) -> float | None:
    """Days since 1970-01-01 of a date (UTC where it names no zone), or None where it is none.

    ``layout`` is ``"iso"`` (2024-01-31, 2024/1/31, with or without a time), ``"dmy"``
    (31/1/2024, 31.1.2024) or ``"mdy"`` (1/31/2024).

    >>> days_of("1970-01-02 12:00", "iso"), days_of("2/1/1970", "dmy"), days_of("x", "iso")
    (1.5, 1.0, None)
    """
    if layout == "iso":
        found = _ISO_DATE.fullmatch(text)
        parts = (found[1], found[2], found[3], found[4]) if found else None
    else:
        found = _LOCAL_DATE.fullmatch(text)
        day, month = (1, 3) if layout == "dmy" else (3, 1)
        parts = (found[4], found[month], found[day], found[5]) if found else None
    if parts is None:
        return None
    year, month_text, day_text, time = parts
    moment = f"{year}-{month_text:0>2}-{day_text:0>2}T{time or '00:00'}"
    try:
        stamp = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return (stamp - _EPOCH).total_seconds() / 86400


def all_days(texts: list[str], layout: str) -> NDArray[np.float64]:
    """The days of each text, of shape (texts,); NaN where a text is no date."""
    found = [days_of(text, layout) for text in texts]
    return np.array([math.nan if value is None else value for value in found], dtype=np.float64)


def datetime_days(cells: Cells) -> NDArray[np.float64]:
    """Days since 1970-01-01 of a datetime64 column; NaN where it holds NaT."""
    micros = cells.astype("datetime64[us]")
    days = micros.astype(np.int64) / 86_400e6
    return np.where(np.isnat(micros), np.nan, days)


# ---------------------------------------------------------------------------- booleans


def are_booleans(texts: list[str]) -> bool:
    """Whether the texts are one pair of yes/no words, in whatever case.

    >>> are_booleans(["Yes", "no", "NO"]), are_booleans(["yes", "0"]), are_booleans(["1", "0"])
    (True, False, True)
    """
    if not 2 <= len(texts) <= 12:
        return False
    return frozenset(text.casefold() for text in texts) in _PAIRS


def boolean_of(text: str) -> float | None:
    """1 or 0 for a yes/no word, None for any other text."""
    word = text.casefold()
    if word in TRUE_WORDS:
        return 1.0
    return 0.0 if word in FALSE_WORDS else None


__all__ = [
    "DATE_FORMATS",
    "FALSE_WORDS",
    "MISSING_MARKERS",
    "SIGNS",
    "STYLES",
    "TRUE_WORDS",
    "Levels",
    "NumberFormat",
    "Style",
    "all_days",
    "are_booleans",
    "boolean_of",
    "datetime_days",
    "days_of",
    "guess_format",
    "has_leading_zero",
    "levels_of",
    "marked_missing",
    "number_of",
    "numbers_of",
    "print_cell",
]
