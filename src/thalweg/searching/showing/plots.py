"""Pictures of a search: its history, parallel coordinates, importances, slices.

All are drawn by matplotlib, which is imported only when one is drawn; the same trials give the same
bytes.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.optim.plotting import new_figure, write_figure
from thalweg.searching.showing.axes import Axis, Tried, axes_of, shortened
from thalweg.searching.showing.importance import LEAST_TRIALS, importances
from thalweg.searching.showing.parallel import draw_parallel
from thalweg.searching.showing.shown import (
    BEST,
    DONE,
    FAILED,
    MANY,
    STOPPED,
    Floats,
    Path,
    Shown,
    is_wide,
    spread,
)
from thalweg.searching.spaces.space import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4
_MOST_SLICES = 24
_FEW_WHOLE = 20
_TOO_FAR = 3.0


def draw_history(shown: Shown, path: Path | None = None) -> Figure:
    """Every trial's value, and the best so far as a line; failed trials are crosses at the edge.

    Args:
        shown: the trials.
        path: a file to write, .svg, .png or .pdf.

    Raises:
        SettingError: matplotlib is not installed, or an unknown ending.
        FileError: the file cannot be written.
    """
    with new_figure() as (figure, axis):
        numbers = np.array([trial.number for trial in shown.good])
        values = shown.values
        _points(axis, numbers, shown)
        if len(values):
            so_far = np.maximum.accumulate if shown.maximise else np.minimum.accumulate
            best = so_far(values)
            end = max(trial.number for trial in shown.trials)
            axis.step(
                [*numbers, end], [*best, best[-1]], where="post", color=BEST, lw=1.8,
                label="best so far",
            )  # fmt: skip
        _scale_values(axis, shown)
        _crosses(axis, np.array([t.number for t in shown.failed]), shown)
        last = max((trial.number for trial in shown.trials), default=0)
        axis.set_xlim(-0.02 * last - 0.5, 1.02 * last + 0.5)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("trial")
        axis.set_title(shown.counted(), loc="left", fontsize=9)
        _legend(figure, axis)
        write_figure(figure, path)
    return figure


def draw_importance(shown: Shown, path: Path | None = None) -> Figure:
    """The share of each hyperparameter in how the trials rank, as bars.

    Args:
        shown: the trials.
        path: a file to write, .svg, .png or .pdf.

    Raises:
        SettingError: matplotlib is not installed, or an unknown ending.
        FileError: the file cannot be written.
    """
    shares = importances(shown.axes, shown.trials, maximise=shown.maximise)
    with new_figure() as (figure, axis):
        figure.set_size_inches(7.2, max(2.4, 1.5 + 0.3 * len(shares)))
        names = list(shares)[::-1]
        axis.barh(names, [shares[name] for name in names], color=DONE, height=0.65)
        for place, name in enumerate(names):
            axis.text(shares[name] + 0.005, place, f"{shares[name]:.0%}", va="center", fontsize=9)
        axis.grid(visible=False, axis="y")
        if shares:
            axis.set_xlim(0, max(shares.values()) * 1.12)
            axis.xaxis.set_major_formatter(_percent)
        else:
            _empty(axis, _no_importance(shown))
        axis.set_xlabel("share of the permutation importance, ranks of trials, random forest")
        axis.set_title(
            f"What mattered for the {shown.label}, among the values that were tried",
            loc="left", fontsize=9,
        )  # fmt: skip
        write_figure(figure, path)
    return figure


def draw_slices(shown: Shown, path: Path | None = None) -> Figure:
    """The value against each hyperparameter alone; failed trials are crosses at the edge.

    Args:
        shown: the trials.
        path: a file to write, .svg, .png or .pdf.

    Raises:
        SettingError: matplotlib is not installed, or an unknown ending.
        FileError: the file cannot be written.
    """
    axes = list(shown.axes)[:_MOST_SLICES]
    columns = min(_COLUMNS, max(len(axes), 1))
    rows = max(math.ceil(len(axes) / columns), 1)
    with _figure_of(rows, columns) as (figure, grid):
        for place, axis in enumerate(grid):
            if place >= len(axes):
                axis.set_visible(len(axes) == 0)
                continue
            _slice(axis, axes[place], shown)
            if place % columns == 0:
                axis.set_ylabel(_value_label(shown))
        if not axes:
            _empty(grid[0], "nothing varies in this space")
        figure.suptitle(shown.counted(), x=0.01, ha="left", fontsize=9)
        write_figure(figure, path)
    return figure


# ------------------------------------------------------------------ points and values


def _points(axis: Any, x: Floats, shown: Shown) -> None:
    """Values at places of x, in the colours of the trials' states."""
    values = shown.values
    stopped = np.array([trial.state == "stopped" for trial in shown.good], dtype=bool)
    size = 22 if len(values) < 200 else 9
    for chosen, color, name in ((stopped, STOPPED, "stopped early"), (~stopped, DONE, "trained")):
        if chosen.any():
            axis.scatter(
                x[chosen], values[chosen], s=size, color=color, linewidths=0, label=name,
                alpha=0.85 if len(values) < 200 else 0.6, rasterized=len(values) > MANY,
            )  # fmt: skip


def _crosses(axis: Any, x: Floats, shown: Shown) -> None:
    """Failed trials, at the bad edge of the picture."""
    x = x[np.isfinite(x)] if len(x) else x
    if len(x):
        edge = 0.02 if shown.maximise else 0.98
        axis.scatter(
            x, np.full(len(x), edge), marker="x", s=22, color=FAILED, linewidths=1.2,
            transform=axis.get_xaxis_transform(), label="failed", clip_on=False,
        )  # fmt: skip


