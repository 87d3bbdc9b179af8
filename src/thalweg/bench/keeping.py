"""The report's files: written after every part, with what an earlier run found where it is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from thalweg.bench.peers import version_of
from thalweg.bench.plot import draw, panels
from thalweg.bench.results import Report, Row
from thalweg.bench.table import markdown
from thalweg.bench.validation import ValidationRow
from thalweg.cli.console import tell
from thalweg.storage import write_atomically

NAME = "benchmarks"


class Keeper:
    """Writes ``benchmarks.md`` and ``.json``, again and again.

    Args:
        folder: for the files; None for none.
        keep: whether what the folder's report holds and is not measured now stays in it.
    """

    def __init__(self, folder: Path | None, keep: bool) -> None:
        self.folder = folder
        self.former: Report | None = None
        if folder is None:
            return
        place = folder / f"{NAME}.json"
        if keep and place.exists():
            self.former = Report.from_plain(json.loads(place.read_text(encoding="utf-8")))

    def merged(self, report: Report) -> Report:
        """The report with what it lacks of the former one, case by case."""
        return report if self.former is None else merged(report, self.former)

    def save(self, report: Report, last: bool = False) -> None:
        """Put the files in place of the former ones; each is whole at every moment.

        Args:
            report: what was found so far.
            last: whether the picture is drawn too, which takes seconds.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        report = self.merged(report)
        picture = self._picture(report, last)
        text = json.dumps(report.plain(), indent=1, ensure_ascii=False)
        write_atomically(self.folder / f"{NAME}.json", [f"{text}\n".encode()])
        write_atomically(self.folder / f"{NAME}.md", [markdown(report, picture).encode()])

    def _picture(self, report: Report, last: bool) -> str:
        name = f"{NAME}.svg"
        if self.folder is None or not last or not panels(report):
            return ""
        if not version_of("matplotlib"):
            tell("warning", "no picture: matplotlib is not installed")
            return ""
        draw(report, self.folder / name)
        return name


def merged(report: Report, former: Report) -> Report:
    """A report, and of an earlier one what was not measured again.

    A case that was measured again counts with all of its rows, since libraries are compared within
    one run.
    """
    rows, cells, populations = (
        _further(getattr(report, kind), getattr(former, kind))
        for kind in ("rows", "cells", "populations")
    )
    done = [row for row in report.validations if row.rounds or row.reason]
    again = {(row.name, row.threads) for row in done}
    validations = [row for row in former.validations if (row.name, row.threads) not in again]
    kept = [*_names([*rows, *populations]), *_parts(report, former, cells, validations)]
    return replace(
        report,
        rows=[*report.rows, *rows],
        cells=[*report.cells, *cells],
        populations=[*report.populations, *populations],
        validations=[*done, *validations],
        features=report.features or former.features,
        titles={**former.titles, **report.titles},
        notes={**former.notes, **report.notes},
        kept=kept,
    )


def _further(now: Sequence[Row], before: Sequence[Row]) -> list[Row]:
    measured = {row.case.word for row in now}
    return [row for row in before if row.case.word not in measured]


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.case.name for row in rows))


def _parts(
    report: Report, former: Report, cells: Sequence[Row], validations: Sequence[ValidationRow]
) -> list[str]:
    found = [f"{len(_names(cells))} cells of the crossover"] if cells else []
    found += ["cross-validation"] if validations else []
    return found + (["features of training"] if former.features and not report.features else [])
