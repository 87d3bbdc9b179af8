import numpy as np
import pytest

from thalweg.data.inference import infer_schema, rows_with_target
from thalweg.data.reading import parse_table, read_table, table_from_frame
from thalweg.errors import ColumnError, DataError, SettingError


def columns(**values):
    return table_from_frame(values, "made.csv")


def kind_of(values, **options):
    table = columns(c=values, x=[i + 0.5 for i in range(len(values))])
    return infer_schema(table, **options).column("c")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "x1", "2"] * 30, "category"),
        (["1", "2", "3", "2"] * 10, "numeric"),
        (["1e3", ".5", "-2.", "+4"], "numeric"),
        (["1", "x"] * 3, "category"),
        (["0x10", "0x11", "0x10"], "category"),
        (["1_000", "2_000", "1_000"], "category"),
        (["nan", "1", "2.5"], "numeric"),
        (["2024-02-30", "2024-01-01", "2024-01-01"], "category"),
        (["2024/1/5", "2024/11/15", "2024/1/5"], "date"),
        (["31.12.1999", "01.01.2000", "31.12.1999"], "date"),
        (["12:30", "13:45", "12:30"], "category"),
        (["TRUE", "false", "True"], "boolean"),
        (["m", "f", "m"], "category"),
        (["−1", "2", "3.5"], "numeric"),
        (["1 234,5", "950,25", "1 000 000,0"], "numeric"),
        ([1.0, 0.0, np.nan, 1.0], "boolean"),
        ([True, True, False], "boolean"),
        ([True, True], "constant"),
        ([3, 3, 3], "constant"),
        ([np.nan, np.nan], "empty"),
        ([2**60 + i for i in range(5)], "identifier"),
        ([1, 2, 3, 1], "numeric"),
        (["yes", None, "yes"], "category"),
    ],
)
def test_kinds(values, kind):
    assert kind_of(values).kind == kind


def test_missing_and_distinct_are_counted():
    column = kind_of(["1", "NA", None, "1.0", "2", "inf"] * 4)
    assert (column.kind, column.missing_count, column.distinct) == ("numeric", 12, 2)


def test_one_in_a_hundred_may_be_stray_and_no_more():
    numbers = [f"{i}.5" for i in range(198)]
    assert kind_of([*numbers, "a", "b"]).unreadable == ("a", "b")
    assert kind_of([*numbers, "a", "b", "c"]).kind != "numeric"


def test_kinds_can_be_set():
    zips = ["00501", "10001", "00501", "x"]
    column = kind_of(zips, kinds={"c": "numeric"})
    assert (column.kind, column.missing_count, column.unreadable) == ("numeric", 1, ("x",))
    assert kind_of([1, 2, 3, 1], kinds={"c": "category"}).kind == "category"
    assert kind_of(["a", "b"], kinds={"c": "constant"}).used is False
    table = columns(c=zips, x=[1.5, 2, 3, 4])
    said = infer_schema(table, kinds={"c": "numeric"}).notes
    assert "column 'c', row 3: 'x' is not a number" in said[0].message
    with pytest.raises(SettingError, match="kind 'number' of column 'c' is not one of numeric"):
        infer_schema(table, kinds={"c": "number"})
    with pytest.raises(ColumnError, match="no column 'cc'; did you mean 'c'"):
        infer_schema(table, kinds={"cc": "numeric"})


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["a", "b"] * 10, "classification"),
        ([0, 1] * 10, "classification"),
        ([1, 2, 3, 4] * 5, "classification"),
        (list(range(3, 43, 2)), "regression"),
        ([1.5, 2.5] * 10, "regression"),
        (["1,5", "2,5"] * 10, "regression"),
        (["00501", "10001"] * 10, "classification"),
        (list(range(1, 21)), "regression"),
    ],
)
def test_the_task_follows_from_the_target(target, task):
    table = columns(y=target, x=[i + 0.5 for i in range(20)])
    assert infer_schema(table, "y").task == task


def test_whole_numbers_as_classes_are_said_and_can_be_overruled():
    table = columns(y=[1, 2, 3, 4] * 5, x=[i + 0.5 for i in range(20)])
    schema = infer_schema(table, "y")
    assert any("4 different whole numbers, which are taken as classes" in n.message
               for n in schema.notes)  # fmt: skip
    assert infer_schema(table, "y", task="regression").task == "regression"


@pytest.mark.parametrize(
    ("target", "task", "words"),
    [
        (["a", "b"] * 3, "regression", "the target 'y' is not a number but category"),
        (["yes", "no"] * 3, "regression", "expected a number .* got 'yes'"),
        ([None] * 6, "auto", "the target 'y' holds no value in 6 rows"),
        (["a"] * 6, "auto", "one value only"),
        (["a", None] * 3, "auto", "one class only"),
        ([f"n{i}" for i in range(6)], "auto", "6 classes in 6 rows, so hardly any comes twice"),
        ([1.0, np.inf] * 3, "auto", "the target 'y' is infinite in row 1"),
        (["2024-01-01", "2024-01-02", "2024-01-03"] * 2, "auto", "is a date; turn it into"),
    ],
)
def test_targets_that_cannot_be_learned(target, task, words):
    table = columns(y=target, x=[i + 0.5 for i in range(6)])
    with pytest.raises(DataError, match=words):
        infer_schema(table, "y", task=task)


