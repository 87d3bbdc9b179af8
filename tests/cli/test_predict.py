"""``thalweg predict``: columns by name, classes and probabilities, a safe CSV."""

import csv as standard_csv
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli.predict import csv_text, safe_text

FAST = ("--epochs", 2, "--hidden", 4, "--quiet")


def rows(text: str) -> list[dict[str, str]]:
    return list(standard_csv.DictReader(text.splitlines()))


@pytest.fixture
def trained(thalweg, csv):
    table = csv()
    assert thalweg("train", table, "--target", "sold", "--out", "run", *FAST).code == 0
    return table


def test_classes_come_with_a_probability_for_each(thalweg, trained):
    done = thalweg("predict", "run/model.safetensors", trained)
    assert (done.code, done.err) == (0, "")
    found = rows(done.out)
    assert list(found[0]) == ["prediction", "probability_no", "probability_yes"]
    assert len(found) == 40
    for row in found:
        yes, no = float(row["probability_yes"]), float(row["probability_no"])
        assert yes + no == pytest.approx(1, abs=1e-6)
        assert row["prediction"] == ("yes" if yes > no else "no")


def test_numbers_come_alone_and_whole(thalweg, csv):
    table = csv()
    assert thalweg("train", table, "--target", "price", "--out", "run", *FAST).code == 0
    found = rows(thalweg("predict", "run/model.safetensors", table).out)
    assert list(found[0]) == ["prediction"]
    from thalweg.data.reading import read_table

    expected = tw.load("run/model.safetensors").predict(read_table(table))
    np.testing.assert_array_equal([float(row["prediction"]) for row in found], expected)


def test_a_runs_folder_serves_as_its_model(thalweg, trained):
    assert thalweg("predict", "run", trained) == thalweg(
        "predict", "run/model.safetensors", trained
    )


@pytest.mark.parametrize("model", ["run", "run/model.safetensors"])
def test_swapped_arguments_are_told(thalweg, trained, model):
    done = thalweg("predict", trained, model)
    assert (done.code, done.out) == (2, "")
    assert f"{model} is the model, and rows.csv is none: the model comes first" in done.err
    assert f"thalweg predict {model} rows.csv" in done.err


def test_a_table_is_no_model(thalweg, trained):
    done = thalweg("predict", trained, trained)
    assert done.code == 1
    assert "rows.csv: is a text (such as a CSV table), not a thalweg file" in done.err


def test_a_file_is_written_whole(thalweg, trained):
    shown = thalweg("predict", "run", trained).out
    done = thalweg("predict", "run", trained, "--out", "p.csv")
    assert (done.code, done.out) == (0, "")
    assert Path("p.csv").read_bytes().decode() == shown
    assert sorted(path.name for path in Path().iterdir()) == ["p.csv", "rows.csv", "run"]


def test_columns_are_found_by_name(thalweg, trained, csv):
    lines = [line.split(",") for line in Path(trained).read_text().splitlines()]
    order = [3, 0, 1]
    turned = "\n".join(",".join(line[place] for place in order) for line in lines)
    Path("turned.csv").write_text(turned + "\n")
    assert thalweg("predict", "run", "turned.csv") == thalweg("predict", "run", trained)


def test_the_target_may_be_there_with_labels_that_training_never_saw(thalweg, trained, csv):
    other = csv("other.csv", sold=["perhaps"] * 40)
    assert thalweg("predict", "run", other) == thalweg("predict", "run", trained)


def test_extra_columns_and_unseen_categories_are_noted(thalweg, trained, csv):
    other = csv("other.csv", city=["Rom"] * 40, weight=["1"] * 40)
    done = thalweg("predict", "run", other)
    assert done.code == 0
    assert "note: not used, as training did not have it: 'weight'" in done.err
    assert "warning: column 'city', line 2: 'Rom'" in done.err
    assert "40" in done.err
    assert len(rows(done.out)) == 40


def test_built_in_tables_can_be_predicted(thalweg):
    assert thalweg("train", "iris", "--out", "run", *FAST).code == 0
    assert len(rows(thalweg("predict", "run", "iris").out)) == 150


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("run", "nowhere.csv"), 1, "there is no file 'nowhere.csv'"),
        (("nowhere", "rows.csv"), 1, "nowhere"),
        (("rows.csv", "rows.csv"), 1, "rows.csv"),
        (("run", "small.csv"), 2, "small.csv has no column 'size', which the model was trained"),
        (
            ("run", "words.csv"),
            1,
            "column 'size', line 2: expected a number (as in 1234.5), got 'huge'",
        ),
        (("run", "rows.csv", "--out", "no/where/p.csv"), 1, "does not exist; create it first"),
        (("run", "rows.csv", "--out", "run"), 1, "run"),
        (("run", "rows.csv", "--out", "rows.csv"), 2, "would replace rows.csv, which is read"),
        (("run", "rows.csv", "--out", "run/model.safetensors"), 2, "would replace run/model"),
        (("run",), 2, "Missing argument"),
    ],
)
def test_what_cannot_be_predicted_is_refused(thalweg, trained, csv, words, code, text):
    csv("small.csv", size=None)
    csv("words.csv", size=["huge"] * 40)
    before = Path("rows.csv").read_bytes(), Path("run/model.safetensors").read_bytes()
    done = thalweg("predict", *words)
    assert text in done.err
    assert (done.code, done.out) == (code, "")
    assert before == (Path("rows.csv").read_bytes(), Path("run/model.safetensors").read_bytes())


@pytest.mark.parametrize("size", [0, 1, 7, 100, -1])
def test_a_damaged_model_is_refused(thalweg, trained, size):
    path = Path("run/model.safetensors")
    path.write_bytes(path.read_bytes()[:size])
    done = thalweg("predict", "run", trained)
    assert (done.code, done.out) == (1, "")
    assert "error: " in done.err
    assert "Traceback" not in done.err


def test_a_model_trained_on_arrays_knows_no_columns(thalweg, csv):
    run = tw.fit(tw.Sequential(tw.Linear(1)), [[0.0], [1.0]], [0.0, 1.0], epochs=1, progress=False)
    run.model.save("arrays.safetensors")
    done = thalweg("predict", "arrays.safetensors", csv())
    assert done.code == 1
    assert "this model was trained on arrays, so that it knows no columns" in done.err


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-x", "'-x"), ("@sum", "'@sum"), ("\tx", "'\tx"),
        ("-1.5", "-1.5"), ("+3", "+3"), ("<=50K", "<=50K"), ("", ""), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_no_cell_of_text_is_a_formula(text, safe):
    assert safe_text(text) == safe


def test_classes_that_look_like_formulas_are_made_safe_in_the_file(thalweg, csv):
    labels = [("=A1", "-yes")[i % 2] for i in range(40)]
    table = csv(sold=labels)
    assert thalweg("train", table, "--target", "sold", "--out", "run", *FAST).code == 0
    text = thalweg("predict", "run", table).out
    assert {row["prediction"] for row in rows(text)} <= {"'=A1", "'-yes"}
    assert list(rows(text)[0]) == ["prediction", "probability_-yes", "probability_=A1"]
    for line in text.splitlines():
        for cell in line.split(","):
            assert cell[0] not in "=+-@"


def test_long_tables_are_written_in_pieces():
    pieces = list(csv_text(["prediction"], [list(range(25_000))]))
    assert len(pieces) == 3
    assert "".join(pieces).split() == ["prediction", *map(str, range(25_000))]
