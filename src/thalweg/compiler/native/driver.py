"""The driver of training runs: the compiled epoch program, called with one thread or several."""

from __future__ import annotations

import ctypes
import threading

import numpy as np

from thalweg.compiler.native.engine import build
from thalweg.compiler.native.epoch import FIELDS, write_driver
from thalweg.compiler.native.target import host_target
from thalweg.graph import Array

_PLACES = {name: place for place, name in enumerate(FIELDS)}


class Driver:
    """The epoch program of this machine; see :mod:`.epoch`."""

    def __init__(self) -> None:
        target = host_target()
        self._code = build(lambda: (write_driver(target), b""), b"epoch driver", target)
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
        self._train = kind(self._code.address("train"))

    def fields(self, **values: int) -> Array:
        """A job: every field that is not named is 0."""
        row = np.zeros(len(FIELDS), np.int64)
        for name, value in values.items():
            row[_PLACES[name]] = value
        return row

    def run(self, job: Array, first: int, steps: int, threads: int) -> tuple[int, int]:
        """Run steps; gives how many were run, and 1 if the last of them failed."""
        for name, value in (("first", first), ("steps", steps), ("threads", threads)):
            job[_PLACES[name]] = value
        job[_PLACES["failed"]] = 0
        helpers = [
            threading.Thread(target=self._train, args=(job.ctypes.data, thread))
            for thread in range(1, threads)
        ]
        for helper in helpers:
            helper.start()
        ran = self._train(job.ctypes.data, 0)
        for helper in helpers:
            helper.join()
        return int(ran), int(job[_PLACES["failed"]])