def test_wrong_calls():
    table = columns(y=["a", "b"], x=[1.5, 2])
    with pytest.raises(ColumnError, match=r"made.csv has no column 'Y_'; did you mean 'y'"):
        infer_schema(table, "Y_")
    with pytest.raises(SettingError, match="task 'regress' is not one of auto"):
        infer_schema(table, "y", task="regress")
    with pytest.raises(DataError, match=r"no column to learn from .*k: constant"):
        infer_schema(columns(y=["a", "b"] * 2, k=["u"] * 4), "y")
    with pytest.raises(DataError, match="one value only"):
        infer_schema(columns(y=["a"], x=[1.5]), "y")


def test_rows_without_target_do_not_count():
    table = columns(y=["a", None, "b", "a"], k=["u", "v", "u", "u"], x=[1.5, 2, 3, 4])
    schema = infer_schema(table, "y")
    assert rows_with_target(table, schema).tolist() == [0, 2, 3]
    assert schema.rows == 3
    assert schema.column("k").kind == "constant"
    numbers = columns(y=["1.5", "NA", "2.5", "inf"], x=[1.5, 2, 3, 4])
    with pytest.raises(DataError, match="infinite in row 3"):
        infer_schema(numbers, "y")


def test_a_row_counter_is_used_where_there_is_nothing_else():
    table = columns(x=list(range(30)), y=[i * 0.3 + 0.1 for i in range(30)])
    schema = infer_schema(table, "y")
    assert [column.name for column in schema.inputs] == ["x"]


def test_a_target_may_count_the_rows():
    table = columns(y=list(range(30)), x=[i * 0.3 % 1 for i in range(30)])
    assert infer_schema(table, "y").task == "regression"


def test_titanic_report(shared_data):
    schema = infer_schema(read_table(shared_data / "titanic.csv"), "survived")
    warnings = [note for note in schema.notes if note.level == "warning"]
    assert [note.column for note in warnings] == ["alive"]
    assert "copies the target" in warnings[0].message
    repeats = [n.message for n in schema.notes if n.level == "info" and "repeats" in n.message]
    assert [words.split(":")[0] for words in repeats] == [
        "column 'class' repeats 'pclass'",
        "column 'embark_town' repeats 'embarked'",
    ]
    assert schema.column("age").missing_count == 177
    report = schema.report()
    assert report.startswith("titanic.csv: 891 rows, 14 of 14 columns used as inputs")
    assert "TARGET (classification): '0' 61.6%, '1' 38.4%" in report
    assert report.count("\n- ") == len(schema.notes)


def test_adult_and_housing_kinds(shared_data):
    adult = infer_schema(read_table(shared_data / "adult.csv"), "income")
    numeric = {column.name for column in adult.columns if column.kind == "numeric"}
    assert numeric == {
        "age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"
    }  # fmt: skip
    assert {column.kind for column in adult.columns} == {"numeric", "category"}
    assert adult.column("workclass").missing_count == 1452
    housing = infer_schema(read_table(shared_data / "housing.csv"), "median_house_value")
    assert housing.task == "regression"
    assert housing.column("ocean_proximity").kind == "category"
    assert [note.level for note in housing.notes] == []


def test_control_characters_do_not_break_the_report():
    schema = infer_schema(parse_table(b'"a\nb",c\n1.5,x\n2,y\n3,x\n4,y\n', "text"))
    assert "\na\\nb " in schema.report()


def test_typed_dates_and_forced_kinds():
    days = np.array(["2024-01-01", "NaT", "2024-03-01"], dtype="datetime64[D]")
    schema = infer_schema(columns(d=days, x=[1.5, 2, 3]))
    assert (schema.column("d").kind, schema.column("d").missing_count) == ("date", 1)
    assert schema.column("d").detail == "2024-01-01 to 2024-03-01 (year-month-day)"
    date = kind_of(["1/2/2024", "soon", "13/2/2024"], kinds={"c": "date"})
    assert (date.date_format, date.missing_count, date.unreadable) == ("dmy", 1, ("soon",))
    flag = kind_of(["yes", "no", "maybe"], kinds={"c": "boolean"})
    assert (flag.kind, flag.missing_count, flag.unreadable) == ("boolean", 1, ("maybe",))


def test_a_stray_date_counts_as_missing():
    dates = [f"2024-01-{1 + i % 28:02d}" for i in range(40)]
    column = kind_of([*dates, "2024-02-31"])
    assert (column.kind, column.missing_count) == ("date", 1)
    assert column.unreadable == ("2024-02-31",)
