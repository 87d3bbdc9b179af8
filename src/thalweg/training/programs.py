"""What the members of a population share: traces, machine code, checked data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Any, TypeVar, cast

MadeT = TypeVar("MadeT")

_RECENT = 16
"""Things that take memory which are kept at most."""

_ONCE, _FREE = 512, 16
"""Traces and programs that are kept at most, and pieces of memory that nobody uses."""

_LASTING, _MOST = 8, 128
"""Shapes of networks whose programs outlive a call, and what is kept of each at most."""


class Programs:
    """Things that are made once and used by many runs, by threads as well.

    >>> programs = Programs()
    >>> programs.once("a", list) is programs.once("a", list)
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        self._recent: dict[Hashable, tuple[Any, tuple[Any, ...]]] = {}
        self._made: dict[Hashable, tuple[Any, tuple[Any, ...]]] = {}
        self._free: list[tuple[Hashable, Any]] = []

    def apart(self) -> Programs:
        """Others that share traces and machine code with these, and keep data of their own."""
        other = Programs()
        other._lock, other._making, other._made = self._lock, self._making, self._made
        return other

    @property
    def count(self) -> int:
        """Things that are kept for good."""
        return len(self._made)

    def once(self, key: Hashable, make: Callable[[], MadeT], *kept: Any) -> MadeT:
        """What was made for a key, or is made now; other threads that want it wait.

        Args:
            key: what it depends on; where it holds the ``id`` of an object, that is in ``kept``.
            make: makes it.
            kept: objects that must live as long.
        """
        with self._lock:
            found = self._made.pop(key, None)
            if found is not None:
                self._made[key] = found
                return cast("MadeT", found[0])
        with self._alone(key):
            with self._lock:
                found = self._made.get(key)
            if found is None:
                found = (make(), kept)
                with self._lock:
                    while len(self._made) >= _ONCE:
                        del self._made[next(iter(self._made))]
                    self._made[key] = found
            return cast("MadeT", found[0])

    @contextmanager
    def _alone(self, key: Hashable) -> Generator[None]:
        """One thread at a time makes the thing of a key; others go on with other keys."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                yield
        finally:
            with self._lock:
                self._making.pop(key, None)

    def recent(self, key: Hashable, make: Callable[[], MadeT], *kept: Any) -> MadeT:
        """As :meth:`once`, but only the latest things are kept: for what takes memory."""
        if (found := self._found(key)) is not None:
            return cast("MadeT", found[0])
        with self._alone(key):
            if (found := self._found(key)) is not None:
                return cast("MadeT", found[0])
            made = make()
            with self._lock:
                while len(self._recent) >= _RECENT:
                    del self._recent[next(iter(self._recent))]
                self._recent[key] = (made, kept)
            return made

    def _found(self, key: Hashable) -> tuple[Any, tuple[Any, ...]] | None:
        """A recent thing with what it keeps, which is the latest from now on."""
        with self._lock:
            found = self._recent.pop(key, None)
            if found is not None:
                self._recent[key] = found
            return found

    def forget(self) -> None:
        """Let go of what takes memory; programs stay."""
        with self._lock:
            self._recent.clear()
            self._free.clear()

    def take(self, key: Hashable, make: Callable[[], MadeT]) -> MadeT:
        """A thing that nobody else uses now; :meth:`give` it back."""
        with self._lock:
            for place in range(len(self._free) - 1, -1, -1):
                if self._free[place][0] == key:
                    return cast("MadeT", self._free.pop(place)[1])
        return make()

    def give(self, key: Hashable, thing: Any) -> None:
        """Give a thing back that :meth:`take` gave; the latest few are kept."""
        with self._lock:
            self._free.append((key, thing))
            del self._free[:-_FREE]


_kept: dict[Hashable, Programs] = {}
_lock = threading.Lock()


def lasting(key: Hashable) -> Programs:
    """Programs that last from call to call, so that what was trained before is not traced again.

    Args:
        key: the structure of the network and what it is applied to; the latest few are kept.

    >>> lasting("shape").once("a", list) is lasting("shape").once("a", list)
    True
    """
    with _lock:
        found = _kept.pop(key, None)
        if found is None or found.count > _MOST:
            found = Programs()
        _kept[key] = found
        while len(_kept) > _LASTING:
            del _kept[next(iter(_kept))]
        return found.apart()
