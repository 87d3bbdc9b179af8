"""From a source to rows that can be trained on."""

import numpy as np
import pyarrow as pa
import pytest

from thalweg.errors import ColumnError, DataError, FileError, SettingError
from thalweg.tabular import open_table, prepare_table

COLUMNS = {
    "size": [float(i % 17) for i in range(60)],
    "city": ["Bonn", "Kiel", None] * 20,
    "sold": ["yes", "no"] * 30,
}


@pytest.mark.parametrize("kind", ["dict", "pandas", "polars", "pyarrow"])
def test_frames_of_all_kinds_give_the_same(kind):
    if kind in {"pandas", "polars"}:
        make = pytest.importorskip(kind).DataFrame
    else:
        make = {"dict": dict, "pyarrow": pa.table}[kind]
    prepared = prepare_table(make(COLUMNS), "sold")
    assert prepared.x.shape == (60, 4)
    assert prepared.task == "classification"
    np.testing.assert_array_equal(prepared.x, prepare_table(COLUMNS, "sold").x)


def test_a_path_and_a_table_give_the_same(tmp_path):
    path = tmp_path / "rows.csv"
    rows = zip(*COLUMNS.values(), strict=True)
    lines = [
        ",".join(COLUMNS),
        *(",".join("" if cell is None else str(cell) for cell in row) for row in rows),
    ]
    path.write_text("\n".join(lines) + "\n")
    from_path, from_table = prepare_table(path, "sold"), prepare_table(open_table(path), "sold")
    np.testing.assert_array_equal(from_path.x, from_table.x)
    np.testing.assert_array_equal(from_path.y, from_table.y)


def test_a_built_in_name_comes_before_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris").write_text("a,b\n1,2\n")
    assert len(open_table("iris")) == 150
    assert len(open_table("./iris")) == 1


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(FileError, match=r"no file 'irs' and no built-in.*did you mean 'iris'\?"):
        open_table("irs")
    with pytest.raises(FileError, match=r"there is no file 'nowhere\.csv'"):
        open_table("nowhere.csv")


def test_classes_keep_their_shares_in_all_parts():
    prepared = prepare_table("breast_cancer", "target")
    shares = [prepared.y[rows].mean() for rows in prepared.split]
    assert np.ptp(shares) < 0.01
    assert sorted(np.concatenate(prepared.split).tolist()) == list(range(569))


def test_nothing_of_the_held_out_rows_enters_the_encoding():
    columns = {"x": np.arange(100.0), "y": np.arange(100.0) ** 2 + 0.5}
    prepared = prepare_table(columns, "y")
    train = prepared.split.train
    changed = {name: values.copy() for name, values in columns.items()}
    held_out = np.setdiff1d(np.arange(100), train)
    changed["x"][held_out] += 1e6
    changed["y"][held_out] -= 1e6
    other = prepare_table(changed, "y")
    np.testing.assert_array_equal(other.split.train, train)
    assert other.encoder == prepared.encoder
    assert other.target == prepared.target
    np.testing.assert_array_equal(other.y[train], prepared.y[train])


def test_numbers_are_standardised_on_the_training_rows():
    prepared = prepare_table("diabetes", "target")
    y = prepared.y[prepared.split.train]
    assert abs(float(y.mean())) < 1e-5
    assert float(y.std()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(prepared.target.decode(prepared.y), prepared.values, rtol=1e-5)


def test_rows_without_a_target_are_left_out_and_counted():
    columns = dict(COLUMNS, sold=["yes", "no", None] * 20)
    prepared = prepare_table(columns, "sold")
    assert len(prepared.table) == len(prepared.x) == 40
    assert any("20 rows left out" in note.message for note in prepared.notes)


def test_rare_classes_are_noted():
    columns = dict(COLUMNS, sold=["yes", "no"] * 29 + ["maybe", "maybe"])
    assert any("'maybe' (2 rows)" in note.message for note in prepare_table(columns, "sold").notes)


def test_columns_can_be_left_out():
    prepared = prepare_table(COLUMNS, "sold", drop=["city"])
    assert prepared.encoder.columns == ("size",)
    with pytest.raises(ColumnError, match="no column 'cty'; did you mean 'city'"):
        prepare_table(COLUMNS, "sold", drop=["cty"])
    with pytest.raises(SettingError, match="'sold' is the target and cannot be left out"):
        prepare_table(COLUMNS, "sold", drop=["sold"])
    with pytest.raises(SettingError, match=r"drop takes a list of columns, such as \['city'\]"):
        prepare_table(COLUMNS, "sold", drop="city")


def test_kinds_overrule_what_is_inferred():
    assert prepare_table(COLUMNS, "sold", kinds={"size": "category"}).x.shape[1] > 10


def test_the_seed_decides_the_split():
    first, again, other = (prepare_table("wine", "target", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.split.train, again.split.train)
    assert not np.array_equal(first.split.train, other.split.train)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.9, 0.2, 0.2), (0.0, 0.5, 0.5)])
def test_fractions_must_be_three_shares_of_one(fractions):
    with pytest.raises(SettingError, match="three shares"):
        prepare_table("iris", "target", fractions=fractions)


def test_what_cannot_be_learned_is_an_error():
    with pytest.raises(DataError, match="one value only"):
        prepare_table(dict(COLUMNS, sold=["yes"] * 60), "sold")
    with pytest.raises(ColumnError, match="did you mean 'sold'"):
        prepare_table(COLUMNS, "solt")
    with pytest.raises(DataError, match="expected a pandas, polars or pyarrow frame"):
        prepare_table(3, "sold")


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", 2**63])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(SettingError, match=r"seed must be a whole number from 0 to 2\^63 - 1, got"):
        prepare_table("iris", "target", seed=seed)


def test_large_seeds_are_seeds_too():
    assert len(prepare_table("iris", "target", seed=2**63 - 1).split.train) == 90
