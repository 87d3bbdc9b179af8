"""Descriptions: constraints, messages, JSON there and back, settings replaced by tensors."""

import copy
import dataclasses
import json
import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg import descriptions
from thalweg.descriptions import (
    Constraint,
    Description,
    constraints,
    family,
    flag,
    from_plain,
    make,
    members,
    name_of,
    numbers,
    option,
    part,
    parts,
    register,
    replace_settings,
    setting,
    settings_of,
    size,
    structure_of,
    to_plain,
)
from thalweg.descriptions.families import FAMILIES
from thalweg.errors import DescriptionError, SettingError, ThalwegError
from thalweg.graph import Tensor, TensorType, placeholder


@pytest.fixture(autouse=True, scope="module")
def families():
    """The families of this file are gone when its tests have run."""
    yield
    for name in ("test_engine", "test_vehicle"):
        FAMILIES.pop(name, None)


@family("test_engine")
@dataclass(frozen=True)
class Engine(Description):
    pass


@register("test_engine", "electric")
@dataclass(frozen=True)
class Electric(Engine):
    power: float = setting(100.0, low=0, low_open=True, help="kW")
    cells: int = size(4, low=2, high=64)


@register("test_engine", "mechanical")
@dataclass(frozen=True)
class Mechanical(Engine):
    ratio: float = setting(low=0, high=1, high_open=True)


@family("test_vehicle")
@dataclass(frozen=True)
class Vehicle(Description):
    pass


@register("test_vehicle", "car")
@dataclass(frozen=True)
class Car(Vehicle):
    colour: str = option("red", options=("red", "green"))
    lights: bool = flag(True)
    engine: Engine = part(Electric(), family="test_engine")
    spare: Engine | None = part(None, family="test_engine", optional=True)
    others: tuple[Engine, ...] = parts((), family="test_engine")
    names: tuple[str, ...] = ()
    weights: dict[str, float] = dataclasses.field(default_factory=dict)


# ------------------------------------------------------------------ constraints


@pytest.mark.parametrize(
    ("constraint", "text", "inside", "outside"),
    [
        (Constraint("setting"), "(-∞, ∞)", (0, -1e300), (math.inf, math.nan, 10**400)),
        (Constraint("setting", low=0, high=1), "[0, 1]", (0, 1, 0.5), (-1e-9, 1.1)),
        (Constraint("setting", low=0, low_open=True), "(0, ∞)", (1e-300,), (0, -0.0)),
        (Constraint("setting", high=1, high_open=True), "(-∞, 1)", (0.999,), (1, math.nan)),
        (Constraint("size", low=1, high=2**31 - 1), "[1, 2147483647]", (1,), (0, 2**31)),
    ],
)
def test_a_range_is_written_and_kept(constraint, text, inside, outside):
    assert constraint.interval() == text
    assert all(constraint.holds(value) for value in inside)
    assert not any(constraint.holds(value) for value in outside)


def test_constraints_are_read_from_a_class():
    found = constraints(Car)
    assert list(found) == ["colour", "lights", "engine", "spare", "others"]
    assert [found[name].role for name in found] == ["option", "flag", "part", "part", "parts"]
    assert constraints(Electric)["power"].help == "kW"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Electric(power=0), r"Electric\.power = 0 is outside \(0, ∞\)"),
        (lambda: Electric(power=math.nan), r"Electric\.power = nan is outside \(0, ∞\)"),
        (lambda: Electric(power=math.inf), r"Electric\.power = inf is outside \(0, ∞\)"),
        (lambda: Electric(power=10**400), r"Electric\.power = a whole number of 1329 bits is"),
        (lambda: Electric(power="5"), r"Electric\.power must be a number, got '5'"),
        (lambda: Electric(power=True), r"Electric\.power must be a number, got True"),
        (lambda: Electric(power=None), r"Electric\.power must be a number, got None"),
        (lambda: Electric(power=1j), r"Electric\.power must be a number, got 1j"),
        (lambda: Electric(power=Electric()), r"Electric\.power must be a number, got Electric"),
        (lambda: Electric(power=np.True_), r"Electric\.power must hold numbers, got .* bool"),
        (lambda: Electric(power=np.array(["a"])), r"Electric\.power must hold numbers, got .*str"),
        (lambda: Electric(power=np.array([1.0, -2.0])), r"Electric\.power holds -2\.0, outside"),
        (lambda: Electric(cells=1), r"Electric\.cells = 1 is outside \[2, 64\]"),
        (lambda: Electric(cells=4.0), r"Electric\.cells must be a whole number, got 4\.0"),
        (lambda: Electric(cells=True), r"Electric\.cells must be a whole number, got True"),
        (lambda: Mechanical(1.0), r"Mechanical\.ratio = 1\.0 is outside \[0, 1\)"),
        (lambda: Car(colour="blue"), r"Car\.colour = 'blue' is not one of red, green"),
        (lambda: Car(colour=np.zeros(3)), r"Car\.colour = array.* is not one of red, green"),
        (lambda: Car(colour=["red"]), r"Car\.colour = \['red'\] is not one of red, green"),
        (lambda: Car(lights=1), r"Car\.lights must be True or False, got 1"),
        (lambda: Car(engine=None), r"Car\.engine must be a test_engine, got None"),
        (lambda: Car(engine=Car()), r"Car\.engine must be a test_engine, got Car"),
        (lambda: Car(others=3), r"Car\.others must be a tuple, got 3"),
        (lambda: Car(others=(Electric(), 3)), r"Car\.others\[1\] must be a test_engine, got 3"),
    ],
)
def test_what_a_field_cannot_hold_is_refused(build, message):
    with pytest.raises(SettingError, match=message):
        build()


