"""The report's sections on populations and cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.bench.cases import Case
from thalweg.bench.populations import MAIN, PEAK_SHARE
from thalweg.bench.results import Report, Row, fastest
from thalweg.bench.texts import MISSING, grid_table, ratio_text, seconds_text
from thalweg.bench.validation import CLOSE, EPOCHS, FOLDS, VALIDATION_TARGET, ValidationRow

OWN = "thalweg"


def peak_share(report: Report, case: Case = MAIN) -> float | None:
    """thalweg's share of the multiply-add peak with the most threads; None where not measured."""
    own = [row for row in report.populations if (row.case, row.peer) == (case, OWN)]
    most = max((row.threads for row in own), default=0)
    for row in own:
        if row.threads == most and row.compared:
            return share_of(report, row)
    return None


def share_of(report: Report, row: Row) -> float | None:
    """A row's share of the multiply-add peak of all cores, as it was in the row's run."""
    peak = row.peak or max(report.machine.peak.values(), default=0.0)
    return row.rate / peak if peak else None


def peak_text(report: Report, row: Row) -> str:
    """The share for people."""
    share = share_of(report, row)
    return MISSING if share is None else f"{share:.0%}"


def validation_ratio(rows: Sequence[ValidationRow], kind: str) -> float | None:
    """How many times longer scikit-learn's fastest call takes than thalweg's fastest of a kind.

    None where one is absent, or where their accuracies are not close.
    """
    own = _quickest(rows, f"thalweg, {kind} cache")
    other = _quickest(rows, "scikit-learn")
    if own is None or other is None or abs(own.accuracy - other.accuracy) > CLOSE:
        return None
    return other.seconds / own.seconds


def _quickest(rows: Sequence[ValidationRow], name: str) -> ValidationRow | None:
    found = [row for row in rows if row.name == name and row.rounds and not row.reason]
    return min(found, key=lambda row: row.seconds, default=None)


def population_targets(report: Report) -> list[tuple[str, str, str, bool | None]]:
    """What is aimed at beside the ratios to other libraries: name, aim, reached, met."""
    found: list[tuple[str, str, str, bool | None]] = []
    if any(row.case == MAIN for row in report.populations):
        share = peak_share(report)
        text = MISSING if share is None else f"{share:.0%}"
        met = None if share is None else share >= PEAK_SHARE
        name = f"{MAIN.members} × {MAIN.title}: share of the peak, all threads"
        found.append((name, f"≥ {PEAK_SHARE:.0%}", text, met))
    for kind in ("empty", "filled") if report.validations else ():
        ratio = validation_ratio(report.validations, kind)
        found.append(
            (
                f"{FOLDS} folds, {kind} cache: times faster than scikit-learn",
                f"≥ {VALIDATION_TARGET:g}",
                ratio_text(ratio, bold=False),
                None if ratio is None else ratio >= VALIDATION_TARGET,
            )
        )
    return found


_WORDS = """\
## Populations

Networks trained at once, each with its own learning rate and its own order of the rows. Every
library makes and trains all of them by one call of the same work: as many steps of each network as
the table says. The call is warm: it was made before, so nothing is compiled in it. Its whole time
is divided by networks and steps. For thalweg that is `fit(…, members=K)` with everything in it:
checks, starting weights, orders of rows, results; other libraries find weights and orders ready,
and make networks, state and optimisers. Losses are compared with float64 first, and again on what
is timed. Each library counts with the variant and the number of threads that serve it best. A
library that would take too long trains fewer steps; a note says how many. The share of the peak is
of all cores.
"""
_DETAILS = """\
Start is what the first call takes beyond its steps: building, compiling, making the networks. The
steady step leaves the making of networks out: what a long call takes longer than a short one,
divided by its further steps. Starts of 256 networks are of processes of their own; the other cases
share processes, so that the first of them bears what a library imports when it is first used.
"""


