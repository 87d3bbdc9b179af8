"""What holds for every member of every registry: one set of tests, which a new member joins."""

import dataclasses
import json
import math
import re
import typing

import numpy as np
import pytest
from tests.specimens import (
    PROGRAMS,
    STILL,
    UNREAD,
    computing,
    everyone,
    kin,
    layer_case,
    program,
    sample,
    scored,
    specimen,
    starts_of,
    variants,
)

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.trace import trace
from thalweg.descriptions import constraints, from_plain, name_of, to_plain
from thalweg.descriptions.families import FAMILIES
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.nn.layer import evaluate

ALL = everyone()


def _each(pairs):
    """A test for each family and name."""
    return pytest.mark.parametrize(
        ("family", "name"), [pytest.param(*pair, id=" ".join(pair)) for pair in pairs]
    )


EVERY = _each(ALL)
COMPUTING = _each(computing())


def _class(family, name):
    return FAMILIES[family].members[name]


# ------------------------------------------------------------------ descriptions as data


def test_every_family_is_known_here():
    families = {family for family, _ in ALL}
    assert families == {*PROGRAMS, *STILL}, "a new family needs a program in tests/specimens.py"
    assert len(ALL) > 60


@EVERY
def test_fields_are_declared_and_explained(family, name):
    cls = _class(family, name)
    assert cls.__dataclass_params__.frozen
    assert issubclass(cls, FAMILIES[family].base)
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
    hints = typing.get_type_hints(cls)
    declared = constraints(cls)
    for field in dataclasses.fields(cls):
        assert field.name in hints
        if field.name in declared:
            line = declared[field.name].help
            assert line, f"{cls.__name__}.{field.name} has no help"
            assert len(line) <= 80
            assert "\n" not in line
        else:
            assert f"{field.name}: " in cls.__doc__, f"{cls.__name__}.{field.name} is not explained"


@EVERY
def test_json_and_text_there_and_back(family, name):
    one = specimen(family, name)
    assert name_of(one) == name
    for made in (one, *variants(one)):
        assert from_plain(family, json.loads(json.dumps(to_plain(made)))) == made
        assert parse_spec(family, spec_of(made)) == made


def _outside(constraint):
    """Values just outside a constraint's interval, with their interval."""
    whole = constraint.role == "size"
    if math.isfinite(constraint.low):
        below = constraint.low - 1 if whole else math.nextafter(constraint.low, -math.inf)
        yield constraint.low if constraint.low_open else below
    if math.isfinite(constraint.high):
        above = constraint.high + 1 if whole else math.nextafter(constraint.high, math.inf)
        yield constraint.high if constraint.high_open else above
    if not whole:
        yield from (math.nan, math.inf, -math.inf)


@EVERY
def test_numbers_outside_their_interval_are_refused(family, name):
    one = specimen(family, name)
    for field, constraint in constraints(type(one)).items():
        if constraint.role not in {"setting", "numbers", "size"}:
            continue
        for value in _outside(constraint):
            given = (value,) if constraint.role == "numbers" else value
            with pytest.raises(SettingError) as caught:
                dataclasses.replace(one, **{field: given})
            message = str(caught.value)
            assert f"{type(one).__name__}.{field}" in message
            assert repr(value) in message
            assert constraint.interval() in message


@EVERY
def test_what_is_no_number_choice_or_part_is_refused(family, name):
    one = specimen(family, name)
    for field, constraint in constraints(type(one)).items():
        for value in ("no such thing", object(), 1j):
            with pytest.raises(SettingError, match=type(one).__name__):
                dataclasses.replace(one, **{field: value})
        for choice in constraint.options:
            assert choice in _refused(one, field)


def _refused(one, field):
    with pytest.raises(SettingError) as caught:
        dataclasses.replace(one, **{field: "no such thing"})
    return str(caught.value)


