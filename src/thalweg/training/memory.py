"""Arrays side by side in one piece of memory, whose addresses are known without asking each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.native.program import aligned
from thalweg.graph import Array, Shape

_LINE = 64
"""Bytes of a cache line."""


class Memory:
    """Arrays without values yet, each beginning on a cache line.

    Between two of them a line stays free, so that arrays of a power of two bytes do not all begin
    at the same place of a page.

    Args:
        kinds: shape and type of each.

    Attributes:
        bytes: all of it.
        arrays: in order.
        addresses: where they begin.

    >>> memory = Memory([((2,), np.dtype("float32")), ((3,), np.dtype("int64"))])
    >>> memory.addresses[1] - memory.addresses[0], [array.shape for array in memory.arrays]
    (128, [(2,), (3,)])
    """

    def __init__(self, kinds: Sequence[tuple[Shape, np.dtype[Any]]]) -> None:
        begins: list[int] = []
        end = 0
        for shape, dtype in kinds:
            begins.append(end)
            size = dtype.itemsize
            for length in shape:
                size *= length
            end += (-(-size // _LINE) + 1) * _LINE
        self.bytes = aligned(end)
        first = self.bytes.ctypes.data
        self.arrays: list[Array] = [
            np.ndarray(shape, dtype, self.bytes, begin)
            for (shape, dtype), begin in zip(kinds, begins, strict=True)
        ]
        self.addresses = [first + begin for begin in begins]
