"""How many threads run the steps of a run."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

from thalweg.compiler.native.lower import MOST_THREADS

_GAIN = 1.05
"""How much faster several threads must be to be kept."""

_LONG = 0.02
"""Seconds from which one call of a trial tells enough: what disturbs it is averaged already."""

_LASTS = 30.0
"""Seconds for which a later run of the same program begins with several threads, if it was found
that they are faster. That one is faster is never remembered: what disturbs a trial slows down
several threads more than one."""


class _Found:
    """For which programs, with how many threads at most, several were faster, and when."""

    def __init__(self, most: int = 64) -> None:
        self._since: OrderedDict[Hashable, float] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def has(self, program: Hashable) -> bool:
        with self._lock:
            since = self._since.get(program)
        return since is not None and time.monotonic() - since < _LASTS

    def keep(self, program: Hashable, several: bool) -> None:
        with self._lock:
            self._since.pop(program, None)
            if several:
                self._since[program] = time.monotonic()
            while len(self._since) > self._most:
                self._since.popitem(last=False)


_found = _Found()


class ThreadChoice:
    """How many threads run the steps: each number is tried, and the fastest kept.

    Results do not depend on the number, so it may change at any time. The trial is repeated now
    and then, since other programs come and go: soon where one thread has won. Of several calls the
    fastest counts, so that one that was disturbed decides nothing; the first, with cold caches and
    a core asleep, never does. A run of a program for which several threads were faster a moment ago
    begins with them.
    """

    _AGAIN = 5.0
    _SOON = 1.0
    _TRIES = 3

    def __init__(self) -> None:
        self.now = 1
        self.is_open = False
        self._most = 1
        self._program: Hashable = None
        self._rates: dict[int, list[float]] = {}
        self._since = 0.0
        self._wait = self._AGAIN
        self._soon = self._SOON

    def allow(self, threaded: bool, most: int | None, program: Hashable = None) -> None:
        """Say whether there is a version for several threads, and how many are wanted at most.

        Args:
            threaded: whether there is one.
            most: None for one on each core.
            program: what it is recognised by; None where it is not.
        """
        wanted = cores() if most is None else most
        self._most = min(wanted, MOST_THREADS) if threaded else 1
        self._program = None if program is None else (program, self._most)
        self.now = self._most
        self.is_open = self._most > 1 and not _found.has(self._program)
        self._rates, self._since = {}, 0.0

    def note(self, threads: int, rate: float, seconds: float) -> None:
        """Take in how fast steps were run."""
        if self._most == 1:
            return
        if not self.is_open:
            self._since += seconds
            if self._since > self._wait:
                self.is_open, self._rates, self._since = True, {}, 0.0
                self.now = self._most
            return
        self._rates.setdefault(threads, []).append(rate)
        tries = 1 if seconds >= _LONG else self._TRIES
        for number in (self._most, 1):
            first = 0 if number == 1 and tries == 1 else 1
            if len(self._rates.get(number, [])) < first + tries:
                self.now = number
                return
        self._decide()

    def _decide(self) -> None:
        """End a trial."""
        rates = {number: max(self._rates[number][-self._TRIES :]) for number in (1, self._most)}
        several = rates[self._most] > _GAIN * rates[1]
        self.now = self._most if several else 1
        self._wait = self._AGAIN if several else self._soon
        self._soon = self._SOON if several else min(2 * self._soon, self._AGAIN)
        self.is_open = False
        if self._program is not None:
            _found.keep(self._program, several)


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