@EVERY
def test_fields_that_depend_on_another_say_so(family, name):
    one = specimen(family, name)
    for field, constraint in constraints(type(one)).items():
        for relation, other in constraint.relations:
            against = getattr(one, other)
            limits = constraints(type(one))[other]
            value = {"below": against, "at_most": against + 1, "above": against}.get(
                relation, against - 1
            )
            assert isinstance(against, (int, float)), "the specimen shows the relation"
            if constraint.holds(value) and limits.holds(against):
                with pytest.raises(SettingError, match=rf"{field} = .* must be . {other}, which"):
                    dataclasses.replace(one, **{field: value})


# ------------------------------------------------------------------ documentation

UNSOURCED = {
    "initialiser": "zeros constant normal uniform auto identity",
    "layer": "logistic tanh hard_logistic hard_tanh sign identity softmax log_softmax columns "
    "sequential linear masked_linear sparse_linear min_max standardise impute one_hot "
    "skip_sequential flatten reshape parallel concatenated",
    "loss": "squared_error absolute_error cross_entropy binary_cross_entropy log_cosh",
    "branch": "branch",
    "group": "group",
    "schedule": "constant step piecewise inverse_time exponential natural_exponential inverse_root "
    "linear polynomial geometric sequence scaled product reduce_on_plateau",
    "optimizer": "sgd groups",
    "clipping": "value",
    "augmentation": "sequence",
    "stopping": "early small_change small_gradient",
    "penalty": "sum",
    "scheduler": "none",
}
"""What is so common, or so much this library's own, that no source is to be named."""


@EVERY
def test_published_methods_name_their_source(family, name):
    text = _class(family, name).__doc__ or ""
    match = re.search(r"^ *Source: .+", text, re.MULTILINE)
    assert match or name in UNSOURCED.get(family, "").split(), "write Source: author, title, year"
    if match:
        assert re.search(r"(1[89]|20)\d\d", text[match.start() :]), "the source has no year"


@EVERY
def test_docstrings_have_summary_explanation_example(family, name):
    cls = _class(family, name)
    text = cls.__doc__ or ""
    first, _, rest = text.partition("\n")
    assert first.endswith((".", ":")) or first[-1:] in ",;", f"{cls.__name__}: {first!r}"
    assert len(first) <= 97
    assert rest.strip(), f"{cls.__name__} explains nothing"
    assert ">>>" in text, f"{cls.__name__} has no example"


# ------------------------------------------------------------------ what they compute

ROUGH = {"float64": 1e-12, "float32": 1e-5}


def _close(got, wanted, bound, where):
    assert set(got) == set(wanted)
    for path, value in wanted.items():
        a, b = np.asarray(got[path]), np.asarray(value)
        assert a.shape == b.shape, f"{where} {path}"
        if b.dtype.kind not in "f":
            np.testing.assert_array_equal(a, b, f"{where} {path}")
            continue
        scale = float(np.max(np.abs(b), initial=0.0))
        np.testing.assert_allclose(
            a.astype(float), b.astype(float), bound, bound * scale, err_msg=f"{where} {path}"
        )


def _arrays(tree):
    return {path: value.numpy() for path, value in tree.items()}


