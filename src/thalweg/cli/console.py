"""What the commands say: results on standard output, notes and errors on standard error."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TextIO

from thalweg.data.table import Note

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


class Output:
    """A stream that may lose its reader (``| head``): what nobody reads is dropped, work goes on.

    Args:
        stream: standard output by default, whatever it is at the time of writing.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._closed = False

    def write(self, text: str) -> int:
        """Write some text."""
        if not self._closed:
            try:
                self._target().write(text)
            except BrokenPipeError:
                self._closed = True
        return len(text)

    def flush(self) -> None:
        """Hand over what was written."""
        if not self._closed:
            try:
                self._target().flush()
            except BrokenPipeError:
                self._closed = True

    def _target(self) -> TextIO:
        return sys.stdout if self._stream is None else self._stream


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Text from files without what would steer a terminal: control characters are spelled out.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def say(text: str = "") -> None:
    """A line or more on standard output."""
    output = Output()
    output.write(f"{visible(text)}\n")
    output.flush()


def tell(level: str, message: str) -> None:
    """``error: …``, ``warning: …`` or ``note: …`` on standard error, coloured in a terminal."""
    message = visible(message)
    if not sys.stderr.isatty():
        Output(sys.stderr).write(f"{level}: {message}\n")
        return
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble((f"{level}:", _STYLES[level]), " ", message)
    Console(stderr=True, highlight=False).print(text)


def tell_notes(notes: Iterable[Note], *, warnings_only: bool = False) -> None:
    """Notes on a table, on standard error."""
    for note in notes:
        if note.level == "warning" or not warnings_only:
            tell("warning" if note.level == "warning" else "note", note.message)


def fitted(report: str, width: int) -> str:
    r"""A report cut for a terminal: tables cropped at the edge, sentences wrapped.

    >>> print(fitted("age  numeric  17 to 90\n- info: a longer sentence", 18))
    age  numeric  17 …
    - info: a longer
      sentence
    """
    return "\n".join(_fitted_line(line, width) for line in report.splitlines())


def _fitted_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    if line.startswith("- "):
        return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False)
    end = "-" if set(line) == {"-"} else "…"
    return line[: max(width - 1, 1)] + end


def say_report(report: str) -> None:
    """A report on standard output, cut to the terminal's width where there is a terminal."""
    if sys.stdout.isatty():
        report = fitted(report, shutil.get_terminal_size().columns)
    say(report)


def say_entry(name: str, text: str) -> None:
    """A name and what is said of it, wrapped with the text aligned where there is a terminal."""
    if not sys.stdout.isatty():
        say(f"{name:<10}{text}")
        return
    width = max(shutil.get_terminal_size().columns, 30)
    say(
        textwrap.fill(
            text, width, initial_indent=f"{name:<10}", subsequent_indent=" " * 10,
            break_on_hyphens=False, break_long_words=False,
        )
    )  # fmt: skip


def let_go_of_stdout() -> None:
    """After a reader left: nothing is flushed to it when the process ends."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
