"""Tracing a function by examples of its arguments."""

import functools
from typing import NamedTuple

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DTypeError, GraphError
from thalweg.graph import Tensor, verify


class Pair(NamedTuple):
    weight: object
    bias: object


def names(function, *examples):
    graph = tw.trace(function, *examples)
    verify(graph)
    return [tensor.name for tensor in graph.inputs]


def test_inputs_are_named_after_arguments_and_their_trees():
    def function(params, x, *more, scale=1.0):
        return params["layer"].weight * x + params["layer"].bias + sum(more) * scale

    assert names(function, {"layer": Pair(1.0, 2.0)}, 3.0, 4.0, 5.0) == [
        "params.layer.weight",
        "params.layer.bias",
        "x",
        "x2",
        "x3",
    ]
    assert names(lambda a, /, b: a + b, 1.0, 2.0) == ["a", "b"]
    assert names(functools.partial(function, {"layer": Pair(1.0, 2.0)}), 3.0) == ["x"]
    assert names(tw.grad(lambda w: w * w), 1.0) == ["w"]
    assert names(tw.hessian(lambda w: (w * w).sum()), np.ones(2)) == ["w"]


def test_a_function_without_a_signature_is_traced():
    class Opaque:
        __signature__ = "unknown"

        def __call__(self, x, y):
            return x + y

    assert names(Opaque(), 1.0, 2.0) == ["x0", "x1"]


def test_the_values_of_examples_are_not_used():
    graph = tw.trace(lambda x: x * 2, np.full(3, np.nan, "float32"))
    assert str(graph.inputs[0].type) == "float32[3]"
    assert graph(Tensor([1.0, 2.0, 3.0]))[0].numpy().tolist() == [2.0, 4.0, 6.0]


def test_types_follow_the_examples():
    graph = tw.trace(lambda *values: values, 1.0, 2, True, np.float64(1), [1, 2], Tensor(1.0))
    found = [str(tensor.type) for tensor in graph.inputs]
    assert found == [
        "float32[]",
        "int64[]",
        "bool[]",
        "float64[]",
        "int64[]",
        "int64[]",
        "float32[]",
    ]


def test_outputs_are_the_leaves_of_the_result():
    graph = tw.trace(lambda x: {"a": x, "b": [x * 2, None]}, 1.0)
    assert len(graph.outputs) == 2
    assert graph.outputs[0] is graph.inputs[0]


def test_what_cannot_be_traced_is_explained():
    with pytest.raises(GraphError, match=r"write conditions with where\(\)"):
        tw.trace(lambda x: float(x), 1.0)
    with pytest.raises(DTypeError, match="tensors hold real numbers, got str"):
        tw.trace(lambda x: "text", 1.0)
    with pytest.raises(DTypeError, match="tensors hold real numbers"):
        tw.trace(lambda x: x, "text")