def _eager(made):
    return _arrays(made.run({}, *map(Tensor, made.data)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@COMPUTING
def test_traced_with_settings_as_inputs_it_computes_the_same(family, name, dtype):
    one = specimen(family, name)
    made = program(family, one, dtype)
    wanted = _eager(made)
    assert all(np.isfinite(value).all() for value in wanted.values() if value.dtype.kind == "f")
    graph = trace(made.replaced, *made.arguments())
    interpreted = Interpreter(graph)(*made.arguments())
    _close(dict(zip(wanted, interpreted, strict=True)), wanted, ROUGH[dtype], "interpreted")
    native = NativeProgram(optimise(graph).graph)(*made.arguments())
    _close(dict(zip(wanted, native, strict=True)), wanted, ROUGH[dtype], "native")


@COMPUTING
def test_float32_is_close_to_float64(family, name):
    one = specimen(family, name)
    short, long = (_eager(program(family, one, dtype)) for dtype in ("float32", "float64"))
    if family == "layer":  # random numbers of float32 are others than those of float64
        short, long = {"used": short["used"]}, {"used": long["used"]}
    if family != "augmentation":
        _close(short, long, 2e-5, "float32")


@COMPUTING
def test_every_choice_computes(family, name):
    for made in variants(specimen(family, name)):
        values = _eager(program(family, made, "float64"))
        assert all(np.isfinite(value).all() for value in values.values()), spec_of(made)


@COMPUTING
def test_settings_reach_the_numbers(family, name):
    one = specimen(family, name)
    made = program(family, one, "float64")
    graph = trace(made.replaced, *made.arguments())
    read = {id(item) for node in graph.nodes for item in node.source.inputs}
    read |= {id(item) for item in graph.outputs}
    pairs = zip(made.settings, graph.inputs, strict=False)
    unread = {path for path, given in pairs if id(given) not in read}
    assert unread == starts_of(one) | UNREAD.get(name, set())


# ------------------------------------------------------------------ families


@_each(kin("layer"))
def test_gradients_of_layers_are_those_of_differences(family, name):
    one = specimen(family, name)
    parameters, states, x = layer_case(one, name, "float64")
    if x.dtype.kind != "f":
        pytest.skip("takes whole numbers")

    def used(x, parameters):
        return evaluate(one, parameters, x, states=states).output

    tw.check_gradients(used, x, parameters, directions=2, rtol=1e-5, atol=1e-7)


@_each(kin("loss"))
def test_gradients_of_losses_are_those_of_differences(family, name):
    one = specimen(family, name)
    outputs, targets = scored(one, "float64")
    tw.check_gradients(lambda outputs: one(outputs, targets), outputs, rtol=1e-5, atol=1e-7)


@_each(kin("layer"))
def test_layers_keep_rows_apart_in_use(family, name):
    one = specimen(family, name)
    parameters, states, x = layer_case(one, name, "float64")
    whole = evaluate(one, parameters, x, states=states).output.numpy()
    alone = evaluate(one, parameters, x[:1], states=states).output.numpy()
    np.testing.assert_allclose(whole[:1], alone, rtol=1e-12, atol=1e-14)


@_each(kin("loss"))
def test_losses_are_one_number_for_each_row(family, name):
    one = specimen(family, name)
    outputs, targets = scored(one, "float64")
    rows = one.values(outputs, targets).numpy()
    assert rows.shape == (len(outputs),)
    np.testing.assert_allclose(one(outputs, targets).numpy(), rows.mean(), rtol=1e-12)
    weights = np.arange(1.0, len(outputs) + 1)
    wanted = (rows * weights).sum() / weights.sum()
    np.testing.assert_allclose(one(outputs, targets, weights).numpy(), wanted, rtol=1e-12)


@_each(kin("schedule"))
def test_schedules_are_functions_of_the_step_alone(family, name):
    one = specimen(family, name)
    whole = one(np.arange(20), 20, 5).numpy()
    assert whole.dtype == np.float64
    assert np.all(whole >= 0)
    single = [float(one(step, 20, 5)) for step in range(20)]
    np.testing.assert_allclose(np.broadcast_to(whole, (20,)), single, rtol=1e-12)


@_each(kin("initialiser"))
def test_initialisers_give_the_same_numbers_for_the_same_seed(family, name):
    for one in (specimen(family, name), *variants(specimen(family, name))):
        for shape in ((6, 4), (6, 6)):
            first, again = sample(one, shape), sample(one, shape)
            assert first.shape == shape
            assert first.dtype == np.float64
            assert np.isfinite(first).all()
            assert first.tobytes() == again.tobytes()