def test_numbers_of_numpy_and_tensors_are_settings():
    assert Electric(power=np.float32(2.0)).power == 2.0
    assert Electric(power=np.array([1.0, 2.0])).power.shape == (2,)
    traced = placeholder(TensorType((), np.dtype("float64")), "power")
    assert Electric(power=traced).power is traced


def test_a_schedule_stands_in_where_it_may():
    import thalweg as tw

    assert tw.Adam(learning_rate=tw.Cosine(0.1)).learning_rate.initial == 0.1
    with pytest.raises(SettingError, match=r"Adam\.beta1 must be a number, got Cosine"):
        tw.Adam(beta1=tw.Cosine(0.1))
    with pytest.raises(SettingError, match=r"learning_rate must be a schedule, got ReLU"):
        tw.Adam(learning_rate=tw.ReLU())
    with pytest.raises(SettingError, match=r"must be a number or a schedule, got 'cosine'"):
        tw.Adam(learning_rate="cosine")


# ------------------------------------------------------------------ families


def test_members_are_made_by_name():
    assert dict(members("test_engine")) == {"electric": Electric, "mechanical": Mechanical}
    assert make("test_engine", "electric", cells=8) == Electric(cells=8)
    assert name_of(Electric()) == "electric"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make("test_engine", "electirc"),
            r"unknown test_engine 'electirc'; did you mean 'electric'\? known: electric, mech",
        ),
        (lambda: make("test_engine", "x"), r"unknown test_engine 'x'; known: electric, mechanical"),
        (
            lambda: make("test_engine", "electric", cell=3),
            r"electric has no field 'cell'; did you mean 'cells'\? known: cells, power",
        ),
        (lambda: make("test_engine", "mechanical"), r"mechanical needs ratio"),
        (lambda: make("test_engine", "electric", power=-1), r"Electric\.power = -1 is outside"),
    ],
)
def test_what_cannot_be_made_is_said(call, message):
    with pytest.raises(SettingError, match=message):
        call()


def test_registering_refuses_confusion():
    with pytest.raises(DescriptionError, match=r"there is no family 'test_wheel'; known: .*layer"):
        register("test_wheel", "round")
    with pytest.raises(DescriptionError, match="Plain is registered as test_engine, so it must be"):
        register("test_engine", "plain")(type("Plain", (Description,), {}))
    other = dataclass(frozen=True)(type("Other", (Engine,), {}))
    with pytest.raises(DescriptionError, match="test_engine 'electric' is already Electric"):
        register("test_engine", "electric")(other)
    assert register("test_engine", "electric")(Electric) is Electric
    with pytest.raises(DescriptionError, match=r"Other is not registered; decorate it with @tw"):
        to_plain(other())


# ------------------------------------------------------------------ JSON

amounts = st.floats(1e-6, 1e6) | st.integers(1, 10**6)
engines = st.builds(Electric, amounts, st.integers(2, 64)) | st.builds(
    Mechanical, st.floats(0, 1, exclude_max=True)
)
cars = st.builds(
    Car,
    st.sampled_from(["red", "green"]),
    st.booleans(),
    engines,
    st.none() | engines,
    st.lists(engines, max_size=3).map(tuple),
    st.lists(st.text(max_size=3), max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False)),
)


@given(cars)
def test_json_there_and_back_is_the_same(car):
    assert from_plain("test_vehicle", json.loads(json.dumps(to_plain(car)))) == car


def test_every_description_of_the_library_goes_to_json_and_back():
    import thalweg  # noqa: F401 - fills the families

    seen = 0
    for name, known in FAMILIES.items():
        for cls in known.members.values():
            required = [f for f in dataclasses.fields(cls) if descriptions.families.is_required(f)]
            if cls.__module__.startswith("thalweg.") and not required:
                seen += 1
                one = cls()
                assert from_plain(name, json.loads(json.dumps(to_plain(one)))) == one
    assert seen > 30


