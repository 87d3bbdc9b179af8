"""The lines of a journal: reading them, comparing heads, writing events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from thalweg.descriptions.constraints import shown
from thalweg.errors import FileError, SettingError
from thalweg.searching.spaces.values import plain_value
from thalweg.storage.opening import explain
from thalweg.storage.strict_json import dumps, loads
from thalweg.version import __version__

Event = dict[str, Any]
"""What a line holds."""

FORMAT = "thalweg-search"
VERSION = 1
MOST_BYTES = 256 * 2**20
MOST_LINE_BYTES = 2**20

_BEGINNING = b'{"format":"thalweg-search"'
_OWN = ("format", "version", "thalweg")
_OTHERS = {"space": "another space", "data": "another data set"}


def content_of(path: str, descriptor: int) -> bytes:
    """All that an open journal holds.

    Raises:
        FileError: it is too large, or cannot be read.
    """
    try:
        size = os.fstat(descriptor).st_size
        if size > MOST_BYTES:
            raise FileError(
                f"{path} is {size / 2**20:,.0f} MiB large; a journal holds at most "
                f"{MOST_BYTES // 2**20} MiB"
            )
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(0)
            return file.read(size)
    except OSError as error:
        raise explain(error, path, "read") from error


def whole_lines(path: str, content: bytes) -> tuple[bytes, bool]:
    """The lines of a journal, and whether the last one lacks its line feed.

    A last line that is not whole was torn when its writer was killed, and is left out.

    Raises:
        FileError: it is no journal.
    """
    body = content.rstrip(b"\n")
    start = body.rfind(b"\n") + 1
    if not start and not _begins_as_journal(body):
        raise FileError(
            f"{path} is no journal of a search; choose another file, which will be made"
        )
    if not _is_line(body[start:]):
        return content[:start], False
    ended = content[len(body) : len(body) + 1]
    return body + ended, not ended


def _begins_as_journal(line: bytes) -> bool:
    shorter = min(len(line), len(_BEGINNING))
    return line[:shorter] == _BEGINNING[:shorter]


def _is_line(line: bytes) -> bool:
    try:
        return isinstance(loads(line, max_bytes=MOST_LINE_BYTES), dict)
    except FileError:
        return False


def parsed(path: str, content: bytes) -> Iterator[Event]:
    """Head and events of whole lines.

    Raises:
        FileError: a line is broken, or the head is that of another format or a newer version.
    """
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        if number == 1 and not _begins_as_journal(line):
            raise FileError(f"{path} is no journal of a search; choose another file")
        try:
            event = loads(line, max_bytes=MOST_LINE_BYTES)
        except FileError as error:
            raise FileError(f"{path}, line {number} is broken: {error}") from error
        if not isinstance(event, dict):
            raise FileError(f"{path}, line {number} must be a JSON object, got {shown(event)}")
        if number == 1:
            _check_version(path, event)
        yield event


def _check_version(path: str, head: Event) -> None:
    version = head.get("version")
    if head.get("format") != FORMAT or not isinstance(version, int) or version < 1:
        raise FileError(f"{path} is no journal of a search; choose another file")
    if version > VERSION:
        raise FileError(
            f"{path} is a journal of version {version}, written by thalweg "
            f"{shown(head.get('thalweg'))}; this is thalweg {__version__}, which reads version "
            f"{VERSION}: install a newer one"
        )


def check_head(path: str, found: Event, wanted: Event) -> None:
    """Refuse to go on with another search.

    Raises:
        SettingError: naming all that differs.
    """
    there = {key: value for key, value in found.items() if key not in _OWN}
    differing = list(_differences("", there, wanted))
    if differing:
        raise SettingError(
            f"{path} is the journal of another search: {'; '.join(differing)}. Go on with what "
            "it was begun with, or choose another file"
        )


def _differences(prefix: str, there: Event, here: Event) -> Iterator[str]:
    for key in dict.fromkeys([*there, *here]):
        name = f"{prefix}{key}"
        if key not in there or key not in here:
            word = "there" if key in there else "here"
            yield f"{name} = {shown(there.get(key, here.get(key)))} only {word}"
        elif isinstance(there[key], dict) and isinstance(here[key], dict):
            yield from _differences(f"{name}.", there[key], here[key])
        elif there[key] != here[key] or type(there[key]) is not type(here[key]):
            said = f"{name} = {shown(there[key])} there and {shown(here[key])} here"
            yield _OTHERS.get(name, said)


def head_line(path: str, head: Mapping[str, Any]) -> bytes:
    """The first line of a new journal."""
    return line_of(path, {"format": FORMAT, "version": VERSION, "thalweg": __version__, **head})


def line_of(path: str, event: Mapping[str, Any]) -> bytes:
    """The line that holds an event.

    Raises:
        FileError: JSON cannot hold it, or it is too long.
    """
    try:
        line = dumps(plain_value(event))
    except FileError as error:
        raise FileError(f"{path}: an event cannot be written: {error}") from error
    if len(line) > MOST_LINE_BYTES:
        raise FileError(
            f"{path}: an event of {len(line):,} bytes is too long; at most {MOST_LINE_BYTES:,} "
            "are allowed"
        )
    return line + b"\n"
