"""Measures the source against the project's aims: sizes, docstrings, annotations, long lines.

    python tools/ruler.py [FOLDER]

Prints one row for each figure, beside its aim. Where a hard limit is broken it names every place
and exits with 1; a figure that only misses its aim is marked and breaks nothing.
"""

from __future__ import annotations

import ast
import io
import math
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FILE_LIMIT = 600
FUNCTION_LIMIT = 60
COLUMN_LIMIT = 100
DOCSTRING_LIMIT = 0.98

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@dataclass(frozen=True)
class Place:
    """Something measured, and where it stands."""

    where: str
    size: int


@dataclass
class Count:
    """How many of something fulfil a demand, and the places that don't."""

    total: int = 0
    missing: list[str] = field(default_factory=list[str])

    def add(self, fulfilled: bool, where: str) -> None:
        """Count one more."""
        self.total += 1
        if not fulfilled:
            self.missing.append(where)

    @property
    def share(self) -> float:
        """The fulfilled share, 1 where nothing was counted."""
        return 1 - len(self.missing) / self.total if self.total else 1.0


@dataclass
class Measures:
    """Everything that the ruler knows about a folder of source."""

    files: list[Place] = field(default_factory=list[Place])
    functions: list[Place] = field(default_factory=list[Place])
    docstrings: Count = field(default_factory=Count)
    annotations: Count = field(default_factory=Count)
    long_lines: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Row:
    """One printed figure: the text found and aimed at, and whether the aim is met."""

    name: str
    found: str
    aim: str
    met: bool


def measure(folder: Path) -> Measures:
    """The figures of every Python file under a folder."""
    measures = Measures()
    for path in sorted(folder.rglob("*.py")):
        _measure_file(measures, path.read_text(encoding="utf-8"), path.relative_to(folder))
    return measures


def _measure_file(measures: Measures, text: str, path: Path) -> None:
    name = path.as_posix()
    lines = text.splitlines()
    measures.files.append(Place(name, len(lines)))
    measures.long_lines += [
        f"{name}:{number}" for number, line in enumerate(lines, 1) if len(line) > COLUMN_LIMIT
    ]
    module = ast.parse(text, filename=name)
    code = _code_lines(text) - _docstring_lines(module)
    for function in ast.walk(module):
        if isinstance(function, Function):
            span = range(function.lineno, (function.end_lineno or function.lineno) + 1)
            where = f"{name}:{function.lineno} {function.name}"
            measures.functions.append(Place(where, len(code.intersection(span))))
    _count_annotations(measures.annotations, module, name)
    if _is_public(path.with_suffix("").parts):
        for documented, where in _public(module, name):
            measures.docstrings.add(ast.get_docstring(documented) is not None, where)


def _code_lines(text: str) -> set[int]:
    """The numbers of the lines that hold more than a comment."""
    empty = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENDMARKER,
    }  # fmt: skip
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in empty:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def _docstring_lines(module: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, Documented) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def _is_public(names: Sequence[str]) -> bool:
    return not any(name.startswith("_") and name != "__init__" for name in names)


def _public(module: ast.Module, name: str) -> Iterator[tuple[Documented, str]]:
    """The module, its public classes and functions, and their public methods."""
    yield module, name
    yield from _public_members(module, name)


def _public_members(
    owner: ast.Module | ast.ClassDef, name: str
) -> Iterator[tuple[Documented, str]]:
    for node in owner.body:
        if isinstance(node, ast.ClassDef | Function) and _needs_docstring(node):
            yield node, f"{name}:{node.lineno} {node.name}"
            if isinstance(node, ast.ClassDef):
                yield from _public_members(node, name)


def _needs_docstring(node: ast.ClassDef | Function) -> bool:
    decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return not node.name.startswith("_") and not decorators & {"overload", "override", "setter"}


