import itertools
import json

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import SettingError

CONDITIONAL = {
    "optimizer": ["adam", "momentum"],
    "learning_rate": tw.Range(1e-4, 1e-1, log=True),
    "optimizer.momentum": tw.Range(0.5, 0.99, when={"optimizer": ["momentum"]}),
    "depth": tw.Whole(1, 3),
    "width_2": tw.Choice(8, 16, when={"depth": [2, 3]}),
    "width_3": tw.Choice(8, 16, 32, when={"depth": [3]}),
    "seed": 7,
}


def test_points_to_settings_and_back(rng):
    space = tw.Space(CONDITIONAL)
    assert space.names == tuple(CONDITIONAL)
    assert space.varying == tuple(CONDITIONAL)[:-1]
    for point in rng.random((200, 6)):
        settings = space.settings(point.tolist())
        assert settings["seed"] == 7
        assert ("optimizer.momentum" in settings) == (settings["optimizer"] == "momentum")
        assert ("width_2" in settings) == (settings["depth"] >= 2)
        assert ("width_3" in settings) == (settings["depth"] == 3)
        assert_close(space.settings(space.point(settings)), settings)
        assert set(space.active(settings)) == set(settings) - {"seed"}
        plain = json.loads(json.dumps(space.plain_settings(settings)))
        assert space.read_settings(plain) == settings


def assert_close(first, second):
    assert list(first) == list(second)
    for name, value in first.items():
        real = isinstance(value, float)
        assert value == (pytest.approx(second[name], rel=1e-12) if real else second[name])


def test_the_grid_is_complete_and_in_order():
    space = tw.Space({"a": [1, 2], "b": tw.Range(0, 1), "c": tw.Whole(5, 6)})
    expected = [
        {"a": a, "b": b, "c": c} for a, b, c in itertools.product([1, 2], [0, 0.5, 1], [5, 6])
    ]
    assert list(space.grid(3)) == expected
    assert space.size is None
    with pytest.raises(SettingError, match="at least 1 point"):
        space.grid(0)


def test_the_size_counts_what_the_grid_gives():
    space = tw.Space(
        {
            **CONDITIONAL,
            "learning_rate": [0.1, 0.2],
            "optimizer.momentum": tw.Choice(0.5, 0.9, 0.99, when={"optimizer": ["momentum"]}),
        }
    )
    grid = [json.dumps(one) for one in space.grid(10)]
    assert len(set(grid)) == len(grid) == space.size == 2 * (1 + 3) * (1 + 2 + 2 * 3)


def test_a_chain_of_conditions():
    space = tw.Space({
        "a": [1, 2],
        "b": tw.Choice("x", "y", when={"a": [2]}),
        "c": tw.Choice(True, False, when={"b": ["y"]}),
    })  # fmt: skip
    assert list(space.grid(1)) == [
        {"a": 1},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y", "c": True},
        {"a": 2, "b": "y", "c": False},
    ]
    assert space.size == 4


def test_json_there_and_back():
    space = tw.Space(
        {**CONDITIONAL, "activation": [tw.ReLU(), None], "weights": {"value": {"a": 1}}}
    )
    again = tw.Space(json.loads(json.dumps(space.plain())))
    assert again == space
    assert again.fingerprint == space.fingerprint
    assert hash(again) == hash(space)
    assert again["weights"].at(0) == {"a": 1}


def test_fingerprints_tell_spaces_apart():
    spaces = [
        {"a": tw.Range(0, 1)},
        {"a": tw.Range(0, 2)},
        {"a": tw.Range(1, 2)},
        {"a": tw.Range(1, 2, log=True)},
        {"a": tw.Whole(1, 2)},
        {"a": [1, 2]},
        {"a": [2, 1]},
        {"b": [2, 1]},
        {"a": [1, 2], "b": 3},
        {"a": [1, 2], "b": 4},
        {"b": 4, "a": [1, 2]},
        {"b": 4, "a": tw.Choice(1, 2, when={"b": [4]})},
    ]
    assert len({tw.Space(one).fingerprint for one in spaces}) == len(spaces)
    assert tw.Space({"a": [1, 2]}) != tw.Space({"a": [2, 1]})


def test_nested_names_are_joined_by_dots():
    space = tw.Space(
        {"optimizer": {"beta1": tw.Range(0.8, 0.99), "beta2": 0.999}, "width": [8, 16]}
    )
    assert space.names == ("optimizer.beta1", "optimizer.beta2", "width")


