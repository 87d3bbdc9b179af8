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
    most = max(report.machine.peak, default=0)
    for row in report.populations:
        if (row.case, row.peer, row.threads) == (case, OWN, most) and row.compared:
            return row.rate / report.machine.peak[most]
    return None


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


def population_section(report: Report) -> str:
    """All cases with members: thalweg's step, and how many times longer others' are."""
    rows = report.populations
    if not rows:
        return ""
    peers = [name for name in dict.fromkeys(row.peer for row in rows) if name != OWN]
    cases = sorted({row.case for row in rows}, key=_place)
    header = ["case", "thalweg", "GFLOP/s", "of the peak", *(report.titles[name] for name in peers)]
    lines = [_case_line(report, case, peers) for case in cases]
    return (
        "## Populations\n\nNetworks trained at once, each with its own learning rate and its own "
        "order of the rows. The time is that of one step of one network: what a step of all takes, "
        "divided by their number. Behind it, how many times longer it takes with other libraries; "
        "each with the number of threads that serves it best, which for thalweg stands in brackets."
        " Making the networks and taking their results is not in it for any library. Libraries "
        "that train one network after another are not measured for thousands of them; each would "
        "take as long.\n\n" + grid_table(header, lines) + _reasons(report, rows)
    )


def _place(case: Case) -> tuple[str, tuple[int, ...], int]:
    """Tables before images, narrow networks before wide ones, few members before many."""
    return case.form, case.widths, case.members


def _case_line(report: Report, case: Case, peers: Sequence[str]) -> list[str]:
    own = fastest(report.populations, case, OWN)
    if own is None:
        return [case.name, *[MISSING] * (3 + len(peers))]
    peak = report.machine.peak.get(own.threads)
    others = [fastest(report.populations, case, name) for name in peers]
    return [
        case.name,
        f"{seconds_text(own.step_seconds)} ({own.threads})",
        f"{own.rate / 1e9:.0f}",
        f"{own.rate / peak:.0%}" if peak else MISSING,
        *(ratio_text(row.step_seconds / own.step_seconds if row else None) for row in others),
    ]


def _reasons(report: Report, rows: Sequence[Row]) -> str:
    found = dict.fromkeys(
        f"- {row.case.name}, {report.titles[row.peer]}, threads: {row.threads}: {row.status} "
        f"({row.reason})."
        for row in rows
        if row.reason and row.case != MAIN
    )
    return "\n\n" + "\n".join(found) if found else ""


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
