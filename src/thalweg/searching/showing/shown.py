"""What the pictures of a search show, and what they have in common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thalweg.searching.showing.axes import Axis, Tried, judged

BEST, DONE, STOPPED, FAILED = "#c2410c", "#1f5a99", "#9db8d3", "#b91c1c"
"""Colours of trials."""

MANY = 400
"""Trials from which points and lines are drawn as a bitmap inside the picture."""

_SPREAD = 30.0
"""Values that differ by more than this factor are drawn on a logarithmic scale."""

_GOLDEN = 0.6180339887498949

Path = str | os.PathLike[str]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """What pictures show.

    Attributes:
        trials: in the order of their numbers.
        axes: the hyperparameters that vary.
        metric: what the values are.
        maximise: whether larger values are better.
    """

    trials: Sequence[Tried]
    axes: Sequence[Axis]
    metric: str
    maximise: bool = False

    @property
    def label(self) -> str:
        """The metric in words."""
        return self.metric.replace("_", " ")

    @cached_property
    def good(self) -> list[Tried]:
        """The trials with a finite value."""
        return [trial for trial in self.trials if judged(trial)]

    @cached_property
    def failed(self) -> list[Tried]:
        """The trials without one."""
        return [trial for trial in self.trials if not judged(trial)]

    @cached_property
    def values(self) -> Floats:
        """The finite values, in the trials' order."""
        return np.array([trial.value for trial in self.good], dtype=np.float64)

    @property
    def best(self) -> Tried | None:
        """The best trial, if any has a value."""
        if not self.good:
            return None
        return self.good[int((np.argmax if self.maximise else np.argmin)(self.values))]

    def counted(self) -> str:
        """How many trials there are, how they ended, and the best value."""
        count, failed = len(self.trials), len(self.failed)
        stopped = sum(trial.state == "stopped" for trial in self.good)
        words = [f"{count:,} trial{'' if count == 1 else 's'}"]
        words += [f"{stopped:,} stopped early"] if stopped else []
        words += [f"{failed:,} failed"] if failed else []
        best = self.best
        if best is not None and best.value is not None:
            words.append(f"best {self.label} {best.value:.4g} (trial {best.number})")
        return ", ".join(words)


def is_wide(values: Floats) -> bool:
    """Whether positive values need a logarithmic scale."""
    return bool(len(values) and values.min() > 0 and values.max() > _SPREAD * values.min())


def spread(trials: Sequence[Tried]) -> Floats:
    """A number in [-1, 1) for each trial, a function of its own number; evenly spread."""
    numbers = np.array([trial.number for trial in trials], dtype=np.float64)
    return 2.0 * ((numbers * _GOLDEN + 0.5) % 1.0) - 1.0


__all__ = [
    "BEST",
    "DONE",
    "FAILED",
    "MANY",
    "STOPPED",
    "Floats",
    "Path",
    "Shown",
    "is_wide",
    "spread",
]
