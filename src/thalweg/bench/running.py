"""A whole benchmark, part by part: cases, features, populations, cross-validation, the grid."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from thalweg.bench.cases import Case, grid_cases
from thalweg.bench.features import features, measure_features
from thalweg.bench.machine import core_count, describe, peak
from thalweg.bench.measuring import Lines, Measuring, Teller, has_starts
from thalweg.bench.options import Options
from thalweg.bench.pace import (
    Pace,
    case_seconds,
    left_text,
    population_seconds,
    starts_seconds,
    validation_seconds,
)
from thalweg.bench.peers import all_peers, version_of
from thalweg.bench.populations import MAIN
from thalweg.bench.results import Report
from thalweg.bench.terminal import case_lines, feature_lines, validation_lines
from thalweg.bench.validation import ValidationRow, measure_validation, ways

_IMPORTS = 5
_LIBRARIES = ("numpy", "llvmlite", "torch", "jax", "optax", "keras", "scikit-learn")


class Part(NamedTuple):
    """What is measured, said and written at once.

    Attributes:
        seconds: that it takes, as a guess.
        run: measures; gives lines for the terminal.
    """

    seconds: float
    run: Callable[[], Lines]


def new_report(options: Options) -> Report:
    """A report without rows: the machine, its peak, the settings."""
    peers = all_peers(options.backend)
    settings = {
        "backend": options.backend,
        "threads": list(options.threads),
        "grid": options.grid,
        "epochs": options.epochs,
        "cases": asdict(options.protocol),
        "cells": asdict(options.grid_protocol),
        "populations": asdict(options.population_protocol),
    }
    return Report(
        describe(list(_LIBRARIES), measured_peak(options)),
        settings,
        [],
        [],
        {name: peers[name].title for name in options.peers},
        {name: peers[name].note for name in options.peers},
        import_seconds(),
    )


def measured_peak(options: Options) -> dict[int, float]:
    """Multiply-adds of this machine, on all cores too; empty without llvmlite."""
    threads = sorted({*options.threads, core_count()})
    return peak(tuple(threads)) if version_of("llvmlite") else {}


def import_seconds() -> float:
    """``import thalweg`` in a fresh process, the best of several."""
    program = "import time; t = time.perf_counter(); import thalweg; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", program]
    times: list[float] = []
    for _ in range(_IMPORTS):
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        times.append(float(done.stdout))
    return min(times)


def fill(
    report: Report,
    options: Options,
    grid_peers: tuple[str, ...],
    folder: Path,
    tell: Teller,
    done: Callable[[Lines], None] = lambda lines: None,
) -> None:
    """Measure everything.

    Args:
        report: rows are added as they come.
        options: what is asked.
        grid_peers: libraries of the crossover.
        folder: for what processes write.
        tell: takes a line of progress.
        done: takes each part's lines as soon as its rows are in the report.
    """
    measuring = Measuring(options, folder)
    parts = _parts(report, measuring, grid_peers)
    pace = Pace([part.seconds for part in parts])
    measuring.tell = lambda line: tell(f"{line} ({left_text(pace.left)})")
    try:
        for part in parts:
            lines = part.run()
            pace.next()
            _note_peak(report, options)
            done(lines)
    finally:
        measuring.workers.close()


def _parts(report: Report, measuring: Measuring, grid_peers: tuple[str, ...]) -> list[Part]:
    options = measuring.options
    found = [_case_part(report, measuring, case) for case in options.cases]
    if options.features:
        found.append(_feature_part(report, measuring))
    populations = sorted(options.populations, key=lambda case: case != MAIN)
    for case in populations:
        found.append(_population_part(report, measuring, case))
        if case == MAIN:
            found.append(_starts_part(report, measuring))
    if options.validation:
        found.append(_validation_part(report, measuring))
    cells = grid_cases(options.grid)
    for number, case in enumerate(cells, 1):
        name = f"cell {number} of {len(cells)}: {case.name}"
        found.append(_cell_part(report, measuring, case, grid_peers, name))
    return found


def _note_peak(report: Report, options: Options) -> None:
    """The most that was measured counts, and belongs to what was measured in this run."""
    known = report.machine.peak
    if known:
        for threads, rate in measured_peak(options).items():
            known[threads] = max(rate, known[threads])
        for row in report.populations:
            row.peak = known[max(known)]


def _case_part(report: Report, measuring: Measuring, case: Case) -> Part:
    def run() -> Lines:
        rows = measuring.case(case)
        report.rows += rows
        return case_lines(report, case, rows)

    protocol = measuring.options.protocol_of(case)
    seconds = case_seconds(measuring.entries(case), protocol, has_starts(case))
    return Part(seconds, run)


def _feature_part(report: Report, measuring: Measuring) -> Part:
    protocol = measuring.options.protocol

    def run() -> Lines:
        report.features = measure_features(
            [1], protocol.rounds, protocol.seconds / 2, measuring.tell
        )
        return feature_lines(report)

    return Part((protocol.rounds + 1) * len(features()) * protocol.seconds / 2, run)


def _population_part(report: Report, measuring: Measuring, case: Case) -> Part:
    def run() -> Lines:
        rows = measuring.population(case)
        report.populations += rows
        return case_lines(report, case, rows)

    protocol = measuring.options.population_protocol_of(case)
    return Part(population_seconds(case, measuring.entries(case), protocol), run)


def _starts_part(report: Report, measuring: Measuring) -> Part:
    def run() -> Lines:
        measuring.main_starts()
        return ["starts in fresh processes", *case_lines(report, MAIN, report.populations)]

    return Part(starts_seconds(measuring.entries(MAIN)), run)


def _validation_part(report: Report, measuring: Measuring) -> Part:
    options = measuring.options
    rounds = options.validation_rounds

    def run() -> Lines:
        chosen = ways(options.threads)
        report.validations = [ValidationRow(way.name, way.threads) for way in chosen]
        measure_validation(
            chosen, report.validations, rounds, options.backend, measuring.folder, measuring.tell
        )
        return validation_lines(report)

    return Part(validation_seconds(len(options.threads), rounds), run)


def _cell_part(
    report: Report, measuring: Measuring, case: Case, peers: Sequence[str], name: str
) -> Part:
    def run() -> Lines:
        measuring.tell(name)
        report.cells += measuring.cell(case, peers)
        return []

    protocol = measuring.options.grid_protocol
    return Part(case_seconds(measuring.entries(case, peers), protocol, starts=False), run)