def population_section(report: Report) -> str:
    """All cases with members: thalweg's step, how many times longer others' are, every row."""
    rows = report.populations
    if not rows:
        return ""
    peers = [name for name in dict.fromkeys(row.peer for row in rows) if name != OWN]
    cases = sorted({row.case for row in rows}, key=_place)
    header = ["case", "steps", "thalweg", "GFLOP/s", "of the peak"]
    header += [report.titles[name] for name in peers]
    lines = [_case_line(report, case, peers) for case in cases]
    timed = [row for case in cases for row in rows if row.case == case and row.timed]
    details = ["case", "library", "threads", "steps", "step", "steady", "start", "losses"]
    parts = [
        f"{_WORDS}\nBehind thalweg's step and its threads, how many times longer others' takes.",
        grid_table(header, lines),
        f"{_DETAILS}\n{grid_table(details, [_detail_line(report, row) for row in timed])}",
        _reasons(report, rows),
    ]
    return "\n\n".join(part for part in parts if part)


def _place(case: Case) -> tuple[str, tuple[int, ...], int]:
    """Tables before images, narrow networks before wide ones, few members before many."""
    return case.form, case.widths, case.members


def _case_line(report: Report, case: Case, peers: Sequence[str]) -> list[str]:
    own = fastest(report.populations, case, OWN)
    if own is None:
        return [case.name, *[MISSING] * (4 + len(peers))]
    others = [fastest(report.populations, case, name) for name in peers]
    return [
        case.name,
        f"{own.steps:,}",
        f"{seconds_text(own.step_seconds)} ({own.threads})",
        f"{own.rate / 1e9:.0f}",
        peak_text(report, own),
        *(ratio_text(row.step_seconds / own.step_seconds if row else None) for row in others),
    ]


def _detail_line(report: Report, row: Row) -> list[str]:
    return [
        f"{row.case.members} × {row.case.title}",
        report.titles[row.peer] + (f" ({row.variant})" if row.variant else ""),
        str(row.threads),
        f"{row.steps:,}",
        seconds_text(row.step_seconds),
        seconds_text(row.steady_seconds) if row.steady_seconds else MISSING,
        seconds_text(row.start_seconds),
        "equal" if row.compared else "differ",
    ]


def _reasons(report: Report, rows: Sequence[Row]) -> str:
    found: list[str] = []
    for row in rows:
        if row.case == MAIN:  # its own table has them
            continue
        name = f"- {row.case.name}, {report.titles[row.peer]}, threads: {row.threads}"
        found += [f"{name}: {row.status} ({row.reason})."] if row.reason else []
        found += [f"{name}: {row.note}."] if row.note else []
        if row.unsteady:
            least, most = seconds_text(min(row.rounds)), seconds_text(max(row.rounds))
            found.append(f"{name}: unsteady, rounds from {least} to {most}.")
    return "\n".join(dict.fromkeys(found))


def validation_section(report: Report) -> str:
    """Seconds of a cross-validation, all of the call."""
    rows = report.validations
    if not rows:
        return ""
    header = ["library", "threads", "first call", "second call", "accuracy"]
    lines = [
        [
            row.name,
            str(row.threads),
            seconds_text(row.seconds) if row.rounds else MISSING,
            seconds_text(row.again_seconds) if row.again else MISSING,
            f"{row.accuracy:.3f}" if row.rounds else row.reason,
        ]
        for row in rows
    ]
    return (
        f"## Cross-validation\n\n{FOLDS} folds of 30-64-64-2 on scikit-learn's breast cancer data, "
        f"{EPOCHS} epochs, batch 32, inputs standardised inside each fold; scikit-learn's "
        "`cross_val_score` with `MLPClassifier`, `n_jobs` as many as threads. The whole call is "
        "timed, Python and compiling included, in processes that have imported their library; the "
        "second call is in the same process. Folds, starting weights and orders are each "
        f"library's own, so accuracies are compared, which must differ by no more than {CLOSE:g}."
        "\n\n" + grid_table(header, lines)
    )
