"""Derivatives of functions: textbook values, nesting, trees, control flow, memory."""

import gc
import math
import tracemalloc
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff import call
from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph import Tensor, topological, verify
from thalweg.ops import functions as ops


class Parameters(NamedTuple):
    weight: object
    bias: object


# ------------------------------------------------------------------ values from the book


def test_a_neuron():
    def neuron(x, w, b):
        return 1 / (ops.exp(-(w * x + b)) + 1)

    value, (dw, db) = tw.value_and_grad(neuron, (1, 2))(1.0, 0.0, 0.0)
    assert (value.item(), dw.item(), db.item()) == (0.5, 0.25, 0.25)


def test_a_function_of_two_variables():
    def function(x, y):
        return ops.log(x) + x * x * y - ops.sin(x * y)

    x, y = np.float64(2.0), np.float64(5.0)
    dx, dy = tw.grad(function, (0, 1))(x, y)
    assert dx.item() == pytest.approx(1 / x + 2 * x * y - y * math.cos(x * y), rel=1e-15)
    assert dy.item() == pytest.approx(x * x - x * math.cos(x * y), rel=1e-15)
    mixed = tw.grad(tw.grad(function, 0), 1)(x, y)
    exact = 2 * x - math.cos(x * y) + x * y * math.sin(x * y)
    assert mixed.item() == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize("order", range(7))
def test_derivatives_of_every_order(order):
    function = ops.sin
    for _ in range(order):
        function = tw.grad(function)
    expected = [math.sin, math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x)][order % 4]
    assert function(np.float64(0.7)).item() == pytest.approx(expected(0.7), rel=1e-14)


# ------------------------------------------------------------------ nesting


def test_inner_and_outer_variables_are_not_confused():
    outer = tw.grad(lambda x: x * tw.grad(lambda y: x + y)(1.0))
    assert outer(np.float64(3.0)).item() == 1.0
    product = tw.grad(lambda x: x * tw.grad(lambda y: x * y)(np.float64(2.0)))
    assert product(np.float64(3.0)).item() == 6.0


@pytest.mark.parametrize("inner", ["forward", "reverse"])
@pytest.mark.parametrize("outer", ["forward", "reverse"])
def test_modes_nest_without_confusion(inner, outer):
    def derivative(mode, function):
        if mode == "reverse":
            return tw.grad(function)
        return lambda x: tw.jvp(function, [x], [np.float64(1.0)])[1]

    function = derivative(outer, lambda x: x * derivative(inner, lambda y: x * x * y)(x))
    assert function(np.float64(2.0)).item() == 12.0


def test_a_closure_over_an_outer_variable_is_differentiated():
    def outer(w):
        inner = tw.grad(lambda x: (w * x**3).sum())
        return inner(np.array([1.0, 2.0])).sum()

    assert tw.grad(outer)(np.float64(5.0)).item() == 15.0


def test_an_inner_derivative_in_its_own_variable_has_no_part_in_the_outer_one():
    result = tw.grad(lambda x: tw.grad(lambda y: y * y)(np.float64(3.0)) + 0 * x)(np.float64(1.0))
    assert result.item() == 0.0


def test_stopped_gradients_stay_stopped_at_every_order():
    def function(x):
        return ops.stop_gradient(x * x) * x

    assert tw.grad(function)(np.float64(3.0)).item() == 9.0
    assert tw.grad(tw.grad(function))(np.float64(3.0)).item() == 0.0


# ------------------------------------------------------------------ paths, control flow, traces


def test_several_paths_add_up():
    def function(x):
        y = x * x
        return (y + y * y + y * x).sum()

    x = np.array([1.0, -2.0])
    np.testing.assert_allclose(tw.grad(function)(x).numpy(), 2 * x + 4 * x**3 + 3 * x**2)


def test_many_paths_are_walked_once():
    def function(x):
        for _ in range(60):
            x = x + x
        return x

    assert tw.grad(function)(1.0).item() == 2.0**60


def test_control_flow_on_values():
    def function(x):
        while x < 10:
            x = x * 2 if x > 0 else -x
        return x if float(x) % 2 else x * x

    assert tw.grad(function)(3.0).item() == 96.0
    assert tw.grad(function)(-3.0).item() == -96.0
    assert tw.grad(function)(11.0).item() == 1.0


def test_derivatives_inside_a_trace():
    def step(w, x):
        value, gradient = tw.value_and_grad(lambda w: ((x @ w) ** 2).mean())(w)
        return value, w - 0.1 * gradient, tw.jvp(ops.exp, [w], [w])[1]

    w, x = np.array([1.0, 2.0]), np.array([[1.0, 0.5], [2.0, -1.0]])
    graph = tw.trace(step, w, x)
    verify(graph)
    for eager, traced in zip(step(w, x), graph(Tensor(w), Tensor(x)), strict=True):
        np.testing.assert_allclose(traced.numpy(), eager.numpy(), rtol=1e-15)


