"""Simplification as a whole: sharing, folding, labels, termination, cost."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes import rules
from thalweg.compiler.passes import simplify as passes
from thalweg.compiler.passes.rules import Rule
from thalweg.compiler.passes.simplify import PASSES, simplify
from thalweg.errors import SettingError
from thalweg.graph import Graph, Tensor, constant, defer, labelled, source_of, verify
from thalweg.ops import binary, layout, unary
from thalweg.ops import functions as ops


def operations(function, *examples, **how):
    graph = simplify(tw.trace(function, *examples), **how).graph
    verify(graph)
    return graph.operations()


X = np.ones(3)


# ------------------------------------------------------------------ sharing


def test_equal_nodes_are_computed_once():
    def function(x):
        return ops.exp(x) + ops.exp(x), ops.exp(x * 2.0) * ops.exp(x * 2.0)

    assert operations(function, X) == {"exp": 2, "mul": 2, "add": 1, "broadcast": 1}


def test_the_order_of_equal_partners_does_not_matter():
    def function(x, y):
        return x + y, y + x, x * y, y * x, x == y, y == x

    assert operations(function, X, X) == {"add": 1, "mul": 1, "eq": 1}
    assert operations(lambda x, y: (x < y, y < x, x - y, y - x), X, X) == {"lt": 2, "sub": 2}
    both = lambda x, y: (ops.maximum(x, y), ops.maximum(y, x))  # differ for zeros of two signs
    assert operations(both, X, X) == {"max": 2}


def test_parameters_and_order_tell_nodes_apart():
    def function(x):
        return x.sum(0), x.sum(1), x[0], x[1], x - 1.0, 1.0 - x, x.astype("float32")

    graph = simplify(tw.trace(function, np.ones((2, 2)))).graph
    assert len({id(output) for output in graph.outputs}) == 7


@pytest.mark.parametrize(("one", "other"), [(0.0, -0.0), (0.0, 1.0)])
def test_paddings_of_different_zeros_are_not_merged(one, other):
    def function(x):
        return tuple(
            layout.pad(x, low=(1,), high=(0,), interior=(0,), value=value) for value in (one, other)
        )

    first, second = Interpreter(simplify(tw.trace(function, X)).graph)(X)
    assert np.signbit(first[0]) == np.signbit(one)
    assert np.signbit(second[0]) == np.signbit(other)


def test_equal_constants_are_one():
    def function(x):
        return [x + np.arange(3.0), x * np.arange(3.0), x - 0.1, x / 0.1, x + np.full(3, 0.1)]

    graph = simplify(tw.trace(function, X)).graph
    assert len(graph.constants) == 2
    assert graph.operations()["broadcast"] == 1


def test_zeros_of_different_signs_stay_two():
    graph = simplify(tw.trace(lambda x: (x + 0.0, x + -0.0), X)).graph
    assert sorted(np.signbit(c.numpy()).item() for c in graph.constants) == [False, True]


def test_what_a_rule_makes_is_shared():
    def function(x):
        return x / 2.0 + x * 0.5, ops.negative(-ops.exp(x)) * ops.exp(x), (x / 2.0) / 2.0

    graph = simplify(tw.trace(function, X)).graph
    assert graph.operations() == {"mul": 3, "add": 1, "broadcast": 1, "exp": 1}


# ------------------------------------------------------------------ folding


def test_what_depends_on_constants_alone_is_computed():
    def function(c, x):
        return ops.exp(ops.where(c, Tensor(np.arange(3.0)), Tensor(np.arange(3.0)))) * x

    found = simplify(tw.trace(function, np.ones(3, bool), X))
    assert found.graph.operations() == {"mul": 1}
    assert found.fired["fold-constants"] == 1
    np.testing.assert_array_equal(found.graph.constants[0].numpy(), np.exp(np.arange(3.0)))
    kept = simplify(tw.trace(function, np.ones(3, bool), X), disabled=["fold-constants"])
    assert kept.graph.operations() == {"exp": 1, "mul": 1}
    verify(kept.graph)


def test_deferred_work_on_constants_is_folded():
    x = tw.trace(lambda x: x, X).inputs[0]
    late = defer(unary.exp, (constant(np.arange(3.0)),), {})
    graph = Graph((x,), (binary.add(x, late),))
    assert simplify(graph).graph.operations() == {"add": 1}
    np.testing.assert_allclose(Interpreter(simplify(graph).graph)(X)[0], X + np.exp(np.arange(3.0)))


def test_arrays_of_one_number_are_stored_as_one():
    big = np.full((100, 100), 2.5)
    graph = simplify(tw.trace(lambda x: x * big, np.ones((100, 100)))).graph
    assert [c.shape for c in graph.constants] == [()]
    kept = simplify(tw.trace(lambda x: x * big, np.ones((100, 100))), ["uniform-constant"]).graph
    assert [c.shape for c in kept.constants] == [(100, 100)]


def test_tracked_values_become_plain_constants():
    def function(w):
        found = simplify(tw.trace(lambda x: (w * 2.0).T @ x, np.ones((2, 2))))
        verify(found.graph)
        assert found.graph.operations() == {"matmul": 1}
        assert all(not c.tracked for c in found.graph.constants)
        return w.sum()

    tw.grad(function)(np.arange(4.0).reshape(2, 2))


# ------------------------------------------------------------------ the result


def test_dead_nodes_are_dropped_and_inputs_kept():
    def function(x, unused):
        ops.exp(x)
        return ops.where(ops.ones((3,), "bool"), x, ops.log(unused))

    graph = simplify(tw.trace(function, X, X)).graph
    assert graph.nodes == ()
    assert [tensor.name for tensor in graph.inputs] == ["x", "unused"]
    assert graph.outputs[0] is graph.inputs[0]


def test_the_original_is_left_as_it_is():
    graph = tw.trace(lambda x: (x * 1.0).T.T + -x, np.ones((2, 2)))
    before = str(graph)
    simplify(graph)
    assert str(graph) == before
    verify(graph)


def test_labels_stay_with_what_they_belong_to():
    def function(x):
        with labelled("first"):
            y = ops.exp(x) / 2.0
        with labelled("second"):
            return ops.tanh(ops.negative(-y))

    graph = simplify(tw.trace(function, X)).graph
    found = {source_of(node).primitive.name: node.label.layer for node in graph.nodes}
    assert found == {"exp": "first", "broadcast": "first", "mul": "first", "tanh": "second"}


def test_fired_rules_are_counted():
    fired = simplify(tw.trace(lambda x: ops.negative(-(x * 1.0)) - 0.0, np.float64(1.0))).fired
    assert fired == {"times-one": 1, "double-negation": 1, "minus-zero": 1}


def test_unknown_names_are_refused():
    with pytest.raises(SettingError, match=r"no rule is called 'fuse'; known: add-negated, .*"):
        simplify(tw.trace(lambda x: x, 1.0), disabled=["fuse"])


def test_powers_with_constant_exponents_lose_their_special_cases():
    def function(x):
        return tw.grad(lambda x: (x**2.5).sum())(x)

    assert operations(function, X) == {"broadcast": 2, "mul": 1, "pow": 1}


# ------------------------------------------------------------------ termination and cost


def test_rules_that_undo_each_other_come_to_an_end():
    swap = Rule("test-swap", frozenset({"add"}), "never done",
                lambda node: binary.add(*source_of(node).inputs[::-1]))  # fmt: skip
    rules.RULES.append(swap)
    try:
        found = simplify(tw.trace(lambda x, y: x + y, X, X))
    finally:
        rules.RULES.remove(swap)
    assert found.fired["test-swap"] <= 100
    verify(found.graph)


@pytest.mark.parametrize("disabled", [(), PASSES, ("merge-equal",)])
def test_every_node_is_visited_a_few_times(disabled, monkeypatch):
    visits = 0

    class Counting(passes._Simplifier):
        def rewrite(self, tensor):
            nonlocal visits
            visits += 1
            return super().rewrite(tensor)

    monkeypatch.setattr(passes, "_Simplifier", Counting)

    def function(x):
        for _ in range(300):
            x = ops.negative(-(x / 2.0)) + x * 1.0
        return x

    graph = tw.trace(function, X)
    simplify(graph, disabled)
    assert visits < 4 * len(graph.nodes)


def test_repetition_of_the_whole_makes_no_difference():
    def function(x):
        return tw.grad(lambda x: (ops.tanh(x @ x.T) ** 2).mean())(x)

    once = simplify(tw.trace(function, np.ones((3, 3)))).graph
    again = simplify(once)
    assert str(again.graph) == str(once)
    assert not again.fired
