"""The base of every learning-rate schedule: time in updates or epochs, checks, plots.

Symbols: η the learning rate, t the number of updates (or epochs) done so far, counted from 0, T a
length in the same unit. A schedule is a plain function of the step made of tensor operations in
float64: it takes numbers, arrays of steps and traced tensors alike.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.descriptions import Description, family
from thalweg.descriptions.constraints import declared
from thalweg.errors import SettingError
from thalweg.graph import Array, Tensor, as_tensor
from thalweg.ops.functions import astype, clip, floor, where

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = ("update", "epoch")


@family("schedule")
@dataclass(frozen=True)
class Schedule(Description):
    """A learning rate that changes while training.

    A schedule defines :meth:`at`; one that holds other schedules defines the call itself.
    """

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """The rate at a time, of a run of a total length, both in the schedule's unit."""
        raise NotImplementedError(f"{type(self).__name__} has no at method")

    @property
    def unit(self) -> str:
        """What time counts: updates or epochs."""
        return getattr(self, "per", "update")

    def __call__(self, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
        """The learning rate before update number ``step`` (from 0), as float64.

        Args:
            step: updates done so far; a number, array or tensor.
            total_steps: updates of the whole run.
            steps_per_epoch: updates of one epoch.
        """
        time, total = double(step), double(total_steps)
        if self.unit == "epoch":
            per_epoch = double(steps_per_epoch)
            time, total = floor(time / per_epoch), total / per_epoch
        return self.at(time, total)

    def check(self, total_steps: int, steps_per_epoch: int = 1) -> None:
        """Refuse a schedule that does not fit in a run; called before training.

        Args:
            total_steps: updates of the whole run.
            steps_per_epoch: updates of one epoch.

        Raises:
            SettingError: with the schedule's length and the run's.
        """
        for _, _, value in declared(self):
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Schedule):
                    item.check(total_steps, steps_per_epoch)

    def rates(self, total_steps: int, steps_per_epoch: int = 1) -> Array:
        """The learning rate of every update of a run, (total_steps,), float64.

        Raises:
            SettingError: a run without updates, or a schedule that does not fit in the run.

        >>> from thalweg.optim.schedules import Cosine
        >>> Cosine(1.0).rates(4).round(3)
        array([1.   , 0.854, 0.5  , 0.146])
        """
        check_run(total_steps, steps_per_epoch)
        self.check(total_steps, steps_per_epoch)
        rates = self(np.arange(total_steps), total_steps, steps_per_epoch).numpy()
        return np.array(np.broadcast_to(rates, (total_steps,)))

    def plot(
        self,
        total_steps: int,
        steps_per_epoch: int = 1,
        path: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """Draw the learning rate over a run, with matplotlib.

        Args:
            total_steps: updates of the run, ≥ 1.
            steps_per_epoch: updates of one epoch; beyond 1 a second axis counts epochs.
            path: a file to write; its ending chooses the format (``.svg``, ``.png``, ``.pdf``).

        Returns:
            The figure, which a notebook shows.

        Raises:
            SettingError: matplotlib is not installed, the file's ending is of no known format, or
                the schedule does not fit in the run.
            FileError: the file cannot be written.
        """
        from thalweg.optim.plotting import plot_schedule

        return plot_schedule(self, total_steps, steps_per_epoch, path)


Rate = float | Schedule
"""A constant learning rate or a schedule."""


def rate_at(rate: Any, step: Any, total_steps: Any = 1, steps_per_epoch: Any = 1) -> Tensor:
    """The learning rate before an update, of a number or of a schedule.

    >>> float(rate_at(0.1, 7))
    0.1
    """
    if isinstance(rate, Schedule):
        return rate(step, total_steps, steps_per_epoch)
    return as_tensor(rate if isinstance(rate, Tensor) else np.float64(rate))


def double(value: Any) -> Tensor:
    """A number, array or tensor as a tensor of float64.

    >>> double(3)
    Tensor(3., float64)
    """
    return astype(value if isinstance(value, Tensor) else np.asarray(value), "float64")


def length_or(length: Any, total: Tensor) -> Tensor:
    """A length, or the run's where it is 0.

    >>> float(length_or(0, double(50))), float(length_or(20, double(50)))
    (50.0, 20.0)
    """
    given = double(length)
    return where(given > 0.0, given, total)


def progress(time: Tensor, begin: Any, end: Any) -> Tensor:
    """How much of a stretch is done, in [0, 1]: (t - begin) / (end - begin); 1 where it is empty.

    >>> [float(progress(double(t), 2.0, double(6.0))) for t in (0, 2, 3, 9)]
    [0.0, 0.0, 0.25, 1.0]
    """
    first, last = double(begin), double(end)
    room = last - first
    share = clip((time - first) / where(room > 0.0, room, 1.0), 0.0, 1.0)
    return where(room > 0.0, share, 1.0)


def largest(value: Any) -> float | None:
    """The largest of the numbers that a setting holds, None while they are not known."""
    if isinstance(value, Tensor):
        value = value.value
    return None if value is None else float(np.max(np.asarray(value, np.float64)))


def updates_of(length: Any, per: str, steps_per_epoch: int) -> float:
    """A length in updates; 0 while it is not known."""
    found = largest(length) or 0.0
    return found * steps_per_epoch if per == "epoch" else found


def run_text(total_steps: float, steps_per_epoch: int) -> str:
    """A run's length for messages.

    >>> run_text(50, 10)
    '50 updates (5 epochs of 10 updates)'
    """
    if steps_per_epoch == 1:
        return f"{total_steps:g} updates"
    epochs = total_steps / steps_per_epoch
    return f"{total_steps:g} updates ({epochs:g} epochs of {steps_per_epoch} updates)"


def length_text(length: Any, per: str) -> str:
    """A length with its unit for messages.

    >>> length_text(3, "epoch")
    '3 epochs'
    """
    return f"{largest(length) or 0.0:g} {per}s"


def check_run(total_steps: Any, steps_per_epoch: Any) -> None:
    """Refuse lengths of a run that are no whole numbers from 1 on.

    Raises:
        SettingError: with the name and the value.
    """
    given = {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
    for name, value in given.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 1:
            raise SettingError(f"{name} must be a whole number of at least 1, got {value!r}")