def test_numbers_of_numpy_become_plain():
    plain = to_plain(Electric(power=np.float64(2.5), cells=np.int64(3)))
    assert plain == {"type": "electric", "power": 2.5, "cells": 3}
    assert type(plain["power"]) is float
    assert type(plain["cells"]) is int


def test_what_json_cannot_hold_is_not_written():
    with pytest.raises(DescriptionError, match=r"cannot write Electric\.power to JSON: Tensor"):
        to_plain(Electric(power=Tensor(1.0)))
    with pytest.raises(DescriptionError, match=r"cannot write Car\.weights\.a to JSON: <object"):
        to_plain(Car(weights={"a": object()}))
    with pytest.raises(DescriptionError, match=r"cannot write Car\.weights to JSON: \{1: 2"):
        to_plain(Car(weights={1: 2.0}))


def _deep(depth):
    plain = {"type": "electric"}
    for _ in range(depth):
        plain = {"type": "sequential", "layers": [plain]}
    return plain


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (None, r"a test_vehicle needs an object with a 'type', got None"),
        ([], r"needs an object with a 'type', got \[\]"),
        ({}, r"needs an object with a 'type', got \{\}"),
        ({"type": 3}, r"needs an object with a 'type', got \{'type': 3\}"),
        ({"type": ["car"]}, r"needs an object with a 'type'"),
        ({"type": "electric"}, r"unknown test_vehicle 'electric'"),
        ({"type": "__class__"}, r"unknown test_vehicle '__class__'"),
        ({"type": "x" * 10**6}, r"unknown test_vehicle 'x+\.\.\.x+'$"),
        ({"type": "car", "doors": 4}, r"test_vehicle 'car': unknown \['doors'\]"),
        ({"type": "car", "__init__": 1}, r"test_vehicle 'car': unknown \['__init__'\]"),
        ({"type": "car", "colour": 3}, r"car\.colour: Expected `str`, got `int`"),
        ({"type": "car", "colour": "blue"}, r"Car\.colour = 'blue' is not one of"),
        ({"type": "car", "lights": 1}, r"car\.lights: Expected `bool`, got `int`"),
        ({"type": "car", "engine": None}, r"a test_engine needs an object with a 'type'"),
        ({"type": "car", "engine": {"type": "car"}}, r"unknown test_engine 'car'"),
        ({"type": "car", "engine": {"type": "mechanical"}}, r"missing \['ratio'\]"),
        ({"type": "car", "others": {}}, r"car\.others must be a list, got \{\}"),
        ({"type": "car", "others": [3]}, r"a test_engine needs an object with a 'type', got 3"),
        ({"type": "car", "names": "abc"}, r"car\.names: Expected `array`, got `str`"),
        ({"type": "car", "names": [1]}, r"car\.names: Expected `str`, got `int`"),
        ({"type": "car", "engine": _nested(10**5)}, r"a test_engine needs an object"),
    ],
)
def test_hostile_json_is_refused(plain, message):
    with pytest.raises(DescriptionError, match=message):
        from_plain("test_vehicle", plain)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("power", "1", r"electric\.power: Expected `int | float`, got `str`"),
        ("power", True, r"electric\.power: Expected `int | float`, got `bool`"),
        ("power", None, r"electric\.power: Expected `int | float`, got `null`"),
        ("power", [1.0], r"electric\.power: Expected `int | float`, got `array`"),
        ("power", {"type": "constant"}, r"electric\.power: Expected `int | float`, got `object`"),
        ("power", -1.0, r"Electric\.power = -1\.0 is outside \(0, ∞\)"),
        ("power", math.nan, r"Electric\.power = nan is outside \(0, ∞\)"),
        ("power", 10**400, r"electric\.power|Electric\.power"),
        ("cells", 4.5, r"electric\.cells: Expected `int`, got `float`"),
        ("cells", "4", r"electric\.cells: Expected `int`, got `str`"),
        ("cells", 10**400, r"electric\.cells|Electric\.cells"),
        ("cells", 65, r"Electric\.cells = 65 is outside \[2, 64\]"),
    ],
)
def test_hostile_values_are_refused(field, value, message):
    with pytest.raises(DescriptionError, match=message):
        from_plain("test_engine", {"type": "electric", field: value})


def test_depth_is_bounded():
    with pytest.raises(ThalwegError, match="more than 100 descriptions stand inside each other"):
        from_plain("layer", _deep(5000))
    with pytest.raises(DescriptionError, match="unknown layer 'electric'"):
        from_plain("layer", _deep(100))


# ------------------------------------------------------------------ settings


