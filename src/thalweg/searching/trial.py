"""Trials: what people see of them, and what the engine keeps of them while it works."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thalweg.graph import Array
from thalweg.searching.schedulers.scheduler import Candidate, Copy
from thalweg.training.history import History
from thalweg.training.stopping import Best, EarlyStopping

FINISHED, STOPPED, FAILED, OPEN = "finished", "stopped", "failed", "open"
"""States: trained to its end, dropped by the scheduler, without a finite value, still to train."""

Rows = list[dict[str, float]]


@dataclass(frozen=True)
class Change:
    """A trial went on from another one's state, in population-based training.

    Attributes:
        epoch: after which.
        parent: the other one's number.
        settings: with which it went on.
    """

    epoch: int
    parent: int
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One network of a search.

    Attributes:
        number: from 0, in the order of the proposals.
        settings: its hyperparameters by name; those that were not active are left out. In
            population-based training the last ones.
        value: the metric of its model; that of the last comparison where it was stopped, None where
            it failed.
        epochs: trained.
        seconds: spent on it, compiling included.
        state: ``finished``, ``stopped`` by the scheduler, ``failed``, or ``open`` where the search
            ended before.
        reason: why it ended: ``epochs``, ``early stopping``, ``scheduler``, or what failed.
        seed: of its weights and shuffling.
        history: numbers by epoch.
        began: the settings that it began with; others than ``settings`` only after changes.
        changes: in population-based training from which trials it went on, in order.
        rungs: the metric after each epoch at which the scheduler looked.
    """

    number: int
    settings: Mapping[str, Any]
    value: float | None
    epochs: int
    seconds: float
    state: str
    reason: str = ""
    seed: int = 0
    history: History = field(default_factory=History, compare=False, repr=False)
    began: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    changes: tuple[Change, ...] = ()
    rungs: Mapping[int, float] = field(default_factory=dict[int, float], repr=False)

    def __post_init__(self) -> None:
        """Where nothing changed, it began with the settings that it has."""
        if not self.changes:
            object.__setattr__(self, "began", self.settings)

    @property
    def parent(self) -> int | None:
        """The number of the trial that it went on from last, None where it never did."""
        return self.changes[-1].parent if self.changes else None

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last epoch's numbers."""
        return self.history.rows[-1] if self.history.rows else {}


@dataclass(frozen=True)
class Outcome:
    """What came of training a trial up to an epoch.

    Attributes:
        until: the epoch that was asked for.
        epochs: done, fewer than asked for where the trial ended before.
        value: the metric of the model that there is then; None where it failed.
        state: ``open`` where it can be trained on, else ``finished`` or ``failed``.
        reason: why it ended.
        rows: numbers of the epochs since the outcome before.
        seconds: that it took.
    """

    until: int
    epochs: int
    value: float | None
    state: str
    reason: str
    rows: Rows
    seconds: float

    def because(self, reason: str) -> Outcome:
        """The same with a reason."""
        return replace(self, reason=reason)


