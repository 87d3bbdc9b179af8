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
"""Seconds for which a later run of the same program begins with what was found."""


class _Found:
    """What trials have found, by program and most threads: the number, and when that was."""

    def __init__(self, most: int = 64) -> None:
        self._numbers: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def get(self, program: Hashable) -> int | None:
        with self._lock:
            number, since = self._numbers.get(program, (0, -_LASTS))
        return number if number and time.monotonic() - since < _LASTS else None

    def keep(self, program: Hashable, number: int) -> None:
        with self._lock:
            self._numbers[program] = number, time.monotonic()
            self._numbers.move_to_end(program)
            if len(self._numbers) > self._most:
                self._numbers.popitem(last=False)


_found = _Found()


class ThreadChoice:
    """How many threads run the steps: each number is tried, and the fastest kept.

    Results do not depend on the number, so it may change at any time. The trial is repeated now
    and then, since other programs come and go. Of several calls the fastest counts, so that one
    that was disturbed decides nothing; the first, with cold caches and a core asleep, never does.
    A run of a program that was tried a moment ago begins with what was found.
    """

    _AGAIN = 5.0
    _TRIES = 3

    def __init__(self) -> None:
        self.now = 1
        self.is_open = False
        self._most = 1
        self._program: Hashable = None
        self._rates: dict[int, list[float]] = {}
        self._since = 0.0

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
        found = None if self._program is None else _found.get(self._program)
        self.now = found or self._most
        self.is_open = self._most > 1 and found is None
        self._rates, self._since = {}, 0.0

    def note(self, threads: int, rate: float, seconds: float) -> None:
        """Take in how fast steps were run."""
        if self._most == 1:
            return
        if not self.is_open:
            self._since += seconds
            if self._since > self._AGAIN:
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
        self.now = self._most if rates[self._most] > _GAIN * rates[1] else 1
        self.is_open = False
        if self._program is not None:
            _found.keep(self._program, self.now)


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
