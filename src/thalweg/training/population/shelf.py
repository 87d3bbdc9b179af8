"""Where the arrays of finished members are kept: in memory, or in a file where that is short."""

from __future__ import annotations

import os
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from thalweg.errors import FileError
from thalweg.graph import Array
from thalweg.training.population.member import MemberRun

_SHARE = 0.5
"""The share of the free memory that finished members may take."""


class Shelf:
    """Keeps the arrays of finished members.

    Args:
        members: how many there will be.
        room: bytes of memory for them; by default half of what is free.
    """

    def __init__(self, members: int, room: float | None = None) -> None:
        self._members = members
        self._room = room
        self._file: np.memmap[tuple[int], np.dtype[np.uint8]] | None = None
        self._used = 0
        self._decided = False

    def keep(self, member: MemberRun) -> None:
        """Take a member that has ended.

        Raises:
            FileError: neither memory nor disk has room for all of them.
        """
        model = member.result().model
        arrays = {**model.parameters, **model.states}
        size = sum(-(-array.nbytes // 64) * 64 for array in arrays.values())
        if not self._decided:
            self._decide(size)
        if self._file is not None and self._used + size <= self._file.size:
            member.hold(
                replace(
                    model,
                    parameters=self._moved(model.parameters),
                    states=self._moved(model.states),
                )
            )

    def _decide(self, size: int) -> None:
        self._decided = True
        room = _free() * _SHARE if self._room is None else self._room
        if size * self._members <= room:
            return
        total = size * self._members
        warnings.warn(
            f"{self._members} networks of {size / 2**20:.1f} MiB take {total / 2**30:.1f} GiB, and "
            f"{room / 2**30:.1f} GiB of memory may be used: finished ones are kept in a temporary "
            f"file in {tempfile.gettempdir()}",
            stacklevel=2,
        )
        self._file = _file(total)

    def _moved(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        assert self._file is not None
        moved: dict[str, Array] = {}
        for path, array in arrays.items():
            part = self._file[self._used : self._used + array.nbytes]
            moved[path] = part.view(array.dtype).reshape(array.shape)
            moved[path][...] = array
            self._used += -(-array.nbytes // 64) * 64
        return moved


def _file(size: int) -> np.memmap[tuple[int], np.dtype[np.uint8]]:
    """A temporary file in memory's place, all of it reserved: a full disk is met here, or never.

    Raises:
        FileError: there is no room for it.
    """
    folder = tempfile.gettempdir()
    try:
        handle, name = tempfile.mkstemp(prefix="thalweg-", dir=folder)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
            made = np.memmap(name, np.uint8, "r+" if os.fstat(handle).st_size else "w+", 0, (size,))
        finally:
            os.close(handle)
            if os.name == "posix":
                Path(name).unlink()
    except OSError as error:
        raise FileError(
            f"a temporary file of {size / 2**20:,.1f} MiB in {folder} cannot be made "
            f"({error.strerror}); make room there, name another folder as TMPDIR, or train fewer "
            "members at a time"
        ) from error
    if os.name != "posix":
        weakref.finalize(made, _remove, Path(name))
    return made


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _free() -> float:
    """Bytes of memory that may be taken now; without limit where the system does not tell."""
    path = Path("/proc/meminfo")
    if path.exists():
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    return float("inf")
