"""Awkward files: each has a written outcome, also in docs/tables.md, and none is silent."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from thalweg.data.inference import Schema, infer_schema
from thalweg.data.reading import read_table
from thalweg.data.table import Table
from thalweg.errors import DataError, FileError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


@dataclass(frozen=True)
class Case:
    """A file and what is made of it: kinds by column, notes that must be there, or an error."""

    title: str
    data: str | bytes
    kinds: dict[str, str] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    error: type[Exception] | None = None
    target: str | None = None
    silent: bool = False


def lines(header: str, *rows: str, times: int = 1) -> str:
    return "\n".join([header, *rows * times]) + "\n"


INTEGERS = [str(i * 7919 % 5003) for i in range(5000)]

CASES = [
    Case(
        "country code `NA`",
        lines("country,x", "NA,1.5", "DE,2.5", "FR,3", times=4),
        {"country": "category"},
        ("info: column 'country', line 2: 'NA' (4 cells) is kept as a category of its own",),
    ),
    Case(
        "`NA`, `?`, `-` among numbers",
        lines("x,y", "1.5,a", "NA,b", "?,a", "-,b", "2.5,a", "4,b", times=3),
        {"x": "numeric"},
    ),
    Case(
        "postcode `00501`",
        lines("zip,x", "00501,1.5", "10001,2", "90210,3", times=4),
        {"zip": "category"},
        ("info: column 'zip', line 2: '00501' has leading zeros", "kinds={'zip': 'numeric'}"),
    ),
    Case(
        "semicolons with decimal commas",
        lines("x;y", "1,5;a", "2,25;b", "3;a", times=3),
        {"x": "numeric", "y": "category"},
        ("info: column 'x', line 2: '1,5' is read as 1.5 (decimal comma)",),
    ),
    Case(
        "`1.234,5` (points for thousands)",
        lines("x;y", "1.234,5;a", "950,25;b", "12.345.678,0;a", times=2),
        {"x": "numeric"},
        ("line 2: '1.234,5' is read as 1234.5 (decimal comma)",),
    ),
    Case(
        "`1,234`",
        lines("x,y", '"1,234",a', '"950",b', '"2,500",a', times=3),
        {"x": "numeric"},
        ("warning: column 'x', line 2: '1,234' is read as 1234 (thousands separators)",),
    ),
    Case(
        "`1,234` beside decimal commas",
        lines("x;z;y", "1,234;0,5;a", "2,500;1,5;b", "3,125;7;a", times=3),
        {"x": "numeric", "z": "numeric"},
        ("warning: column 'x', line 2: '1,234' is read as 1.234 (decimal comma)",),
    ),
    Case(
        "currency and per-cent signs",
        lines("price,share,y", "$5,10%,a", "$7.50,20%,b", '"$1,200",5%,a', times=3),
        {"price": "numeric", "share": "numeric"},
        ("'$1,200' is read as 1200 (thousands separators)", "line 2: '10%' is read as 10"),
    ),
    Case(
        "1.5 after 5,000 integers",
        lines("x", *INTEGERS, "1.5"),
        {"x": "numeric"},
        silent=True,
    ),
    Case(
        "text after 5,000 integers",
        lines("x", *INTEGERS, "unknown"),
        {"x": "numeric"},
        ("warning: column 'x', line 5002: 'unknown' is not a number", "counts as missing"),
    ),
    Case(
        "numbers and much text in one column",
        lines("x,y", "1,a", "2,b", "3,a", "low,b", "5,a", "6,b", times=5),
        {"x": "category"},
        ("warning: column 'x', line 5: 'low' is not a number", "5 cells of 30 are not"),
    ),
    Case(
        "latin-1 bytes",
        "city,x\nKöln,1.5\nBonn,2\nKöln,3\nBonn,4\n".encode("latin-1"),
        {"city": "category"},
        ("warning: awkward.csv, line 2: not UTF-8 (byte 0xf6); read as Windows-1252",),
    ),
    Case(
        "UTF-16 bytes",
        "city,x\nKöln,1.5\nBonn,2\nKöln,3\nBonn,4\n".encode("utf-16"),
        {"city": "category", "x": "numeric"},
        silent=True,
    ),
    Case(
        "UTF-16 bytes without mark",
        "city,x\nKöln,1.5\nBonn,2\nKöln,3\nBonn,4\n".encode("utf-16-le"),
        {"city": "category", "x": "numeric"},
        ("info: awkward.csv was read as UTF-16-LE",),
    ),
    Case(
        "UTF-8 with byte-order mark",
        b"\xef\xbb\xbf" + lines("x,y", "1.5,a", "2,b", "3,a", "4,b").encode(),
        {"x": "numeric"},
        silent=True,
    ),
    Case(
        "gzip",
        gzip.compress(lines("x,y", "1.5,a", "2,b", "3,a", "4,b").encode()),
        {"x": "numeric"},
        silent=True,
    ),
    Case(
        "duplicate headers",
        lines("a,b,a", "1.5,2,3", "4,5,6.5", "7,8,9"),
        {"a": "numeric", "a_2": "numeric"},
        ("warning: line 1: the name 'a' appears again at column 3; it is called 'a_2' here",),
    ),
    Case(
        "empty header",
        lines("a,,b", "1.5,2,3", "4,5,6.5", "7,8,9"),
        {"column_2": "numeric"},
        ("warning: line 1: there is no name at column 2; it is called 'column_2' here",),
    ),
    Case(
        "padded headers and cells",
        lines("a , b", "1.5, x", "2 , y", "3, x", "4, y"),
        {"a": "numeric", "b": "category"},
        ("info: line 1: spaces around column names removed", "spaces around 5 cells removed"),
    ),
    Case(
        "no header",
        lines("5.1,3.5,1", "4.9,3.0,0", "4.7,3.2,1"),
        {"5.1": "numeric"},
        ("warning: line 1 is taken as column names but holds only numbers",),
    ),
    Case(
        "short row",
        lines("a,b", "1,2", "3", "5,6"),
        error=DataError,
        says=("awkward.csv, line 3: the row is too short: 1 cell where the header has 2 ('3')",),
    ),
    Case(
        "long row",
        lines("a,b", "1,2", "3,4", "5,6,7"),
        error=DataError,
        says=("awkward.csv, line 4: the row is too long: 3 cells", "put quotes around text"),
    ),
    Case(
        "open quote",
        lines("a,b", "1,2", '"3,4', "5,6"),
        error=DataError,
        says=('awkward.csv, line 3: a quote (") is opened and not closed properly',),
    ),
    Case(
        "line break inside quotes",
        lines("a,b", '"two\nlines",1.5', "one,2", "one,x3", '"two\nlines",4', times=6),
        {"a": "category"},
        ("warning: column 'b', line 5: 'x3' is not a number",),
    ),
    Case(
        "blank lines",
        "a,b\n\n1.5,x\n\n\n2,y\n3,x\n4,y\n\n",
        {"a": "numeric"},
        ("info: 3 blank lines skipped",),
    ),
    Case(
        "a row without any value",
        lines("a,b", "1.5,x", ",", "2,y", "3,x", "4,y"),
        {"a": "numeric"},
        ("warning: line 3: no value in any column (1 such row)",),
    ),
    Case(
        "integers beyond 2⁶³",
        lines("n,x", *(f"{2**70 + i},{i}.5" for i in range(8))),
        {"n": "identifier"},
        ("warning: column 'n', line 3: '1180591620717411303425' is beyond 2^53",),
    ),
    Case(
        "integers beyond 2⁵³, recurring",
        lines("n,x", "9007199254740993,1.5", "9007199254740995,2", "3,3", times=3),
        {"n": "numeric"},
        ("warning: column 'n', line 2: '9007199254740993' is beyond 2^53", "rounded"),
    ),
    Case(
        "`-Infinity`",
        lines("x,y", "1.5,a", "-Infinity,b", "2,a", "3,b", times=3),
        {"x": "numeric"},
        ("warning: column 'x', line 3: -infinity (3 cells in all) counts as missing",),
    ),
    Case(
        "infinite target",
        lines("x,y", "1.5,1.5", "2,inf", "3,2.5", "4,3.5"),
        error=DataError,
        target="y",
        says=("the target 'y' is infinite in line 3",),
    ),
    Case(
        "`sep=;` as the first line",
        lines("sep=;", "a;b", "1.5;x", "2;y", "3;x", "oops;y", "3;x", "2;y"),
        {"a": "category", "b": "category"},
        ("info: the first line gives the separator: ';'", "column 'a', line 6: 'oops'"),
    ),
    Case(
        "ISO dates",
        lines("d,x", "2024-01-31,1.5", "2024-02-01,2", ",3", "2024-02-03T12:30:00,4"),
        {"d": "date"},
        silent=True,
    ),
    Case(
        "dates that fit two orders",
        lines("d,x", "01/02/2024,1.5", "03/04/2024,2", "05/06/2024,3"),
        {"d": "date"},
        ("warning: column 'd', line 2: '01/02/2024' is read as day/month/year",),
    ),
    Case(
        "dates with the month first",
        lines("d,x", "01/02/2024,1.5", "03/24/2024,2", "05/06/2024,3"),
        {"d": "date"},
        silent=True,
    ),
    Case(
        "yes and no",
        lines("b,c,d,x", "yes,T,0,1.5", "No,F,1,2", "yes,F,0,3", ",T,0,4"),
        {"b": "boolean", "c": "boolean", "d": "boolean"},
        silent=True,
    ),
    Case(
        "empty column",
        lines("e,x", ",1.5", ",2", "NA,3"),
        {"e": "empty"},
        ("info: not used as inputs: 'e' (empty)",),
    ),
    Case(
        "constant column",
        lines("c,x", "k,1.5", "k,2", "k,3"),
        {"c": "constant"},
        ("info: not used as inputs: 'c' (constant)",),
    ),
    Case(
        "all-different texts",
        lines("name,x", "Ann,1.5", "Bea,2", "Cem,3"),
        {"name": "identifier"},
        ("info: not used as inputs: 'name' (identifier)",),
    ),
    Case(
        "a column that counts the rows",
        lines("id,x", *(f"{i},{i % 7}.5" for i in range(1, 31))),
        {"id": "identifier"},
        ("info: not used as inputs: 'id' (identifier)",),
    ),
    Case(
        "free text",
        lines("words,x", *(f"words number {i - i % 3 // 2},{i % 7}.5" for i in range(90))),
        {"words": "text"},
        ("info: not used as inputs: 'words' (text)",),
    ),
    Case(
        "more than 100 categories",
        lines("shop,x", *(f"s{i % 150}x,{i % 7}.5" for i in range(900))),
        {"shop": "category"},
        ("info: column 'shop' has 150 categories: the 100 most common get an input each",),
    ),
    Case(
        "a misplaced decimal point",
        lines("x,y", *(f"{i % 9}.5,{i % 5}" for i in range(200)), "4500000,1"),
        {"x": "numeric"},
        ("warning: column 'x', line 202: 4500000 lies far outside the other numbers",),
    ),
    Case(
        "a column that copies the target",
        lines("x,alive,y", "1.5,yes,1", "2,no,0", "3,yes,1", "4,no,0", times=4),
        {"alive": "boolean"},
        ("warning: column 'alive' copies the target 'y'",),
        target="y",
    ),
    Case(
        "a column that is the target in another unit",
        lines("km,m,x", *(f"{i}.5,{i * 1000 + 500},{i * i % 17}" for i in range(20))),
        {"m": "numeric"},
        ("warning: column 'm' is the target 'km' times a factor, plus a constant",),
        target="km",
    ),
    Case(
        "columns that repeat each other",
        lines("a,b,x", "u,U,1.5", "v,V,2", "u,U,3", "w,W,4", times=3),
        {"a": "category", "b": "category"},
        ("info: column 'b' repeats 'a'",),
    ),
    Case(
        "missing target",
        lines("x,y", "1.5,a", "2,b", "3,", "4,a", "5,b"),
        {"y": "category"},
        ("warning: column 'y', line 4: no target here: 1 row left out",),
        target="y",
    ),
    Case(
        "one class",
        lines("x,y", "1.5,a", "2,a", "3,a"),
        error=DataError,
        target="y",
        says=("the target 'y' has one value only (always 'a'); to learn, it needs two",),
    ),
    Case("empty file", b"", error=DataError, says=("awkward.csv is empty; it needs a line",)),
    Case(
        "header only",
        "a,b\n",
        error=DataError,
        says=("awkward.csv has a header line (a, b) but no rows",),
    ),
    Case(
        "NUL bytes",
        b"a,b\n1,2\n3,\x00\n",
        error=FileError,
        says=("awkward.csv, line 3: a NUL byte",),
    ),
    Case(
        "an Excel workbook",
        b"PK\x03\x04rest",
        error=FileError,
        says=("awkward.csv is an Excel workbook or ZIP archive, not a table",),
    ),
    Case("old Mac line ends", "a,b\r1.5,x\r2,y\r3,x\r4,y\r", {"a": "numeric"}, silent=True),
]


def read(case: Case, folder: Path) -> tuple[Table, Schema]:
    file = folder / "awkward.csv"
    data = case.data.encode() if isinstance(case.data, str) else case.data
    file.write_bytes(data)
    table = read_table(file)
    return table, infer_schema(table, case.target)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_awkward_file(case: Case, tmp_path: Path) -> None:
    if case.error is not None:
        with pytest.raises(case.error) as caught:
            read(case, tmp_path)
        for words in case.says:
            assert words in str(caught.value)
        return
    _, schema = read(case, tmp_path)
    assert {name: str(schema.column(name).kind) for name in case.kinds} == case.kinds
    notes = "\n".join(map(str, schema.notes))
    for words in case.says:
        assert words in notes
    if case.silent:
        assert notes == ""
    report = schema.report()
    assert all(str(note) in report for note in schema.notes)


def test_there_are_at_least_thirty_cases_and_each_is_documented() -> None:
    assert len({case.title for case in CASES}) == len(CASES) >= 30
    text = DOCS.read_text(encoding="utf-8")
    absent = [case.title for case in CASES if f"| {case.title} |" not in text]
    assert absent == []
