"""The entry point: which commands there are, and how their errors end.

Exit codes: 0 all is done; 1 the work failed or was interrupted; 2 the call was wrong.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import thalweg
from thalweg.cli.cache import cache
from thalweg.cli.console import let_go_of_stdout, tell
from thalweg.cli.cross_validate import cross_validate
from thalweg.cli.lr_find import lr_find
from thalweg.cli.plot_schedule import plot_schedule
from thalweg.cli.predict import predict
from thalweg.cli.search import search
from thalweg.cli.show_augmentation import show_augmentation
from thalweg.cli.summary import summary
from thalweg.cli.train import train
from thalweg.errors import ThalwegError

_INTERRUPTED = 130  # what typer returns after Ctrl-C

app = typer.Typer(
    name="thalweg",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train)
app.command()(cross_validate)
app.command()(search)
app.command()(predict)
app.command()(summary)
app.command()(cache)
app.command()(lr_find)
app.command()(plot_schedule)
app.command()(show_augmentation)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"thalweg {thalweg.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (in any place).")
    ] = False,
) -> None:
    """Train neural networks on tables, and predict with them.

    Exit codes: 0 all is done, 1 the work failed or was interrupted, 2 the call was wrong.
    """
    del version, debug


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is returned.

    Args:
        arguments: the words after ``thalweg``; those of the process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in words
    rest = [word for word in words if word != "--debug"] + given[len(words) :]
    _survive_any_character()
    try:
        return _run(rest)
    except ThalwegError as error:
        if debug:
            traceback.print_exc()
        tell("error", str(error))
        return error.exit_code
    except MemoryError:
        if debug:
            raise
        tell("error", "not enough memory; choose smaller hidden layers, or fewer rows")
        return 1
    except OSError as error:
        if debug:
            raise
        tell("error", str(error))
        return 1
    finally:
        let_go_of_stdout()


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        command.main(args=arguments, prog_name="thalweg")
    except SystemExit as leave:
        if leave.code == _INTERRUPTED:
            tell("error", "interrupted")
            return 1
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    return 0


def _survive_any_character() -> None:
    """A terminal that cannot show a character gets another one for it, not an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
