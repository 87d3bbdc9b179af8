import copy
import json
import statistics
from fractions import Fraction

import numpy as np
import pytest

from thalweg.data.encoding import LIMIT, TableEncoder
from thalweg.data.inference import infer_schema
from thalweg.data.reading import parse_table, read_table, table_from_frame
from thalweg.data.table import Table
from thalweg.errors import ColumnError, DataError, DescriptionError

TRAIN = {
    "age": [20.0, 30.0, None, 50.0, 60.0, 20.0],
    "sex": ["m", "f", "m", None, "f", "m"],
    "paid": ["yes", "no", "yes", "yes", "no", "yes"],
    "day": ["2024-01-01", "2024-01-03", "2024-01-03", "2024-01-07", "2024-01-09", "2024-01-11"],
    "fee": ["1,5", "2,5", "3,5", "2,5", "1,5", "2,5"],
    "note": ["p", "q", "r", "s", "t", "u"],
    "y": ["a", "b", "a", "b", "a", "b"],
}


def made(**changes) -> Table:
    return table_from_frame(TRAIN | changes, "new.csv")


@pytest.fixture
def encoder() -> TableEncoder:
    table = made()
    return TableEncoder.fit(table, infer_schema(table, "y"))


def block(encoder, values, name):
    start = list(encoder.feature_names).index(name)
    return values[:, start]


def test_features_and_columns(encoder):
    assert encoder.columns == ("age", "sex", "paid", "day", "fee")
    assert encoder.feature_names == (
        "age", "age is missing", "sex=f", "sex=m", "sex is missing", "paid", "day", "fee"
    )  # fmt: skip
    encoded = encoder.transform(made())
    assert encoded.values.dtype == np.float32
    assert encoded.values.shape == (6, 8)
    assert encoded.notes == ()


def test_values(encoder):
    values = encoder.transform(made()).values
    ages = np.array([20, 30, 30, 50, 60, 20.0])
    known = np.array([20, 30, 50, 60, 20.0])
    np.testing.assert_allclose(
        block(encoder, values, "age"), (ages - known.mean()) / known.std(), rtol=1e-6
    )
    assert block(encoder, values, "age is missing").tolist() == [0, 0, 1, 0, 0, 0]
    assert values[:, 2:5].tolist() == [
        [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]
    ]  # fmt: skip
    assert block(encoder, values, "paid").tolist() == [1, 0, 1, 1, 0, 1]
    assert block(encoder, values, "day").mean() == pytest.approx(0, abs=1e-6)
    assert block(encoder, values, "fee")[0] == pytest.approx((1.5 - 14 / 6) / 0.6871843, rel=1e-5)


def test_only_the_given_rows_are_learned_from():
    table = table_from_frame({"x": [1.0, 3.0, 1000.0, 5.5], "c": ["u", "v", "w", "v"]})
    encoder = TableEncoder.fit(table, infer_schema(table), [0, 1])
    assert encoder.feature_names == ("x", "c=u", "c=v")
    encoded = encoder.transform(table)
    assert encoded.values[:2, 0].tolist() == [-1, 1]
    assert encoded.values[2].tolist() == [LIMIT, 0, 0]


def test_columns_are_found_by_name(encoder):
    table = made()
    turned = table.select(table.names[::-1])
    np.testing.assert_array_equal(encoder.transform(turned).values, encoder.transform(table).values)


def test_left_out_columns_and_the_target_may_be_absent(encoder):
    table = made().select(encoder.columns)
    assert encoder.transform(table).notes == ()


def test_extra_columns_are_said(encoder):
    encoded = encoder.transform(made(zip=["1"] * 6))
    assert [note.message for note in encoded.notes] == [
        "not used, as training did not have it: 'zip'"
    ]


def test_missing_and_renamed_columns(encoder):
    table = made()
    with pytest.raises(ColumnError, match=r"new.csv has no column 'age', .*; add it"):
        encoder.transform(table.select([n for n in table.names if n != "age"]))
    renamed = Table(
        tuple("Age" if n == "age" else n for n in table.names),
        {("Age" if n == "age" else n): table.columns[n] for n in table.names},
        "new.csv",
    )
    with pytest.raises(ColumnError, match="which the model was trained with; rename 'Age' to it"):
        encoder.transform(renamed)
    far = {("mileage" if n == "age" else n): table.columns[n] for n in table.names}
    with pytest.raises(ColumnError, match=r"no column 'age', .*; add it"):
        encoder.transform(Table(tuple(far), far, "new.csv"))
    with pytest.raises(ColumnError, match=r"no column 'age' .* with; is it the right table\?"):
        encoder.transform(table.select(["day", "y"]))
    with pytest.raises(ColumnError, match=r"no column 'age' \(and 'sex', 'paid'\)"):
        encoder.transform(table.select(["day", "fee"]))


