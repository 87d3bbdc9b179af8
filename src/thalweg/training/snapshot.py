"""Copies of a run's state to go back to, in memory or, where it is large, in a file."""

from __future__ import annotations

import tempfile
import time
import weakref
from collections.abc import Sequence
from typing import IO

import numpy as np

from thalweg.graph import Array

_IN_MEMORY = 2**26
"""Bytes of state up to which the copy stands in memory."""

_SHARE = 0.02
"""The share of time that copying may take."""

_SOONEST = 0.2
"""Seconds between two copies at least."""


class Snapshot:
    """The state at some step, from which later steps can be run again.

    Args:
        arrays: what steps change, in place.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self.step = 0
        self._copies: list[Array] = []
        self._file: IO[bytes] | None = None
        if sum(array.nbytes for array in arrays) > _IN_MEMORY:
            self._file = tempfile.TemporaryFile(prefix="thalweg-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        self._taken = 0.0
        self._cost = 0.0

    def maybe(self, step: int) -> None:
        """Copy the state if the last copy is old enough for what a copy costs."""
        age = time.perf_counter() - self._taken
        if age > max(_SOONEST, self._cost / _SHARE):
            self.take(step)

    def take(self, step: int) -> None:
        """Copy the state."""
        began = time.perf_counter()
        if self._file is None:
            self._copies = self._copies or [np.empty_like(array) for array in self.arrays]
            for copy, array in zip(self._copies, self.arrays, strict=True):
                np.copyto(copy, array)
        else:
            self._file.seek(0)
            for array in self.arrays:
                self._file.write(_bytes(array))
            self._file.flush()
        self.step = step
        self._taken = time.perf_counter()
        self._cost = self._taken - began

    def restore(self) -> int:
        """Put the copy back; gives its step."""
        if self._file is None:
            for copy, array in zip(self._copies, self.arrays, strict=True):
                np.copyto(array, copy)
            return self.step
        self._file.seek(0)
        for array in self.arrays:
            _bytes(array)[:] = self._file.read(array.nbytes)
        return self.step


def _bytes(array: Array) -> memoryview:
    """An array's memory."""
    return array.reshape(-1).view(np.uint8).data
