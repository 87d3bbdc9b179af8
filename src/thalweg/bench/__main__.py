"""``python -m thalweg.bench``: measure, say, write; after every case, so that nothing is lost."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from thalweg.bench.keeping import NAME, Keeper
from thalweg.bench.options import parse
from thalweg.bench.running import fill, new_report
from thalweg.bench.terminal import target_lines
from thalweg.cli.console import Output, say, tell
from thalweg.errors import ThalwegError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code: 0 done, 1 interrupted, 2 a wrong call."""
    try:
        options, grid_peers = parse(arguments)
    except ThalwegError as error:
        tell("error", str(error))
        return error.exit_code
    keeper = Keeper(options.out, options.keep)
    report = new_report(options)
    code = 0

    def done(lines: Sequence[str]) -> None:
        say("\n".join(lines))
        keeper.save(report)

    with tempfile.TemporaryDirectory(prefix="thalweg-bench-") as folder:
        try:
            fill(report, options, grid_peers, Path(folder), _progress, done)
        except KeyboardInterrupt:
            tell("error", "interrupted; what was measured so far is kept")
            code = 1
    keeper.save(report, last=True)
    say("\n".join(target_lines(keeper.merged(report))))
    if options.out is not None:
        say(f"\nwrote {options.out / NAME}.md")
    return code


def _progress(line: str) -> None:
    stream = Output(sys.stderr)
    stream.write(f"{line}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
