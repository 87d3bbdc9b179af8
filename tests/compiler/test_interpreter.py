"""The interpreter: values, memory, what it refuses, who may watch."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter, interpret
from thalweg.errors import ShapeError
from thalweg.graph import labelled, source_of
from thalweg.ops import functions as ops


def test_a_graph_is_run():
    graph = tw.trace(lambda x, y: (x @ y, x.sum(), 7.0), np.ones((2, 3)), np.ones((3, 2)))
    x, y = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)
    run = Interpreter(graph)
    for _ in range(2):
        product, total, seven = run(x, y)
        np.testing.assert_array_equal(product, x @ y)
        assert (total, seven) == (15.0, 7.0)
        assert isinstance(total, np.ndarray)
    assert interpret(graph, x, y)[1] == 15.0


def test_nothing_warns():
    (result,) = interpret(tw.trace(lambda x: ops.log(x) / x, np.zeros(2)), np.array([0.0, -1.0]))
    assert result[0] == -np.inf
    assert np.isnan(result[1])


def test_dead_values_are_freed_at_once():
    def chain(x):
        for _ in range(50):
            x = ops.tanh(x) + x
        return x.sum()

    array = np.ones(100_000)
    run = Interpreter(tw.trace(chain, array))
    tracemalloc.start()
    run(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * array.nbytes


def test_what_is_used_later_lives_until_then():
    alive = {}

    def watch(node, value):
        gc.collect()
        alive[source_of(node).primitive.name] = [
            name for name, ref in refs.items() if ref() is not None
        ]
        refs[source_of(node).primitive.name] = weakref.ref(value)

    refs = {}

    def function(x):
        early = ops.exp(x)
        late = ops.sin(x)
        return ops.sqrt(late) + ops.tanh(ops.floor(early))

    graph = tw.trace(function, np.ones(4))
    Interpreter(graph).run([np.ones(4)], watch)
    assert "exp" not in alive["tanh"]
    assert "sin" not in alive["add"]
    assert {"sqrt", "tanh"} <= set(alive["add"])


def test_inputs_and_constants_survive():
    table = np.arange(3.0)
    graph = tw.trace(lambda x: (ops.exp(x + table), x, table), np.ones(3))
    run, x = Interpreter(graph), np.ones(3)
    first = run(x)
    second = run(x)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert x.tolist() == [1.0] * 3


def test_results_share_no_memory():
    table = np.arange(3.0)

    def function(x, key):
        y = x * 2
        same = ops.stop_gradient(x)
        return x, same, table, y, y, y.reshape(3, 1), ops.broadcast(x, (2, 3)), x[1:], x.sum(())

    graph = tw.trace(function, np.ones(3), np.ones(2))
    x = np.ones(3)
    results = Interpreter(graph)(x, np.ones(2))
    for number, result in enumerate(results):
        result += 1 + number
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert table.tolist() == [0.0, 1.0, 2.0]
    again = Interpreter(graph)(x, np.ones(2))
    assert again[2].tolist() == [0.0, 1.0, 2.0]
    assert again[3].tolist() == again[4].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((np.ones(3),), "the graph takes 2 inputs, got 1"),
        ((np.ones(2), np.ones(2)), r"input rows: expected float64\[3\], got float64\[2\]"),
        (
            (np.ones(3), np.ones(2, "float32")),
            r"input bias: expected float64\[2\], got float32\[2\]",
        ),
        ((np.ones(3), [1.0, 2.0]), r"input bias: expected float64\[2\], got a list"),
        ((2.0, np.ones(2)), r"input rows: expected float64\[3\], got a float"),
        ((np.float64(2.0), np.ones(2)), r"input rows: expected float64\[3\], got float64\[\]"),
    ],
)
def test_wrong_inputs_are_refused_by_name(inputs, message):
    graph = tw.trace(lambda rows, bias: rows.sum() + bias, np.ones(3), np.ones(2))
    with pytest.raises(ShapeError, match=message):
        Interpreter(graph)(*inputs)


def test_an_index_out_of_range_names_its_layer():
    def function(table, index):
        with labelled("0 (Embedding)"):
            return ops.take(table, index)

    graph = tw.trace(function, np.ones((3, 2)), np.zeros(2, int))
    with pytest.raises(ShapeError, match=r"0 \(Embedding\) forward: gather: index 7 is outside"):
        Interpreter(graph)(np.ones((3, 2)), np.array([0, 7]))


def test_an_observer_sees_every_node_with_its_value():
    graph = tw.trace(lambda x: ops.exp(x).sum() * 2.0, np.ones(2))
    seen = []
    Interpreter(graph).run([np.zeros(2)], lambda node, value: seen.append((node, value)))
    assert [node for node, _ in seen] == list(graph.nodes)
    assert [np.asarray(value).tolist() for _, value in seen] == [[1.0, 1.0], 2.0, 4.0]
    assert all(isinstance(value, np.ndarray) for _, value in seen)
    assert all(value.dtype == node.dtype for node, value in seen)
