"""Running the commands as a user does."""

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from thalweg.cli.main import main


class Result(NamedTuple):
    """How a command ended and what it said; line breaks inside sentences are undone."""

    code: int
    out: str
    err: str


@pytest.fixture
def thalweg(tmp_path, monkeypatch, capsys) -> Callable[..., Result]:
    """Run a command in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Result(code, said.out, re.sub(r"[ \n│]+", " ", said.err))

    return run


@pytest.fixture
def csv(tmp_path) -> Callable[..., str]:
    """Write a table of 40 rows, with columns replaced or left out, and give its name."""

    def write(name: str = "rows.csv", rows: int = 40, **changes: object) -> str:
        columns = {
            "size": [str((7 * i) % 13 / 2) for i in range(rows)],
            "city": [("Bonn", "Kiel", "Ulm")[i % 3] for i in range(rows)],
            "sold": [("yes", "no")[(7 * i) % 13 > 6] for i in range(rows)],
            "price": [str((7 * i) % 13 * 1.5 + i % 3) for i in range(rows)],
        }
        columns |= {key: value for key, value in changes.items() if value is not None}
        kept = [key for key in columns if changes.get(key, "") is not None]
        lines = [",".join(kept)]
        lines += [",".join(columns[key][row] for key in kept) for row in range(rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return name

    return write
