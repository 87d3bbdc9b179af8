"""Outputs for many rows: batches, kept traces, and any backend below."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.errors import ShapeError
from thalweg.model.forward import LENGTHS, VECTORS, Forward, native_forward
from thalweg.ops.functions import astype


@pytest.fixture
def net():
    return tw.Sequential(tw.Linear(3), tw.Tanh())


def test_any_runner_of_graphs_serves(net):
    made = []

    def runner(graph):
        made.append(graph.inputs[-1].shape)
        return Interpreter(graph)

    parameters = tw.initialise(net, 2)
    x = np.random.default_rng(0).normal(size=(2050, 2)).astype("float32")
    expected = np.tanh(x @ parameters["0.weight"] + parameters["0.bias"])
    forward = Forward(net, runner)
    for _ in range(2):
        np.testing.assert_allclose(forward(parameters, {}, x), expected, atol=1e-6)
    assert made == [(1024, 2), (2, 2)]


def test_few_rows_of_vectors_have_the_bits_that_they_have_among_many():
    small = tw.Sequential(tw.Linear(40), tw.ReLU(), tw.LayerNorm(), tw.Linear(33), tw.Linear(3))
    cases = [(small, 17, "float32"), (small, 17, "float64"), (tw.Linear(128), 784, "float32")]
    for net, inputs, dtype in cases:
        parameters = tw.initialise(net, inputs, 1, dtype)
        x = np.random.default_rng(1).normal(size=(1024, inputs)).astype(dtype)
        whole = native_forward(net)(parameters, {}, x)
        for rows in (2, 32, 33, 128, 129, 512, 513):
            assert (native_forward(net)(parameters, {}, x[:rows]) == whole[:rows]).all()


def test_programs_are_few():
    net = tw.Sequential(tw.Conv1d(2, 3), tw.Flatten(), tw.Linear(2))
    made = []

    def runner(graph):
        made.append(graph.inputs[-1].shape[0])
        return Interpreter(graph)

    def lengths(network, shape):
        made.clear()
        parameters = tw.initialise(network, shape)
        forward = Forward(network, runner, LENGTHS, vectors=VECTORS)
        for rows in (1, 2, 32, 33, 100, 500, 512, 513, 1024, 1025, 1060, 2060):
            assert forward(parameters, {}, np.ones((rows, *shape), "float32")).shape == (rows, 2)
        return sorted(made)

    assert lengths(net, (1, 5)) == [1, 32, 1024]
    assert lengths(tw.Linear(2), (4,)) == [1, 32, 128, 512, 1024]


@pytest.mark.parametrize("make", [native_forward, Forward])
def test_a_bound_network_follows_its_arrays(net, make):
    parameters = tw.initialise(net, 2)
    x = np.random.default_rng(2).normal(size=(50, 2))
    forward = make(net)
    bound = forward.bound(parameters, {}, forward.filled(x, parameters))
    first = bound()[:50]
    assert (first == forward(parameters, {}, x)).all()
    parameters["0.weight"] *= 2
    assert (bound()[:50] == forward(parameters, {}, x)).all()
    assert (first != bound()[:50]).any()


def test_a_bound_network_says_what_it_cannot_look_up():
    table = np.arange(6.0, dtype="float32").reshape(3, 2)

    def looked_up(x, scope):
        return tw.take(scope.parameter("table", (3, 2), tw.Zeros()), astype(x[:, 0], "int64"))

    for make in (native_forward, Forward):
        forward, x = make(looked_up), np.array([[1.0], [2.0]], "float32")
        bound = forward.bound({"table": table}, {}, x)
        assert bound().tolist() == [[2.0, 3.0], [4.0, 5.0]]
        x[1] = 7
        with pytest.raises(ShapeError):
            bound()
        x[1] = 0
        assert bound().tolist() == [[2.0, 3.0], [0.0, 1.0]]
