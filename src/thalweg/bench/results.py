"""What a benchmark found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from thalweg.bench.cases import TARGETS, Case, Target
from thalweg.bench.features import FeatureRow
from thalweg.bench.machine import Machine
from thalweg.bench.validation import ValidationRow

MEASURED, DIFFERENT, ABSENT, FAILED = "measured", "losses differ", "not installed", "failed"


@dataclass
class Row:
    """One library with one number of threads on one case.

    Attributes:
        case: what was trained.
        peer: the library's name.
        threads: how many it might use.
        status: ``measured``, ``losses differ`` (not compared), ``not installed``, ``failed``.
        reason: for every status but the first.
        variant: which way of using the library was the fastest.
        rounds: seconds of a step, round by round; of a population by step and network.
        cores: processor time over time, while training.
        import_seconds: of the library; thalweg's is the report's.
        other_cores: that the rest of the machine used meanwhile; None where it does not tell.
        start_seconds: from rows in memory to the first update, caches empty.
        start_again_seconds: the same in a second process that finds the first one's caches.
        peak_bytes: the most memory that the process held.
        step_error: largest relative difference of the first 20 losses from float64.
        epoch_error: the same of the first epochs' mean losses.
        steps: of each member in a measured training; 0 for a plain network.
        steady_seconds: of a step without the making of members; 0 where it was not found.
        peak: the machine's operations a second on all cores in this run; 0 where not measured.
        note: in what its measurement differs from the others'.
    """

    case: Case
    peer: str
    threads: int
    status: str = MEASURED
    reason: str = ""
    variant: str = ""
    rounds: list[float] = field(default_factory=list[float])
    cores: float = 0.0
    other_cores: float | None = None
    import_seconds: float = 0.0
    start_seconds: float = 0.0
    start_again_seconds: float | None = None
    peak_bytes: int = 0
    step_error: float = 0.0
    epoch_error: float = 0.0
    steps: int = 0
    steady_seconds: float = 0.0
    peak: float = 0.0
    note: str = ""

    @property
    def timed(self) -> bool:
        """Whether there are times."""
        return bool(self.rounds)

    @property
    def compared(self) -> bool:
        """Whether its times count beside others'."""
        return self.timed and self.status == MEASURED

    @property
    def unsteady(self) -> bool:
        """Whether the slowest round took half as long again as the fastest, or more."""
        return self.timed and max(self.rounds) >= 1.5 * min(self.rounds)

    @property
    def step_seconds(self) -> float:
        """The median round."""
        return statistics.median(self.rounds)

    @property
    def rate(self) -> float:
        """Operations a second in matrix products."""
        return self.case.flops / self.step_seconds

    def total_seconds(self, epochs: int) -> float:
        """Start, which holds the making of members, and so many epochs of all of them."""
        steps = epochs * self.case.batches * max(self.case.members, 1)
        return self.start_seconds + steps * (self.steady_seconds or self.step_seconds)


@dataclass
class Report:
    """Everything that a benchmark found.

    Attributes:
        machine: where.
        settings: how: rounds, seconds, threads, backend.
        rows: of the cases.
        cells: of the crossover grid.
        titles: libraries' names for tables, in order.
        notes: how each is used.
        import_seconds: of ``import thalweg`` in a fresh process.
        features: what features of training add to a step.
        populations: rows of cases with members; times are of one step of one network.
        validations: seconds of a cross-validation.
        kept: what an earlier run measured, by name.
    """

    machine: Machine
    settings: dict[str, Any]
    rows: list[Row]
    cells: list[Row]
    titles: dict[str, str]
    notes: dict[str, str]
    import_seconds: float
    features: list[FeatureRow] = field(default_factory=list[FeatureRow])
    populations: list[Row] = field(default_factory=list[Row])
    validations: list[ValidationRow] = field(default_factory=list[ValidationRow])
    kept: list[str] = field(default_factory=list[str])

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self)
        for kind in ("rows", "cells", "populations"):
            for plain, row in zip(found[kind], getattr(self, kind), strict=True):
                if row.timed:
                    plain["step_seconds"] = row.step_seconds
                    plain["gflops"] = row.rate / 1e9
        found["features"] = [row.plain() for row in self.features]
        return found

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Report:
        """The report that :meth:`plain` gave."""
        machine = dict(plain["machine"])
        machine["peak"] = {int(threads): rate for threads, rate in machine["peak"].items()}
        return cls(
            Machine(**machine),
            plain["settings"],
            [_row(row) for row in plain["rows"]],
            [_row(row) for row in plain["cells"]],
            plain["titles"],
            plain["notes"],
            plain["import_seconds"],
            [_made(FeatureRow, row) for row in plain.get("features", [])],
            [_row(row) for row in plain.get("populations", [])],
            [_made(ValidationRow, row) for row in plain.get("validations", [])],
            list(plain.get("kept", [])),
        )


def _row(plain: dict[str, Any]) -> Row:
    made, case = _made(Row, plain), _made(Case, plain["case"])
    made.case = replace(case, widths=tuple(case.widths))
    return made


R = TypeVar("R")


def _made(kind: type[R], plain: dict[str, Any]) -> R:
    names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in plain.items() if name in names})


def find(rows: Sequence[Row], case: Case, peer: str, threads: int) -> Row | None:
    """The row of a case, a library and a number of threads, where it may be compared."""
    for row in rows:
        if (row.case, row.peer, row.threads) == (case, peer, threads) and row.compared:
            return row
    return None


def fastest(rows: Sequence[Row], case: Case, peer: str) -> Row | None:
    """A library's row with the number of threads that serves it best."""
    found = [row for row in rows if row.case == case and row.peer == peer and row.compared]
    return min(found, key=lambda row: row.step_seconds, default=None)


def ratio(rows: Sequence[Row], case: Case, peer: str, threads: int) -> float | None:
    """How many times longer a peer's step takes than thalweg's with as many threads."""
    own, other = find(rows, case, "thalweg", threads), find(rows, case, peer, threads)
    return other.step_seconds / own.step_seconds if own and other else None


def ratio_of(rows: Sequence[Row], row: Row) -> float | None:
    """How many times longer a row's step takes than thalweg's.

    Of one network with as many threads; of populations with the number that serves thalweg best,
    since of each other library only the best one is measured.
    """
    if not row.case.members:
        return ratio(rows, row.case, row.peer, row.threads)
    own = fastest(rows, row.case, "thalweg")
    return row.step_seconds / own.step_seconds if own and row.compared else None


def reached(rows: Sequence[Row], target: Target) -> float | None:
    """The ratio of a target: each library with the number of threads that serves it best."""
    for case in dict.fromkeys(row.case for row in rows):
        if target.of(case):
            own, other = fastest(rows, case, "thalweg"), fastest(rows, case, target.peer)
            return other.step_seconds / own.step_seconds if own and other else None
    return None


def targets(
    rows: Sequence[Row], wanted: Sequence[Target] = TARGETS
) -> list[tuple[Target, float | None]]:
    """Every target on a measured case, beside what was reached."""
    cases = {row.case for row in rows}
    return [(target, reached(rows, target)) for target in wanted if any(map(target.of, cases))]
