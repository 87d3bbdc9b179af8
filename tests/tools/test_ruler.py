"""The ruler measures what it says, and fails where a hard limit is broken."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "ruler.py"


@pytest.fixture(scope="module")
def ruler() -> ModuleType:
    spec = importlib.util.spec_from_file_location("thalweg_ruler", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CLEAN = '''"""A module."""


def double(x: int) -> int:
    """Twice.

    More words.
    """
    # a comment

    return (
        2 * x
    )


class Public:
    """A class."""

    def method(self, *rest: int, **named: int) -> None:
        """A method."""

    def _private(self) -> None: ...

    @staticmethod
    def make(x: int) -> None:
        """Another."""
'''


def write(folder: Path, text: str, name: str = "part.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def sizes(measures) -> dict[str, int]:
    return {place.where.split()[1]: place.size for place in measures.functions}


def test_function_lines_leave_out_docstrings_comments_and_blank_lines(ruler, tmp_path):
    found = ruler.measure(write(tmp_path, CLEAN))
    assert sizes(found) == {"double": 4, "method": 1, "_private": 1, "make": 1}
    assert [place.size for place in found.files] == [len(CLEAN.splitlines())]


def test_every_line_of_a_text_that_is_no_docstring_counts(ruler, tmp_path):
    text = 'def f() -> str:\n    return """a\n\n    # b\n    """\n'
    assert sizes(ruler.measure(write(tmp_path, text))) == {"f": 5}


def test_nested_functions_count_alone_and_in_their_owner(ruler, tmp_path):
    text = "def outer() -> None:\n    def inner() -> None:\n        pass\n    inner()\n"
    assert sizes(ruler.measure(write(tmp_path, text))) == {"outer": 4, "inner": 2}


def test_clean_source_breaks_nothing(ruler, tmp_path, capsys):
    assert ruler.main([str(write(tmp_path, CLEAN))]) == 0
    out = capsys.readouterr().out
    assert "public docstrings (5)            >= 98%   100.0 %" in out
    assert "annotations (8)                  >= 100%  100.0 %" in out
    assert "limit broken" not in out


def test_arguments_and_results_without_annotation_are_named(ruler, tmp_path, capsys):
    text = '"""M."""\n\n\ndef _f(a, *b, c: int = 0, **d):\n    return a\n'
    assert ruler.main([str(write(tmp_path, text))]) == 1
    out = capsys.readouterr().out
    assert "annotations (5)                  >= 100%  20.0 %" in out
    for missing in ("_f(a)", "_f(b)", "_f(d)", "_f -> ?"):
        assert f"part.py:4 {missing}: no annotation" in out
    assert "_f(c)" not in out


def test_only_the_first_argument_of_a_method_needs_no_annotation(ruler, tmp_path):
    text = (
        "class C:\n"
        "    def method(self, x) -> None: ...\n"
        "    @staticmethod\n"
        "    def static(y) -> None: ...\n"
        "    @classmethod\n"
        "    def of(cls) -> None: ...\n"
        "def free(self) -> None: ...\n"
    )
    missing = ruler.measure(write(tmp_path, text)).annotations.missing
    assert [where.split()[1] for where in missing] == ["free(self)", "method(x)", "static(y)"]


def test_public_names_need_docstrings_and_others_do_not(ruler, tmp_path, capsys):
    text = (
        "def shown() -> None:\n    def inside() -> None: ...\n"
        "def _hidden() -> None: ...\n"
        "class Shown:\n    def method(self) -> None: ...\n    def __len__(self) -> int: ...\n"
        "class _Hidden:\n    def method(self) -> None: ...\n"
    )
    folder = write(tmp_path, text)
    write(folder, "def free() -> None: ...\n", "_private.py")
    write(folder, "def free() -> None: ...\n", "_private/part.py")
    write(folder, '"""Package."""\n', "package/__init__.py")
    assert ruler.main([str(folder)]) == 1
    missing = [
        line.removesuffix(": no docstring").rpartition("/")[2]
        for line in capsys.readouterr().out.splitlines()
        if line.endswith("no docstring")
    ]
    assert missing == ["part.py", "part.py:1 shown", "part.py:4 Shown", "part.py:5 method"]


def test_a_missing_docstring_within_the_limit_is_allowed(ruler, tmp_path):
    known = "".join(f'def f{i}() -> None:\n    """F."""\n' for i in range(98))
    folder = write(tmp_path, f'"""M."""\n{known}def g() -> None: ...\n')
    assert ruler.main([str(folder)]) == 0
    write(folder, f'"""M."""\n{known}def g() -> None: ...\ndef h() -> None: ...\n')
    write(folder, "", "empty.py")
    assert ruler.main([str(folder)]) == 1


@pytest.mark.parametrize(("columns", "status"), [(100, 0), (101, 1)])
def test_long_lines(ruler, tmp_path, capsys, columns, status):
    folder = write(tmp_path, f'"""M."""\n\n#{"é" * (columns - 1)}\n')
    assert ruler.main([str(folder)]) == status
    assert ("part.py:3: longer than 100 columns" in capsys.readouterr().out) == bool(status)


@pytest.mark.parametrize(("lines", "status"), [(600, 0), (601, 1)])
def test_long_files(ruler, tmp_path, capsys, lines, status):
    folder = write(tmp_path, '"""M."""\n' + "x = 1\n" * (lines - 1))
    assert ruler.main([str(folder)]) == status
    out = capsys.readouterr().out
    assert ("part.py: 601 lines, at most 600 allowed" in out) == bool(status)
    assert f"<= 600   {lines}  part.py" in out


@pytest.mark.parametrize(("lines", "status"), [(60, 0), (61, 1)])
def test_long_functions(ruler, tmp_path, capsys, lines, status):
    body = "    x = 1\n" * (lines - 1)
    folder = write(tmp_path, f'"""M."""\n\n\nasync def _long() -> None:\n{body}')
    assert ruler.main([str(folder)]) == status
    out = capsys.readouterr().out
    assert ("part.py:4 _long: 61 lines, at most 60 allowed" in out) == bool(status)


def test_a_missed_aim_is_marked_and_breaks_nothing(ruler, tmp_path, capsys):
    folder = write(tmp_path, '"""M."""\n' + "x = 1\n" * 200)
    assert ruler.main([str(folder)]) == 0
    assert "* files (1), median                <= 150   201" in capsys.readouterr().out


def test_quantiles_agree_with_numpy(ruler):
    for count in range(1, 40):
        values = list(np.random.default_rng(count).integers(0, 100, count))
        for share in (0.5, 0.9):
            judge = np.quantile(values, share, method="inverted_cdf")
            assert ruler.quantile(values, share) == judge


def test_a_folder_without_source_is_an_error(ruler, tmp_path, capsys):
    assert ruler.main([str(tmp_path)]) == 2
    assert "no Python file under" in capsys.readouterr().err
