"""A whole benchmark: every case, then every cell of the grid."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from thalweg.bench.cases import TARGETS, Case, grid_cases
from thalweg.bench.features import measure_features
from thalweg.bench.machine import describe, peak
from thalweg.bench.options import Options
from thalweg.bench.peers import Peer, all_peers, version_of
from thalweg.bench.populations import MAIN
from thalweg.bench.protocol import Contender, Entry, measure
from thalweg.bench.results import ABSENT, Report, Row
from thalweg.bench.validation import measure_validation
from thalweg.bench.workers import Process

Teller = Callable[[str], None]
_IMPORTS = 5
_LIBRARIES = ("numpy", "llvmlite", "torch", "jax", "optax", "keras", "scikit-learn")


class Workers:
    """The processes of a benchmark, each kept until its time is over.

    Args:
        backend: thalweg's.
        folder: for what they write.
    """

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        self._open: dict[tuple[str, int], Process] = {}

    def fresh(self, entry: Entry, place: str) -> Process:
        """A new process; one with the same place finds what the former's compilers kept."""
        folder = self.folder / place / f"{entry.peer}-{entry.threads}"
        return Process(entry.peer, entry.threads, self.backend, folder)

    def kept(self, entry: Entry) -> Process:
        """The process that served before, or a new one where it ended."""
        key = entry.peer, entry.threads
        if key in self._open and not self._open[key].alive:
            self._open.pop(key).close()
        if key not in self._open:
            self._open[key] = self.fresh(entry, "grid")
        return self._open[key]

    def close(self) -> None:
        """End those that were kept."""
        for process in self._open.values():
            process.close()
        self._open.clear()


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
    """Multiply-adds of this machine; empty without llvmlite."""
    return peak(options.threads) if version_of("llvmlite") else {}


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
    report: Report, options: Options, grid_peers: tuple[str, ...], folder: Path, tell: Teller
) -> None:
    """Measure everything; rows are added as they come."""
    peers = all_peers(options.backend)
    workers = Workers(options.backend, folder)
    for case in options.cases:
        report.rows += case_rows(case, options, peers, workers, tell)
    if options.features:
        protocol = options.protocol
        report.features = measure_features([1], protocol.rounds, protocol.seconds / 2, tell)
    for case in options.populations:
        if case == MAIN:
            report.populations += case_rows(case, options, peers, workers, tell)
    if options.validation:
        report.validations = measure_validation(
            options.threads, options.protocol.rounds, options.backend, folder, tell
        )
    cells = grid_cases(options.grid)
    others = [case for case in options.populations if case != MAIN]
    try:
        for number, case in enumerate([*others, *cells], 1):
            tell(f"cell {number} of {len(others) + len(cells)}: {case.name}")
            names = tuple(options.peers) if case.members else grid_peers
            names = tuple(name for name in names if peers[name].ways(case))
            entries = present(names, options.threads, peers)
            rows, _ = measure(case, entries, workers.kept, options.grid_protocol)
            (report.populations if case.members else report.cells).extend(rows)
    finally:
        workers.close()
    if report.machine.peak:
        for threads, rate in measured_peak(options).items():
            report.machine.peak[threads] = max(rate, report.machine.peak[threads])


def present(
    names: tuple[str, ...], threads: tuple[int, ...], peers: dict[str, Peer]
) -> list[Entry]:
    """Installed libraries with each number of threads."""
    return [Entry(name, count) for name in names if not peers[name].missing() for count in threads]


def case_rows(
    case: Case, options: Options, peers: dict[str, Peer], workers: Workers, tell: Teller
) -> list[Row]:
    """One case with fresh processes, and a row for each library that is not installed."""
    names = tuple(name for name in options.peers if peers[name].ways(case))
    entries = present(names, options.threads, peers)
    with _ended(case, workers) as opener:
        rows, contenders = measure(
            case,
            entries,
            opener,
            options.protocol_of(case),
            lambda name, outputs: peers[name].different(outputs),
            tell,
        )
    for contender, entry in zip(contenders, entries, strict=True) if has_starts(case) else ():
        tell(f"{case.name}: start of {entry.peer}, threads: {entry.threads}")
        contender.attempt(lambda each=contender, entry=entry: note_starts(each, entry, workers))
    for name in names:
        if absent := peers[name].missing():
            reason = f"no package {', '.join(absent)}"
            rows += [Row(case, name, count, ABSENT, reason) for count in options.threads]
    return rows


def has_starts(case: Case) -> bool:
    """Whether starts are measured in processes of their own: of images where there is a target."""
    if case.members:
        return case == MAIN
    return not case.form or any(target.of(case) for target in TARGETS)


def _folder(case: Case) -> str:
    return case.word.replace(":", "-")


@contextmanager
def _ended(case: Case, workers: Workers) -> Generator[Callable[[Entry], Process]]:
    opened: list[Process] = []

    def opener(entry: Entry) -> Process:
        opened.append(workers.fresh(entry, _folder(case)))
        return opened[-1]

    try:
        yield opener
    finally:
        for process in opened:
            process.close()


def note_starts(contender: Contender, entry: Entry, workers: Workers) -> None:
    """Start twice in fresh processes: with empty caches, and with those that the first one left."""
    row = contender.row
    found: list[float] = []
    for _ in range(2):
        process = workers.fresh(entry, f"{_folder(row.case)}-starts")
        try:
            answer = process.ask("open", case=asdict(row.case), variant=row.variant)
        finally:
            process.close()
        found.append(answer["start_seconds"])
        row.import_seconds = answer["import_seconds"]
    row.start_seconds, row.start_again_seconds = found
