"""Judging columns of numbers: how they are written, strays, infinities, precision, row counters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import NumberFormat, guess_format, has_leading_zero, number_of, numbers_of
from thalweg.data.kinds import Column, Evidence, Judged, Kind, infinity_notes, place_note
from thalweg.data.outliers import far_out
from thalweg.data.table import Cells, Note, Table, plural, short
from thalweg.data.texts import judge_text, promising


def judge_typed_numbers(table: Table, name: str, cells: Cells) -> Judged:
    """The kind of a column that came as integers or floats."""
    values = cells.astype(np.float64)
    finite = np.isfinite(values)
    notes = infinity_notes(table, name, values)
    if not finite.any():
        return Column(name, Kind.EMPTY, len(cells), 0, "holds no number"), notes
    found = np.unique(cells[finite])
    column = Column(name, Kind.NUMERIC, int((~finite).sum()), len(found))
    if set(found[:3].tolist()) == {0, 1}:
        return replace(column, kind=Kind.BOOLEAN, detail="0 / 1"), notes
    big = np.flatnonzero(np.abs(values) >= 2**53) if cells.dtype.kind in "iu" else ()
    lost = next((int(row) for row in big if int(values[row]) != int(cells[row])), None)
    if lost is not None:
        return _imprecise(table, column, lost, str(cells[lost]), notes)
    return _counted(table, column, values, notes)


def judge_numbers(evidence: Evidence) -> Judged | None:
    """The kind of a column of text that holds numbers, or None where it does not."""
    table, name, real = evidence.table, evidence.name, evidence.real
    if not promising(real):
        return None
    if any(map(has_leading_zero, real)):
        return _codes(evidence)
    layout, ambiguous = guess_format(real, evidence.prefer)
    values = numbers_of(evidence.levels.texts, layout)
    values[evidence.marked] = np.nan
    stray = np.isnan(values) & ~evidence.marked
    good = np.isfinite(values)
    if not evidence.few(stray, good):
        return None
    spread = evidence.levels.spread(values, np.nan)
    notes = evidence.stray_notes(stray, "a number") + infinity_notes(table, name, spread)
    notes += _format_notes(evidence, layout, values, ambiguous)
    missing = int((~np.isfinite(spread)).sum())
    column = Column(name, Kind.NUMERIC, missing, len(np.unique(values[good])))
    column = replace(column, number_format=layout, unreadable=evidence.masked(stray))
    lost = _imprecise_texts(evidence.levels.texts, values)
    if lost.any():
        row = evidence.first_row(lost)
        column = replace(column, distinct=int(good.sum()))
        return _imprecise(table, column, row, evidence.text(row), notes)
    return _counted(table, column, spread, notes)


def _counted(
    table: Table, column: Column, values: NDArray[np.float64], notes: list[Note]
) -> Judged:
    """A column of numbers, unless it is constant or only counts the rows."""
    finite = values[np.isfinite(values)]
    if column.distinct == 1 and not column.missing_count:
        return replace(column, kind=Kind.CONSTANT, detail=f"always {finite[0]:g}"), notes
    complete = len(finite) >= 10 and len(finite) == len(values)
    if complete and finite[0] in (0.0, 1.0) and bool(np.all(np.diff(finite) == 1)):
        detail = f"counts the rows from {finite[0]:g} to {finite[-1]:g}"
        return replace(column, kind=Kind.IDENTIFIER, detail=detail, counter=True), notes
    whole = "whole numbers " if bool(np.all(finite == np.round(finite))) else ""
    column = replace(column, detail=f"{whole}{finite.min():.7g} to {finite.max():.7g}")
    return column, notes + _far_notes(table, column.name, values)


def _far_notes(table: Table, name: str, values: NDArray[np.float64]) -> list[Note]:
    far = far_out(values)
    if not far.any():
        return []
    row = int(np.argmax(far))
    count = plural(int(far.sum()), "such cell")
    message = (
        f"{values[row]:.7g} lies far outside the other numbers ({count}); check it. As an input it "
        "is cut, and it does not count for mean and scale"
    )
    return [place_note(table, name, "warning", row, message)]


def _imprecise_texts(texts: list[str], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which texts are whole numbers that float64 rounds."""
    lost = np.zeros(len(texts), dtype=np.bool_)
    for index in np.flatnonzero(np.isfinite(values) & (np.abs(values) >= 2**53)):
        text = texts[index].lstrip("+-")
        lost[index] = text.isdecimal() and int(text) != abs(int(values[index]))
    return lost


def _imprecise(table: Table, column: Column, row: int, text: str, notes: list[Note]) -> Judged:
    """Whole numbers beyond 2⁵³, which float64 rounds: identifiers where all differ."""
    different = column.distinct == len(table) - column.missing_count
    fate = "left out as an identifier" if different else "rounded"
    message = (
        f"{short(text)} is beyond 2^53, where neighbouring whole numbers can no longer be told "
        f"apart; the column is {fate}. If it holds codes, set kinds={{{column.name!r}: 'category'}}"
    )
    notes = [*notes, place_note(table, column.name, "warning", row, message)]
    kind = Kind.IDENTIFIER if different else Kind.NUMERIC
    return replace(column, kind=kind, detail="whole numbers beyond 2^53"), notes


def _format_notes(
    evidence: Evidence, layout: NumberFormat, values: NDArray[np.float64], ambiguous: bool
) -> list[Note]:
    """How numbers are read that are not written plainly."""
    if layout == NumberFormat():
        return []
    texts = evidence.levels.texts
    plain = NumberFormat(sign="" if layout.style == "plain" else layout.sign)
    odd = [number_of(text, plain) != value for text, value in zip(texts, values, strict=True)]
    mask = np.array(odd, dtype=np.bool_) & np.isfinite(values)
    row = evidence.first_row(mask)
    text = evidence.text(row)
    value = numbers_of([text], layout)[0]
    message = f"{short(text)} is read as {value:.15g}"
    if layout.style != "plain":
        reading = "decimal comma" if layout.style == "comma" else "thousands separators"
        message += f" ({reading})"
    if ambiguous:
        message += "; if that is wrong, write these numbers with a decimal point"
    return [evidence.note("warning" if ambiguous else "info", row, message)]


def _codes(evidence: Evidence) -> Judged:
    """Digits with leading zeros, which are codes and no numbers: judged as text."""
    coded = [has_leading_zero(text) for text in evidence.levels.texts]
    row = evidence.first_row(np.array(coded, dtype=np.bool_))
    message = (
        f"{evidence.text(row)!r} has leading zeros, so the column holds codes, not numbers; if "
        f"they are numbers, set kinds={{{evidence.name!r}: 'numeric'}}"
    )
    column, notes = judge_text(evidence)
    column = replace(column, detail=f"{column.detail} (leading zeros)")
    return column, [evidence.note("info", row, message), *notes]


__all__ = ["judge_numbers", "judge_typed_numbers"]