@dataclass
class Record:
    """A trial as the engine knows it.

    Attributes:
        number: from 0.
        settings: as proposed, or as they were changed last.
        seed: of its training.
        arguments: of :func:`fit`, None where they could not be made.
        scores: by epoch, lower is better.
        state: as in :class:`Trial`.
        reason: why it ended.
        value: the metric.
        rows: numbers by epoch.
        seconds: spent on it.
        copies: from which trials it went on, with the settings that it had from there.
        first: the settings that it began with, where it went on from others.
        rungs: the metric by epoch.
    """

    number: int
    settings: dict[str, Any]
    seed: int
    arguments: dict[str, Any] | None = None
    scores: dict[int, float] = field(default_factory=dict[int, float])
    state: str = OPEN
    reason: str = ""
    value: float | None = None
    rows: Rows = field(default_factory=list[dict[str, float]])
    seconds: float = 0.0
    copies: list[tuple[Copy, dict[str, Any]]] = field(
        default_factory=list[tuple[Copy, dict[str, Any]]]
    )
    first: dict[str, Any] | None = None
    rungs: dict[int, float] = field(default_factory=dict[int, float])

    @property
    def ended(self) -> bool:
        """Whether it is trained no further, unless it takes over another one's state."""
        return self.state != OPEN

    @property
    def epochs(self) -> int:
        """Done so far."""
        return len(self.rows)

    def candidate(self) -> Candidate:
        """As a scheduler sees it."""
        ended = self.state in {FINISHED, FAILED}
        return Candidate(self.number, dict(self.scores), ended, self.state == FAILED)

    def take(self, outcome: Outcome, sign: float) -> None:
        """Take in what came of a stretch of training.

        Args:
            outcome: of it.
            sign: −1 where the metric is maximised.
        """
        self.rows += outcome.rows
        self.seconds += outcome.seconds
        self.state, self.reason, self.value = outcome.state, outcome.reason, outcome.value
        if outcome.value is not None:
            self.scores[outcome.until] = sign * outcome.value
            self.rungs[outcome.until] = outcome.value

    def take_over(self, copy: Copy, parent: Record, settings: dict[str, Any]) -> None:
        """Go on from another trial's state after an epoch."""
        self.first = self.settings if self.first is None else self.first
        self.copies.append((copy, settings))
        self.settings = settings
        self.rows = [dict(row) for row in parent.rows[: copy.epoch]]
        self.scores = {epoch: s for epoch, s in parent.scores.items() if epoch <= copy.epoch}
        self.rungs = {epoch: v for epoch, v in parent.rungs.items() if epoch <= copy.epoch}
        self.state, self.reason, self.value = OPEN, "", parent.value

    def trial(self) -> Trial:
        """For people."""
        first = self.settings if self.first is None else self.first
        changes = (Change(copy.epoch, copy.parent, _bare(s)) for copy, s in self.copies)
        return Trial(
            self.number, _bare(self.settings), self.value, self.epochs, self.seconds, self.state,
            self.reason, self.seed, History(self.rows), _bare(first), tuple(changes),
            dict(self.rungs),
        )  # fmt: skip


def _bare(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with NumPy's numbers as Python's."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in settings.items()}


def best_epoch(rows: Sequence[Mapping[str, float]], stopping: EarlyStopping | None) -> int:
    """The epoch, from 1, whose weights the model has: the last one, or early stopping's best.

    >>> rows = [{"train_loss": loss} for loss in (0.5, 0.3, 0.4)]
    >>> best_epoch(rows, None), best_epoch(rows, EarlyStopping(5))
    (3, 2)
    """
    if stopping is None or not stopping.restore_best:
        return len(rows)
    best = Best()
    for number, row in enumerate(rows, 1):
        monitored = row.get("validation_loss", row["train_loss"])
        if best.falls(monitored, stopping.min_delta):
            best = Best(number, monitored)
    return best.epoch or len(rows)


def measured(
    rows: Sequence[Mapping[str, float]], metric: str, stopping: EarlyStopping | None
) -> float | None:
    """The metric of the model that there is after some epochs; None without one, or none finite."""
    if not rows:
        return None
    value = rows[best_epoch(rows, stopping) - 1].get(metric, math.nan)
    return float(value) if math.isfinite(value) else None


def columns(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Rows of numbers by name, as journals hold them; NaN where a row has none."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [float(row.get(name, math.nan)) for row in rows] for name in names}


def rows_of(held: Mapping[str, Sequence[float] | Array]) -> Rows:
    """The inverse of :func:`columns`.

    >>> rows_of(columns([{"a": 1.0}, {"a": 2.0}]))
    [{'a': 1.0}, {'a': 2.0}]
    """
    count = max((len(values) for values in held.values()), default=0)
    return [{name: float(values[place]) for name, values in held.items()} for place in range(count)]


__all__ = [
    "FAILED", "FINISHED", "OPEN", "STOPPED", "Change", "Outcome", "Record", "Trial",
    "best_epoch", "columns", "measured", "rows_of",
]  # fmt: skip
