"""Curves: drawn with characters for a terminal, or to a file of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from thalweg.errors import SettingError

WIDTH, HEIGHT = 64, 12
PICTURES = (".svg", ".png", ".pdf")
"""Endings of the pictures that commands write."""


def curve_text(
    values: Sequence[float],
    left: str,
    right: str,
    *,
    log: bool = False,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> str:
    """A curve as lines of text, its largest and least values on the left.

    Args:
        values: finite numbers at even distances, at least one.
        left: below the first value.
        right: below the last value.
        log: a logarithmic scale; all values are > 0 then.
        width: columns of the curve at most.
        height: lines of the curve, ≥ 2.

    >>> print(curve_text([0.0, 1.0, 2.0, 1.0], "0", "4", width=4, height=3))
    2 |  *
    1 | * *
    0 |*
      +----
       0  4
    """
    shown = [math.log(value) for value in values] if log else list(values)
    low, high = min(shown), max(shown)
    spans = _spans(shown, min(width, len(shown)))
    lines = [[" "] * len(spans) for _ in range(height)]
    for column, (bottom, top) in enumerate(spans):
        for row in range(_row(bottom, low, high, height), _row(top, low, high, height) + 1):
            lines[height - 1 - row][column] = "*"
    labels = {0: f"{max(values):.3g}", height - 1: f"{min(values):.3g}"}
    labels |= {(height - 1) // 2: _middle(low, high, height, log)} if high > low else {}
    room = max(map(len, labels.values()))
    drawn = [
        f"{labels.get(place, ''):>{room}} |{''.join(line)}".rstrip()
        for place, line in enumerate(lines)
    ]
    gap = max(len(spans) - len(left) - len(right), 1)
    return "\n".join(
        [*drawn, f"{'':>{room}} +{'-' * len(spans)}", f"{'':>{room}}  {left}{' ' * gap}{right}"]
    )


def _spans(values: Sequence[float], columns: int) -> list[tuple[float, float]]:
    """The least and the largest value that fall in each column."""
    edges = [len(values) * column // columns for column in range(columns + 1)]
    parts = [values[begin:end] for begin, end in pairwise(edges)]
    return [(min(part), max(part)) for part in parts]


def _row(value: float, low: float, high: float, height: int) -> int:
    return round((value - low) / ((high - low) or 1.0) * (height - 1))


def _middle(low: float, high: float, height: int, log: bool) -> str:
    value = high - (high - low) * ((height - 1) // 2) / (height - 1)
    return f"{math.exp(value) if log else value:.3g}"


def check_picture(out: str | None) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        SettingError: another ending, or a folder that does not exist.
    """
    if out is None:
        return
    if not Path(out).parent.is_dir():
        raise SettingError(f"--out {out}: the folder {Path(out).parent} does not exist; make it")
    if Path(out).suffix.lower() not in PICTURES:
        raise SettingError(f"--out {out} must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}")
