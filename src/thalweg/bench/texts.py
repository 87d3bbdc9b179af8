"""Numbers and tables as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MISSING = "–"


def seconds_text(seconds: float) -> str:
    """Seconds in the unit that suits them, three digits.

    >>> seconds_text(0.0000234), seconds_text(0.00209), seconds_text(1.5), seconds_text(0)
    ('23.4 µs', '2.09 ms', '1.50 s', '0 µs')
    """
    if seconds >= 1:
        return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"
    for factor, unit in ((1e3, "ms"), (1e6, "µs")):
        scaled = seconds * factor
        if scaled >= 1 or unit == "µs":
            return f"{digits(scaled)} {unit}"
    return ""


def digits(value: float) -> str:
    """Three digits."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_text(value: float | None, bold: bool = True, losing: float = 1.0) -> str:
    """A ratio; where it is below ``losing`` it is bold.

    >>> ratio_text(12.34), ratio_text(0.8), ratio_text(None)
    ('12.3', '**0.80**', '–')
    """
    if value is None:
        return MISSING
    text = digits(value)
    return f"**{text}**" if value < losing and bold else text


def grid_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, first column to the left, the others to the right."""
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