def test_tracing_a_derivative_of_a_branch_is_explained():
    with pytest.raises(GraphError, match=r"write conditions with where\(\)"):
        tw.trace(tw.grad(lambda x: x if x > 0 else -x), 1.0)


def test_what_does_not_depend_on_the_input_has_derivative_zero():
    w = np.array([1.0, 2.0])
    assert tw.grad(lambda w: Tensor(3.0))(w).numpy().tolist() == [0.0, 0.0]
    assert tw.grad(lambda w: 3.0)(w).numpy().tolist() == [0.0, 0.0]
    first, second = tw.grad(lambda a, b: (a * a).sum(), (0, 1))(w, w)
    assert first.numpy().tolist() == [2.0, 4.0]
    assert second.numpy().tolist() == [0.0, 0.0]
    assert tw.jvp(lambda w: np.ones(3), [w], [w])[1].numpy().tolist() == [0.0] * 3
    assert tw.grad(lambda w: w)(np.float64(1.0)).item() == 1.0


# ------------------------------------------------------------------ arguments, results, trees


def test_argument_numbers():
    def function(a, b, c):
        return a + 2 * b + 3 * c

    values = [np.float64(v) for v in (1, 2, 3)]
    assert tw.grad(function)(*values).item() == 1.0
    assert tw.grad(function, 2)(*values).item() == 3.0
    assert tw.grad(function, -1)(*values).item() == 3.0
    assert [g.item() for g in tw.grad(function, (2, 0))(*values)] == [3.0, 1.0]
    assert tw.grad(function, (1,))(*values)[0].item() == 2.0


def test_arguments_by_name_are_passed_on():
    def function(x, *, scale, power=2):
        return (scale * x**power).sum()

    x = np.array([1.0, 2.0])
    assert tw.grad(function)(x, scale=3.0).numpy().tolist() == [6.0, 12.0]
    assert tw.value_and_grad(function)(x, scale=1.0, power=3)[0].item() == 9.0
    assert tw.jacobian(function)(x, scale=np.float64(1.0)).numpy().tolist() == [2.0, 4.0]
    assert tw.hessian(function)(x, scale=1.0).numpy().tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_arguments_keep_their_types_and_shapes():
    gradient = tw.grad(lambda t: (t["a"].astype("float64").sum() * t["b"]).sum())(
        {"a": np.ones((2, 3), "float32"), "b": np.full(4, 2.0)}
    )
    assert gradient["a"].type == Tensor(np.zeros((2, 3), "float32")).type
    assert gradient["b"].type == Tensor(np.zeros(4)).type
    np.testing.assert_array_equal(gradient["a"].numpy(), 8.0)


def test_trees_of_parameters():
    tree = {"hidden": Parameters(np.ones((2, 2)), np.zeros(2)), "scale": [np.float64(3.0), None]}

    def loss(p, x):
        return ((x @ p["hidden"].weight + p["hidden"].bias) * p["scale"][0]).sum()

    value, gradient = tw.value_and_grad(loss)(tree, np.array([1.0, 2.0]))
    assert value.item() == 18.0
    assert isinstance(gradient["hidden"], Parameters)
    np.testing.assert_array_equal(gradient["hidden"].weight.numpy(), [[3.0, 3.0], [6.0, 6.0]])
    np.testing.assert_array_equal(gradient["hidden"].bias.numpy(), [3.0, 3.0])
    assert gradient["scale"][0].item() == 6.0
    assert gradient["scale"][1] is None


def test_one_tensor_given_twice_counts_twice():
    x = Tensor(np.float64(3.0))
    assert [g.item() for g in tw.grad(lambda a, b: a * a * b, (0, 1))(x, x)] == [18.0, 9.0]


def test_extra_results():
    def loss(w):
        return (w * w).sum(), {"twice": w * 2, "note": "text", "count": 3}

    w = np.array([1.0, 2.0])
    gradient, extra = tw.grad(loss, has_aux=True)(w)
    assert gradient.numpy().tolist() == [2.0, 4.0]
    assert extra["twice"].numpy().tolist() == [2.0, 4.0]
    assert (extra["note"], extra["count"]) == ("text", 3)
    assert not extra["twice"].tracked
    (value, again), _ = tw.value_and_grad(loss, has_aux=True)(w)
    assert isinstance(value, Tensor)
    assert again["note"] == "text"


def test_vjp_with_trees():
    def function(p, x):
        return {"sum": p["a"] + x, "product": p["a"] * x}

    a, x = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    value, pull = tw.vjp(function, {"a": a}, x)
    assert value["product"].numpy().tolist() == [3.0, 8.0]
    dp, dx = pull({"sum": np.ones(2), "product": np.array([1.0, 10.0])})
    assert dp["a"].numpy().tolist() == [4.0, 41.0]
    assert dx.numpy().tolist() == [2.0, 21.0]
    dp, dx = pull({"sum": np.zeros(2), "product": np.zeros(2)})
    assert dx.numpy().tolist() == [0.0, 0.0]


