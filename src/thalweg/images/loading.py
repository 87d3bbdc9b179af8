"""Progress while many image files are read."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator

from thalweg.data.images import Watch

_PATIENCE = 0.5
"""Seconds that reading may take without a bar."""


@contextlib.contextmanager
def reading(show: bool) -> Generator[Watch | None]:
    """What reading is watched by: a bar on standard error after half a second, in a terminal.

    Args:
        show: whether to show anything.
    """
    if not show or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        bar = Progress(console=Console(stderr=True), transient=True)
        task = bar.add_task("reading images", total=None)
        running = False

        def watch(read: int, of: int) -> None:
            nonlocal running
            if not running and time.monotonic() - began > _PATIENCE:
                running = True
                stack.enter_context(bar)
            if running:
                bar.update(task, completed=read, total=of)

        yield watch


__all__ = ["reading"]
