"""Tile sizes of matrix products, chosen by a model of what a core does in a cycle."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

LATENCY = 4
"""Cycles until the sum of a multiply-add can be added to again."""

LOADS = 2
ADDS = 2
"""Vector loads and multiply-adds that a core begins in a cycle."""


class Tile(NamedTuple):
    """How a product is cut into pieces that stay in registers.

    Attributes:
        rows: rows of a piece.
        vectors: vectors of columns of a piece.
        steps: turns of the inner loop that are written out, each with sums of its own.
    """

    rows: int
    vectors: int
    steps: int


@lru_cache(maxsize=4096)
def choose_tile(rows: int, columns: int, inner: int, lanes: int, registers: int) -> Tile:
    """The tile with the least estimated cycles for a product of this size."""
    wide = -(-columns // lanes)
    best, least = Tile(1, 1, 1), float("inf")
    for vectors in range(1, min(wide, 8) + 1):
        for height in range(1, min(rows, 30) + 1):
            if height * vectors + vectors + 1 > registers:
                break
            cycles = _total(rows, wide, inner, height, vectors)
            if cycles < least:
                best, least = Tile(height, vectors, _steps(height * vectors)), cycles
    return best


def _steps(sums: int) -> int:
    """Turns written out, so that sums do not wait for each other."""
    wanted = LATENCY * ADDS
    return 1 if sums >= wanted else 2 if 2 * sums >= wanted else 4


def _total(rows: int, wide: int, inner: int, height: int, vectors: int) -> float:
    row_parts = [(rows // height, height), (1 if rows % height else 0, rows % height)]
    wide_parts = [(wide // vectors, vectors), (1 if wide % vectors else 0, wide % vectors)]
    return sum(n * m * _cycles(inner, h, v) for n, h in row_parts for m, v in wide_parts if h and v)


def _cycles(inner: int, height: int, vectors: int) -> float:
    sums = height * vectors
    steps = _steps(sums)
    turn = max(sums / ADDS, (height + vectors) / LOADS, LATENCY / steps, (sums + height) / 3.5)
    return inner * turn + 14 + sums * (1.5 + steps - 1)
