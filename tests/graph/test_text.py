"""The printed form of graphs."""

import numpy as np

import thalweg as tw
from thalweg.graph import Graph, Tensor, TensorType, constant, labelled, placeholder


def test_a_graph_in_print(golden):
    table = np.linspace(0, 1, 8, dtype="float32").reshape(4, 2)

    def function(x, labels):
        with labelled("embed"):
            rows = tw.take(table, labels)
        with labelled("mix"):
            mixed = tw.where(x > 0.1, rows, -rows) * np.array([1.0, 2.0], "float32")
        padded = tw.pad(mixed, [(1, 0), (0, 1)], -0.5)
        return {"out": padded[::2, 1].astype("float64"), "best": padded.argmax(1), "x": x}

    graph = tw.trace(function, np.zeros((3, 2), "float32"), np.zeros(3, int))
    golden("printed_graph", str(graph))


def test_names_are_unique():
    type_ = TensorType((2,), np.dtype("float64"))
    inputs = [placeholder(type_, name) for name in ("c0", "x", "x", "", "c0", "x1")]
    total = constant(np.zeros(2)) + constant(np.ones(2)) * 0
    for tensor in inputs:
        total = total + tensor * np.array([1.0, 2.0])
    text = str(Graph(tuple(inputs), (total,)))
    names = [part.split(":")[0] for part in text.split("(", 1)[1].split("float64[2]")[:6]]
    names = [name.strip(" ,") for name in names]
    assert names == ["c0", "x", "x_2", "x3", "c0_2", "x1"]
    assert "  c1 = constant float64[2] [0 0]" in text


def test_numbers_stand_in_place():
    def function(x):
        return x * 0.1 + np.float32(np.nan) - np.float32(np.inf)

    text = str(tw.trace(function, np.float32(1)))
    assert "mul(x, 0.1)" in text
    assert "add(%0, nan)" in text
    assert "sub(%1, inf)" in text
    assert "and(x, True)" in str(tw.trace(lambda x: x & True, Tensor(True)))


def test_long_arrays_are_shortened():
    text = str(tw.trace(lambda x: x + np.arange(7.0), np.ones(7)))
    assert "c0 = constant float64[7] [0 1 2 3 4 5 ...]" in text


def test_an_empty_graph():
    assert str(tw.trace(lambda x: x, 1.0)) == "graph(x: float32[]) {\n  return x\n}"
    assert str(tw.trace(lambda: 2.0)) == "graph() {\n  return 2.0\n}"
