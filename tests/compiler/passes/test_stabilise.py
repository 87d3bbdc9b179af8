"""Every rule of stabilisation: the graph before and after, and what is left alone."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.naive import FORMS, NAIVE, traced

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.passes.rules import RULES
from thalweg.compiler.passes.simplify import PASSES, simplify
from thalweg.compiler.passes.stabilise import STABLE, stabilise
from thalweg.errors import SettingError
from thalweg.graph import PRIMITIVES, TensorType, trace_flat, verify
from thalweg.nn import functional
from thalweg.ops import functions as ops
from thalweg.ops import repetition

NAMES = {rule.name for rule in STABLE}
KEPT = {"merge-equal"}
exp, log, sqrt = ops.exp, ops.log, ops.sqrt


class Case(NamedTuple):
    rule: str
    function: Callable[..., Any]
    types: list[str]
    before: str
    after: str


def softmax(x):
    powers = exp(x - ops.max_(x, 1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def through_picked(p, mask):
    return 1 / (p * mask).sum(1, keepdims=True) * mask * p


CASES = [
    Case("log-of-power", lambda x: log(exp(x)), ["float64[3]"],
         "a = exp(x0); b = log(a); b",
         "x0"),
    Case("log-of-power", lambda x: log(exp(x).reshape(3, 1)), ["float64[3]"],
         "a = exp(x0); b = reshape(a, shape=(3,1)); c = log(b); c",
         "a = reshape(x0, shape=(3,1)); a"),
    Case("log-sum-exp", lambda x: log(exp(x).sum(1)), ["float64[2,3]"],
         "a = exp(x0); b = reduce_sum(a, axes=(1)); c = log(b); c",
         "a = reduce_max(x0, axes=(1)); b = abs(a); c = broadcast(inf, shape=(2)); d = lt(b, c); "
         "e = broadcast(0.0, shape=(2)); f = select(d, a, e); g = reshape(f, shape=(2,1)); h = "
         "broadcast(g, shape=(2,3)); i = sub(x0, h); j = exp(i); k = reduce_sum(j, axes=(1)); l "
         "= log(k); m = add(l, f); m"),
    Case("log-sum-exp",
         lambda x: log(repetition.reduce_sum(exp(ops.broadcast(x, (3,))), axes=(0,))),
         ["float32[]"],
         "a = broadcast(x0, shape=(3)); b = exp(a); c = reduce_sum(b, axes=(0)); d = log(c); d",
         "a = broadcast(x0, shape=(3)); b = reduce_max(a, axes=(0)); c = abs(b); d = lt(c, inf); "
         "e = select(d, b, 0.0); f = reshape(e, shape=(1)); g = broadcast(f, shape=(3)); h = "
         "sub(a, g); i = exp(h); j = reduce_sum(i, axes=(0)); k = log(j); l = add(k, e); l"),
    Case("log-sum-exp", lambda x: log(exp(x).sum(1, keepdims=True)), ["float64[2,3]"],
         "a = exp(x0); b = reduce_sum(a, axes=(1)); c = reshape(b, shape=(2,1)); d = log(c); d",
         "a = reduce_max(x0, axes=(1)); b = abs(a); c = broadcast(inf, shape=(2)); d = lt(b, c); "
         "e = broadcast(0.0, shape=(2)); f = select(d, a, e); g = reshape(f, shape=(2,1)); h = "
         "broadcast(g, shape=(2,3)); i = sub(x0, h); j = exp(i); k = reduce_sum(j, axes=(1)); l "
         "= log(k); m = add(l, f); n = reshape(m, shape=(2,1)); n"),
    Case("log-sum-exp", lambda x: log(exp(x).mean(1)), ["float64[2,3]"],
         "a = exp(x0); b = reduce_sum(a, axes=(1)); c = broadcast(3.0, shape=(2)); d = div(b, "
         "c); e = log(d); e",
         "a = reduce_max(x0, axes=(1)); b = abs(a); c = broadcast(inf, shape=(2)); d = lt(b, c); "
         "e = broadcast(0.0, shape=(2)); f = select(d, a, e); g = reshape(f, shape=(2,1)); h = "
         "broadcast(g, shape=(2,3)); i = sub(x0, h); j = exp(i); k = reduce_sum(j, axes=(1)); l "
         "= log(k); m = add(l, f); n = broadcast(-1.0986122886681098, shape=(2)); o = add(m, n); "
         "o"),
    Case("log-softmax", lambda x: log(softmax(x)), ["float64[2,3]"],
         "a = reduce_max(x0, axes=(1)); b = reshape(a, shape=(2,1)); c = broadcast(b, "
         "shape=(2,3)); d = sub(x0, c); e = exp(d); f = reduce_sum(e, axes=(1)); g = reshape(f, "
         "shape=(2,1)); h = broadcast(g, shape=(2,3)); i = div(e, h); j = log(i); j",
         "a = reduce_max(x0, axes=(1)); b = reshape(a, shape=(2,1)); c = broadcast(b, "
         "shape=(2,3)); d = sub(x0, c); e = exp(d); f = reduce_sum(e, axes=(1)); g = reshape(f, "
         "shape=(2,1)); h = broadcast(g, shape=(2,3)); i = log(h); j = sub(d, i); j"),
    Case("log-logistic", lambda x: log(ops.logistic(x)), ["float64[]"],
         "a = logistic(x0); b = log(a); b",
         "a = min(x0, 0.0); b = abs(x0); c = neg(b); d = exp(c); e = log1p(d); f = sub(a, e); f"),
    Case("softplus", lambda x: log(1 + exp(x)), ["float64[]"],
         "a = exp(x0); b = add(1.0, a); c = log(b); c",
         "a = max(x0, 0.0); b = abs(x0); c = neg(b); d = exp(c); e = log1p(d); f = add(a, e); f"),
    Case("softplus", lambda x: ops.log1p(exp(x)), ["float32[]"],
         "a = exp(x0); b = log1p(a); b",
         "a = max(x0, 0.0); b = abs(x0); c = neg(b); d = exp(c); e = log1p(d); f = add(a, e); f"),
    Case("log-of-one-plus", lambda x: log(1 + x), ["float64[3]"],
         "a = broadcast(1.0, shape=(3)); b = add(a, x0); c = log(b); c",
         "a = log1p(x0); a"),
    Case("log-of-one-plus", lambda x: log(x - np.float32(-1)), ["float32[]"],
         "a = sub(x0, -1.0); b = log(a); b",
         "a = log1p(x0); a"),
    Case("log-of-one-plus", lambda x: log(1 - x), ["float64[]"],
         "a = sub(1.0, x0); b = log(a); b",
         "a = neg(x0); b = log1p(a); b"),
    Case("power-minus-one", lambda x: exp(x) - 1, ["float64[]"],
         "a = exp(x0); b = sub(a, 1.0); b",
         "a = expm1(x0); a"),
    Case("power-minus-one", lambda x: -1 + exp(x), ["float64[]"],
         "a = exp(x0); b = add(-1.0, a); b",
         "a = expm1(x0); a"),
    Case("power-minus-one", lambda x: 1 - exp(x), ["float64[]"],
         "a = exp(x0); b = sub(1.0, a); b",
         "a = expm1(x0); b = neg(a); b"),
    Case("one-minus-logistic", lambda x: 1 - ops.logistic(x), ["float64[]"],
         "a = logistic(x0); b = sub(1.0, a); b",
         "a = neg(x0); b = logistic(a); b"),
    Case("one-minus-logistic", lambda x: 1 - ops.logistic(-x), ["float64[]"],
         "a = neg(x0); b = logistic(a); c = sub(1.0, b); c",
         "a = logistic(x0); a"),
    Case("root-of-square", lambda x: sqrt(x * x), ["float64[3]"],
         "a = mul(x0, x0); b = sqrt(a); b",
         "a = abs(x0); a"),
    Case("tanh", lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), ["float64[]"],
         "a = exp(x0); b = neg(x0); c = exp(b); d = sub(a, c); e = exp(x0); f = neg(x0); g = "
         "exp(f); h = add(e, g); i = div(d, h); i",
         "a = tanh(x0); a"),
    Case("tanh", lambda x: (exp(-x) - exp(x)) / (exp(x) + exp(-x)), ["float64[]"],
         "a = neg(x0); b = exp(a); c = exp(x0); d = sub(b, c); e = exp(x0); f = neg(x0); g = "
         "exp(f); h = add(e, g); i = div(d, h); i",
         "a = neg(x0); b = tanh(a); b"),
    Case("tanh", lambda x: ops.expm1(x) / (1 + exp(x)), ["float64[]"],
         "a = expm1(x0); b = exp(x0); c = add(1.0, b); d = div(a, c); d",
         "a = mul(x0, 0.5); b = tanh(a); b"),
    Case("softmax", lambda x: exp(x) / exp(x).sum(1, keepdims=True), ["float64[2,3]"],
         "a = exp(x0); b = exp(x0); c = reduce_sum(b, axes=(1)); d = reshape(c, shape=(2,1)); e "
         "= broadcast(d, shape=(2,3)); f = div(a, e); f",
         "a = reduce_max(x0, axes=(1)); b = abs(a); c = broadcast(inf, shape=(2)); d = lt(b, c); "
         "e = broadcast(0.0, shape=(2)); f = select(d, a, e); g = reshape(f, shape=(2,1)); h = "
         "broadcast(g, shape=(2,3)); i = sub(x0, h); j = exp(i); k = reduce_sum(j, axes=(1)); l "
         "= reshape(k, shape=(2,1)); m = broadcast(l, shape=(2,3)); n = div(j, m); n"),
    Case("softmax-mean", lambda x, w: (w * exp(x)).sum(1) / exp(x).sum(1),
         ["float64[2,3]", "float64[2,3]"],
         "a = exp(x0); b = mul(x1, a); c = reduce_sum(b, axes=(1)); d = exp(x0); e = "
         "reduce_sum(d, axes=(1)); f = div(c, e); f",
         "a = reduce_max(x0, axes=(1)); b = abs(a); c = broadcast(inf, shape=(2)); d = lt(b, c); "
         "e = broadcast(0.0, shape=(2)); f = select(d, a, e); g = reshape(f, shape=(2,1)); h = "
         "broadcast(g, shape=(2,3)); i = sub(x0, h); j = exp(i); k = reduce_sum(j, axes=(1)); l "
         "= reshape(k, shape=(2,1)); m = broadcast(l, shape=(2,3)); n = div(j, m); o = mul(x1, "
         "n); p = reduce_sum(o, axes=(1)); p"),
    Case("logistic", lambda x: 1 / (1 + exp(-x)), ["float64[]"],
         "a = neg(x0); b = exp(a); c = add(1.0, b); d = div(1.0, c); d",
         "a = logistic(x0); a"),
    Case("logistic", lambda x: 1 / (1 + exp(x)), ["float64[3]"],
         "a = broadcast(1.0, shape=(3)); b = broadcast(1.0, shape=(3)); c = exp(x0); d = add(b, "
         "c); e = div(a, d); e",
         "a = neg(x0); b = logistic(a); b"),
    Case("logistic", lambda x, y: y * exp(x) / (exp(x) + 1), ["float64[]", "float64[]"],
         "a = exp(x0); b = mul(x1, a); c = exp(x0); d = add(c, 1.0); e = div(b, d); e",
         "a = logistic(x0); b = mul(x1, a); b"),
    Case("logistic", lambda x, y: y / (1 + exp(x)), ["float64[]", "float64[]"],
         "a = exp(x0); b = add(1.0, a); c = div(x1, b); c",
         "a = neg(x0); b = logistic(a); c = mul(x1, b); c"),
    Case("logistic", lambda x, y: exp(x) / (exp(y) + exp(x)), ["float64[]", "float64[]"],
         "a = exp(x0); b = exp(x1); c = exp(x0); d = add(b, c); e = div(a, d); e",
         "a = sub(x0, x1); b = logistic(a); b"),
    Case("split-denominator", lambda x: exp(-x) / (1 + exp(-x)) ** 2, ["float64[]"],
         "a = neg(x0); b = exp(a); c = neg(x0); d = exp(c); e = add(1.0, d); f = mul(e, e); g = "
         "div(b, f); g",
         "a = neg(x0); b = exp(a); c = add(1.0, b); d = div(b, c); e = div(d, c); e"),
    Case("divide-after-summing", lambda x, y: (y / exp(x).sum(1, keepdims=True)).sum(1),
         ["float64[2,3]", "float64[2,3]"],
         "a = exp(x0); b = reduce_sum(a, axes=(1)); c = reshape(b, shape=(2,1)); d = "
         "broadcast(c, shape=(2,3)); e = div(x1, d); f = reduce_sum(e, axes=(1)); f",
         "a = reduce_sum(x1, axes=(1)); b = exp(x0); c = reduce_sum(b, axes=(1)); d = div(a, c); "
         "d"),
    Case("quotient-times-power", lambda x, y: y / exp(x).sum(1, keepdims=True) * exp(x),
         ["float64[2,3]", "float64[2,1]"],
         "a = exp(x0); b = reduce_sum(a, axes=(1)); c = reshape(b, shape=(2,1)); d = div(x1, c); "
         "e = broadcast(d, shape=(2,3)); f = exp(x0); g = mul(e, f); g",
         "a = broadcast(x1, shape=(2,3)); b = reduce_max(x0, axes=(1)); c = abs(b); d = "
         "broadcast(inf, shape=(2)); e = lt(c, d); f = broadcast(0.0, shape=(2)); g = select(e, "
         "b, f); h = reshape(g, shape=(2,1)); i = broadcast(h, shape=(2,3)); j = sub(x0, i); k = "
         "exp(j); l = reduce_sum(k, axes=(1)); m = reshape(l, shape=(2,1)); n = broadcast(m, "
         "shape=(2,3)); o = div(k, n); p = mul(a, o); p"),
    Case("quotient-times-power", lambda x, y: -(y / (1 + exp(x))) * exp(x),
         ["float64[]", "float64[]"],
         "a = exp(x0); b = add(1.0, a); c = div(x1, b); d = neg(c); e = exp(x0); f = mul(d, e); "
         "f",
         "a = neg(x1); b = logistic(x0); c = mul(a, b); c"),
    Case("logistic-times-power", lambda x, y: y * ops.logistic(x) * exp(-x),
         ["float64[]", "float64[]"],
         "a = logistic(x0); b = mul(x1, a); c = neg(x0); d = exp(c); e = mul(b, d); e",
         "a = neg(x0); b = logistic(a); c = mul(x1, b); d = mul(c, 1.0); d"),
    Case("logistic-times-power", lambda x: ops.logistic(-x) * (1 + exp(x)), ["float64[]"],
         "a = neg(x0); b = logistic(a); c = exp(x0); d = add(1.0, c); e = mul(b, d); e",
         "a = neg(x0); b = logistic(a); c = eq(b, b); d = select(c, 1.0, b); e = mul(d, 1.0); e"),
    Case("cancel-positive", lambda x, y: y / ops.logistic(x) * ops.logistic(x),
         ["float64[]", "float64[]"],
         "a = logistic(x0); b = div(x1, a); c = logistic(x0); d = mul(b, c); d",
         "a = logistic(x0); b = eq(a, a); c = select(b, 1.0, a); d = mul(x1, c); d"),
    Case("cancel-positive", lambda x, y: ops.logistic(x) * y / ops.logistic(x),
         ["float64[]", "float64[]"],
         "a = logistic(x0); b = mul(a, x1); c = logistic(x0); d = div(b, c); d",
         "a = logistic(x0); b = eq(a, a); c = select(b, 1.0, a); d = mul(c, x1); d"),
    Case("factor-into-sum", lambda x, y: (y / (1 + exp(x)) + y) * exp(x),
         ["float64[]", "float64[]"],
         "a = exp(x0); b = add(1.0, a); c = div(x1, b); d = add(c, x1); e = exp(x0); f = mul(d, "
         "e); f",
         "a = exp(x0); b = add(1.0, a); c = div(x1, b); d = mul(c, a); e = mul(x1, a); f = "
         "add(d, e); g = mul(f, 1.0); g"),
    Case("log-of-picked", lambda x, t: log((ops.logistic(x) * ops.one_hot(t, 3, "float64")).sum(1)),
         ["float64[2,3]", "int64[2]"],
         "a = logistic(x0); b = reshape(x1, shape=(2,1)); c = broadcast(b, shape=(2,3)); d = "
         "iota(length=3, dtype=int64); e = broadcast(d, shape=(2,3)); f = eq(c, e); g = cast(f, "
         "dtype=float64); h = mul(a, g); i = reduce_sum(h, axes=(1)); j = log(i); j",
         "a = reshape(x1, shape=(2,1)); b = broadcast(a, shape=(2,3)); c = iota(length=3, "
         "dtype=int64); d = broadcast(c, shape=(2,3)); e = eq(b, d); f = logistic(x0); g = "
         "log(f); h = broadcast(-inf, shape=(2,3)); i = select(e, g, h); j = reduce_max(i, "
         "axes=(1)); j"),
    Case("cancel-picked",
         lambda x, t: through_picked(ops.logistic(x), ops.one_hot(t, 3, "float64")),
         ["float64[2,3]", "int64[2]"],
         "a = broadcast(1.0, shape=(2,1)); b = logistic(x0); c = reshape(x1, shape=(2,1)); d = "
         "broadcast(c, shape=(2,3)); e = iota(length=3, dtype=int64); f = broadcast(e, "
         "shape=(2,3)); g = eq(d, f); h = cast(g, dtype=float64); i = mul(b, h); j = "
         "reduce_sum(i, axes=(1)); k = reshape(j, shape=(2,1)); l = div(a, k); m = broadcast(l, "
         "shape=(2,3)); n = mul(m, h); o = mul(n, b); o",
         "a = broadcast(1.0, shape=(2,1)); b = broadcast(a, shape=(2,3)); c = reshape(x1, "
         "shape=(2,1)); d = broadcast(c, shape=(2,3)); e = iota(length=3, dtype=int64); f = "
         "broadcast(e, shape=(2,3)); g = eq(d, f); h = cast(g, dtype=float64); i = mul(b, h); j "
         "= logistic(x0); k = eq(j, j); l = broadcast(1.0, shape=(2,3)); m = select(k, l, j); n "
         "= mul(i, m); n"),
    Case("softmax-mean", lambda x, w: 1 / exp(x).sum() * (w * exp(x)).sum(),
         ["float64[3]", "float64[3]"],
         "a = exp(x0); b = reduce_sum(a, axes=(0)); c = div(1.0, b); d = exp(x0); e = mul(x1, "
         "d); f = reduce_sum(e, axes=(0)); g = mul(c, f); g",
         "a = reduce_max(x0, axes=(0)); b = abs(a); c = lt(b, inf); d = select(c, a, 0.0); e = "
         "reshape(d, shape=(1)); f = broadcast(e, shape=(3)); g = sub(x0, f); h = exp(g); i = "
         "reduce_sum(h, axes=(0)); j = reshape(i, shape=(1)); k = broadcast(j, shape=(3)); l = "
         "div(h, k); m = mul(x1, l); n = reduce_sum(m, axes=(0)); o = mul(1.0, n); o"),
    Case("cancel-positive", lambda x, y: 2 / exp(x) * (y * exp(x)), ["float64[]", "float64[]"],
         "a = exp(x0); b = div(2.0, a); c = exp(x0); d = mul(x1, c); e = mul(b, d); e",
         "a = exp(x0); b = eq(a, a); c = select(b, 1.0, a); d = mul(x1, c); e = mul(2.0, d); e"),
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
    return re.sub(r"%(\d+)", lambda found: chr(ord("a") + int(found[1])), "; ".join(lines))


def ids(cases):
    return [f"{case.rule}-{number}" for number, case in enumerate(cases)]


# ------------------------------------------------------------------ the table


def test_every_rule_has_a_case():
    assert {case.rule for case in CASES} == NAMES


def test_rules_are_described():
    assert len(NAMES) == len(STABLE)
    assert not NAMES & ({rule.name for rule in RULES} | set(PASSES))
    for rule in STABLE:
        assert rule.primitives <= set(PRIMITIVES)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        assert rule.reason


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_before_and_after(case):
    graph = graph_of(case)
    assert text(graph) == case.before
    found = stabilise(graph, (NAMES | set(PASSES)) - {case.rule} - KEPT)
    verify(found.graph)
    assert text(found.graph) == case.after
    assert set(found.fired) - KEPT == {case.rule}
    assert text(graph) == case.before
    assert [t.type for t in found.graph.outputs] == [t.type for t in graph.outputs]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_rule_can_be_left_out(case):
    graph = graph_of(case)
    left_out = stabilise(graph, NAMES | set(PASSES))
    assert text(left_out.graph) == case.before
    assert not left_out.fired
    assert case.rule not in optimise(graph, [case.rule]).fired


def test_unknown_names_are_refused():
    graph = tw.trace(lambda x: x, 1.0)
    for run in (optimise, stabilise):
        with pytest.raises(SettingError, match=r"no rule is called 'fuse'; known: .*log-sum-exp"):
            run(graph, ["fuse"])
    with pytest.raises(SettingError, match="no rule is called 'softmax'"):
        simplify(graph, ["softmax"])
    assert not optimise(graph, [*NAMES, *PASSES, *(rule.name for rule in RULES)]).fired


# ------------------------------------------------------------------ what is left alone


@pytest.mark.parametrize(
    ("function", "types"),
    [
        (lambda x: exp(x) / exp(x).sum(1, keepdims=True).transpose(1, 0), "float64[3,3]"),
        (lambda x: exp(x) / exp(x).sum(1), "float64[3,3]"),
        (lambda x: exp(x) / exp(2 * x).sum(1, keepdims=True), "float64[3,3]"),
        (lambda x: exp(x)[:, ::-1] / exp(x).sum(1, keepdims=True), "float64[3,3]"),
        (lambda x: 1 / exp(x).sum(1) * exp(x), "float64[3,3]"),
        (lambda x: exp(x).sum(0) / exp(x).sum(1), "float64[3,3]"),
        (lambda x: log(exp(x).sum(1)), "float64[3,0]"),
        (lambda x: log(-exp(x).sum(1)), "float64[3,2]"),
        (lambda x: log(2 + exp(x)), "float64[3]"),
        (lambda x: 1 / (2 + exp(x)), "float64[3]"),
        (lambda x: exp(x) - 2, "float64[3]"),
        (lambda x: sqrt(x * (x + 1)), "float64[3]"),
        (lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-2 * x)), "float64[3]"),
        (lambda x: x - 1, "int64[3]"),
        (lambda x: 1 + x, "int64[3]"),
        (lambda x: x * x, "int64[3]"),
        (lambda x: ops.logistic(x) * exp(x), "float64[3]"),
        (lambda x: ops.logistic(x) - 1, "float64[3]"),
        (lambda x: (x + 1) * exp(x), "float64[3]"),
    ],
)
def test_other_formulas_are_left_alone(function, types):
    graph, _ = trace_flat(function, [type_from(types)])
    assert not NAMES & set(optimise(graph).fired)


WRITTEN_WELL = [
    ops.logsumexp, ops.logistic, ops.tanh, functional.softmax, functional.log_softmax,
    functional.softplus, functional.swish, functional.gelu, functional.elu,
]  # fmt: skip


@pytest.mark.parametrize("function", WRITTEN_WELL, ids=lambda f: f.__name__)
def test_stable_formulas_and_their_derivatives_are_left_alone(function):
    def square(x):
        return (function(x) ** 2).sum()

    for form in (function, tw.grad(square), tw.grad(lambda x: (tw.grad(square)(x) ** 2).sum())):
        assert not NAMES & set(optimise(tw.trace(form, np.ones((4, 3)))).fired)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAIVE)
def test_repetition_makes_no_difference(name, form):
    once = optimise(traced(name, form, "float32")).graph
    for run_again in (optimise, simplify, stabilise):
        again = run_again(once)
        assert not again.fired
        assert str(again.graph) == str(once)


def test_long_products_and_sums_take_no_long_time():
    def function(x):
        product, sum_ = exp(x), x
        for _ in range(300):
            product, sum_ = product * x, sum_ / (1 + exp(x)) + product
        return product / exp(x).sum() * sum_, sum_ * exp(x)

    verify(optimise(tw.trace(function, np.ones(3))).graph)


def test_what_is_needed_elsewhere_stays():
    def function(x):
        powers = exp(x)
        return powers, powers.sum(1), log(powers.sum(1))

    x = np.linspace(-9.0, 9.0, 12).reshape(4, 3)
    found = optimise(tw.trace(function, x))
    assert found.fired["log-sum-exp"] == 1
    powers, sums, logs = Interpreter(found.graph)(x)
    np.testing.assert_array_equal(powers, np.exp(x))
    np.testing.assert_array_equal(sums, np.exp(x).sum(1))
    np.testing.assert_allclose(logs, np.log(np.exp(x).sum(1)), rtol=1e-14)