def test_settings_are_found_and_replaced_by_path():
    car = Car(engine=Electric(3.0), others=(Mechanical(0.25), Electric(9.0)))
    assert settings_of(car, "car.") == {
        "car.engine.power": 3.0,
        "car.others.0.ratio": 0.25,
        "car.others.1.power": 9.0,
    }
    traced = placeholder(TensorType((), np.dtype("float64")))
    changed = replace_settings(car, {"others.1.power": traced, "engine.power": 5.0, "no": 1})
    assert changed.others[1].power is traced
    assert changed.engine == Electric(5.0)
    assert changed.others[0] is not None
    assert car.others[1].power == 9.0
    assert settings_of(changed)["others.1.power"] is traced


def test_replaced_settings_are_checked():
    with pytest.raises(SettingError, match=r"Electric\.power = -5 is outside"):
        replace_settings(Car(), {"engine.power": -5})


def test_a_description_without_settings_stays_itself():
    @dataclass(frozen=True)
    class Bare(Description):
        width: int = size(3)

    bare = Bare()
    assert settings_of(bare) == {}
    assert replace_settings(bare, {"width": 5}) is bare


@dataclass(frozen=True)
class Bounded(Description):
    low: float = setting(0.1, low=0, below="high")
    high: float = setting(1.0, low=0, help="the upper one")
    inner: int = size(2, at_most="outer")
    outer: int = size(2)
    times: tuple[float, ...] = numbers((1.0, 2.0), low=0, increasing=True)


def test_a_field_may_depend_on_another_one():
    Bounded(0.5, 0.6, 3, 3)
    with pytest.raises(SettingError, match=r"Bounded.low = 2 must be < high, which is 1.0"):
        Bounded(2)
    with pytest.raises(SettingError, match=r"Bounded.inner = 3 must be ≤ outer, which is 2"):
        Bounded(inner=3)
    with pytest.raises(DescriptionError, match="unknown relation"):
        setting(0.0, nearby="high")


def test_several_numbers_are_settings_of_their_own():
    held = Bounded(times=[0.5, 4])
    assert held.times == (0.5, 4)
    assert settings_of(held, "p.")["p.times.1"] == 4
    assert replace_settings(held, {"times.0": 0.25}).times == (0.25, 4)
    for wrong, words in [
        ((2.0, 1.0), r"times must increase, but 1.0 at place 1 follows 2.0"),
        ((-1.0,), r"times\[0\] = -1.0 is outside \[0, ∞\)"),
        (3.0, "times must be a tuple of numbers, got 3.0"),
    ]:
        with pytest.raises(SettingError, match=words):
            Bounded(times=wrong)


# ------------------------------------------------------------------ what is remembered


@dataclass(frozen=True)
class Loaded(Description):
    weight: float = setting(1.0)
    engine: Engine = part(Electric(), family="test_engine")
    table: object = None


def test_what_follows_from_the_fields_is_remembered():
    loaded = Loaded(2.0, Electric(5.0))
    assert structure_of(loaded) is structure_of(loaded)
    assert structure_of(loaded) == structure_of(Loaded(3.0, Electric(6.0)))
    assert hash(structure_of(loaded)) == hash(structure_of(Loaded()))
    assert structure_of(loaded) != structure_of(Loaded(2.0, Electric(5.0, cells=8)))
    found = settings_of(loaded)
    found["weight"] = 7.0
    assert settings_of(loaded, "a.") == {"a.weight": 2.0, "a.engine.power": 5.0}


def test_what_may_change_is_looked_at_again():
    table, weight = np.zeros(3), np.ones(2)
    loaded = Loaded(weight, Electric(np.array(4.0)), table)
    before = structure_of(loaded)
    table[0] = 1
    assert structure_of(loaded) != before
    weight[0] = 9
    loaded.engine.power[...] = 6.0
    found = settings_of(loaded)
    assert (found["weight"].tolist(), float(found["engine.power"])) == ([9.0, 1.0], 6.0)
    outer = Loaded(1.0, table=(Loaded(table=[1]), "x"))
    before = structure_of(outer)
    outer.table[0].table.append(2)
    assert structure_of(outer) != before


def test_what_is_remembered_stays_behind():
    loaded = Loaded(2.0, Electric(5.0))
    structure_of(loaded)
    settings_of(loaded)
    for other in (copy.deepcopy(loaded), copy.copy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert other == loaded
        assert set(vars(other)) == {"weight", "engine", "table"}
    assert settings_of(dataclasses.replace(loaded, weight=8.0))["weight"] == 8.0


def test_fields_are_read_again_where_a_class_becomes_a_dataclass_later():
    class Late(Loaded):
        extra: float = setting(3.0)

    assert list(constraints(Late)) == ["weight", "engine"]
    late = dataclass(frozen=True)(Late)
    assert list(constraints(late)) == ["weight", "engine", "extra"]
    assert settings_of(late())["extra"] == 3.0
