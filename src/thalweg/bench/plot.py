"""The crossover as a picture: a field of ratios for each library and number of threads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.bench.results import Report
from thalweg.bench.table import (
    THREAD_NOISE,
    grid_ratios,
    pairs,
    thread_ratios,
    unsteady_cells,
)

_FARTHEST = 32.0


class Panel(NamedTuple):
    """One field of numbers.

    Attributes:
        title: above it.
        ratios: by width and batch size.
        unsteady: cells whose figure is not to be trusted.
        losing: cells below it get a frame.
    """

    title: str
    ratios: dict[tuple[int, int], float | None]
    unsteady: set[tuple[int, int]]
    losing: float = 1.0


def panels(report: Report) -> list[Panel]:
    """A field for each library and number of threads, and one for thalweg's own threads."""
    found = [
        Panel(
            f"{report.titles[peer]} / thalweg, {threads} thread{'s' if threads > 1 else ''}",
            grid_ratios(report, peer, threads),
            unsteady_cells(report, peer, threads),
        )
        for peer, threads in pairs(report)
    ]
    counts = {row.threads for row in report.cells if row.peer == "thalweg"}
    if {1} < counts:
        most = max(counts)
        unsteady = unsteady_cells(report, "thalweg", 1) | unsteady_cells(report, "thalweg", most)
        title = f"thalweg: 1 thread / {most} threads"
        found.append(Panel(title, thread_ratios(report), unsteady, THREAD_NOISE))
    return found


def draw(report: Report, path: Path) -> None:
    """Write the picture; the file's ending says in which format (``.svg``, ``.png``).

    Cells are steps of log₂ width and log₂ batch size. Red with a frame: thalweg is slower. A
    question mark: the rounds differed much.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    fields = panels(report)
    columns = min(2, len(fields))
    lines = -(-len(fields) // columns)
    with mpl.rc_context({"svg.hashsalt": "thalweg", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(5.6 * columns, 3.9 * lines), layout="constrained")
        FigureCanvasAgg(figure)
        axes: Any = figure.subplots(lines, columns, squeeze=False)
        norm = LogNorm(1 / _FARTHEST, _FARTHEST)
        image: Any = None
        for axis, panel in zip(axes.flat, fields, strict=False):
            image = _field(axis, panel, norm)
        for axis in list(axes.flat)[len(fields) :]:
            axis.set_axis_off()
        bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[1 / 32, 1 / 8, 1 / 2, 2, 8, 32])
        bar.ax.set_yticklabels(["1/32", "1/8", "1/2", "2", "8", "32"])
        bar.ax.minorticks_off()
        bar.set_label("times faster (blue) or slower (red, framed)")
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=120)


def _field(axis: Any, panel: Panel, norm: Any) -> Any:
    import numpy as np

    ratios = panel.ratios
    widths = sorted({width for width, _ in ratios})
    batches = sorted({batch for _, batch in ratios})
    values = np.full((len(widths), len(batches)), np.nan)
    for (width, batch), value in ratios.items():
        values[widths.index(width), batches.index(batch)] = np.nan if value is None else value
    clipped = np.clip(values, 1 / _FARTHEST, _FARTHEST)
    image = axis.imshow(clipped, norm=norm, cmap="RdBu", origin="lower", aspect="auto")
    axis.set_facecolor("0.85")
    axis.set_xticks(range(len(batches)), batches)
    axis.set_yticks(range(len(widths)), widths)
    axis.set(title=panel.title, xlabel="batch size", ylabel="width")
    small = len(batches) > 8
    for (row, column), value in np.ndenumerate(values):
        doubt = "?" * ((widths[row], batches[column]) in panel.unsteady)
        text = _number(float(value)) + doubt
        _cell(axis, (row, column), float(value), text, panel.losing, 7 if small else 9)
    return image


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _cell(
    axis: Any, place: tuple[int, int], value: float, text: str, bound: float, size: int
) -> None:
    from matplotlib.patches import Rectangle

    row, column = place
    losing = value < bound
    dark = value > 8 or value < 1 / 8
    axis.text(
        column, row, text, ha="center", va="center", size=size,
        weight="bold" if losing else "normal", color="white" if dark else "black",
    )  # fmt: skip
    if losing:
        frame = Rectangle(
            (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="#202020", linewidth=1.4
        )
        axis.add_patch(frame)
