import json

import numpy as np
import pytest

from thalweg.data.inference import infer_schema
from thalweg.data.reading import load_builtin, parse_table, table_from_frame
from thalweg.data.targets import ClassTarget, NumberTarget, fit_target, target_from_plain
from thalweg.errors import DataError, DescriptionError


def cells(*values):
    return np.array(values, dtype=object)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (cells("b", "a", "b"), ("a", "b")),
        (cells("10", "9", None), ("9", "10")),
        (cells("1.0", "2", "1"), ("1", "2")),
        (cells("1.0", "1.5"), ("1.0", "1.5")),
        (cells("01", "1"), ("01", "1")),
        (np.array([2.0, 1.0, np.nan]), ("1", "2")),
        (np.array([3, 1]), ("1", "3")),
        (np.array([True, False]), ("False", "True")),
    ],
)
def test_classes(values, classes):
    assert ClassTarget.fit(values).classes == classes


def test_labels_go_there_and_back():
    values = load_builtin("digits").column("target")
    target = ClassTarget.fit(values)
    assert target.classes == tuple("0123456789")
    indices = target.encode(values)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, values.astype(int))
    assert target.decode(indices).tolist() == values.tolist()


def test_numbers_find_their_class_however_they_are_written():
    target = ClassTarget.fit(cells("1", "2", "3"))
    assert target.encode(cells("2.0", "3")).tolist() == [1, 2]
    assert target.encode(np.array([2.0, 3.0])).tolist() == [1, 2]


def test_unknown_and_missing_labels_name_their_row():
    target = ClassTarget.fit(cells("low", "high"), "risk")
    table = parse_table(b"risk,x\nlow,1\nHigh,2\n,3\n", "text")
    with pytest.raises(DataError, match=r"'risk' has the class 'High' in line 3, .* mean 'high'"):
        target.encode(table.column("risk"), table)
    with pytest.raises(DataError, match="'risk' is missing in row 1"):
        target.encode(cells("low", None))
    with pytest.raises(DataError, match=r"has 1 class \('a'\) in the training rows"):
        ClassTarget.fit(cells("a", "a"))


def test_numbers_are_standardised_and_come_back(rng):
    from sklearn.preprocessing import StandardScaler

    values = rng.normal(50_000, 1_000, size=200)
    target = NumberTarget.fit(values)
    judge = StandardScaler().fit(values[:, None])
    np.testing.assert_allclose(
        target.encode(values), judge.transform(values[:, None])[:, 0], rtol=1e-5, atol=1e-6
    )
    assert target.encode(values).dtype == np.float32
    np.testing.assert_allclose(target.decode(target.encode(values)), values, rtol=1e-6)


def test_numbers_with_decimal_commas():
    table = parse_table(b"y;x\n1,5;1\n2,5;0\n3,5;3\n-;3\n", "text")
    schema = infer_schema(table, "y")
    target = fit_target(table, schema)
    assert isinstance(target, NumberTarget)
    assert target.mean == 2.5
    assert target.numbers(table.column("y"))[:3].tolist() == [1.5, 2.5, 3.5]
    with pytest.raises(DataError, match="the target 'y' is missing in line 5"):
        target.encode(table.column("y"), table)


def test_numbers_that_are_none():
    target = NumberTarget.fit(np.array([1.0, 2.0]), "price")
    with pytest.raises(DataError, match=r"column 'price', row 1: expected a number .* got 'x'"):
        target.encode(cells("1", "x"))
    with pytest.raises(DataError, match="'price' is infinite in row 0"):
        target.encode(np.array([np.inf]))
    with pytest.raises(DataError, match="holds no number in the training rows"):
        NumberTarget.fit(np.array([np.nan]))


def test_a_constant_target_has_scale_one():
    assert NumberTarget.fit(np.array([3.0, 3.0])).encode(np.array([4.0])).tolist() == [1.0]


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_round_trip(name):
    table = load_builtin(name)
    target = fit_target(table, infer_schema(table, "target"))
    assert target_from_plain(json.loads(json.dumps(target.to_plain()))) == target


def test_a_schema_without_target_has_none():
    table = table_from_frame({"x": [1.5, 2.5]})
    with pytest.raises(DataError, match="has no target; name one"):
        fit_target(table, infer_schema(table))


CLASSES = {"type": "classes", "name": "y", "classes": ["a", "b"]}
NUMBER = NumberTarget(1.0, 2.0).to_plain()


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (None, "target must be an object"),
        ({}, "target.type must be text, got None"),
        ({"type": "picture"}, "'picture' is not one of classes, number"),
        (CLASSES | {"classes": ["a"]}, "needs at least two classes"),
        (CLASSES | {"classes": ["a", "a"]}, "holds a text twice"),
        (CLASSES | {"classes": [1, 2]}, "must be text, got 1"),
        (CLASSES | {"more": 1}, "unknown"),
        (NUMBER | {"scale": 0.0}, "above 0"),
        (NUMBER | {"mean": float("inf")}, "finite"),
        (NUMBER | {"style": "x"}, "is not one of plain, thousands, comma"),
        ({k: v for k, v in NUMBER.items() if k != "mean"}, "missing"),
    ],
)
def test_anything_unexpected_in_a_description_is_refused(plain, words):
    with pytest.raises(DescriptionError, match=words):
        target_from_plain(plain)
