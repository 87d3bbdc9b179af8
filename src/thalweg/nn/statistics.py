"""Statistics of the columns of rows that are read piece by piece."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from thalweg.errors import DataError
from thalweg.graph import Array, Shape
from thalweg.nn.front import BLOCK, RowSource, refuse_missing, slices

_TOGETHER = 16 * BLOCK
"""Elements of the columns that are read at a time."""


def extremes(rows: RowSource, who: str) -> tuple[Array, Array]:
    """The smallest and the largest value of each column, in float64.

    Raises:
        DataError: no rows, or NaN, with its row and column.
    """
    if not len(rows):
        raise DataError(f"{who} has no rows to learn from")
    refuse_missing(rows, who)
    low = np.full(rows.shape[1:], np.inf)
    high = np.full(rows.shape[1:], -np.inf)
    for piece in slices(rows):
        block = rows[piece]
        low = np.minimum(low, block.min(axis=0))
        high = np.maximum(high, block.max(axis=0))
    return low, high


def moments(rows: RowSource, who: str) -> tuple[Array, Array]:
    """Mean and standard deviation of each column, in float64; of constant ones themselves and 1.

    Values are divided by a power of two, which is exact, so that no square overflows.

    Raises:
        DataError: no rows, or NaN, with its row and column.
    """
    low, high = extremes(rows, who)
    exponent = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]
    total, rest, squares = (np.zeros(rows.shape[1:]) for _ in range(3))
    for piece in slices(rows):
        total += np.ldexp(rows[piece].astype(np.float64), -exponent).sum(axis=0)
    mean = total / len(rows)
    for piece in slices(rows):
        deviation = np.ldexp(rows[piece].astype(np.float64), -exponent) - mean
        rest += deviation.sum(axis=0)
        squares += (deviation * deviation).sum(axis=0)
    rest /= len(rows)
    scale = np.ldexp(np.sqrt(np.maximum(squares / len(rows) - rest * rest, 0.0)), exponent)
    kind = rows.dtype if rows.dtype.kind == "f" else np.dtype(np.float64)
    same = (low == high) | (scale < np.finfo(kind).tiny)
    return np.where(low == high, low, np.ldexp(mean + rest, exponent)), np.where(same, 1.0, scale)


def each_column(rows: RowSource) -> Iterator[tuple[Shape, Array]]:
    """Whole columns with their places in a row, read in groups that memory holds."""
    shape = tuple(rows.shape[1:])
    count = math.prod(shape)
    group = max(1, _TOGETHER // max(1, len(rows)))
    for start in range(0, count, group):
        pieces = [
            rows[piece].reshape(-1, count)[:, start : start + group] for piece in slices(rows)
        ]
        together = np.concatenate(pieces)
        for offset in range(together.shape[1]):
            place = np.unravel_index(start + offset, shape) if shape else ()
            yield tuple(int(item) for item in place), together[:, offset]
