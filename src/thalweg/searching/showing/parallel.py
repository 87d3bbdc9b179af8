"""Parallel coordinates: a line for each trial across one axis for each hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.optim.plotting import new_figure, write_figure
from thalweg.searching.showing.axes import Axis, Tried, places, shortened
from thalweg.searching.showing.importance import ranked
from thalweg.searching.showing.shown import BEST, MANY, Floats, Path, Shown, is_wide, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROTATED = 6
_MOST_MARKS = 12


def draw_parallel(shown: Shown, path: Path | None = None) -> Figure:
    """A line for each trial across one axis for each hyperparameter; colours are ranks.

    The best trial is drawn thick. Categories are spread a little around their marks.

    Args:
        shown: the trials.
        path: a file to write, .svg, .png or .pdf.

    Raises:
        SettingError: matplotlib is not installed, or an unknown ending.
        FileError: the file cannot be written.
    """
    with new_figure() as (figure, axis):
        figure.set_size_inches(max(7.2, 1.15 * (len(shown.axes) + 2)), 4.4)
        values = shown.values
        ends = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        score = Axis(shown.metric, *ends, log=is_wide(values))
        axes = [*shown.axes, score]
        _upright(axis, axes, shown)
        if shown.good:
            _draw_lines(axis, shown, score)
        title = f"{shown.counted()}; dark: good, light: bad, orange: the best"
        axis.set_title(title, loc="left", fontsize=9, pad=36)
        write_figure(figure, path)
    return figure


def _draw_lines(axis: Any, shown: Shown, score: Axis) -> None:
    """The lines of all trials, the worst first, and the best one thick."""
    from matplotlib.collections import LineCollection

    good = shown.good
    order = np.argsort(-ranked(good, maximise=shown.maximise), kind="stable")
    lines = _lines(shown, good, score)[order]
    shade = np.linspace(0.0, 1.0, len(good)) if len(good) > 1 else np.ones(1)
    parts = _parts(lines)
    drawn = LineCollection(
        [part for line in parts for part in line], cmap="viridis_r", linewidths=1.0,
        alpha=0.9 if len(good) < 60 else max(0.12, 30 / len(good)),
    )  # fmt: skip
    drawn.set_array(np.repeat(shade, [len(line) for line in parts]))
    drawn.set_clim(0.0, 1.0)
    drawn.set_rasterized(len(good) > MANY)
    axis.add_collection(drawn)
    for part in parts[-1]:
        axis.plot(*part.T, color=BEST, lw=2.4, marker="o", ms=4, zorder=4)


def _lines(shown: Shown, trials: Sequence[Tried], score: Axis) -> Floats:
    """Where trials cross the axes, (trials, axes), categories spread a little."""
    crossed = places(shown.axes, trials)
    for column, axis in enumerate(shown.axes):
        if axis.labels:
            room = 0.2 / max(len(axis.labels), 2)
            crossed[:, column] += room * spread(trials)
    last = np.array([[score.place(trial.value)] for trial in trials])
    return np.concatenate([crossed, last], axis=1)


def _parts(lines: Floats) -> list[list[Floats]]:
    """Each line's connected parts: settings that were not active leave gaps."""
    found: list[list[Floats]] = []
    for line in lines:
        there = np.flatnonzero(np.isfinite(line))
        cuts = np.flatnonzero(np.diff(there) > 1) + 1
        found.append(
            [np.stack([run.astype(np.float64), line[run]], axis=1) for run in np.split(there, cuts)]
        )
    return found


def _upright(axis: Any, axes: Sequence[Axis], shown: Shown) -> None:
    """An upright axis for each hyperparameter and one for the value, with marks and names."""
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.set_ylim(-0.1, 1.1)
    axis.set_xlim(-0.5, len(axes) - 0.3)
    axis.set_yticks([])
    axis.set_xticks([])
    for place, one in enumerate(axes):
        is_score = place == len(axes) - 1
        axis.axvline(place, color=BEST if is_score else "0.45", lw=1.0, zorder=3)
        name = shown.label if is_score else one.name
        axis.annotate(
            shortened(name, 24), (place, 1.1), xytext=(0, 4), textcoords="offset points",
            ha="center", va="bottom", fontsize=8, rotation=12 if len(axes) > _ROTATED else 0,
            annotation_clip=False,
        )  # fmt: skip
        marks = one.marks()
        for number, text in marks if len(marks) <= _MOST_MARKS else (marks[0], marks[-1]):
            axis.annotate(
                text, (place, one.fraction(number)), xytext=(4, 0), textcoords="offset points",
                fontsize=7, va="center", zorder=5, annotation_clip=False,
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
            )  # fmt: skip


__all__ = ["draw_parallel"]
