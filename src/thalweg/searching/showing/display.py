"""What shows a search to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.searching.trial import Trial


@dataclass(frozen=True)
class SearchState:
    """Where a search stands; displays get one a few times a second.

    Attributes:
        best: the best trials so far, the best first.
        done: trials that have ended, with those of earlier runs.
        total: trials asked for.
        running: trials that are trained now.
        stopped: trials that the scheduler has dropped.
        failed: trials without a finite value.
        rate: networks trained in a second, in this run.
        seconds: since this run began.
        seconds_left: estimated; NaN where nothing is known yet.
        tried: trials that were trained for at least an epoch, those that are open with them.
    """

    best: Sequence[Trial]
    done: int
    total: int
    running: int
    stopped: int
    failed: int
    rate: float
    seconds: float
    seconds_left: float
    tried: int = 0


class SearchDisplay:
    """What shows a search to a person; this one is silent."""

    def start(self, total: int, metric: str, maximise: bool) -> None:
        """The search begins."""

    def trial(self, trial: Trial) -> None:
        """A trial has ended; called between two updates, from the same thread."""

    def update(self, state: SearchState) -> None:
        """A few times a second."""

    def finish(self, state: SearchState, reason: str) -> None:
        """The search has ended."""

    def close(self) -> None:
        """Always the last call, after an error too: give back what was taken."""


__all__ = ["SearchDisplay", "SearchState"]
