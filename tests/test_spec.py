"""Text specs: the grammar, what is refused and where, and the way there and back."""

import contextlib
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.descriptions import (
    Description,
    family,
    flag,
    numbers,
    option,
    part,
    parts,
    register,
    setting,
    size,
)
from thalweg.descriptions.spec import number_or_spec, parse_spec, spec_of
from thalweg.descriptions.syntax import Call, Items, Mapping, Number, Text, Word, parse
from thalweg.errors import DescriptionError, SettingError


@family("test_meal")
@dataclasses.dataclass(frozen=True)
class Meal(Description):
    pass


@register("test_meal", "soup")
@dataclasses.dataclass(frozen=True)
class Soup(Meal):
    salt: float = setting(0.5, low=0, high=1)
    bowls: int = size(1)
    kind: str = option("clear", options=("clear", "thick", "half-thick"))
    hot: bool = flag(True)
    times: tuple[float, ...] = numbers((1.0, 2.0), low=0)
    inside: Meal | None = part(None, family="test_meal", optional=True)
    names: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    note: str = ""


@register("test_meal", "menu")
@dataclasses.dataclass(frozen=True)
class Menu(Meal):
    price: float = setting(low=0)
    courses: tuple[Meal, ...] = parts((), family="test_meal")
    open: bool = flag(False)


# ------------------------------------------------------------------ the grammar


def test_each_kind_of_value_has_its_node():
    assert parse(" 3 ") == Number(3, 1)
    assert parse("-1.5e-3") == Number(-0.0015, 0)
    assert parse(".5") == Number(0.5, 0)
    assert isinstance(parse("3").value, int)
    assert isinstance(parse("3.").value, float)
    assert parse("relu") == Word("relu", 0)
    assert parse("'a\\b'") == Text("a\\b", 0)
    assert parse('"a\\"b\\u00e9"') == Text('a"bé', 0)
    assert parse("(1, 2)").values == (Number(1, 1), Number(2, 4))
    assert parse("[1, 2,]") == Items((Number(1, 1), Number(2, 4)), 0)
    assert parse("()") == Items((), 0)
    assert parse("{a: 1, 'b c': x}") == Mapping({"a": Number(1, 4), "b c": Word("x", 14)}, 0)
    assert parse("{0: 1, -1.5: 2}") == Mapping({"0": Number(1, 4), "-1.5": Number(2, 13)}, 0)
    assert parse("f(1, b = 2)") == Call("f", (Number(1, 2),), {"b": Number(2, 9)}, {"b": 5}, 0)
    assert parse("f()") == Call("f", (), {}, {}, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected a name, a number or a text, got the end \(character 1 of ''\)"),
        ("  ", r"got the end \(character 3"),
        ("adam(", r"got the end \(character 6 of 'adam\('\)"),
        ("adam(0.1", r"expected ',' or '\)', got the end \(character 9"),
        ("adam(0.1]", r"expected ',' or '\)', got '\]' \(character 9"),
        ("adam(0.1 0.2)", r"expected ',' or '\)', got '0.2' \(character 10"),
        ("adam(0.1,,)", r"got ',' \(character 10"),
        ("adam)", r"expected nothing more, got '\)' \(character 5"),
        ("adam, sgd", r"expected nothing more, got ',' \(character 5"),
        ("adam(a=1, 2)", r"a value without a name follows one with a name \(character 11"),
        ("adam(a=1, a=2)", r"a is given twice \(character 11"),
        ("{a: 1, a: 2}", r"a is given twice \(character 8"),
        ("{(: 2}", r"expected a name, got '\(' \(character 2"),
        ("{1: 2, 1: 3}", r"1 is given twice \(character 8"),
        ("f(1=2)", r"expected ',' or '\)', got '='"),
        ("{a}", r"expected ':', got '\}' \(character 3"),
        ("adam(a=)", r"got '\)' \(character 8"),
        ("1e", r"got '1e' \(character 1"),
        ("1x", r"got '1x' \(character 1"),
        ("é", r"got 'é' \(character 1"),
        ("f(a; b)", r"got '; b\)' \(character 4"),
        ("f('a)", r"got a text without its closing quote \(character 3"),
        ('f("a\\q")', r"has an escape that JSON has not \(character 3"),
        ("9" * 9000, r"has too many digits \(character 1"),
        ("(" * 9000, r"more than 100 values inside each other \(character 102"),
        ("f(" * 4000, r"more than 100 values inside each other"),
        ("{a:" * 3000, r"more than 100 values inside each other"),
        ("x" * 10_001, r"a spec has at most 10000 characters, got 10001"),
        ("__import__('os').system('x')", r"got \".system\('x'\)\" \(character 17"),
        ("lambda: 0", r"expected nothing more, got ':' \(character 7"),
    ],
)
def test_what_breaks_the_grammar_is_refused_with_its_place(text, message):
    with pytest.raises(SettingError, match=message):
        parse(text)


