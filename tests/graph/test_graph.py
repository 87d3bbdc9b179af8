"""Graphs: closed, counted, called again; what they cannot close over is refused."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import GraphError, ShapeError
from thalweg.graph import (
    Graph,
    Tensor,
    TensorType,
    constant,
    is_constant,
    leaf,
    placeholder,
    topological,
    trace_flat,
    verify,
)
from thalweg.ops import functions as ops

F64 = np.dtype("float64")


def vector(name=""):
    return placeholder(TensorType((3,), F64), name)


def test_topological_order_is_inputs_first_without_recursion():
    x = y = vector()
    for _ in range(20_000):
        y = y + x
    order = topological([y], lambda _: False)
    position = {id(tensor): place for place, tensor in enumerate(order)}
    assert len(order) == 20_001
    assert all(
        position[id(item)] < position[id(node)]
        for node in order
        if node.source
        for item in node.source.inputs
    )
    assert topological([y], lambda tensor: tensor is y) == [y]


def test_a_graph_has_inputs_constants_and_nodes():
    x, c = vector("x"), constant(np.arange(3.0))
    y = tw.exp(x * c)
    graph = Graph((x,), (y, y))
    verify(graph)
    assert graph.constants == (c,)
    assert [node.source.primitive.name for node in graph.nodes] == ["mul", "exp"]


def test_repeated_numbers_are_nodes_not_arrays():
    graph = tw.trace(lambda x: x * 2.0 + tw.zeros((3,), "float64"), np.ones(3))
    assert graph.operations() == {"broadcast": 2, "add": 1, "mul": 1}
    assert [tensor.shape for tensor in graph.constants] == [(), ()]
    assert not any(is_constant(node) for node in graph.nodes)


def test_eager_work_inside_a_trace_is_done_once():
    graph = tw.trace(lambda x: x + tw.exp(Tensor(np.ones(3))) * Tensor(np.ones(3)), np.ones(3))
    assert graph.operations() == {"add": 1}


def test_what_is_being_differentiated_is_a_constant_of_an_inner_trace():
    def function(w):
        graph = tw.trace(lambda x: x * w, np.ones(3))
        verify(graph)
        assert len(graph.constants) == 1
        return graph(Tensor(np.arange(3.0)))[0].sum()

    np.testing.assert_array_equal(tw.grad(function)(np.ones(3)).numpy(), np.arange(3.0))
    assert tw.grad(function)(np.float64(2.0)).item() == 3.0


def test_counts_by_hand():
    def step(x, w, b):
        return tw.maximum(x @ w + b, 0.0).sum()

    graph = tw.trace(step, *(np.zeros(s, "float32") for s in ((5, 3), (3, 2), (2,))))
    assert graph.operations() == {"broadcast": 2, "add": 1, "matmul": 1, "max": 1, "reduce_sum": 1}
    assert graph.flops == 2 * 5 * 3 * 2 + 10 + 10 + 10
    assert tw.trace(lambda x: tw.max(x, 0), np.zeros((5, 3))).flops == 15
    elements = (15 + 6 + 10) + (2 + 10) + (10 + 10 + 10) + (1 + 10) + (10 + 10 + 10) + (10 + 1)
    assert graph.bytes == 4 * elements


def test_a_graph_is_called_with_other_tensors():
    graph = tw.trace(lambda x, y: (x * y, x), np.ones(3), np.ones(3))
    product, same = graph(Tensor(np.arange(3.0)), Tensor(np.full(3, 2.0)))
    assert product.numpy().tolist() == [0.0, 2.0, 4.0]
    assert same.numpy().tolist() == [0.0, 1.0, 2.0]
    twice = tw.trace(lambda x: graph(x, x)[0], np.ones(3))
    assert twice.operations() == {"mul": 1}
    assert tw.grad(lambda x: graph(x, x)[0].sum())(np.ones(3)).numpy().tolist() == [2.0] * 3


def test_calls_that_do_not_fit_are_refused():
    graph = tw.trace(lambda x: x, np.ones(3))
    with pytest.raises(GraphError, match="the graph takes 1 inputs, got 2"):
        graph(Tensor(np.ones(3)), Tensor(np.ones(3)))
    with pytest.raises(ShapeError, match=r"input x: expected float64\[3\], got float32\[3\]"):
        graph(Tensor(np.ones(3, "float32")))


def test_capture_from_another_trace_is_refused():
    kept = []

    def first(secret):
        kept.append(tw.exp(secret))
        return secret

    tw.trace(first, 1.0)
    with pytest.raises(
        GraphError, match=r"depends on Tensor\(secret: float32\[\]\), which is none of its inputs"
    ):
        tw.trace(lambda x: x + kept[0], 1.0)


def test_inputs_are_placeholders():
    x = vector("x")
    for wrong in (x * 2.0, constant(np.ones(3)), leaf(np.ones(3))):
        with pytest.raises(GraphError, match="inputs of a graph are placeholders, got Tensor"):
            Graph((wrong,), (wrong,))


def test_tracing_gives_the_graph_and_the_nested_result():
    types = [TensorType((3,), F64)] * 2
    graph, result = trace_flat(lambda x, y: {"sum": x + y, "rest": [x, None]}, types)
    verify(graph)
    assert [tensor.name for tensor in graph.inputs] == ["x0", "x1"]
    assert result["sum"] is graph.outputs[0]
    assert result["rest"] == [graph.inputs[0], None]


def test_results_without_tensors_are_constants():
    graph = tw.trace(lambda x: (1.0, np.arange(2)), 1.0)
    verify(graph)
    assert [output.numpy().tolist() for output in graph.outputs] == [1.0, [0, 1]]
    assert graph.nodes == ()


def test_long_chains_are_let_go_without_recursion():
    x = leaf(np.ones(2))
    for _ in range(100_000):
        x = ops.negative(x)
    del x