def test_jvp_with_trees():
    def function(p):
        return [p["a"] * p["b"], p["a"].argmax()]

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    value, change = tw.jvp(function, [{"a": a, "b": b}], [{"a": np.ones(2), "b": np.zeros(2)}])
    assert value[0].numpy().tolist() == [3.0, 8.0]
    assert change[0].numpy().tolist() == [3.0, 4.0]
    assert change[1].item() == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: tw.grad(lambda x: x * 2)(np.ones(3)),
            ShapeError,
            r"single number .* float64\[3\]",
        ),
        (
            lambda: tw.grad(lambda x: (x, 1))(1.0),
            ShapeError,
            "got a tuple; use jacobian, or has_aux",
        ),
        (lambda: tw.grad(lambda x: None)(1.0), ShapeError, "got a NoneType"),
        (lambda: tw.grad(lambda x: x)(2), DTypeError, r"got int64\[\]; convert with astype, or wr"),
        (
            lambda: tw.grad(lambda p: p["n"] * 1.0)({"n": np.arange(2)}),
            DTypeError,
            r"derivatives need floating-point inputs, got int64\[2\] at n",
        ),
        (
            lambda: tw.grad(lambda x: x.astype("int64"))(2.0),
            DTypeError,
            r"grad needs a floating-point value, got int64\[\]",
        ),
        (lambda: tw.grad(lambda x: x, 1)(2.0), GraphError, "argnums 1: the call has 1 arguments"),
        (lambda: tw.grad(lambda x: x, (0, -1))(2.0), GraphError, "name an argument twice"),
        (
            lambda: tw.grad(lambda x: x, has_aux=True)(2.0),
            GraphError,
            r"has_aux=True needs a function that returns \(value, extra\), got Tensor",
        ),
        (
            lambda: tw.jvp(lambda x: x, [{"a": 1.0}], [{"b": 1.0}]),
            ShapeError,
            r"the tangents differ in structure at 0: expected dictionary of 'a', got .* 'b'",
        ),
        (
            lambda: tw.jvp(lambda x: x, [np.ones(3)], [np.ones(2)]),
            ShapeError,
            r"a tangent has shape \(2,\), expected \(3,\)",
        ),
        (
            lambda: tw.vjp(lambda x: [x, x], 1.0)[1](1.0),
            ShapeError,
            "the cotangents differ in structure at the tree: expected list of 2, got leaf",
        ),
        (
            lambda: tw.vjp(lambda x: x, np.ones(3))[1](np.ones((3, 1))),
            ShapeError,
            r"a cotangent has shape \(3, 1\), expected \(3,\)",
        ),
    ],
)
def test_what_cannot_be_differentiated_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------ memory


def test_eager_results_keep_no_history():
    w = Tensor(np.array([1.0, -2.0]))
    function = tw.value_and_grad(lambda w: ((w - 3.0) ** 2).sum())
    for _ in range(1000):
        _, gradient = function(w)
        w = w - 0.01 * gradient
        assert not w.tracked
        assert w.source is None
    np.testing.assert_allclose(w.numpy(), [3.0, 3.0], atol=1e-6)


def test_a_long_eager_loop_does_not_grow():
    function = tw.grad(lambda w: (ops.tanh(w) * w).sum())

    def run(w, count):
        for _ in range(count):
            w = w - 0.1 * function(w)
        return w

    w = run(Tensor(np.ones(2000)), 20)
    gc.collect()
    tracemalloc.start()
    w = run(w, 20)
    gc.collect()
    base = tracemalloc.get_traced_memory()[0]
    run(w, 200)
    gc.collect()
    assert tracemalloc.get_traced_memory()[0] - base < 50_000
    tracemalloc.stop()


def test_intermediate_results_are_let_go():
    seen = []

    def function(w):
        hidden = ops.exp(w * 2)
        seen.append(weakref.ref(hidden))
        return hidden.sum(), hidden + 1

    result = tw.value_and_grad(function, has_aux=True)(np.ones(5))
    gc.collect()
    assert seen[0]() is None
    assert result[0][1].numpy().shape == (5,)


def test_results_of_an_inner_derivative_keep_what_the_outer_one_needs():
    kept = []

    def outer(x):
        gradient = tw.grad(lambda y: y * y * x)(x)
        kept.append(gradient)
        return gradient * x

    assert tw.grad(outer)(np.float64(2.0)).item() == pytest.approx(3 * 2 * 2.0**2)
    assert kept[0].tracked


def test_gradients_of_many_parameters_are_let_go_in_one_walk(monkeypatch):
    visited = []

    def counting(outputs, stop):
        order = topological(outputs, stop)
        visited.append(len(order))
        return order

    monkeypatch.setattr(call, "topological", counting)
    tree = {str(number): np.ones(2) for number in range(50)}
    tw.grad(lambda p: sum((value * value).sum() for value in p.values()))(tree)
    assert len(visited) == 1
    assert visited[0] < 1000
