"""Journal: what happened in a search, one line of JSON an event, safe against kills at any moment.

    journal ::= head line, event line, …      each a JSON object and a line feed
    head    ::= format, version, thalweg's version, and what must be the same to go on

A line counts once its line feed is on the disk. A process that is killed while it writes leaves a
torn last line, which the next opening cuts off; nothing else is ever changed or removed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, cast

from thalweg.errors import FileError
from thalweg.searching.lines import (
    MOST_BYTES,
    Event,
    check_head,
    content_of,
    head_line,
    line_of,
    parsed,
    whole_lines,
)
from thalweg.searching.spaces.values import plain_value
from thalweg.storage.locking import try_lock
from thalweg.storage.opening import check_regular, explain, open_regular

_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class Journal:
    """An append-only file of events, locked against other processes while it is open.

    Attributes:
        path: the file.
        head: what must be the same for a search to go on.
        events: the events that stood in the file when it was opened, in order.
        torn: how many bytes of a torn last line were cut off.
        most_bytes: how large a journal may become.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "journal.jsonl")
    >>> with Journal.open(path, {"seed": 0}) as journal:
    ...     journal.append({"event": "finished", "number": 0, "value": 0.25})
    >>> with Journal.open(path, {"seed": 0}) as journal:
    ...     print(journal.events)
    ({'event': 'finished', 'number': 0, 'value': 0.25},)
    """

    most_bytes: ClassVar[int] = MOST_BYTES

    def __init__(self, path: str, descriptor: int, head: Event) -> None:
        self.path = path
        self.head = head
        self.events: tuple[Event, ...] = ()
        self.torn = 0
        self._descriptor: int | None = descriptor
        self._length = 0
        self._writing = threading.Lock()
        _OPEN.add(self)

    @classmethod
    def open(cls, path: str | os.PathLike[str], head: Mapping[str, Any]) -> Journal:
        """A new journal with this head, or the one that is there, if its head is the same.

        Args:
            path: the file; its folder must exist.
            head: what must be the same for a search to go on: ``space`` and ``data`` hold digests,
                the others whatever decides what the trials are.

        Raises:
            SettingError: the journal there has another head; what differs is named.
            FileError: another process has it open, it is no journal, a line of it is broken, or
                it cannot be read or written.
        """
        name = os.fspath(path)
        wanted = cast("Event", plain_value(head))
        first = head_line(name, wanted)
        journal = cls(name, _opened(name), wanted)
        try:
            journal._begin(first)
        except BaseException:
            journal.close()
            raise
        return journal

    def append(self, event: Mapping[str, Any], *more: Mapping[str, Any]) -> None:
        """Write events, each as one line, and wait until they are on the disk.

        NaN and infinity are written as text ("nan", "inf"), which ``float`` reads; descriptions as
        their text. If it fails the journal is as it was before.

        Raises:
            FileError: the journal is closed or full, an event cannot be written as JSON, or the
                disk refuses.
        """
        lines = b"".join(line_of(self.path, one) for one in (event, *more))
        with self._writing:
            self._write(lines)

    def close(self) -> None:
        """Give the file back; a second time it does nothing."""
        with self._writing:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)

    def forget(self) -> None:
        """Give the file back in a forked process, whatever another thread was at."""
        self._writing = threading.Lock()
        self.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ reading

    def _begin(self, first: bytes) -> None:
        """Lock and read the file, cut a torn last line, write the head where there is none."""
        assert self._descriptor is not None
        if try_lock(self._descriptor) is False:
            raise FileError(
                f"{self.path}: another process, or another search of this one, has this journal "
                "open; wait until it has ended, or choose another file"
            )
        content = content_of(self.path, self._descriptor)
        whole, unended = whole_lines(self.path, content)
        lines = parsed(self.path, whole + b"\n" * unended)
        found = next(lines, None)
        if found is not None:
            check_head(self.path, found, self.head)
            self.events = tuple(lines)
        self._length = len(whole)
        rest = content[len(whole) :]
        self.torn = len(rest) if rest.strip(b"\n") else 0
        if rest:
            self._shorten(len(whole))
        if unended or found is None:
            self._write(b"\n" if unended else first)
            _sync_folder(self.path)

    def _shorten(self, length: int) -> None:
        assert self._descriptor is not None
        try:
            os.ftruncate(self._descriptor, length)
            os.fsync(self._descriptor)
        except OSError as error:
            raise explain(error, self.path, "write") from error

    # ------------------------------------------------------------------ writing

    def _write(self, lines: bytes) -> None:
        if self._descriptor is None:
            raise FileError(f"{self.path}: the journal is closed")
        if self._length + len(lines) > self.most_bytes:
            raise FileError(f"{self.path}: a journal holds at most {self.most_bytes:,} bytes")
        try:
            if os.fstat(self._descriptor).st_size != self._length:
                os.ftruncate(self._descriptor, self._length)  # what a failed write left
            os.lseek(self._descriptor, self._length, os.SEEK_SET)
            view = memoryview(lines)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
            self._length += len(lines)
        except OSError as error:
            self._undo()
            raise explain(error, self.path, "write") from error
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        assert self._descriptor is not None
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._length)


def read_journal(path: str | os.PathLike[str]) -> tuple[Event, tuple[Event, ...]]:
    """Head and events of a journal, which is not changed; a torn last line is left out.

    Raises:
        FileError: it cannot be read, is no journal, or a line of it is broken.
    """
    name = os.fspath(path)
    with open_regular(path) as file:
        whole, unended = whole_lines(name, content_of(name, file.fileno()))
    if not whole:
        raise FileError(f"{name} is no journal of a search; it is empty")
    lines = parsed(name, whole + b"\n" * unended)
    return next(lines), tuple(lines)


# ---------------------------------------------------------------------- opening


_OPEN: weakref.WeakSet[Journal] = weakref.WeakSet()
"""The journals that this process has open."""


def _forget_after_fork() -> None:
    """A forked process gives the files back, so that it cannot keep the lock of a dead parent."""
    for journal in list(_OPEN):
        journal.forget()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_after_fork)


def _opened(path: str) -> int:
    if "\0" in path:
        raise FileError(f"{path!r}: a path cannot hold the NUL character")
    try:
        with contextlib.suppress(FileNotFoundError):
            check_regular(path, os.lstat(path).st_mode)
        descriptor = os.open(path, _FLAGS, 0o666)
    except OSError as error:
        raise explain(error, path, "write") from error
    try:
        check_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sync_folder(path: str) -> None:
    """Make the new name durable, where the system can."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(Path(path).parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


__all__ = ["Event", "Journal", "read_journal"]
