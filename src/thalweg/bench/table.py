"""The report as Markdown, and its short form for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.bench.cases import CACHED_START, COLD_START, IMAGE_ROUNDS, IMPORT, Case
from thalweg.bench.features import FeatureRow
from thalweg.bench.population_table import (
    population_section,
    population_targets,
    validation_section,
)
from thalweg.bench.populations import MAIN, POPULATION_TARGETS
from thalweg.bench.results import Report, Row, ratio, ratio_of, targets
from thalweg.bench.texts import MISSING, digits, grid_table, ratio_text, seconds_text

_BEYOND, _OTHERS = 1.15, 0.1
THREAD_NOISE = 0.95
"""thalweg's second thread loses where the ratio is below this."""


def markdown(report: Report, picture: str = "") -> str:
    """The whole report.

    Args:
        report: what was found.
        picture: file name of the plot, if there is one.
    """
    parts = [
        _opening(report),
        _target_table(report),
        *(_case_section(report, case, report.rows) for case in _cases(report.rows)),
        _feature_section(report),
        *(_case_section(report, case, report.populations) for case in _main(report)),
        population_section(report),
        validation_section(report),
        _grid_section(report, picture),
        _thread_section(report),
        _notes(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _main(report: Report) -> list[Case]:
    """The population that has a table of its own, where it was measured."""
    return [case for case in _cases(report.populations) if case == MAIN]


def _cases(rows: Sequence[Row]) -> list[Case]:
    return list(dict.fromkeys(row.case for row in rows))


def _opening(report: Report) -> str:
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    peaks = ", ".join(
        f"{rate / 1e9:.0f} GFLOP/s on {threads}" for threads, rate in machine.peak.items()
    )
    protocol = report.settings["cases"]
    return f"""# Benchmarks

Written by `make bench BENCH_ARGS="--out docs"`; run it on your machine to have its own figures.
Every library trains the same network with cross entropy and Adam (rate 0.001) in float32,
from the same starting weights, on the same batches in the same order. First its losses are
compared with a float64 computation in NumPy; a library whose losses differ is shown and not
compared. Then all are timed in turn, round after round ({protocol["rounds"]} rounds of about
{protocol["seconds"]:g} s each, for images no more than {IMAGE_ROUNDS}), each in a process of its
own; medians count. Times of a step contain no compiling. Losing figures stay in and are bold.

| machine | |
|---|---|
| processor | {machine.processor}, {machine.cores} cores ({", ".join(machine.flags)}) |
| memory, system | {machine.memory_bytes / 2**30:.0f} GiB, {machine.system} |
| versions | {versions} |
| multiply-add peak, float32, by threads | {peaks or "not measured: llvmlite is not installed"} |
| thalweg's backend | {report.settings["backend"]} |{_kept_words(report)}"""


def _kept_words(report: Report) -> str:
    return f"\n\nOf an earlier run: {'; '.join(report.kept)}." if report.kept else ""


def _target_table(report: Report) -> str:
    rows = [
        _target_row(
            f"{target.name}: times faster than {report.titles.get(target.peer, target.peer)}",
            f"≥ {target.ratio:g}",
            ratio_text(found, bold=False),
            None if found is None else found >= target.ratio,
        )
        for target, found in [
            *targets(report.rows),
            *targets(report.populations, POPULATION_TARGETS),
        ]
    ]
    rows += [_target_row(*found) for found in population_targets(report)]
    own = [row for row in report.rows if row.peer == "thalweg" and row.timed]
    starts = [("start of training, empty cache", COLD_START, [row.start_seconds for row in own])]
    again = [row.start_again_seconds for row in own if row.start_again_seconds is not None]
    starts.append(("start of training, cache on disk", CACHED_START, again))
    starts.append(("`import thalweg`", IMPORT, [report.import_seconds]))
    for name, bound, found in starts:
        worst = max(found, default=None)
        text = MISSING if worst is None else seconds_text(worst)
        rows.append(
            _target_row(name, f"≤ {bound:g} s", text, None if worst is None else worst <= bound)
        )
    return (
        "## Targets\n\nEach library with the number of threads that serves it best; of several "
        "starts the slowest.\n\n" + grid_table(("target", "aim", "reached", "met"), rows)
    )


def _target_row(name: str, aim: str, found: str, met: bool | None) -> tuple[str, ...]:
    return name, aim, found, MISSING if met is None else "yes" if met else "**no**"


def _case_section(report: Report, case: Case, rows: Sequence[Row]) -> str:
    rows = [row for row in rows if row.case == case]
    epochs = report.settings["epochs"]
    header = (
        "library", "threads", "step", "thalweg is × faster", "GFLOP/s", "of the peak",
        "cores used", "import", "start", "start, cached", f"{epochs} epochs in all",
        "peak memory", "losses",
    )  # fmt: skip
    lines = [_case_line(report, row, epochs, rows) for row in rows if row.timed]
    section = f"## {case.name}\n\n{_words(case)}\n\n" + grid_table(header, lines)
    remarks = [remark for row in rows for remark in _remarks(report, row)]
    remarks += _busy_remark(rows)
    return "\n".join([section, *([""] if remarks else []), *remarks])


def _words(case: Case) -> str:
    shape = "×".join(map(str, case.row_shape))
    images = f"Images {shape}, {case.parameters:,} parameters; " if case.form else ""
    several = ""
    if case.members:
        several = (
            " A step is that of one network: the time of a whole call, divided by steps and "
            "networks; ratios are to thalweg with its best number of threads. Start is what the "
            "first call takes beyond its steps."
        )
    return f"{images}{case.batches} batches an epoch.{several}"


def _busy_remark(rows: Sequence[Row]) -> list[str]:
    others = max((row.other_cores or 0.0 for row in rows), default=0.0)
    if others < _OTHERS:
        return []
    return [
        f"- The machine was busy: other programs used up to {others:.1f} cores while these were "
        "timed. Libraries that spin while they wait suffer most from that."
    ]


def _case_line(report: Report, row: Row, epochs: int, rows: Sequence[Row]) -> list[str]:
    peak = report.machine.peak.get(row.threads)
    again = row.start_again_seconds
    faster = None if row.peer == "thalweg" else ratio_of(rows, row)
    return [
        report.titles[row.peer] + (f" ({row.variant})" if row.variant else ""),
        str(row.threads),
        seconds_text(row.step_seconds),
        ratio_text(faster),
        digits(row.rate / 1e9),
        f"{row.rate / peak:.0%}" if peak else MISSING,
        f"{row.cores:.1f}",
        seconds_text(report.import_seconds if row.peer == "thalweg" else row.import_seconds),
        seconds_text(row.start_seconds),
        MISSING if again is None else seconds_text(again),
        seconds_text(row.total_seconds(epochs)),
        f"{row.peak_bytes / 2**20:.0f} MiB" if row.peak_bytes else MISSING,
        "equal" if row.compared else "differ",
    ]


def _remarks(report: Report, row: Row) -> list[str]:
    name = f"{report.titles[row.peer]}, threads: {row.threads}"
    found = [f"- {name}: {row.status} ({row.reason})."] if row.reason else []
    found += [f"- {name}: {row.note}."] if row.note else []
    if row.unsteady:
        least, most = seconds_text(min(row.rounds)), seconds_text(max(row.rounds))
        found.append(f"- {name}: unsteady, rounds from {least} to {most}.")
    if row.timed and row.threads == 1 and row.cores > _BEYOND:
        found.append(f"- {name}: used {row.cores:.2f} cores although told to use one.")
    return found


def pairs(report: Report) -> list[tuple[str, int]]:
    """Each other library of the grid with each number of threads."""
    found = [(row.peer, row.threads) for row in report.cells if row.peer != "thalweg"]
    return list(dict.fromkeys(found))


def grid_ratios(report: Report, peer: str, threads: int) -> dict[tuple[int, int], float | None]:
    """Ratio by width and batch size."""
    return {
        (case.widths[0], case.batch_size): ratio(report.cells, case, peer, threads)
        for case in _cases(report.cells)
    }


def thread_ratios(report: Report) -> dict[tuple[int, int], float | None]:
    """thalweg's time on one thread over its time on all, by width and batch size."""
    most = max(row.threads for row in report.cells)
    times = {
        (row.case, row.threads): row.step_seconds
        for row in report.cells
        if row.peer == "thalweg" and row.compared
    }
    return {
        (case.widths[0], case.batch_size): times[case, 1] / times[case, most]
        if {(case, 1), (case, most)} <= times.keys()
        else None
        for case in _cases(report.cells)
    }


def unsteady_cells(report: Report, peer: str, threads: int) -> set[tuple[int, int]]:
    """Width and batch size where the rounds of a library, or of thalweg, differ much."""
    return {
        (row.case.widths[0], row.case.batch_size)
        for row in report.cells
        if row.unsteady and row.peer in {peer, "thalweg"} and row.threads == threads
    }


def _ratio_table(
    ratios: dict[tuple[int, int], float | None], unsteady: set[tuple[int, int]], losing: float = 1.0
) -> str:
    widths = sorted({width for width, _ in ratios})
    batches = sorted({batch for _, batch in ratios})
    header = ["width", *(f"batch {batch}" for batch in batches)]
    return grid_table(
        header,
        (
            [
                str(width),
                *(
                    ratio_text(ratios.get(cell), losing=losing) + "?" * (cell in unsteady)
                    for cell in ((width, batch) for batch in batches)
                ),
            ]
            for width in widths
        ),
    )


def _grid_section(report: Report, picture: str) -> str:
    if not pairs(report):
        return ""
    parts = [
        "## Crossover\n\nHow many times longer than thalweg's a step takes, for networks of two "
        "hidden layers (width-width-width-10). Bold: thalweg loses. A question mark: rounds "
        "differed by half or more, so do not trust the figure."
    ]
    if picture:
        parts.append(f"![Ratio by width and batch size]({picture})")
    for peer, threads in pairs(report):
        ratios = grid_ratios(report, peer, threads)
        known = [value for value in ratios.values() if value is not None]
        won = sum(value >= 1 for value in known)
        parts.append(
            f"### {report.titles[peer]}, threads: {threads}\n\nthalweg is at least as fast in "
            f"{won} of {len(known)} cells.\n\n"
            + _ratio_table(ratios, unsteady_cells(report, peer, threads))
        )
    reasons = dict.fromkeys(
        f"- {row.case.name}, {report.titles[row.peer]}, threads: {row.threads}: "
        f"{row.status} ({row.reason})."
        for row in report.cells
        if row.reason
    )
    remarks = [*reasons, *_busy_remark(report.cells)]
    return "\n\n".join([*parts, *(["\n".join(remarks)] if remarks else [])])


def _thread_section(report: Report) -> str:
    threads = {row.threads for row in report.cells if row.peer == "thalweg"}
    if not {1} < threads:
        return ""
    ratios = thread_ratios(report)
    known = [value for value in ratios.values() if value is not None]
    lowest = f"the lowest figure is {min(known):.2f}" if known else "none was measured"
    return (
        f"## One thread and {max(threads)}\n\nthalweg's time on one thread over its time on "
        f"{max(threads)}; it should never be below 1 by more than noise ({lowest}). "
        f"Bold: below {THREAD_NOISE}.\n\n"
        + _ratio_table(
            ratios,
            {cell for threads in threads for cell in unsteady_cells(report, "thalweg", threads)},
            THREAD_NOISE,
        )
    )


def _feature_section(report: Report) -> str:
    """What features add to the plain step, each with as many threads as it."""
    rows = report.features
    if not rows:
        return ""
    counts = list(dict.fromkeys(row.threads for row in rows))
    header = ["784-256-128-10, batch 128", "aim"]
    for count in counts:
        header += [f"step, {threads_text(count)}", "× plain"]
    lines: list[list[str]] = []
    for name in dict.fromkeys(row.name for row in rows):
        own = {row.threads: row for row in rows if row.name == name}
        most = next(iter(own.values())).most
        line = [name, f"≤ {most:g}" if most else MISSING]
        for count in counts:
            line += feature_cells(rows, own[count]) if count in own else [MISSING, MISSING]
        lines.append(line)
    return (
        "## Features of training\n\nEach way of training in turn in one process, round after "
        "round; ratios to the plain step, bold beyond the aim. On one thread, since with more the "
        "training itself tries which number of threads is faster while it runs.\n\n"
    ) + grid_table(header, lines)


def threads_text(count: int) -> str:
    """For people."""
    return "1 thread" if count == 1 else f"{count} threads"


def feature_cells(rows: Sequence[FeatureRow], row: FeatureRow) -> list[str]:
    """A step, and its ratio to the plain one, bold beyond the aim."""
    plain = next(r for r in rows if r.threads == row.threads)
    share = row.step_seconds / plain.step_seconds
    text = f"{share:.2f}"
    beyond = row.most is not None and share > row.most
    return [seconds_text(row.step_seconds), f"**{text}**" if beyond else text]


def _notes(report: Report) -> str:
    lines = [f"- {report.titles[name]}: {note}." for name, note in report.notes.items()]
    return "\n".join(
        [
            "## How to read this\n",
            *lines,
            "- GFLOP/s counts the matrix products and convolutions of forward and backward pass "
            "alone, without the gradient of the network's input; the share is "
            "of the multiply-add peak measured in the same run with as many threads.",
            "- Start: from rows in memory to the first update, compilers' caches empty; cached: in "
            "a second process that finds the caches of the first. Importing is in neither; what a "
            "library imports later, when first used, is.",
            "- Peak memory is the process's, Python, NumPy, thalweg's own modules and the rows "
            "included.",
        ]
    )