def _count_annotations(count: Count, module: ast.Module, name: str) -> None:
    """Count each argument and each result; the first argument of a method needs none."""
    methods = {
        node
        for owner in ast.walk(module)
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, Function) and not _is_static(node)
    }
    for node in ast.walk(module):
        if isinstance(node, Function):
            where = f"{name}:{node.lineno} {node.name}"
            for argument in _arguments(node)[node in methods :]:
                count.add(argument.annotation is not None, f"{where}({argument.arg})")
            count.add(node.returns is not None, f"{where} -> ?")


def _is_static(function: Function) -> bool:
    return any(ast.unparse(item) == "staticmethod" for item in function.decorator_list)


def _arguments(function: Function) -> list[ast.arg]:
    listed = function.args
    starred = [item for item in (listed.vararg, listed.kwarg) if item is not None]
    return [*listed.posonlyargs, *listed.args, *listed.kwonlyargs, *starred]


def quantile(sizes: Sequence[int], share: float) -> int:
    """The smallest size that at least this share of the sizes does not exceed; 0 for none.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.9)
    (2, 4)
    """
    ordered = sorted(sizes)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else 0


def rows(measures: Measures) -> list[Row]:
    """The table: every figure beside its aim."""
    long = len(measures.long_lines)
    return [
        *_size_rows("files", measures.files, (150, 350, FILE_LIMIT)),
        *_size_rows("functions", measures.functions, (6, 20, FUNCTION_LIMIT)),
        _share_row("public docstrings", measures.docstrings, DOCSTRING_LIMIT),
        _share_row("annotations", measures.annotations, 1.0),
        Row(f"lines over {COLUMN_LIMIT} columns", str(long), "0", long == 0),
    ]


def _size_rows(name: str, places: Sequence[Place], aims: tuple[int, int, int]) -> list[Row]:
    sizes = [place.size for place in places]
    largest = max(places, key=lambda place: place.size, default=Place("none", 0))
    found = (quantile(sizes, 0.5), quantile(sizes, 0.9), largest.size)
    labels = ("median", "90th percentile", "largest")
    texts = (f"{found[0]}", f"{found[1]}", f"{found[2]}  {largest.where}")
    return [
        Row(f"{name} ({len(places)}), {label}", text, f"<= {aim}", size <= aim)
        for label, text, size, aim in zip(labels, texts, found, aims, strict=True)
    ]


def _share_row(name: str, count: Count, aim: float) -> Row:
    met = count.share >= aim
    return Row(f"{name} ({count.total})", f"{_percent(count.share)} %", f">= {aim:.0%}", met)


def _percent(share: float) -> str:
    """One decimal, rounded down, so that only a full share reads 100.0."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:.1f}"


def broken(measures: Measures) -> list[str]:
    """Every place that breaks a hard limit."""
    undocumented = measures.docstrings.missing if _too_few_docstrings(measures) else []
    return [
        *_too_large(measures.files, FILE_LIMIT),
        *_too_large(measures.functions, FUNCTION_LIMIT),
        *(f"{where}: longer than {COLUMN_LIMIT} columns" for where in measures.long_lines),
        *(f"{where}: no annotation" for where in measures.annotations.missing),
        *(f"{where}: no docstring" for where in undocumented),
    ]


def _too_large(places: Sequence[Place], limit: int) -> Iterator[str]:
    for place in places:
        if place.size > limit:
            yield f"{place.where}: {place.size} lines, at most {limit} allowed"


def _too_few_docstrings(measures: Measures) -> bool:
    return measures.docstrings.share < DOCSTRING_LIMIT


def main(arguments: Sequence[str]) -> int:
    """Print the table and the broken limits: 0 where none is broken, 1 otherwise, 2 for misuse."""
    folder = Path(arguments[0] if arguments else "src")
    measures = measure(folder)
    if not measures.files:
        print(f"ruler: no Python file under {folder}", file=sys.stderr)
        return 2
    for row in rows(measures):
        mark = " " if row.met else "*"
        print(f"{mark} {row.name:<32} {row.aim:<8} {row.found}")
    print("  (* misses its aim)")
    places = broken(measures)
    for place in places:
        print(f"limit broken: {folder / place}")
    return 1 if places else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