def test_unseen_categories_are_counted_and_are_none_of_the_known(encoder):
    encoded = encoder.transform(made(sex=["m", "x", "x", "z", None, "f"]))
    assert encoded.values[1:4, 2:5].tolist() == [[0, 0, 0]] * 3
    [note] = encoded.notes
    assert note.column == "sex"
    assert note.row == 1
    assert note.message == (
        "column 'sex', row 1: 'x' was not seen in training (2 such categories in 3 rows); it "
        "counts as none of the known ones"
    )


def test_missing_values_where_training_had_none(encoder):
    encoded = encoder.transform(made(paid=[None] * 6, fee=[None, "1,5"] * 3))
    messages = [note.message for note in encoded.notes]
    assert "column 'paid', row 0: missing (6 cells), though training had none" in messages[0]
    assert "the usual 'yes' stands in" in messages[0]
    assert "the median 2.5 stands in" in messages[1]
    assert np.isfinite(encoded.values).all()


def test_text_among_numbers_names_column_line_and_text(encoder):
    header = "age,sex,paid,day,fee\n"
    rows = '30,m,yes,2024-01-01,"1,5"\n"old\nman",m,yes,2024-01-01,"1,5"\n'
    with pytest.raises(
        DataError, match=r"text, column 'age', line 3: expected a number .*, got 'old\\nman'"
    ):
        encoder.transform(parse_table((header + rows).encode(), "text"))
    with pytest.raises(DataError, match="column 'paid', row 1: expected yes or no"):
        encoder.transform(made(paid=["yes", "maybe"] * 3))
    with pytest.raises(DataError, match=r"column 'paid', row 0: expected yes or no .* got '2'"):
        encoder.transform(made(paid=[2, 1, 0, 0, 0, 0]))
    with pytest.raises(DataError, match="column 'day', row 0: expected a date"):
        encoder.transform(made(day=["soon"] * 6))


def test_text_known_from_training_stays_missing():
    numbers = [*(f"{i}.5" for i in range(40)), "unknown"]
    table = table_from_frame({"x": numbers, "c": ["u", "v"] * 20 + ["u"]})
    encoder = TableEncoder.fit(table, infer_schema(table), range(30))
    encoder = TableEncoder.from_plain(encoder.to_plain())
    assert encoder.transform(table).values[40, 0] == pytest.approx(0)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinity_counts_as_missing(encoder, infinite):
    encoded = encoder.transform(made(age=[infinite, 30, 30, 30, 30, 30]))
    assert encoded.values[0, 1] == 1
    assert "infinity (1 cell in all) counts as missing" in encoded.notes[0].message


def test_rare_categories_share_one_input():
    values = [f"k{i % 140}" for i in range(200)] + ["k1"] * 100
    table = table_from_frame({"k": values, "x": list(np.linspace(0, 1, 300))})
    encoder = TableEncoder.fit(table, infer_schema(table))
    assert len(encoder.feature_names) == 102
    values = encoder.transform(table).values
    assert (values[:, :101].sum(axis=1) == 1).all()
    assert encoder.feature_names[100] == "k is other"
    unseen = encoder.transform(table_from_frame({"k": ["new"], "x": [0.5]}))
    assert unseen.values[0, 100] == 1
    assert "row 0: 'new' is not among the 100 most common" in unseen.notes[0].message


