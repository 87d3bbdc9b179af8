import datetime
import os
import sys
import time

import numpy as np
import pytest

from thalweg.data.inference import infer_schema
from thalweg.data.reading import (
    BUILTIN_NAMES,
    load_builtin,
    parse_table,
    read_table,
    table_from_frame,
)
from thalweg.errors import DataError, FileError


def test_importing_the_package_reads_neither_pyarrow_nor_sklearn():
    import subprocess

    code = (
        "import sys, thalweg.data, thalweg.data.reading, thalweg.data.encoding, "
        "thalweg.data.splits, thalweg.data.metrics, thalweg.data.baseline\n"
        "print(sorted({'pyarrow', 'sklearn', 'narwhals', 'scipy'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.strip() == "[]"


def test_files_that_are_none(tmp_path):
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match=r"there is no file .*did you mean 'train.csv'"):
        read_table(tmp_path / "trian.csv")
    with pytest.raises(FileError, match="is not there or cannot be listed"):
        read_table(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(FileError, match="is a folder; name one CSV"):
        read_table(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FileError, match="not a plain file"):
        read_table(tmp_path / "pipe.csv")


def test_damaged_gzip_and_parquet(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(FileError, match="damaged gzip"):
        read_table(tmp_path / "x.csv.gz")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(FileError, match="damaged Parquet"):
        read_table(tmp_path / "x.parquet")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_separators(delimiter):
    text = "a,b,c\n1,x,2.5\n2,y,3.5\n".replace(",", delimiter)
    table = parse_table(text.encode(), "text")
    assert table.names == ("a", "b", "c")
    assert table.column("b").tolist() == ["x", "y"]


def test_the_suffix_tsv_means_tabs(tmp_path):
    (tmp_path / "x.tsv").write_text("a,b\tc\n1,2\t3\n")
    assert read_table(tmp_path / "x.tsv").names == ("a,b", "c")


def test_one_column_keeps_its_empty_cells():
    table = parse_table(b"a\n1\n\n3\n\n", "text")
    assert table.column("a").tolist() == ["1", None, "3"]
    assert table.place(2) == "line 4"


def test_quotes_separators_and_line_breaks_inside_cells():
    table = parse_table(b'a,b\r\n"x, ""y""\r\nz",1\r\n5" pipe,2\r\n', "text")
    assert table.column("a").tolist() == ['x, "y"\r\nz', '5" pipe']
    assert [table.place(row) for row in range(2)] == ["line 2", "line 4"]


def test_header_with_a_line_break():
    table = parse_table(b'"a\nb",c\n1,2\n', "text")
    assert table.names == ("a\nb", "c")
    assert table.place(0) == "line 3"


def test_open_quote_in_the_header():
    with pytest.raises(DataError, match=r"text, line 1: a quote .* in the header is not closed"):
        parse_table(b'a,"b\n1,2\n3,4\n', "text")


def test_errors_name_lines_after_line_breaks():
    with pytest.raises(DataError, match="text, line 5: the row is too long"):
        parse_table(b'a,b\n"x\ny",1\n\n1,2,3\n', "text")


def test_repeated_empty_names_stay_apart():
    table = parse_table(b"column_2,,a,a,a_2\n1,2,3,4,5\n", "text")
    assert table.names == ("column_2", "column_2_2", "a", "a_3", "a_2")
    assert [table.column(name)[0] for name in table.names] == list("12345")


def test_cells_match_the_csv_module(rng):
    import csv
    import io

    alphabet = np.array(list('abc ,;"\n1.5é'))
    rows = [
        ["".join(rng.choice(alphabet, size=rng.integers(0, 6))).strip() for _ in range(3)]
        for _ in range(300)
    ]
    rows = [row for row in rows if any(row)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([["p", "q", "r"], *rows])
    table = parse_table(buffer.getvalue().encode(), "text")
    found = [[table.column(name)[i] or "" for name in "pqr"] for i in range(len(table))]
    assert found == rows


def test_parquet_keeps_types(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "n": pa.array([1, None, 3]),
        "f": pa.array([0.5, None, float("nan")]),
        "big": pa.array([2**60 + 1, None, 3]),
        "b": pa.array([True, False, None]),
        "t": pa.array(["00501", " x", None]),
        "c": pa.array(["u", "v", "u"]).dictionary_encode(),
        "d": pa.array([datetime.date(2024, 1, 31), None, datetime.date(1960, 1, 1)]),
        "l": pa.array([[1], [2], [3]]),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.dat")
    table = read_table(tmp_path / "x.dat")
    assert table.column("n").tolist()[::2] == [1.0, 3.0]
    assert np.isnan(table.column("n")[1])
    assert np.isnan(table.column("f")[1:]).all()
    assert table.column("big").tolist() == [str(2**60 + 1), None, "3"]
    assert table.column("b").tolist() == ["True", "False", None]
    assert table.column("t").tolist() == ["00501", "x", None]
    assert table.column("c").tolist() == ["u", "v", "u"]
    assert table.column("d")[0] == np.datetime64("2024-01-31")
    assert "l" not in table.names
    assert any("'l' holds list<" in note.message for note in table.notes)


def test_dict_of_sequences():
    table = table_from_frame({"a": [1, 2.5, None], "b": ["x", 7, None], "c": np.arange(3)})
    assert np.isnan(table.column("a")[2])
    assert table.column("b").tolist() == ["x", "7", None]
    assert table.column("c").dtype == np.int64
    assert table.place(2) == "row 2"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"a": [1], "b": [1, 2]}, "columns differ in length"),
        ({"a": np.zeros((2, 2))}, "has shape"),
        ({"a": "text"}, "needs a sequence of cells"),
        ({}, "has no columns"),
        ({"a": []}, "has no rows"),
        (3, "expected a pandas, polars or pyarrow frame"),
    ],
)
def test_frames_that_cannot_be_used(frame, words):
    with pytest.raises(DataError, match=words):
        table_from_frame(frame)