def _scale_values(axis: Any, shown: Shown) -> None:
    """The scale and the limits of the axis of values: few bad ones do not flatten the others."""
    values = shown.values
    axis.set_ylabel(_value_label(shown))
    if not len(values):
        axis.set_yticks([])
        return
    if is_wide(values):
        axis.set_yscale("log")
        return
    low, quarter, median, three, high = np.percentile(values, [0, 25, 50, 75, 100])
    reach = _TOO_FAR * max(three - quarter, (abs(median) or 1.0) * 0.02)
    if shown.maximise:
        low = max(low, quarter - reach)
    else:
        high = min(high, three + reach)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    axis.set_ylim(low - room, high + room)


def _value_label(shown: Shown) -> str:
    return f"{shown.label} (log scale)" if is_wide(shown.values) else shown.label


def _legend(figure: Any, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8,
            frameon=False,
        )  # fmt: skip


def _percent(share: float, _: int) -> str:
    return f"{share:.0%}"


def _no_importance(shown: Shown) -> str:
    if len(shown.trials) < LEAST_TRIALS:
        return f"{LEAST_TRIALS} trials are needed, there are {len(shown.trials)}"
    return "nothing that varied made a difference"


def _empty(axis: Any, text: str) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, color="0.35")


# ------------------------------------------------------------------ slices


@contextmanager
def _figure_of(rows: int, columns: int) -> Generator[tuple[Figure, list[Any]]]:
    """A figure with rows and columns of axes in the library's style."""
    with new_figure() as (figure, first):
        first.remove()
        figure.set_size_inches(max(2.5 * columns, 4.2), 0.5 + 2.5 * rows)
        grid: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
        flat = list(grid.flat)
        for axis in flat:
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(visible=True, color="0.9", linewidth=0.8)
            axis.set_axisbelow(True)
            axis.tick_params(labelsize=8)
        yield figure, flat


def _slice(axis: Any, one: Axis, shown: Shown) -> None:
    """Values against one hyperparameter."""
    good, failed = shown.good, shown.failed
    _points(axis, _across(one, good), shown)
    best = shown.best
    if best is not None and one.name in best.settings:
        axis.scatter(
            _across(one, [best]), [best.value], s=60, facecolors="none", edgecolors=BEST,
            linewidths=1.8, zorder=4,
        )  # fmt: skip
    _scale_values(axis, shown)
    axis.set_ylabel("")
    _crosses(axis, _across(one, failed), shown)
    _mark(axis, one)
    axis.set_xlabel(shortened(one.name, 28), fontsize=9)


def _across(one: Axis, trials: Sequence[Tried]) -> Floats:
    """Trials' places along a hyperparameter's axis; where few are possible, spread a little."""
    name = one.name
    where = np.array(
        [one.own(t.settings[name]) if name in t.settings else math.nan for t in trials]
    )
    few = one.labels or (one.whole and not one.log and one.high - one.low <= _FEW_WHOLE)
    return where + 0.18 * spread(trials) if few and len(where) else where


def _mark(axis: Any, one: Axis) -> None:
    """The scale, the limits and the marks of a hyperparameter's axis."""
    if one.labels:
        axis.set_xlim(-0.5, len(one.labels) - 0.5)
        crowded = sum(map(len, one.labels)) > 24
        texts = [shortened(text, 14) for text in one.labels]
        turned = {"rotation": 40, "ha": "right"} if crowded else {}
        axis.set_xticks(range(len(texts)), texts, fontsize=7, **turned)
        return
    if one.log:
        axis.set_xscale("log")
        ratio = (one.high / one.low) ** 0.05
        axis.set_xlim(one.low / ratio, one.high * ratio)
        marks = one.marks(4)
        axis.set_xticks([number for number, _ in marks], [text for _, text in marks])
        axis.minorticks_off()
        return
    if one.whole:
        axis.xaxis.get_major_locator().set_params(integer=True)
    room = max((one.high - one.low) * 0.05, 0.3 if one.whole else 0.0) or 0.5
    axis.set_xlim(one.low - room, one.high + room)


# ------------------------------------------------------------------ of a search


class Plotted:
    """Pictures of a search, for what has its trials, space and metric.

    Attributes:
        trials: all of them, by number.
        space: what was varied.
        metric: the number that was compared.
        maximise: whether larger is better.
    """

    trials: tuple[Any, ...]
    space: Space
    metric: str
    maximise: bool

    def shown(self) -> Shown:
        """What the pictures show: trials that have ended."""
        ended = [trial for trial in self.trials if trial.state != "open"]
        return Shown(ended, axes_of(self.space), self.metric, self.maximise)

    def plot_history(self, path: Path | None = None) -> Figure:
        """Every trial's value and the best so far; see :func:`draw_history`."""
        return draw_history(self.shown(), path)

    def plot_parallel(self, path: Path | None = None) -> Figure:
        """A line for each trial across its hyperparameters; see :func:`draw_parallel`."""
        return draw_parallel(self.shown(), path)

    def plot_importance(self, path: Path | None = None) -> Figure:
        """The share of each hyperparameter in how trials rank; see :func:`draw_importance`."""
        return draw_importance(self.shown(), path)

    def plot_slices(self, path: Path | None = None) -> Figure:
        """The value against each hyperparameter alone; see :func:`draw_slices`."""
        return draw_slices(self.shown(), path)


__all__ = [
    "Plotted",
    "Shown",
    "draw_history",
    "draw_importance",
    "draw_parallel",
    "draw_slices",
]