@given(st.text(alphabet="ab1.-+e('\")[]{}=:, \\", max_size=30))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(SettingError):
        parse(text)


# ------------------------------------------------------------------ building


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("optimizer", "adam", tw.Adam()),
        ("optimizer", "adam()", tw.Adam()),
        ("optimizer", "adam(0.01)", tw.Adam(0.01)),
        ("optimizer", "adam(learning_rate=0.01, beta2=0.99)", tw.Adam(0.01, beta2=0.99)),
        ("optimizer", "sgd(learning_rate=cosine(0.1))", tw.SGD(tw.Cosine(0.1))),
        ("optimizer", "sgd(cosine)", tw.SGD(tw.Cosine())),
        ("schedule", "cosine(0.1, length=50)", tw.Cosine(0.1, length=50)),
        ("schedule", "warm_up(then=cosine(0.1), length=5)", tw.WarmUp(tw.Cosine(0.1), 5)),
        ("layer", "linear(8, bias=false)", tw.Linear(8, bias=False)),
        ("layer", "linear(8, weight=he(uniform))", tw.Linear(8, weight=tw.He("uniform"))),
        (
            "layer",
            "sequential(linear(8), relu, linear(2))",
            tw.Sequential(tw.Linear(8), tw.ReLU(), tw.Linear(2)),
        ),
        ("layer", "sequential([linear(8), relu])", tw.Sequential(tw.Linear(8), tw.ReLU())),
        ("layer", "sequential(layers=(relu,))", tw.Sequential(tw.ReLU())),
        ("layer", "sequential(())", tw.Sequential()),
        ("test_meal", "soup(0.25, 2, thick, false)", Soup(0.25, 2, "thick", hot=False)),
        (
            "test_meal",
            "soup(kind='half-thick', times=[1, 3])",
            Soup(kind="half-thick", times=(1, 3)),
        ),
        ("test_meal", "soup(inside=none, hot=True, shape=None)", Soup()),
        ("test_meal", "soup(inside=soup(salt=0))", Soup(inside=Soup(0))),
        (
            "test_meal",
            "soup(names=(a, 'b c'), shape=[2, 3])",
            Soup(names=("a", "b c"), shape=(2, 3)),
        ),
        ("test_meal", "soup(weights={a: 1, 'b*': 0.5})", Soup(weights={"a": 1.0, "b*": 0.5})),
        ("test_meal", "menu(3, soup, menu(4))", Menu(3, (Soup(), Menu(4)))),
        ("test_meal", "menu(3, soup, open=true)", Menu(3, (Soup(),), open=True)),
        ("test_meal", "menu(3, [soup], true)", Menu(3, (Soup(),), open=True)),
        ("test_meal", "menu(3, courses=soup)", Menu(3, (Soup(),))),
    ],
)
def test_specs_name_descriptions(kind, text, wanted):
    assert parse_spec(kind, text) == wanted
    assert parse_spec(kind, spec_of(wanted)) == wanted


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("optimizer", "adm", r"unknown optimizer 'adm'; did you mean 'adam'\? .* \(character 1 "),
        ("optimizer", "adam(beta3=1)", r"no field 'beta3'; did you mean 'beta.* \(character 6 "),
        ("optimizer", "adam(0.1, beta1=2)", r"beta1 = 2 is outside \[0, 1\) \(character 17 "),
        ("optimizer", "adam(-1)", r"learning_rate = -1 is outside \[0, ∞\) \(character 6 "),
        ("optimizer", "adam(1, learning_rate=1)", r"learning_rate is given twice \(character 9 "),
        ("optimizer", "sgd(relu)", r"unknown schedule 'relu'; .* \(character 5 of 'sgd\(relu\)'\)"),
        ("optimizer", "sgd(cosine(0.1, lenght=5))", r"did you mean 'length'\? .*\(character 17 "),
        ("optimizer", "sgd('a')", r"must be a number or a schedule, got 'a' \(character 5 "),
        ("optimizer", "sgd(none)", r"must be a number or a schedule, got None \(character 5 "),
        ("optimizer", "3", r"expected an optimizer, such as \w+, got 3 \(character 1 "),
        ("optimizer", "(adam)", r"expected an optimizer, such as \w+, got brackets"),
        ("layer", "linear", r"linear needs features \(character 1 "),
        ("layer", "linear(2.5)", r"features must be a whole number, got 2.5 \(character 8 "),
        ("layer", "linear(8, bias=maybe)", r"bias must be True or False, got 'maybe' \(char"),
        ("layer", "linear(8, weight=3)", r"expected an initialiser, such as \w+, got 3 \(char"),
        ("layer", "linear(8, weight=none)", r"weight must be an initialiser, got None"),
        (
            "layer",
            "linear(8, bias=relu(1))",
            r"expected a plain value, got relu\(…\) \(character 16",
        ),
        (
            "layer",
            "sequential(linear(8), 3)",
            r"expected a layer, such as \w+, got 3 \(character 23",
        ),
        ("layer", "relu(1)", r"too many values: relu takes none \(character 6"),
        ("test_meal", "menu(1, [], true, 4)", r"menu takes at most 3 \(price, courses, open\)"),
        ("test_meal", "soup(kind=thin)", r"'thin' is not one of clear, thick, half-thick \(char"),
        ("test_meal", "soup(names=3)", r"Soup.names: Expected `array`, got `int` \(character 12"),
        ("test_meal", "soup(times=(1, -2))", r"times\[1\] = -2 is outside \[0, ∞\) \(character 12"),
        ("test_meal", "soup(times=3)", r"times must be a tuple of numbers, got 3"),
        ("test_meal", "soup(inside=menu)", r"menu needs price \(character 13"),
        ("test_meal", "soup(__class__=1)", r"soup has no field '__class__'"),
    ],
)
def test_bad_specs_are_refused_with_their_place(kind, text, message):
    with pytest.raises(SettingError, match=message):
        parse_spec(kind, text)


