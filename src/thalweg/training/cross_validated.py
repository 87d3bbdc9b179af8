"""What cross-validation gives: scores by repeat and fold, out-of-fold predictions, the networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.data.table import plural
from thalweg.graph import Array
from thalweg.training.failure import Failure
from thalweg.training.folds import Fold
from thalweg.training.history import History
from thalweg.training.population.result import Models
from thalweg.training.result import TrainedRun

_TITLES = {"auc": "AUC", "rmse": "RMSE", "mae": "MAE", "r2": "R²"}


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """What :func:`cross_validate` gives; network ``repeat · folds + fold`` belongs to that fold.

    Attributes:
        scores: by metric, (repeats, folds); NaN where a network was not trained to its end, or was
            not finite.
        predictions: for each row, of the networks that did not learn from it, the mean over the
            repeats: probabilities (N, classes), or numbers (N,) or (N, outputs) in their own unit;
            NaN where there are none.
        splits: the rows of each network.
        runs: the run of each network; None for those that Ctrl-C left out.
        seeds: of each network.
        failures: why networks have no scores though they were trained, by number.
        classes: the labels in the order of the predictions, for classes.
        stop_reason: ``interrupted`` after Ctrl-C, else ``epochs``.
        seconds: that it took, compiling and all.
    """

    scores: Mapping[str, Array]
    predictions: Array
    splits: tuple[Fold, ...]
    runs: tuple[TrainedRun | None, ...]
    seeds: tuple[int, ...]
    failures: Mapping[int, Failure | str]
    classes: tuple[Any, ...] | None
    stop_reason: str
    seconds: float

    def __repr__(self) -> str:
        return self.summary()

    def __len__(self) -> int:
        return len(self.splits)

    @property
    def repeats(self) -> int:
        """How often all rows were divided."""
        return self.splits[-1].repeat + 1

    @property
    def folds(self) -> int:
        """Folds of each repeat."""
        return self.splits[-1].fold + 1

    @property
    def models(self) -> Models:
        """The trained networks in order."""
        return Models(self.runs)

    @property
    def histories(self) -> list[History]:
        """The numbers by epoch of each network; empty where it was not trained."""
        return [History() if run is None else run.history for run in self.runs]

    @cached_property
    def mean(self) -> dict[str, float]:
        """The mean of each metric over all folds of all repeats that have it."""
        return {name: _mean(values) for name, values in self.scores.items()}

    @cached_property
    def deviation(self) -> dict[str, float]:
        """The standard deviation of each metric over the same folds, with n - 1 below.

        It says how much a single fold varies. Folds share most of their training rows, so the mean
        varies more than deviation / √n.
        """
        return {name: _deviation(values) for name, values in self.scores.items()}

    def summary(self) -> str:
        """Mean, deviation, lowest and highest of each metric, and what went wrong, as text."""
        times = "" if self.repeats == 1 else f" × {plural(self.repeats, 'repeat')}"
        done = sum(run is not None for run in self.runs)
        lines = [
            f"{plural(self.folds, 'fold')}{times}: {plural(done, 'network')} in "
            f"{self.seconds:.2f} s",
            *_table([self._row(name) for name in self.scores]),
        ]
        lines += [_told(self.splits[place], place, why) for place, why in self.failures.items()]
        if done < len(self):
            left_out = plural(len(self) - done, "network")
            lines.append(f"interrupted: {left_out} not trained to the end")
        if self.failures or done < len(self):
            left = done - len(self.failures)
            others = f"the figures are of the other {plural(left, 'network')}"
            lines.append(others if left else "no network has figures")
        return "\n".join(lines)

    def _row(self, name: str) -> tuple[str, ...]:
        values = self.scores[name]
        known = values[np.isfinite(values)]
        ends = (float(known.min()), float(known.max())) if known.size else (math.nan, math.nan)
        numbers = (self.mean[name], self.deviation[name], *ends)
        return (title(name), *map(_figure, numbers))


def title(name: str) -> str:
    """How a metric is called for people.

    >>> title("log_loss"), title("auc")
    ('log loss', 'AUC')
    """
    return _TITLES.get(name, name.replace("_", " "))


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _deviation(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if known.size > 1 else math.nan


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    whole = [("", "mean", "deviation", "lowest", "highest"), *rows]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in whole
    ]


def _figure(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.4f}" if size < 10 else f"{value:.2f}"


def _told(fold: Fold, place: int, why: Failure | str) -> str:
    epoch = "its predictions" if isinstance(why, str) else f"a value in epoch {why.epoch}"
    verb = "are" if isinstance(why, str) else "is"
    return (
        f"network {place} (repeat {fold.repeat}, fold {fold.fold}): {epoch} {verb} not finite; "
        f"failures[{place}] says more"
    )


__all__ = ["CrossValidation", "title"]
