import numpy as np
import pytest

from thalweg.data.splits import split_notes, split_rows
from thalweg.errors import DataError, SettingError


@pytest.mark.parametrize("count", [3, 5, 10, 101, 891])
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_no_row_is_lost_or_shared(count, classes):
    labels = np.arange(count) % classes if classes else None
    parts = split_rows(count, labels=labels, seed=3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    assert all(len(part) for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)


def test_shares_of_rows():
    assert [len(part) for part in split_rows(1000)] == [600, 200, 200]
    assert [len(part) for part in split_rows(1000, (0.8, 0.0, 0.2))] == [800, 0, 200]
    assert [len(part) for part in split_rows(10, (1.0, 0.0, 0.0))] == [10, 0, 0]


def test_classes_keep_their_share(rng):
    labels = rng.choice(["a", "b", "c"], p=[0.7, 0.25, 0.05], size=2000).astype(object)
    for part in split_rows(2000, labels=labels, seed=1):
        for name in "abc":
            share = np.mean(labels[part] == name)
            assert share == pytest.approx(np.mean(labels == name), abs=0.002)


def test_the_seed_decides():
    first, again, other = (split_rows(50, seed=seed).train.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_rare_classes_fall_back_and_are_said():
    labels = ["a"] * 50 + ["b"] * 50 + ["c"]
    train, validation, test = split_rows(101, labels=labels)
    assert len(train) + len(validation) + len(test) == 101
    for part in (validation, test):
        found = [labels[row] for row in part]
        assert abs(found.count("a") - found.count("b")) <= 1
    [note] = split_notes(labels)
    assert "these classes: 'c' (1 row); collect more, or merge" in note.message
    assert split_notes(["a", "b"] * 5) == ()


def test_more_classes_than_rows_in_a_part():
    labels = [str(i) for i in range(20)] * 2
    assert len(split_rows(40, (0.9, 0.05, 0.05), labels).test) == 2


def test_wrong_calls():
    with pytest.raises(DataError, match="2 rows cannot be split into 3 parts"):
        split_rows(2)
    with pytest.raises(DataError, match="labels have shape"):
        split_rows(10, labels=["a"] * 9)
    for fractions in ((0.5, 0.5), (0.5, 0.2, 0.2), (0, 0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(SettingError, match="three shares"):
            split_rows(10, fractions)