def test_pandas_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "t": ["x", None],
            "m": ["x", 1],
            "k": pd.Categorical(["u", "v"]),
            "d": pd.to_datetime(["2024-01-31 12:00", None]),
            5: [True, False],
        }
    )
    table = table_from_frame(frame)
    assert table.names == ("n", "t", "m", "k", "d", "5")
    assert np.isnan(table.column("n")[1])
    assert table.column("t").tolist() == ["x", None]
    assert table.column("m").tolist() == ["x", "1"]
    assert table.column("k").tolist() == ["u", "v"]
    assert np.isnat(table.column("d")[1])
    assert table.column("5").tolist() == [True, False]


def test_pandas_frame_with_an_index_of_its_own():
    pd = pytest.importorskip("pandas")
    table = table_from_frame(pd.DataFrame({"x": [1.5, 2, 3]}, index=[10, 30, 20]))
    assert table.names == ("x",)
    assert table.column("x").tolist() == [1.5, 2, 3]


def test_pandas_columns_of_odd_types():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "huge": [2**70, 1],
            "long": np.array([2**63 + 5, 1], dtype=np.uint64),
            "half": np.array([0.5, np.inf], dtype=np.float16),
            "byte": [b"x", b"y"],
            "month": pd.period_range("2020", periods=2, freq="M"),
        }
    )
    table = table_from_frame(frame)
    assert table.column("huge").tolist() == [str(2**70), "1"]
    assert table.column("long").tolist() == [2**63 + 5, 1]
    assert table.column("half").tolist() == [0.5, np.inf]
    assert [note.column for note in table.notes] == ["byte", "month"]
    assert "holds binary values, not numbers or text: left out" in table.notes[0].message
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="the frame cannot be read: Expected unique column names"):
        table_from_frame(twice)


def test_polars_frame():
    pl = pytest.importorskip("polars")
    table = table_from_frame(pl.DataFrame({"a": [1, None], "b": ["x", None]}))
    assert np.isnan(table.column("a")[1])
    assert table.column("b").tolist() == ["x", None]


def test_text_and_frame_give_the_same_schema(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"x": [0.5, 1.25, 3.0, 4.0] * 5, "c": ["u", "v"] * 10, "b": [True, False, False, True] * 5}
    )
    frame.to_csv(tmp_path / "x.csv", index=False)
    kinds = [
        [(column.name, column.kind, column.distinct) for column in infer_schema(table).columns]
        for table in (read_table(tmp_path / "x.csv"), table_from_frame(frame))
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", BUILTIN_NAMES)
def test_builtin_sets(name):
    table = load_builtin(name)
    schema = infer_schema(table, "target")
    assert table.names[-1] == "target"
    assert schema.task == ("regression" if name == "diabetes" else "classification")


def test_builtin_targets_are_named():
    assert set(load_builtin("digits").column("target")) == set("0123456789")
    assert set(load_builtin("iris").column("target")) == {"setosa", "versicolor", "virginica"}
    with pytest.raises(DataError, match=r"no built-in data set 'irys'; did you mean 'iris'"):
        load_builtin("irys")


def test_real_files_match_pandas(shared_data):
    pd = pytest.importorskip("pandas")
    for name in ("adult", "housing", "titanic"):
        table = read_table(shared_data / f"{name}.csv")
        frame = pd.read_csv(
            shared_data / f"{name}.csv", dtype=str, keep_default_na=False, na_values=[""]
        )
        assert table.names == tuple(frame.columns)
        for column in table.names:
            theirs = frame[column].astype(object).where(frame[column].notna(), None)
            assert table.column(column).tolist() == theirs.tolist()
        assert table.notes == ()


def test_adult_is_read_in_well_under_a_second(shared_data):
    read_table(shared_data / "titanic.csv")
    start = time.process_time()
    read_table(shared_data / "adult.csv")
    assert time.process_time() - start < 1.0


@pytest.mark.soak
def test_a_million_rows(tmp_path, rng):
    block = "".join(f"{x:.4f},{k},{'abc'[k % 3]}\n" for k, x in enumerate(rng.normal(size=10_000)))
    (tmp_path / "big.csv").write_text("x,k,c\n" + block * 100)
    table = read_table(tmp_path / "big.csv")
    assert len(table) == 1_000_000
    assert table.place(999_999) == "line 1000001"
    assert [column.kind for column in infer_schema(table).columns][2] == "category"