def test_an_unknown_family_is_the_programmers_fault():
    with pytest.raises(DescriptionError, match=r"no family 'test_wine'; known: .*layer"):
        parse_spec("test_wine", "red")


def test_a_number_stands_in_where_it_may():
    assert number_or_spec("schedule", " 0.1 ") == 0.1
    assert number_or_spec("schedule", "cosine(0.1)") == tw.Cosine(0.1)
    with pytest.raises(SettingError, match="expected a schedule, such as constant, got brackets"):
        number_or_spec("schedule", "(0.1)")


# ------------------------------------------------------------------ back to text


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Soup(), "soup"),
        (Soup(1), "soup(salt=1)"),
        (Soup(np.float64(0.25), np.int64(3)), "soup(salt=0.25, bowls=3)"),
        (Soup(kind="half-thick", hot=False), 'soup(kind="half-thick", hot=false)'),
        (
            Soup(note="true", names=("a", 'b"\n', "é")),
            r'soup(names=[a, "b\"\n", "\u00e9"], note="true")',
        ),
        (Soup(shape=(1,), weights={"a": 1.0}), "soup(shape=[1], weights={a: 1.0})"),
        (Menu(2.5), "menu(2.5)"),
        (Menu(2.5, (Soup(),)), "menu(2.5, soup)"),
        (
            Menu(2.5, (Menu(1, (Soup(), Soup())),), open=True),
            "menu(2.5, menu(1, soup, soup), open=true)",
        ),
        (Menu(1, open=True), "menu(1, open=true)"),
    ],
)
def test_defaults_are_left_out_of_the_text(made, text):
    assert spec_of(made) == text
    assert parse_spec("test_meal", text) == made


def test_what_has_no_text_is_refused():
    with pytest.raises(DescriptionError, match=r"cannot write Soup\.salt as text: Tensor"):
        spec_of(Soup(tw.Tensor(0.5)))
    with pytest.raises(DescriptionError, match=r"cannot write Soup\.salt as text: array"):
        spec_of(Soup(np.array([0.5, 1.0])))
    with pytest.raises(DescriptionError, match="Other is not registered"):
        spec_of(dataclasses.dataclass(frozen=True)(type("Other", (Meal,), {}))())


soups = st.builds(
    Soup,
    st.floats(0, 1) | st.integers(0, 1),
    st.integers(1, 9),
    st.sampled_from(["clear", "thick", "half-thick"]),
    st.booleans(),
    st.lists(st.floats(0, 1e300), max_size=3).map(tuple),
    st.none() | st.builds(Menu, st.floats(0, 9)),
    st.lists(st.text(max_size=4), max_size=2).map(tuple),
    st.none() | st.lists(st.integers(), max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False)),
    st.text(max_size=5),
)
menus = st.builds(Menu, st.floats(0, 9), st.lists(soups, max_size=3).map(tuple), st.booleans())


@given(menus | soups)
def test_there_and_back_is_the_same(made):
    assert parse_spec("test_meal", spec_of(made)) == made
