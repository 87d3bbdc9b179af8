"""What happened while training: numbers for each epoch, and what callbacks and displays see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph import Array


class History(Mapping[str, Array]):
    """Arrays of length ``epochs`` by name: ``train_loss``, ``validation_loss`` and so on.

    >>> history = History()
    >>> history.append({"train_loss": 0.5})
    >>> history["train_loss"]
    array([0.5])
    """

    def __init__(self, rows: list[dict[str, float]] | None = None) -> None:
        self.rows = list(rows or [])

    def append(self, row: Mapping[str, float]) -> None:
        """Add an epoch."""
        self.rows.append(dict(row))

    def __getitem__(self, name: str) -> Array:
        if self.rows and not any(name in row for row in self.rows):
            raise KeyError(f"{name!r}; the history holds {', '.join(self) or 'nothing'}")
        return np.array([row.get(name, np.nan) for row in self.rows])

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        return len(dict.fromkeys(name for row in self.rows for name in row))

    def __repr__(self) -> str:
        return f"History({len(self.rows)} epochs: {', '.join(self)})"


class Timing(NamedTuple):
    """Where the time of a run went.

    Attributes:
        compile_seconds: tracing and compiling.
        seconds: training, without compiling.
        updates: steps done.
    """

    compile_seconds: float
    seconds: float
    updates: int

    @property
    def updates_per_second(self) -> float:
        """Steps a second, compiling left out."""
        return self.updates / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Progress:
    """Where a run stands; displays get one a few times a second.

    Attributes:
        epoch: epochs done.
        epochs: epochs asked for.
        step: updates done.
        total_steps: updates asked for.
        loss: mean training loss of the running epoch so far.
        latest: the last finished epoch's numbers.
        best_epoch: the best epoch so far, 0 where nothing is monitored.
        seconds: since the start.
        seconds_left: estimated time to the last epoch.
        unit: what epochs count: ``epoch``, or ``network`` where several are trained.
    """

    epoch: int
    epochs: int
    step: int
    total_steps: int
    loss: float
    latest: Mapping[str, float]
    best_epoch: int
    seconds: float
    seconds_left: float
    unit: str = "epoch"


@dataclass(frozen=True)
class Epoch:
    """What a callback gets at the end of each epoch.

    Attributes:
        number: from 1.
        values: this epoch's numbers (``train_loss``, ``validation_loss``, ``learning_rate``, …).
        parameters: the network's arrays by path (read-only views): their averages where the run
            averages weights, with statistics of batch normalisation of their own.
        step: batches trained on.
        states: the network's other arrays by path (read-only views).
        member: the number of the network, where several are trained.
    """

    number: int
    values: Mapping[str, float]
    parameters: Mapping[str, Array]
    step: int
    states: Mapping[str, Array] = field(default_factory=dict[str, Array])
    member: int | None = None


Callback = Callable[[Epoch], Any]
"""Called after each epoch; training stops when it returns True."""


class Display:
    """What shows a run to a person; this one is silent."""

    def start(self, epochs: int, title: str) -> None:
        """Training begins."""

    def update(self, progress: Progress) -> None:
        """A few times a second."""

    def epoch(self, progress: Progress) -> None:
        """At the end of each epoch."""

    def finish(self, progress: Progress, reason: str) -> None:
        """Training ended."""

    def close(self) -> None:
        """Always the last call, after an error too: give back what was taken."""
