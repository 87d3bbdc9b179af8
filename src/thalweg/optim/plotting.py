"""Learning rates as pictures, drawn by matplotlib, which is imported only here."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.descriptions.spec import spec_of
from thalweg.errors import FileError, SettingError
from thalweg.graph import Array
from thalweg.optim.schedule import Schedule, check_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_POINTS = 4000
_TITLE = 84
"""Characters of a title at most."""

_STEEP = 100.0
"""A rate that is mostly this far below its peak is drawn on a logarithmic scale."""


def plot_schedule(
    schedule: Schedule,
    total_steps: int,
    steps_per_epoch: int = 1,
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the learning rate over a run: updates below, epochs above; a file where one is named.

    Args:
        schedule: what is drawn.
        total_steps: updates of the run.
        steps_per_epoch: updates of one epoch; 1 shows no epochs.
        path: a file to write.
        title: above the picture; the schedule as a text by default.

    Raises:
        SettingError: matplotlib is not installed, an unknown ending, or a schedule that does not
            fit in the run.
        FileError: the file cannot be written.
    """
    check_run(total_steps, steps_per_epoch)
    schedule.check(total_steps, steps_per_epoch)
    steps, rates = sampled(schedule, total_steps, steps_per_epoch)
    with new_figure() as (figure, axis):
        axis.step([*steps, total_steps], [*rates, rates[-1]], where="post", color="#1f5a99", lw=1.6)
        scale = _scale(rates)
        axis.set_yscale(scale)
        if scale == "linear":
            axis.set_ylim(bottom=0.0, top=float(rates.max()) * 1.05 or 1.0)
        axis.set_xlim(0, total_steps)
        axis.set_xlabel("updates")
        axis.set_ylabel("learning rate η" + (" (log scale)" if scale == "log" else ""))
        axis.set_title(_short(title or spec_of(schedule)), loc="left", fontsize=9)
        if steps_per_epoch > 1:
            _show_epochs(axis, steps_per_epoch)
        write_figure(figure, path)
    return figure


def sampled(
    schedule: Schedule, total_steps: int, steps_per_epoch: int = 1, most: int = _MOST_POINTS
) -> tuple[Array, Array]:
    """Steps spread over a run, all of them where they are few, and their learning rates."""
    steps = np.arange(total_steps)
    if total_steps > most:
        steps = np.unique(np.linspace(0, total_steps - 1, most).astype(np.int64))
    rates = schedule(steps, total_steps, steps_per_epoch).numpy()
    return steps, np.array(np.broadcast_to(rates, steps.shape))


def _scale(rates: Array) -> str:
    steep = bool(rates.min() > 0 and np.median(rates) * _STEEP < rates.max())
    return "log" if steep else "linear"


def _short(text: str) -> str:
    return text if len(text) <= _TITLE else f"{text[: _TITLE - 1]}…"


def _show_epochs(axis: Any, steps_per_epoch: int) -> None:
    def epochs(updates: Any) -> Any:
        return np.asarray(updates) / steps_per_epoch

    def updates(epochs: Any) -> Any:
        return np.asarray(epochs) * steps_per_epoch

    axis.secondary_xaxis("top", functions=(epochs, updates)).set_xlabel("epochs")


@contextmanager
def new_figure() -> Generator[tuple[Figure, Any]]:
    """A figure with one pair of axes, in the library's style; the same data gives the same bytes.

    Raises:
        SettingError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingError("drawing needs matplotlib: pip install matplotlib") from error
    style: Any = {"svg.hashsalt": "thalweg", "svg.fonttype": "none", "font.size": 10}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        axis: Any = figure.add_subplot()
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(visible=True, color="0.9", linewidth=0.8)
        axis.set_axisbelow(True)
        yield figure, axis


def write_figure(figure: Figure, path: str | os.PathLike[str] | None) -> None:
    """Write a figure in the format of the file's ending; nothing without a path.

    Raises:
        SettingError: an unknown ending.
        FileError: the file cannot be written.
    """
    if path is None:
        return
    place = Path(path)
    ending = place.suffix.lower().removeprefix(".")
    known = sorted(figure.canvas.get_supported_filetypes())
    if ending not in known:
        raise SettingError(
            f"cannot draw to {place}: the ending {place.suffix!r} is not one of "
            f"{', '.join(f'.{item}' for item in known)}; choose .svg or .png"
        )
    dated: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    try:
        figure.savefig(place, metadata=dated.get(ending), dpi=144)
    except OSError as error:
        raise FileError(f"cannot write {place}: {error.strerror or error}") from error
