"""``python -m thalweg.bench``: measure, say, write."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from thalweg.bench.options import Options, parse
from thalweg.bench.peers import version_of
from thalweg.bench.plot import draw, panels
from thalweg.bench.results import Report
from thalweg.bench.running import fill, new_report
from thalweg.bench.table import markdown, terminal
from thalweg.cli.console import Output, say, tell
from thalweg.errors import ThalwegError

NAME = "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code: 0 done, 1 interrupted, 2 a wrong call."""
    try:
        options, grid_peers = parse(arguments)
    except ThalwegError as error:
        tell("error", str(error))
        return error.exit_code
    report = new_report(options)
    code = 0
    with tempfile.TemporaryDirectory(prefix="thalweg-bench-") as folder:
        try:
            fill(report, options, grid_peers, Path(folder), _progress)
        except KeyboardInterrupt:
            tell("error", "interrupted; what was measured so far follows")
            code = 1
    if options.keep:
        report = kept(report, options)
    say(terminal(report))
    write(report, options)
    return code


def kept(report: Report, options: Options) -> Report:
    """The report with the parts of the folder's former one that were not measured now."""
    place = (options.out or Path()) / f"{NAME}.json"
    if not place.exists():
        return report
    former = Report.from_plain(json.loads(place.read_text(encoding="utf-8")))
    former.rows = report.rows or former.rows
    former.cells = report.cells or former.cells
    former.features = report.features or former.features
    former.populations = report.populations or former.populations
    former.validations = report.validations or former.validations
    former.titles |= report.titles
    former.notes |= report.notes
    return former


def _progress(line: str) -> None:
    stream = Output(sys.stderr)
    stream.write(f"{line}\n")
    stream.flush()


def write(report: Report, options: Options) -> None:
    """Write ``benchmarks.md``, ``.json`` and, with a grid and matplotlib, ``.svg``."""
    folder = options.out
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    picture = ""
    if panels(report) and version_of("matplotlib"):
        picture = f"{NAME}.svg"
        draw(report, folder / picture)
    elif panels(report):
        tell("warning", "no picture: matplotlib is not installed")
    text = json.dumps(report.plain(), indent=1, ensure_ascii=False)
    (folder / f"{NAME}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{NAME}.md").write_text(markdown(report, picture), encoding="utf-8")
    say(f"\nwrote {folder / NAME}.md")


if __name__ == "__main__":
    sys.exit(main())
