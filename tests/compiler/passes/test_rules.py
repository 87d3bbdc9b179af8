"""Every rule: the graph before and after, equal values for every input, and how to leave it out."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.rules import RULES, uniform_constant, uniform_value
from thalweg.compiler.passes.simplify import PASSES, simplify
from thalweg.graph import (
    PRIMITIVES,
    Tensor,
    TensorType,
    constant,
    placeholder,
    trace_flat,
    verify,
)
from thalweg.ops import binary, layout, repetition, unary
from thalweg.ops import functions as ops

NAMES = {rule.name for rule in RULES}
SPECIAL = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 5e-324, 1.7e308, 0.1]


class Case(NamedTuple):
    rule: str
    function: Callable[..., Any]
    types: list[str]
    before: str
    after: str


CASES = [
    Case("drop-identity", lambda x: ops.exp(unary.identity(x)), ["float64[3]"],
         "a = identity(x0); b = exp(a); b", "a = exp(x0); a"),
    Case("drop-stop-gradient", lambda x: ops.exp(unary.stop_gradient(x)), ["float64[3]"],
         "a = stop_gradient(x0); b = exp(a); b", "a = exp(x0); a"),
    Case("same-type", lambda x: layout.reshape(x, shape=(3,)), ["float64[3]"],
         "a = reshape(x0, shape=(3)); a", "x0"),
    Case("same-type", lambda x: repetition.broadcast(x, shape=(1, 3)), ["float64[1,3]"],
         "a = broadcast(x0, shape=(1,3)); a", "x0"),
    Case("same-type", lambda x: unary.cast(x, dtype=np.dtype("float64")), ["float64[3]"],
         "a = cast(x0, dtype=float64); a", "x0"),
    Case("same-type", lambda x: layout.slice_(x, start=(0, 0), stop=(3, 1), step=(1, 5)),
         ["float64[3,1]"], "a = slice(x0, start=(0,0), stop=(3,1), step=(1,5)); a", "x0"),
    Case("same-type", lambda x: layout.pad(x, low=(0,), high=(0,), interior=(4,), value=1.0),
         ["float64[1]"], "a = pad(x0, low=(0), high=(0), interior=(4), value=1.0); a", "x0"),
    Case("same-type", lambda x: repetition.reduce_sum(x, axes=()), ["float64[3]"],
         "a = reduce_sum(x0, axes=()); a", "x0"),
    Case("same-type", lambda x: PRIMITIVES["reduce_max"](x, axes=()), ["float64[3]"],
         "a = reduce_max(x0, axes=()); a", "x0"),
    Case("join-one", lambda x: layout.concatenate(x, axis=0), ["float64[3]"],
         "a = concatenate(x0, axis=0); a", "x0"),
    Case("equal-branches", lambda c, x: ops.where(c, x, x), ["bool[3]", "float64[3]"],
         "a = select(x0, x1, x1); a", "x1"),
    Case("known-condition", lambda x, y: ops.where(ops.ones((3,), "bool"), x, y),
         ["float64[3]", "float64[3]"],
         "a = broadcast(True, shape=(3)); b = select(a, x0, x1); b", "x0"),
    Case("known-condition", lambda x, y: ops.where(False, x, y), ["float64[]", "float64[]"],
         "a = select(False, x0, x1); a", "x1"),
    Case("known-logic", lambda x: x & True, ["bool[]"], "a = and(x0, True); a", "x0"),
    Case("known-logic", lambda x: False & x, ["bool[]"], "a = and(False, x0); a", "False"),
    Case("known-logic", lambda x: x | ops.ones((2,), "bool"), ["bool[2]"],
         "a = broadcast(True, shape=(2)); b = or(x0, a); b", "a = broadcast(True, shape=(2)); a"),
    Case("known-logic", lambda x: False | x, ["bool[]"], "a = or(False, x0); a", "x0"),
    Case("merge-reshapes", lambda x: ops.reshape(ops.reshape(x, (3, 2)), (6,)), ["float64[2,3]"],
         "a = reshape(x0, shape=(3,2)); b = reshape(a, shape=(6)); b",
         "a = reshape(x0, shape=(6)); a"),
    Case("merge-broadcasts", lambda x: ops.broadcast(ops.broadcast(x, (3, 1)), (2, 3, 4)),
         ["float64[1]"],
         "a = broadcast(x0, shape=(3,1)); b = broadcast(a, shape=(2,3,4)); b",
         "a = broadcast(x0, shape=(2,3,4)); a"),
    Case("move-uniform", lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (6,)), ["float64[]"],
         "a = broadcast(x0, shape=(2,3)); b = reshape(a, shape=(6)); b",
         "a = broadcast(x0, shape=(6)); a"),
    Case("move-uniform", lambda x: ops.broadcast(x, (2, 3)).T, ["float64[]"],
         "a = broadcast(x0, shape=(2,3)); b = transpose(a, axes=(1,0)); b",
         "a = broadcast(x0, shape=(3,2)); a"),
    Case("move-uniform", lambda x: ops.broadcast(x, (4,))[1:3], ["float64[]"],
         "a = broadcast(x0, shape=(4)); b = slice(a, start=(1), stop=(3), step=(1)); b",
         "a = broadcast(x0, shape=(2)); a"),
    Case("compute-before-repeating", lambda x: ops.exp(ops.broadcast(x, (2, 3))), ["float64[3]"],
         "a = broadcast(x0, shape=(2,3)); b = exp(a); b",
         "a = exp(x0); b = broadcast(a, shape=(2,3)); b"),
    Case("compute-before-repeating",
         lambda x, y: ops.broadcast(x, (2, 3)) < ops.broadcast(y, (2, 3)),
         ["float64[3]", "float64[3]"],
         "a = broadcast(x0, shape=(2,3)); b = broadcast(x1, shape=(2,3)); c = lt(a, b); c",
         "a = lt(x0, x1); b = broadcast(a, shape=(2,3)); b"),
    Case("merge-transposes", lambda x: x.transpose(1, 2, 0).transpose(1, 2, 0), ["float64[2,3,4]"],
         "a = transpose(x0, axes=(1,2,0)); b = transpose(a, axes=(1,2,0)); b",
         "a = transpose(x0, axes=(2,0,1)); a"),
    Case("merge-transposes", lambda x: x.T.T, ["float64[2,3]"],
         "a = transpose(x0, axes=(1,0)); b = transpose(a, axes=(1,0)); b", "x0"),
    Case("fold-transpose-into-product", lambda x, y: x.T @ y, ["float64[3,2]", "float64[3,4]"],
         "a = transpose(x0, axes=(1,0)); "
         "b = matmul(a, x1, transpose_a=False, transpose_b=False); b",
         "a = matmul(x0, x1, transpose_a=True, transpose_b=False); a"),
    Case("fold-transpose-into-product",
         lambda x, y: x.transpose(0, 2, 1) @ y.transpose(0, 2, 1),
         ["float64[5,3,2]", "float64[5,4,3]"],
         "a = transpose(x0, axes=(0,2,1)); b = transpose(x1, axes=(0,2,1)); "
         "c = matmul(a, b, transpose_a=False, transpose_b=False); c",
         "a = matmul(x0, x1, transpose_a=True, transpose_b=True); a"),
    Case("transposed-product", lambda x, y: (x @ y).T, ["float64[3,2]", "float64[2,4]"],
         "a = matmul(x0, x1, transpose_a=False, transpose_b=False); "
         "b = transpose(a, axes=(1,0)); b",
         "a = matmul(x1, x0, transpose_a=True, transpose_b=True); a"),
    Case("times-one", lambda x: x * 1.0, ["float64[]"], "a = mul(x0, 1.0); a", "x0"),
    Case("times-one", lambda x: ops.ones((3,), "float64") * x, ["float64[3]"],
         "a = broadcast(1.0, shape=(3)); b = mul(a, x0); b", "x0"),
    Case("times-one", lambda x: x / 1.0, ["float64[]"], "a = div(x0, 1.0); a", "x0"),
    Case("times-one", lambda x: x * 1, ["int64[]"], "a = mul(x0, 1); a", "x0"),
    Case("minus-zero", lambda x: x - 0.0, ["float64[]"], "a = sub(x0, 0.0); a", "x0"),
    Case("times-minus-one", lambda x: x * -1.0, ["float64[]"],
         "a = mul(x0, -1.0); a", "a = neg(x0); a"),
    Case("times-minus-one", lambda x: -1 * x, ["int64[]"],
         "a = mul(-1, x0); a", "a = neg(x0); a"),
    Case("double-negation", lambda x: ops.negative(-x), ["float64[3]"],
         "a = neg(x0); b = neg(a); b", "x0"),
    Case("double-negation", lambda x: ~~x, ["int64[3]"], "a = not(x0); b = not(a); b", "x0"),
    Case("add-negated", lambda x, y: x + -y, ["float64[3]", "float64[3]"],
         "a = neg(x1); b = add(x0, a); b", "a = sub(x0, x1); a"),
    Case("add-negated", lambda x, y: -x + y, ["float64[3]", "float64[3]"],
         "a = neg(x0); b = add(a, x1); b", "a = sub(x1, x0); a"),
    Case("add-negated", lambda x, y: x - -y, ["float64[3]", "float64[3]"],
         "a = neg(x1); b = sub(x0, a); b", "a = add(x0, x1); a"),
    Case("divide-by-power-of-two", lambda x: x / 4.0, ["float64[]"],
         "a = div(x0, 4.0); a", "a = mul(x0, 0.25); a"),
    Case("divide-by-power-of-two", lambda x: x / np.float64(-0.5), ["float64[3]"],
         "a = broadcast(-0.5, shape=(3)); b = div(x0, a); b",
         "a = broadcast(-2.0, shape=(3)); b = mul(x0, a); b"),
]  # fmt: skip


def type_from(text):
    dtype, lengths = text.rstrip("]").split("[")
    return TensorType(tuple(map(int, filter(None, lengths.split(",")))), np.dtype(dtype))


def graph_of(case):
    return trace_flat(case.function, list(map(type_from, case.types)))[0]


def text(graph):
    """A graph on one line: nodes are letters, types and labels are left out."""
    lines = [line.split("  :")[0].strip() for line in str(graph).splitlines()[1:-1]]
    lines[-1] = lines[-1].removeprefix("return ")
    joined = "; ".join(line for line in lines if " = constant " not in line)
    return re.sub(r"%(\d+)", lambda found: "abcdefghij"[int(found[1])], joined)


def only(rule):
    """Everything but one rule."""
    return (NAMES | set(PASSES)) - {rule}


def ids(cases):
    return [f"{case.rule}-{number}" for number, case in enumerate(cases)]


# ------------------------------------------------------------------ the table


def test_every_rule_has_a_case():
    assert {case.rule for case in CASES} == NAMES


def test_rules_are_described():
    assert len(NAMES) == len(RULES)
    for rule in RULES:
        assert rule.primitives <= set(PRIMITIVES)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        assert rule.reason


def test_every_elementwise_primitive_is_computed_before_repeating():
    (rule,) = (rule for rule in RULES if rule.name == "compute-before-repeating")
    marks = {"identity", "stop_gradient"}
    elementwise = {name for name, p in PRIMITIVES.items() if p.kind == "elementwise"}
    assert rule.primitives == elementwise - marks


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_before_and_after(case):
    graph = graph_of(case)
    assert text(graph) == case.before
    found = simplify(graph, only(case.rule))
    verify(found.graph)
    assert text(found.graph) == case.after
    assert set(found.fired) == {case.rule}
    assert text(graph) == case.before


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_rule_can_be_left_out(case):
    graph = graph_of(case)
    left_out = simplify(graph, NAMES | set(PASSES))
    assert text(left_out.graph) == case.before
    assert not left_out.fired
    assert case.rule not in simplify(graph, [case.rule]).fired


def inputs_for(type_, rng, round_):
    if type_.dtype.kind == "f":
        return rng.choice(SPECIAL, type_.shape) if round_ else rng.integers(-3, 4, type_.shape) / 1
    low, high = (0, 2) if type_.dtype.kind == "b" else (-9, 9)
    return np.asarray(rng.integers(low, high, type_.shape)).astype(type_.dtype)


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_values_are_equal_bit_for_bit(case, rng):
    graph = graph_of(case)
    simple = simplify(graph, only(case.rule)).graph
    for round_ in range(60):
        inputs = [np.asarray(inputs_for(t, rng, round_), t.dtype)
                  for t in map(type_from, case.types)]  # fmt: skip
        (before,), (after,) = Interpreter(graph)(*inputs), Interpreter(simple)(*inputs)
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        if before.dtype.kind == "f":
            nan = np.isnan(before) & np.isnan(after)
            same = (before == after) & (np.signbit(before) == np.signbit(after))
            assert (nan | same).all(), (inputs, before, after)
        else:
            np.testing.assert_array_equal(before, after)


# ------------------------------------------------------------------ what must not be rewritten


@pytest.mark.parametrize(
    ("function", "type_"),
    [
        (lambda x: x + 0.0, "float64[]"),
        (lambda x: x * 0.0, "float64[]"),
        (lambda x: x - x, "float64[3]"),
        (lambda x: x / x, "float64[3]"),
        (lambda x: x - np.float64(-0.0), "float64[]"),
        (lambda x: 0.0 - x, "float64[]"),
        (lambda x: 1.0 / x, "float64[]"),
        (lambda x: x / 3.0, "float64[]"),
        (lambda x: x / 0.0, "float64[]"),
        (lambda x: x / np.float64(np.inf), "float64[]"),
        (lambda x: x / np.float64(2.0**1023), "float64[]"),
        (lambda x: x / np.float64(5e-324), "float64[]"),
        (lambda x: x / np.float32(2.0**127), "float32[]"),
        (lambda x: x * 255, "uint8[]"),
        (lambda x: x & 1, "int64[]"),
        (lambda x: x | 0, "int64[]"),
        (lambda x: ops.maximum(x, x), "float64[3]"),
        (lambda x: x == x, "float64[3]"),
        (lambda x: layout.slice_(x, start=(0,), stop=(3,), step=(2,)), "float64[3]"),
        (lambda x: layout.transpose(x, axes=(1, 0)), "float64[2,2]"),
        (lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (3, 2)), "float64[3]"),
        (lambda x: ops.broadcast(x, (2, 3)) + 2.0, "float64[3]"),
        (
            lambda x: layout.transpose(x, axes=(2, 1, 0)) @ np.arange(12.0).reshape(2, 3, 2),
            "float64[3,2,2]",
        ),
    ],
)
def test_what_would_change_a_value_is_left_alone(function, type_):
    graph = trace_flat(function, [type_from(type_)])[0]
    found = simplify(graph)
    assert found.graph.operations() == graph.operations()
    assert not set(found.fired) - {"uniform-constant"}


def test_repeated_operands_of_different_shapes_are_left_alone():
    def function(x, y):
        return ops.broadcast(x, (3, 3)) + ops.broadcast(y, (3, 3))

    types = [type_from("float64[3]"), type_from("float64[3,1]")]
    graph = trace_flat(function, types)[0]
    assert simplify(graph).graph.operations() == {"broadcast": 2, "add": 1}


# ------------------------------------------------------------------ repeated numbers


@pytest.mark.parametrize(
    ("array", "number"),
    [
        (np.full((2, 3), 1.5), 1.5),
        (np.full(3, -0.0), -0.0),
        (np.full((1, 1), 0.1), 0.1),
        (np.full(3, np.nan), np.nan),
        (np.full(3, 7, "uint8"), 7),
        (np.ones(2, bool), True),
        (np.broadcast_to(np.float32(2), (3, 4)), 2),
    ],
)
def test_arrays_of_one_number_are_found(array, number):
    found = uniform_constant(constant(array))
    scalar = found.source.inputs[0].numpy()
    assert scalar.shape == ()
    assert scalar.dtype == array.dtype
    assert scalar.tobytes() == np.asarray(number, array.dtype).tobytes()
    assert found.shape == array.shape


@pytest.mark.parametrize(
    "array",
    [
        np.array([0.0, -0.0]),
        np.array([1.0, 2.0]),
        np.array([np.nan, 1.0]),
        np.zeros(0),
        np.float64(1.0),
        np.broadcast_to(np.array([1.0, 2.0]), (3, 2)),
        np.array([1, 1, 2])[::2],
    ],
)
def test_other_arrays_stay(array):
    assert uniform_constant(constant(np.asarray(array))) is None


def test_the_number_that_a_tensor_holds_everywhere():
    assert uniform_value(ops.ones((2, 3))) == 1.0
    assert uniform_value(ops.broadcast(ops.ones((2, 3)), (4, 2, 3))) == 1.0
    assert uniform_value(Tensor([[3]])) == 3.0
    assert uniform_value(Tensor([1.0, 1.0])) is None
    assert uniform_value(placeholder(type_from("float64[]"))) is None
    assert (
        uniform_value(binary.add(placeholder(type_from("float64[]")), Tensor(np.ones(())))) is None
    )
