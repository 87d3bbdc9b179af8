"""How many threads run the steps of a run."""

from __future__ import annotations

import os

from thalweg.compiler.native.lower import MOST_THREADS

_GAIN = 1.05
"""How much faster several threads must be to be kept."""


class ThreadChoice:
    """How many threads run the steps: each number is tried, and the fastest kept.

    Results do not depend on the number, so it may change at any time. The trial is repeated now
    and then, since other programs come and go. Of several calls the fastest counts, so that one
    that was disturbed decides nothing; the first, with cold caches and a core asleep, never does.
    """

    _AGAIN = 5.0
    _TRIES = 3

    def __init__(self) -> None:
        self.now = 1
        self.is_open = False
        self._most = 1
        self._rates: dict[int, list[float]] = {}
        self._since = 0.0

    def allow(self, threaded: bool, most: int | None) -> None:
        """Say whether there is a version for several threads, and how many are wanted at most."""
        wanted = cores() if most is None else most
        self._most = min(wanted, MOST_THREADS) if threaded else 1
        self.is_open = self._most > 1

    def note(self, threads: int, rate: float, seconds: float) -> None:
        """Take in how fast steps were run."""
        if self._most == 1:
            return
        if not self.is_open:
            self._since += seconds
            if self._since > self._AGAIN:
                self.is_open, self._rates, self._since = True, {}, 0.0
            return
        self._rates.setdefault(threads, []).append(rate)
        tried = {number: self._rates.get(number, []) for number in (1, self._most)}
        left = [number for number, rates in tried.items() if len(rates) <= self._TRIES]
        self.is_open = bool(left)
        if left:
            self.now = left[0]
            return
        alone, shared = (max(rates[1:]) for rates in tried.values())
        self.now = self._most if shared > _GAIN * alone else 1


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
