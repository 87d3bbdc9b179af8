"""Trees: leaves out, leaves in, and where two trees differ."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import ShapeError
from thalweg.tree import difference, flatten, leaf_paths, map_tree, unflatten


class Pair(NamedTuple):
    first: object
    second: object


class leaf(NamedTuple):
    value: object


class Nothing(NamedTuple):
    pass


leaves = st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
trees = st.recursive(
    leaves | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(leaf, inner)
    ),
    max_leaves=12,
)


@given(trees)
def test_flatten_and_unflatten_are_inverse(tree):
    found, structure = flatten(tree)
    rebuilt = unflatten(structure, found)
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)
    assert structure.leaf_count == len(found) == len(leaf_paths(tree))


@given(trees)
def test_two_flattenings_have_equal_structures(tree):
    first, second = flatten(tree)[1], flatten(tree)[1]
    assert first == second
    assert difference(first, second) is None
    assert hash(first) == hash(second)


def test_leaves_stand_from_left_to_right():
    tree = {"b": [1, (2, None)], "a": Pair(3, {"x": 4})}
    assert flatten(tree)[0] == [1, 2, 3, 4]
    assert leaf_paths(tree) == ["b.0", "b.1.0", "a.first", "a.second.x"]


def test_a_lone_leaf_is_a_tree():
    found, structure = flatten(7)
    assert found == [7]
    assert unflatten(structure, [8]) == 8
    assert leaf_paths(7) == [""]
    assert leaf_paths(7, "x") == ["x"]


def test_none_and_empty_containers_hold_no_leaf():
    for empty in (None, {}, [], (), Nothing()):
        found, structure = flatten(empty)
        assert found == []
        assert unflatten(structure, []) == empty
        assert type(unflatten(structure, [])) is type(empty)


def test_arrays_and_strings_are_leaves():
    array = np.zeros((2, 3))
    assert flatten({"a": array, "b": "text"})[0][0] is array
    assert len(flatten({"a": array, "b": "text"})[0]) == 2


def test_map_goes_over_several_trees():
    one, other = {"w": 1, "b": (2, None)}, {"w": 10, "b": (20, None)}
    assert map_tree(lambda a, b: a + b, one, other) == {"w": 11, "b": (22, None)}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"w": 1}, {"v": 1}, r"the tree: expected dictionary of 'w', got dictionary of 'v'"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, r"a\.b: expected list of 2, got list of 1"),
        ([1, (2, 3)], [1, [2, 3]], r"1: expected tuple of 2, got list of 2"),
        (Pair(1, 2), (1, 2), r"the tree: expected Pair of 2, got tuple of 2"),
        ({"a": 1}, {"a": None}, r"a: expected leaf, got None"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, r"the tree: .* 'a', 'b', got .* 'b', 'a'"),
    ],
)
def test_where_trees_differ_is_named(first, second, message):
    assert flatten(first)[1] != flatten(second)[1]
    with pytest.raises(ShapeError, match=f"the trees differ in structure at {message}"):
        map_tree(lambda a, b: a, first, second)


def test_a_wrong_number_of_leaves_is_refused():
    with pytest.raises(ShapeError, match="expected 2 leaves, got 3"):
        unflatten(flatten([1, 2])[1], [1, 2, 3])
