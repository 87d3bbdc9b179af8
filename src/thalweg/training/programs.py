"""What the members of a population share: traces, machine code, checked data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

MadeT = TypeVar("MadeT")

_RECENT = 64
"""Things that take memory which are kept at most."""


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

    def once(self, key: Hashable, make: Callable[[], MadeT], *kept: Any) -> MadeT:
        """What was made for a key, or is made now; other threads that want it wait.

        Args:
            key: what it depends on; where it holds the ``id`` of an object, that is in ``kept``.
            make: makes it.
            kept: objects that must live as long.
        """
        with self._lock:
            found = self._made.get(key)
            if found is not None:
                return cast("MadeT", found[0])
            making = self._making.setdefault(key, threading.Lock())
        with making:
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = (make(), kept)
            return cast("MadeT", found[0])

    def recent(self, key: Hashable, make: Callable[[], MadeT], *kept: Any) -> MadeT:
        """As :meth:`once`, but only the latest things are kept: for what takes memory."""
        with self._lock:
            found = self._recent.pop(key, None)
            if found is not None:
                self._recent[key] = found
                return cast("MadeT", found[0])
        made = make()
        with self._lock:
            while len(self._recent) >= _RECENT:
                del self._recent[next(iter(self._recent))]
            self._recent[key] = (made, kept)
        return made

    def take(self, key: Hashable, make: Callable[[], MadeT]) -> MadeT:
        """A thing that nobody else uses now; :meth:`give` it back."""
        with self._lock:
            free = self._made.setdefault(("free", key), ([], ()))[0]
            if free:
                return cast("MadeT", free.pop())
        return make()

    def give(self, key: Hashable, thing: Any) -> None:
        """Give a thing back that :meth:`take` gave."""
        with self._lock:
            self._made.setdefault(("free", key), ([], ()))[0].append(thing)