def test_numpy_numbers_and_lists_are_settled():
    space = tw.Space({"hidden": [[8], [8, 8]], "rate": np.float32(0.5)})
    assert space.settings([0.9]) == {"hidden": (8, 8), "rate": 0.5}
    assert space.read_settings({"hidden": [8, 8], "rate": 0.5}) == space.settings([0.9])


def test_edges_of_the_best_trial():
    space = tw.Space({
        "rate": tw.Range(1e-4, 1e-1, log=True),
        "width": tw.Whole(8, 64),
        "activation": ["relu", "tanh"],
        "momentum": tw.Range(0, 1, when={"activation": ["tanh"]}),
    })  # fmt: skip
    assert space.edges({"rate": 0.0999, "width": 8, "activation": "relu"}) == {
        "rate": "highest",
        "width": "lowest",
    }
    assert space.edges({"rate": 0.01, "width": 9, "activation": "tanh", "momentum": 0.5}) == {}


def test_unknown_names_offer_the_nearest():
    space = tw.Space({"learning_rat": [0.1, 0.2], "width": [1, 2]})
    with pytest.raises(SettingError) as caught:
        space.check_names(["learning_rate", "width", "depth"])
    assert str(caught.value) == (
        "nothing takes 'learning_rat' of the space; did you mean 'learning_rate'? known: "
        "learning_rate, width, depth"
    )
    space.check_names(["learning_rat", "width", "more"])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, "nothing varies in this space"),
        ({"a": 3}, "nothing varies"),
        ([1, 2], "must map names to ranges, got [1, 2]"),
        ({"a b": [1]}, "'a b' is no name"),
        ({"": [1]}, "'' is no name"),
        ({3: [1]}, "'3' is no name"),
        ({"a": {}}, "a is empty"),
        ({"a": []}, "a: Choice is empty"),
        ({"a": {"low": 1, "high": 1}}, "a: Whole(low=1, high=1) is empty"),
        ({"a": {"low": 1}}, "a must have low and high, or values, or a value; it has low"),
        ({"a": {"low": 1, "high": 2, "values": [1]}}, "a must have low and high, or values"),
        ({"a": {"low": 1, "high": 2, "lag": True}}, "no key 'lag'; did you mean 'log'?"),
        ({"a": {"values": 3}}, "a: values must be a list, got 3"),
        ({"a": {"low": "1", "high": 2}}, "a: Range(low='1', high=2): low must be a finite number"),
        ({"a": object()}, "a: a constant must be"),
        ({"a": {"b": [1, 2]}, "a.b": 3}, "holds 'a.b' twice"),
        ({f"x{n}": [1, 2] for n in range(201)}, "the space holds 201 names; at most 200"),
        ({"a": tw.Choice(1, 2, when={"b": [1]}), "b": [1, 2]}, "'b', which stands after it"),
        (
            {"mode": [1, 2], "a": tw.Choice(1, 2, when={"mod": [1]})},
            "'mod', which is no name before it; did you mean 'mode'?",
        ),
        ({"a": tw.Choice(1, 2, when={"a": [1]})}, "a depends on 'a', which is no name before it"),
        ({"b": tw.Range(0, 1), "a": tw.Choice(1, 2, when={"b": [1]})}, "'b', a Range; only"),
        ({"b": [1, 2], "a": tw.Choice(1, 2, when={"b": [3]})}, "depends on 'b': 3 is not in"),
    ],
)  # fmt: skip
def test_bad_spaces_are_refused(entries, said):
    with pytest.raises(SettingError) as caught:
        tw.Space(entries)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"optimizer": "adam", "learning_rate": 0.01, "depth": 1}, "the settings lack 'seed'"),
        ({"learning_rat": 0.01}, "the space has no 'learning_rat'; did you mean 'learning_rate'"),
        ({"optimizer": "sgd"}, "optimizer: sgd is not in Choice('adam', 'momentum')"),
        (
            {"optimizer": "adam", "learning_rate": 0.01, "optimizer.momentum": 0.9},
            "optimizer.momentum = 0.9 takes no part here",
        ),
        ({"optimizer": "adam", "learning_rate": 9.0}, "learning_rate: 9.0 is not in Range"),
    ],
)
def test_settings_of_another_space_are_refused(plain, said):
    with pytest.raises(SettingError) as caught:
        tw.Space(CONDITIONAL).read_settings(plain)
    assert said in str(caught.value)


def test_at_most_ten_names_are_offered_the_nearest_first():
    names = [f"name{number}" for number in range(30)]
    with pytest.raises(SettingError) as error:
        tw.Space({"name7x": [1, 2]}).check_names(names)
    said = str(error.value).partition("known: ")[2]
    assert said.startswith("name7, ")
    assert said.endswith(", … (30 in all)")
    assert said.count("name") == 10
