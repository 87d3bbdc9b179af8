import numpy as np
import pytest

from thalweg.data.table import Note, Table, nearest, plural, short
from thalweg.errors import ColumnError, DataError


def cells(*values):
    return np.array(values, dtype=object)


@pytest.fixture
def table():
    columns = {"age": np.array([1.0, 2.0, 3.0]), "city": cells("a", None, "b")}
    return Table(("age", "city"), columns, "people.csv", (), np.array([2, 4, 5]), "line")


def test_take_keeps_line_numbers_and_order(table):
    taken = table.take([2, 0])
    assert taken.column("city").tolist() == ["b", "a"]
    assert [taken.place(row) for row in range(2)] == ["line 5", "line 2"]
    masked = table.take(np.array([False, True, False]))
    assert len(masked) == 1
    assert masked.number(0) == 4
    assert len(table.take([])) == 0


def test_select_keeps_the_given_order(table):
    assert table.select(["city", "age"]).names == ("city", "age")


def test_unknown_column_offers_the_nearest_name(table):
    with pytest.raises(ColumnError, match=r"people.csv has no column 'Agee'; did you mean 'age'"):
        table.column("Agee")
    with pytest.raises(ColumnError, match=r"has no column 'zzz'. Its columns: age, city"):
        table.select(["zzz"])


def test_columns_must_agree():
    with pytest.raises(DataError, match="columns differ in length"):
        Table(("a", "b"), {"a": cells("x"), "b": cells("x", "y")}, "t")
    with pytest.raises(DataError, match="a name appears twice"):
        Table(("a", "a"), {"a": cells("x")}, "t")


def test_words():
    assert nearest("PRICE", ["price", "prize"]) == "price"
    assert nearest("q", ["price"]) is None
    assert plural(1, "category", "categories") == "1 category"
    assert short("x" * 41).endswith("…'")
    assert str(Note("info", "all well")) == "info: all well"
