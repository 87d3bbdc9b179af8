"""What a search gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.errors import SettingError
from thalweg.model import Model
from thalweg.searching.showing.plots import Plotted
from thalweg.searching.spaces.space import Space
from thalweg.searching.spaces.values import value_text
from thalweg.searching.trial import FAILED, Trial
from thalweg.storage.atomic import write_atomically
from thalweg.training.result import TrainedRun

_FORMULAS = frozenset("=+-@\t\r")
_ENOUGH = 8
"""Trials with a value before the end of a range means anything."""
_MANY = 4
"""Values of a range before its end means anything."""


@dataclass(eq=False, repr=False)
class SearchRun(Plotted):
    """What :func:`search` gives.

    Attributes:
        trials: all of them, by number.
        space: what was varied.
        metric: the number that was compared.
        maximise: whether larger is better.
        reason: why it ended: ``trials``, ``exhausted`` (the sampler has no more), ``time limit`` or
            ``interrupted``.
        seconds: of this run.
        trained: networks that this run trained; those of a journal are not among them.
        notes: what differs from what was asked for, in sentences.
    """

    trials: tuple[Trial, ...]
    space: Space
    metric: str
    maximise: bool
    reason: str
    seconds: float
    trained: int
    _train: Callable[[], TrainedRun | None]
    _number: int | None = None
    notes: tuple[str, ...] = ()
    _run: TrainedRun | None = field(default=None, init=False)

    @property
    def best(self) -> Trial:
        """The best trial.

        Raises:
            SettingError: no trial has a value.
        """
        if self._number is None:
            raise SettingError(
                f"none of the {len(self.trials)} trials has a value yet (the search ended by "
                f"{self.reason}); go on with the journal, or give it more time"
            )
        return self.trials[self._number]

    @property
    def run(self) -> TrainedRun:
        """The run of the best trial; it is trained again, bit for bit, where it is not in memory.

        Raises:
            SettingError: no trial has a value.
        """
        best = self.best
        if self._run is None:
            self._run = self._train()
        assert self._run is not None, best
        return self._run

    @property
    def model(self) -> Model:
        """The model of the best trial, ready to predict.

        Raises:
            SettingError: no trial has a value.
        """
        return self.run.model

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """The trials with a value, the best first; equal ones by number."""
        return ranking(self.trials, self.maximise)

    @property
    def tried(self) -> int:
        """Networks that were trained for at least an epoch, those of the journal with them."""
        return sum(trial.epochs > 0 for trial in self.trials)

    @property
    def networks_per_second(self) -> float:
        """Networks that this run trained in a second, compiling and proposing included."""
        return self.trained / self.seconds if self.seconds else 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be known about the result, in sentences."""
        return (*self.notes, *self._failures(), *self._edges())

    def _failures(self) -> list[str]:
        failed = [trial for trial in self.trials if trial.state == FAILED]
        if not failed:
            return []
        count = len(self.trials)
        if len(failed) == count:
            return [f"All {count} trials failed; the first with: {failed[0].reason}"]
        if 2 * len(failed) < count:
            return []
        return [
            f"{len(failed)} of {count} trials failed, the first with: {failed[0].reason} The space "
            "may be too wide."
        ]

    def _edges(self) -> list[str]:
        if self._number is None or len(self.ranking) < _ENOUGH:
            return []
        found: list[str] = []
        for name, end in self.space.edges(self.best.settings).items():
            if (self.space[name].count or _MANY) < _MANY:
                continue
            value = value_text(self.best.settings[name])
            further = "lower" if end == "lowest" else "higher"
            found.append(
                f"The best {name}, {value}, lies at the {end} end of its range; {further} values "
                "may be better: widen the range and search again."
            )
        return found

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write all trials as a CSV file: number, state, value, epochs, seconds, then settings.

        Where trials went on from others, ``parent`` and ``parent_epoch`` of the last time and the
        settings ``began.NAME`` follow.

        Raises:
            FileError: the file cannot be written.
        """
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = self.space.names
        head = ("number", "state", self.metric, "epochs", "seconds", "seed", "reason")
        lineage = any(trial.changes for trial in self.trials)
        origin = ("parent", "parent_epoch", *(f"began.{name}" for name in names))
        writer.writerow([*head, *names, *(origin if lineage else ())])
        for trial in self.trials:
            cells = _cells(trial.settings, names) + (_origin(trial, names) if lineage else [])
            value = "" if trial.value is None else repr(trial.value)
            told = (trial.epochs, f"{trial.seconds:.3f}", trial.seed, _safe(trial.reason))
            writer.writerow([trial.number, trial.state, value, *told, *cells])
        write_atomically(path, [text.getvalue().encode()])

    def __repr__(self) -> str:
        best = "no value"
        if self._number is not None:
            best = f"best {self.metric} {self.best.value:.6g} in trial {self._number}"
        return f"SearchRun({len(self.trials)} trials, ended by {self.reason}, {best})"


def ranking(trials: tuple[Trial, ...] | list[Trial], maximise: bool) -> tuple[Trial, ...]:
    """Trials with a value, the best first; equal ones by number."""
    sign = -1.0 if maximise else 1.0
    judged = [(sign * item.value, item.number, item) for item in trials if item.value is not None]
    return tuple(trial for _, _, trial in sorted(judged, key=lambda entry: entry[:2]))


def _cells(settings: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_cell(settings[name]) if name in settings else "" for name in names]


def _origin(trial: Trial, names: Sequence[str]) -> list[str]:
    last = trial.changes[-1:]
    parent = [str(last[0].parent), str(last[0].epoch)] if last else ["", ""]
    return parent + _cells(trial.began, names)


def _cell(value: Any) -> str:
    return _safe(value_text(value)) if not isinstance(value, (int, float)) else value_text(value)


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in _FORMULAS else text


__all__ = ["SearchRun", "ranking"]
