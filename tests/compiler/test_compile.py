"""``compile``: functions of tensors as machine code."""

import threading

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.native import lanes
from thalweg.compiler.native.engine import COMPILATIONS
from thalweg.errors import GraphError, ShapeError

X = np.random.default_rng(3).normal(size=(6, 4))


def loss(w, x):
    return tw.log(tw.exp(x @ w).sum(axis=1)).sum()


def test_derivatives_are_those_of_the_plain_function():
    w = np.random.default_rng(1).normal(size=(4, 3))
    direction = np.ones_like(w)

    def curvature(w, direction):
        return tw.hvp(lambda w: loss(w, X), w, direction)

    pairs = [
        (tw.compile(tw.grad(loss))(w, X), tw.grad(loss)(w, X)),
        (tw.compile(curvature)(w, direction), curvature(w, direction)),
        (tw.compile(tw.hessian(loss))(w, X), tw.hessian(loss)(w, X)),
    ]
    for got, expected in pairs:
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-11, atol=1e-13)


def test_a_compiled_function_can_be_differentiated():
    compiled = tw.compile(loss)
    w = np.random.default_rng(1).normal(size=(4, 3))
    expected = tw.grad(loss)(w, X).numpy()
    np.testing.assert_allclose(tw.grad(compiled)(w, X).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(tw.compile(tw.grad(compiled))(w, X).numpy(), expected, rtol=1e-12)


def test_trees_go_in_and_come_out():
    def f(inputs, scale):
        return {"sum": inputs["a"] + inputs["b"][0], "more": (inputs["b"][1] * scale,)}

    got = tw.compile(f)({"a": X, "b": [X, X]}, 2.0)
    np.testing.assert_array_equal(got["sum"].numpy(), X + X)
    np.testing.assert_array_equal(got["more"][0].numpy(), X * 2)


def test_a_second_call_compiles_nothing_and_another_shape_does():
    f = tw.compile(lambda x: (x * 3.0625).sum(axis=0) + 0.25)
    f(X)
    before = COMPILATIONS.count
    f(X + 1)
    assert before == COMPILATIONS.count
    f(X[:5])
    assert COMPILATIONS.count == before + 1
    tw.compile(lambda x: (x * 3.0625).sum(axis=0) + 0.25)(X)
    assert COMPILATIONS.count == before + 1  # the program is on disk
    tw.compile(lambda x: (x * 3.0625).sum(axis=0) - 0.25)(X)
    assert COMPILATIONS.count == before + 2


def test_results_and_captured_arrays_are_copies():
    captured = X.copy()
    f = tw.compile(lambda x: (x + captured, x))
    first = f(X)
    captured[:] = 0
    np.testing.assert_array_equal(f(X)[0].numpy(), 2 * X)
    first[1].numpy()[:] = 7
    assert not (X == 7).any()


def test_inputs_of_any_layout():
    f = tw.compile(lambda x: x @ x.T)
    for x in (X[::2], X[:, ::2], np.asfortranarray(X), X[::-1], np.broadcast_to(X[:1], X.shape)):
        np.testing.assert_allclose(f(x).numpy(), x @ x.T, rtol=1e-12, atol=1e-14)


def test_two_threads_may_call_one_program():
    f = tw.compile(lambda x: tw.tanh(x @ x.T) @ x)
    xs = [X * scale for scale in (0.1, 0.5, 1.0, 2.0)]
    expected = [f(x).numpy() for x in xs]
    right = []

    def call(number):
        got = {f(xs[number]).numpy().tobytes() for _ in range(50)}
        right.append(got == {expected[number].tobytes()})

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 4


def test_text_and_explanation():
    f = tw.compile(loss)
    with pytest.raises(GraphError, match="nothing is compiled yet: call the function, or prepare"):
        _ = f.llvm
    f.prepare(np.ones((4, 3)), X)
    assert "define void @main(" in f.llvm
    text = f.explain()
    assert "product" in text
    assert "log-sum-exp 1" in text
    assert "arena" in text
    assert len(f.graph.nodes) > 3


def test_wrong_calls_say_what_is_wrong():
    with pytest.raises(GraphError, match="value"):
        tw.compile(lambda x: x if x.sum() > 0 else -x)(X)
    with pytest.raises(ShapeError, match="index 9 is outside an axis of 6"):
        tw.compile(lambda x, i: tw.take(x, i))(X, np.array([0, 9]))


def test_debugging_names_the_first_node_that_disagrees(monkeypatch):
    right = tw.compile(lambda x: tw.exp(x) * x.sum(), debug=True)
    np.testing.assert_allclose(right(X).numpy(), np.exp(X) * X.sum(), rtol=1e-12)

    def wrong(op):
        return op.f.binary("fsub", *op.values)

    monkeypatch.setitem(lanes._WRITERS, "mul", wrong)
    with pytest.raises(GraphError, match=r"node 1 \(mul, float64\[6,4\].* differs by"):
        tw.compile(lambda x: tw.abs(x) * x + tw.exp(x), debug=True)(X)


def test_a_grid_of_losses_is_one_program():
    w = np.random.default_rng(1).normal(size=(4, 3))
    steps = np.linspace(-1, 1, 11)
    f = tw.compile(lambda w, t: loss(w * t, X))
    got = [float(f(w, t)) for t in steps]
    wanted = [np.log(np.exp(X @ (w * t)).sum(axis=1)).sum() for t in steps]
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
