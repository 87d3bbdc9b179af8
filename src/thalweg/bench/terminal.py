"""The report for a terminal: a line for each row as it comes, the targets at the end."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.bench.cases import Case
from thalweg.bench.population_table import peak_text, population_targets
from thalweg.bench.populations import POPULATION_TARGETS
from thalweg.bench.results import Report, Row, ratio_of, targets
from thalweg.bench.table import feature_cells, grid_ratios, pairs, threads_text
from thalweg.bench.texts import ratio_text, seconds_text
from thalweg.bench.validation import FOLDS


def terminal(report: Report) -> str:
    """One line for each row, and the targets."""
    lines: list[str] = []
    for rows in (report.rows, report.populations):
        for case in dict.fromkeys(row.case for row in rows):
            lines += ["", *case_lines(report, case, rows)]
    lines += [*validation_lines(report), *feature_lines(report), *target_lines(report)]
    return "\n".join(lines).strip("\n")


def case_lines(report: Report, case: Case, rows: Sequence[Row]) -> list[str]:
    """A case's name, and a line for each of its rows."""
    found = [_row_line(report, row, rows) for row in rows if row.case == case]
    return [case.name, *found]


def _row_line(report: Report, row: Row, rows: Sequence[Row]) -> str:
    name = f"  {report.titles[row.peer]:<17} threads {row.threads}"
    if not row.timed:
        return f"{name}  {row.status}: {row.reason}"
    line = (
        f"{name}  {seconds_text(row.step_seconds):>8}  start {seconds_text(row.start_seconds):>8}"
    )
    if row.steady_seconds:
        line += f"  steady {seconds_text(row.steady_seconds):>8}"
    if row.peer != "thalweg":
        line += f"  ratio {ratio_text(ratio_of(rows, row), bold=False):>6}"
    elif row.case.members:
        line += f"  of the peak {peak_text(report, row):>4}"
    line = f"{line}  {row.note}" if row.note else line
    return line if row.compared else f"{line}  {row.status}: {row.reason}"


def validation_lines(report: Report) -> list[str]:
    """Seconds of each library's first and second call, and its accuracy."""
    lines: list[str] = []
    for row in report.validations:
        found = row.reason
        if row.rounds:
            found = f"{seconds_text(row.seconds):>8}"
            if row.again:
                found += f"  second call {seconds_text(row.again_seconds):>8}"
            found += f"  accuracy {row.accuracy:.3f}"
        lines.append(f"  {FOLDS} folds, {row.name:<24} threads {row.threads}  {found}")
    return lines


def feature_lines(report: Report) -> list[str]:
    """Each feature's step and its ratio to the plain one."""
    lines: list[str] = []
    for row in report.features:
        time, share = feature_cells(report.features, row)
        lines.append(f"  {row.name:<24} {threads_text(row.threads):<10} {time:>8} {share}")
    return lines


def target_lines(report: Report) -> list[str]:
    """What is aimed at, and what was reached."""
    found = [*targets(report.rows), *targets(report.populations, POPULATION_TARGETS)]
    lines = ["", "targets"] if found else []
    for target, reached in found:
        met = "not measured" if reached is None else "met" if reached >= target.ratio else "MISSED"
        lines.append(
            f"  {target.name:<22} {target.peer:<10} ≥ {target.ratio:<4g} "
            f"reached {ratio_text(reached, bold=False):<6} {met}"
        )
    lines += [
        f"  {name}: aim {aim}, reached {text}" for name, aim, text, _ in population_targets(report)
    ]
    for peer, threads in pairs(report):
        known = [value for value in grid_ratios(report, peer, threads).values() if value]
        won = sum(value >= 1 for value in known)
        lines.append(f"  grid, {peer}, threads {threads}: ahead in {won} of {len(known)} cells")
    return lines
