"""The files that a search leaves in its folder, beside the model and the journal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.errors import FileError, ThalwegError
from thalweg.searching.showing.display import SearchDisplay, SearchState
from thalweg.searching.showing.plots import (
    draw_history,
    draw_importance,
    draw_parallel,
    draw_slices,
)
from thalweg.searching.spaces.space import Space
from thalweg.searching.spaces.toml import read_space, space_toml
from thalweg.searching.trial import Trial
from thalweg.storage.atomic import write_atomically

if TYPE_CHECKING:
    from thalweg.searching.result import SearchRun
    from thalweg.searching.showing.shown import Shown

JOURNAL, TRIALS, SPACE = "journal.jsonl", "trials.csv", "space.toml"
"""The names of a search's files in its folder."""

PICTURES: dict[str, Callable[[Shown, Any], Any]] = {
    "history.svg": draw_history,
    "parallel.svg": draw_parallel,
    "importance.svg": draw_importance,
    "slices.svg": draw_slices,
}
"""The pictures in a search's folder, and what draws them."""


def write_report(found: SearchRun, shown: Shown, folder: Path) -> tuple[Path, ...]:
    """Write all trials as ``trials.csv``, and the pictures.

    Args:
        found: the search.
        shown: what its pictures show.
        folder: where they go; it must exist.

    Returns:
        The files.

    Raises:
        FileError: one cannot be written.
    """
    found.to_csv(folder / TRIALS)
    for name, draw in PICTURES.items():
        draw(shown, folder / name)
    return (folder / TRIALS, *(folder / name for name in PICTURES))


def write_space(place: Path, space: Space, text: bytes | None) -> None:
    """Write ``space.toml`` into a folder, unless one that holds the same space is there.

    Args:
        place: the folder.
        space: what it holds.
        text: how it is written; None writes it plainly.

    Raises:
        FileError: it cannot be written.
    """
    path = place / SPACE
    try:
        if path.exists() and read_space(path) == space:
            return
    except ThalwegError:
        pass
    write_atomically(path, [text or space_toml(space).encode()])


class Begun(SearchDisplay):
    """Another display; the space is written when the search begins, its journal being accepted.

    Args:
        inner: the other display, None for none.
        place: the folder of the search.
        space: of the search.
        text: of the space's file, if it was written by a person.
    """

    def __init__(
        self, inner: SearchDisplay | None, place: Path, space: Space, text: bytes | None
    ) -> None:
        self._inner = inner or SearchDisplay()
        self._written = place, space, text

    def start(self, total: int, metric: str, maximise: bool) -> None:
        """The search begins."""
        write_space(*self._written)
        self._inner.start(total, metric, maximise)

    def trial(self, trial: Trial) -> None:
        """A trial has ended."""
        self._inner.trial(trial)

    def update(self, state: SearchState) -> None:
        """A few times a second."""
        self._inner.update(state)

    def finish(self, state: SearchState, reason: str) -> None:
        """The search has ended."""
        self._inner.finish(state, reason)

    def close(self) -> None:
        """Always the last call."""
        self._inner.close()


def made_folder(folder: Path) -> Path:
    """The folder of a search, made where it is not there.

    Raises:
        FileError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror or str(error)
        raise FileError(f"cannot make the folder {folder}: {reason}; choose another") from error
    return folder


__all__ = [
    "JOURNAL",
    "PICTURES",
    "SPACE",
    "TRIALS",
    "Begun",
    "made_folder",
    "write_report",
    "write_space",
]
