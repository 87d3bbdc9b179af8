"""Judging columns of dates: their order of day and month, and cells that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from thalweg.data.cells import DATE_FORMATS, all_days
from thalweg.data.kinds import Column, Evidence, Judged, Kind

_ORDER = {"iso": "year-month-day", "dmy": "day/month/year", "mdy": "month/day/year"}


def date_layout(texts: list[str]) -> str:
    """The order of day and month that reads most texts as dates: ``iso``, ``dmy`` or ``mdy``."""
    read = {name: int((~np.isnan(all_days(texts, name))).sum()) for name in DATE_FORMATS}
    return max(DATE_FORMATS, key=lambda name: read[name])


def judge_dates(evidence: Evidence) -> Judged | None:
    """The kind of a column of text that holds dates, or None where it does not."""
    real, texts = evidence.real, evidence.levels.texts
    head = real[:1000]
    if np.isnan(all_days(head, date_layout(head))).mean() > 0.5:
        return None
    layout = date_layout(real)
    days = all_days(texts, layout)
    stray = np.isnan(days) & ~evidence.marked
    if not evidence.few(stray, ~np.isnan(days)):
        return None
    notes = evidence.stray_notes(stray, "a date")
    both = ~np.isnan(all_days(texts, "mdy")) & ~np.isnan(days)
    if layout == "dmy" and both.sum() == (~np.isnan(days)).sum() and "." not in real[0]:
        row = evidence.first_row(both)
        message = (
            f"{evidence.text(row)!r} is read as day/month/year, but every date here would also "
            "fit month/day/year; write dates as 2024-01-31 to be sure"
        )
        notes.append(evidence.note("warning", row, message))
    column = judge_days(evidence.name, evidence.levels.spread(days, np.nan), layout)
    return replace(column, unreadable=evidence.masked(stray)), notes


def judge_days(name: str, days: NDArray[np.float64], layout: str) -> Column:
    """The column whose cells are the given days since 1970 (NaN is missing)."""
    known = days[~np.isnan(days)]
    if not known.size:
        return Column(name, Kind.EMPTY, len(days), 0, "holds no date")
    distinct, missing = len(np.unique(known)), len(days) - len(known)
    if distinct == 1 and not missing:
        return Column(name, Kind.CONSTANT, 0, 1, "always the same date")
    first, last = (np.datetime64(int(np.floor(end)), "D") for end in (known.min(), known.max()))
    detail = f"{first} to {last} ({_ORDER[layout]})"
    return Column(name, Kind.DATE, missing, distinct, detail, date_format=layout)


__all__ = ["date_layout", "judge_dates", "judge_days"]
