"""Draws docs/images/train.svg: the real output of a real run, as a terminal shows it.

    python tools/picture.py

Runs ``thalweg train breast_cancer`` in a folder of its own, keeps what it says (the long list of
columns is shortened) and lets rich draw it.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from thalweg.cli.console import fitted
from thalweg.cli.main import main

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "train.svg"
COMMAND = ("train", "breast_cancer")
WIDTH, COLUMNS_SHOWN = 100, 4
CELL, _SPACE = 12.2, "&#160;"


def said(arguments: tuple[str, ...]) -> list[str]:
    """What a command says on both streams, in order."""
    everything = io.StringIO()
    with contextlib.redirect_stdout(everything), contextlib.redirect_stderr(everything):
        code = main(arguments)
    if code:
        sys.exit(everything.getvalue())
    return everything.getvalue().splitlines()


def shortened(lines: list[str]) -> list[str]:
    """The lines without most of the table's columns."""
    first = next(index for index, line in enumerate(lines) if line.startswith("---")) + 1
    last = next(index for index, line in enumerate(lines) if line.startswith("target "))
    hidden = last - first - COLUMNS_SHOWN
    gap = [f"… {hidden} more columns"]
    return lines[: first + COLUMNS_SHOWN] + gap + lines[last:]


def styled(line: str) -> Text:
    """A line as the terminal shows it: cut at the edge, names of parts set off."""
    text = Text(fitted(line, WIDTH))
    text.highlight_regex(r"^(rows|network|training|model|use it)(?=  )", "bold cyan")
    text.highlight_regex(r"^epoch \d+/\d+:.*|^trained .*|^… .*", "dim")
    text.highlight_regex(r"^network .*\d\.\d+$", "bold green")
    return text


def _without_fonts() -> str:
    """Rich's frame, but without fonts from the network: the reader's own monospaced one serves."""
    return re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def _indented(picture: str) -> str:
    """Leading spaces as positions, since some viewers drop them."""

    def shift(found: re.Match[str]) -> str:
        count = found["spaces"].count(_SPACE)
        x = float(found["x"]) + count * CELL
        length = float(found["length"]) - count * CELL
        return f'x="{x:g}"{found["between"]}textLength="{length:g}"{found["rest"]}'

    pattern = (
        r'x="(?P<x>[\d.]+)"(?P<between> y="[\d.]+" )textLength="(?P<length>[\d.]+)"'
        rf"(?P<rest>[^>]*>)(?P<spaces>(?:{_SPACE})+)(?!<)"
    )
    return re.sub(pattern, shift, picture)


def draw() -> None:
    """Run the command and write the picture."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        lines = shortened(said(COMMAND))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ ") + Text(f"thalweg {' '.join(COMMAND)}", "bold"))
    for line in lines:
        console.print(styled(line), soft_wrap=True)
    console.print()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    picture = console.export_svg(title="thalweg", unique_id="train", code_format=_without_fonts())
    TARGET.write_text(_indented(picture), encoding="utf-8")
    print(f"wrote {os.path.relpath(TARGET)}")


if __name__ == "__main__":
    draw()
