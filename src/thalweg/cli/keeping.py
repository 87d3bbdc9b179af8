"""A run that is kept in a folder: its checkpoint while it trains, its model when it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from thalweg.cli.console import tell
from thalweg.cli.folders import CHECKPOINT, checkpoints

CHECKPOINT_EVERY = 5  # epochs


class Saved(Protocol):
    """A run that can be saved."""

    @property
    def stop_reason(self) -> str:
        """Why training ended."""
        ...

    def save(self, folder: Path, /) -> Any:
        """Write the model into a folder."""
        ...


RunT = TypeVar("RunT", bound=Saved)


def kept_run(place: Path, fit: Callable[[Path], RunT], *, resume: bool) -> RunT:
    """Train and save; what remains of an unfinished run is its checkpoint.

    Args:
        place: the folder.
        fit: trains, with the path of the checkpoint.
        resume: go on from a checkpoint that is there.
    """
    checkpoint = place / CHECKPOINT
    if not resume:
        for path in checkpoints(place)[checkpoint.exists() :]:
            path.unlink()  # of members, which a later --resume would take for this run's
    try:
        run = fit(checkpoint)
        run.save(place)
    except KeyboardInterrupt:
        if checkpoints(place):
            tell("note", f"to go on, repeat the command with --out {place} --resume")
        raise
    if run.stop_reason != "interrupted":
        for path in checkpoints(place):
            path.unlink(missing_ok=True)
    return run