@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 1.7e308],
        [1e-300, 2e-300, 5e-300],
        [1e15, 1e15 + 1, 1e15 + 2],
        [5e-324, 0.0, 5e-324],
        [3.0, 3.0, 3.0],
    ],
)
def test_extreme_numbers_stay_finite(values):
    table = table_from_frame({"x": values, "z": [1.5, 2, 3]})
    schema = infer_schema(table, kinds={"x": "numeric"})
    found = TableEncoder.fit(table, schema).transform(table).values[:, 0]
    assert np.isfinite(found).all()
    if len(set(values)) == 3:
        exact = [Fraction(value) for value in values]
        mean, variance = statistics.mean(exact), statistics.pvariance(exact)
        expected = [
            float((v - mean) ** 2 / variance) ** 0.5 * (1 if v > mean else -1) for v in exact
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_few_corrupt_cells_do_not_press_the_others_together(rng):
    clean = rng.normal(size=2000)
    corrupt = clean.copy()
    corrupt[7] = 1e7
    table = table_from_frame({"x": corrupt, "z": rng.normal(size=2000)})
    found = TableEncoder.fit(table, infer_schema(table)).transform(table).values[:, 0]
    rest = np.delete(clean, 7)
    np.testing.assert_allclose(
        np.delete(found, 7), (rest - rest.mean()) / rest.std(), rtol=1e-4, atol=1e-6
    )
    assert found[7] == LIMIT


def test_a_frame_fits_an_encoder_learned_from_text(tmp_path):
    text = b"x,k,b,d\n1.5,1,0,2024-01-01\n2,2,1,2024-01-02\n3,1,1,2024-01-03\n4,2,0,2024-01-05\n"
    table = parse_table(text, "text")
    encoder = TableEncoder.fit(table, infer_schema(table, kinds={"k": "category"}))
    frame = table_from_frame(
        {
            "x": [1.5, 2, 3, 4],
            "k": [1, 2, 1, 2],
            "b": [False, True, True, False],
            "d": np.array(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"], "M8[D]"),
        }
    )
    np.testing.assert_array_equal(encoder.transform(frame).values, encoder.transform(table).values)


def test_against_scikit_learn(shared_data):
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    pd = pytest.importorskip("pandas")
    path = shared_data / "adult.csv"
    table, frame = read_table(path), pd.read_csv(path)
    schema = infer_schema(table, "income")
    rows = np.arange(0, len(table), 2)
    encoder = TableEncoder.fit(table, schema, rows)
    values = encoder.transform(table).values
    for column in schema.inputs:
        where = [
            i for i, name in enumerate(encoder.feature_names)
            if name == column.name or name.startswith((f"{column.name}=", f"{column.name} is"))
        ]  # fmt: skip
        cells = frame[[column.name]]
        if column.kind == "numeric":
            theirs = StandardScaler().fit(cells.iloc[rows]).transform(cells)
            np.testing.assert_allclose(
                values[:, where], np.clip(theirs, -LIMIT, LIMIT), rtol=1e-6, atol=1e-6
            )
        else:
            cells = cells.astype(object).fillna("~missing")
            judge = OneHotEncoder(handle_unknown="ignore").fit(cells.iloc[rows])
            np.testing.assert_array_equal(values[:, where], judge.transform(cells).toarray())


def test_nothing_to_learn_from():
    table = made()
    schema = infer_schema(table, "y")
    with pytest.raises(DataError, match="no rows to learn the encoding from"):
        TableEncoder.fit(table, schema, [])


# ---------------------------------------------------------------------------- JSON


def test_the_round_trip_keeps_every_bit(encoder):
    text = json.dumps(encoder.to_plain(), allow_nan=False)
    again = TableEncoder.from_plain(json.loads(text))
    assert again == encoder
    assert json.dumps(again.to_plain()) == text


def _changed(plain, path, value):
    plain = copy.deepcopy(plain)
    spot = plain
    for step in path[:-1]:
        spot = spot[step]
    if value is _GONE:
        del spot[path[-1]]
    else:
        spot[path[-1]] = value
    return plain


_GONE = object()
AGE, SEX, PAID = ("columns", 0), ("columns", 1), ("columns", 2)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("columns",), {}, r"table.columns must be a list, got \{\}"),
        (("columns",), [], "needs at least one column"),
        (("columns",), _GONE, r"table: missing \['columns'\]"),
        (("extra",), 1, r"table: unknown \['extra'\]"),
        (("ignored",), "y", "table.ignored must be a list"),
        (("ignored",), ["y", "y"], "holds a text twice"),
        (AGE, None, r"table.columns\[0\].type must be text"),
        ((*AGE, "type"), "picture", "is not one of number, boolean, category"),
        ((*AGE, "type"), "boolean", "unknown"),
        ((*AGE, "name"), 3, "name must be text, got 3"),
        ((*AGE, "name"), "sex", "at least one column, each once"),
        ((*AGE, "mean"), "0", "mean must be a number, got '0'"),
        ((*AGE, "mean"), True, "mean must be a number, got True"),
        ((*AGE, "mean"), float("nan"), "mean must be a finite number, got nan"),
        ((*AGE, "mean"), 10**400, "mean must be a finite number, got inf"),
        ((*AGE, "scale"), 0, "scale must be a finite number above 0"),
        ((*AGE, "scale"), -1.0, "scale must be a finite number above 0"),
        ((*AGE, "limit"), _GONE, r"table.columns\[0\]: missing \['limit'\]"),
        ((*AGE, "kind"), "category", "kind = 'category' is not one of numeric, date"),
        ((*AGE, "style"), "roman", "style = 'roman' is not one of"),
        ((*AGE, "sign"), "kg", "sign = 'kg' is not one of"),
        ((*AGE, "date_format"), "ymd", "date_format = 'ymd' is not one of iso, dmy, mdy"),
        ((*AGE, "indicator"), 1, "indicator must be true or false, got 1"),
        ((*SEX, "levels"), ["m", "m"], "levels holds a text twice"),
        ((*SEX, "levels"), ["m", 1], "levels must be text, got 1"),
        ((*SEX, "missing"), None, "missing must be true or false"),
        ((*PAID, "usual"), "yes", "usual must be true or false"),
        ((*PAID, "unreadable"), None, "unreadable must be a list"),
    ],
)
def test_anything_unexpected_in_a_description_is_refused(encoder, path, value, words):
    plain = _changed(encoder.to_plain(), path, value)
    with pytest.raises(DescriptionError, match=words):
        TableEncoder.from_plain(plain)


@pytest.mark.parametrize("plain", [None, 3, "x", [], True])
def test_a_description_is_an_object(plain):
    with pytest.raises(DescriptionError, match="table must be an object"):
        TableEncoder.from_plain(plain)


def test_a_category_without_any_input_is_refused(encoder):
    plain = encoder.to_plain()
    plain["columns"][1] |= {"levels": [], "missing": False}
    with pytest.raises(DescriptionError, match="needs at least one level"):
        TableEncoder.from_plain(plain)
