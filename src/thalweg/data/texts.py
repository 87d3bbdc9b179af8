"""Judging columns of text: identifiers, free text and categories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thalweg.data.cells import guess_format, has_leading_zero, numbers_of
from thalweg.data.kinds import MAX_LEVELS, Column, Evidence, Judged, Kind
from thalweg.data.table import Note, plural, short


def judge_text(evidence: Evidence) -> Judged:
    """Identifier, free text or category, by how often texts recur."""
    filled, distinct = evidence.levels.filled, len(evidence.levels.texts)
    column = Column(evidence.name, Kind.CATEGORY, evidence.empty, distinct)
    notes = _mixed_notes(evidence)
    if distinct == filled and filled > 1:
        return replace(column, kind=Kind.IDENTIFIER, detail="every cell is different"), notes
    if distinct > max(20, filled / 2):
        detail = f"{distinct:,} different texts in {plural(filled, 'cell')}"
        return replace(column, kind=Kind.TEXT, detail=detail), notes
    return replace(column, detail=_common(evidence)), notes + _category_notes(evidence)


def _common(evidence: Evidence) -> str:
    order = np.argsort(-evidence.levels.counts(), kind="stable")
    shown = ", ".join(short(evidence.levels.texts[index], 20) for index in order[:3])
    return shown + (f", … {len(order) - 3} more" if len(order) > 3 else "")


def _category_notes(evidence: Evidence) -> list[Note]:
    notes: list[Note] = []
    counts, distinct = evidence.levels.counts(), len(evidence.levels.texts)
    for index in np.flatnonzero(evidence.marked):
        message = (
            f"{evidence.levels.texts[index]!r} ({plural(int(counts[index]), 'cell')}) is kept as a "
            "category of its own; leave such cells empty if they mean missing"
        )
        notes.append(evidence.note("info", evidence.levels.first_row(int(index)), message))
    if distinct > MAX_LEVELS:
        message = (
            f"column {evidence.name!r} has {distinct:,} categories: the {MAX_LEVELS} most common "
            "get an input each, the others share one called 'other'"
        )
        notes.append(Note("info", message, evidence.name))
    return notes


def promising(texts: list[str]) -> bool:
    """Whether the first thousand texts hold enough numbers to look at all of them."""
    head = texts[:1000]
    layout, _ = guess_format(head, "thousands")
    return int((~np.isnan(numbers_of(head, layout))).sum()) >= min(len(head) / 2, 10)


def _mixed_notes(evidence: Evidence) -> list[Note]:
    """A warning where most cells are numbers and yet too many are not."""
    texts, filled = evidence.levels.texts, evidence.levels.filled
    if not promising(texts) or any(map(has_leading_zero, texts)):
        return []
    layout, _ = guess_format(texts, evidence.prefer)
    others = np.isnan(numbers_of(texts, layout))
    count = evidence.cells(others)
    if not 0 < count <= 0.5 * filled:
        return []
    row = evidence.first_row(others)
    message = (
        f"{short(evidence.text(row))} is not a number, as {plural(count, 'cell')} of {filled:,} "
        f"{'is' if count == 1 else 'are'} not; the column is read as text. Correct the cells, or "
        f"set kinds={{{evidence.name!r}: 'numeric'}} to count them as missing"
    )
    return [evidence.note("warning", row, message)]


__all__ = ["judge_text", "promising"]
