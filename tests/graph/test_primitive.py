"""Applying primitives: values at once, sources where they are needed, constants kept small."""

import dataclasses
import tracemalloc
import warnings

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpreter import interpret
from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph import (
    PRIMITIVES,
    Tensor,
    TensorType,
    apply,
    constant,
    defer,
    leaf,
    placeholder,
    register,
)
from thalweg.ops import binary, repetition, unary
from thalweg.ops import functions as ops


def traced(shape=(2,), dtype="float64"):
    return placeholder(TensorType(shape, np.dtype(dtype)))


def test_eager_tensors_compute_at_once_and_forget():
    result = binary.add(Tensor([1.0]), Tensor([2.0]))
    assert result.numpy().tolist() == [3.0]
    assert result.source is None


def test_one_traced_input_makes_a_traced_result():
    x, c = traced(), constant(np.ones(2))
    result = binary.add(x, c)
    assert result.value is None
    assert result.source.primitive is binary.add
    assert result.source.inputs == (x, c)
    assert not result.tracked


def test_tracked_tensors_remember_and_pass_it_on():
    x = leaf(np.ones(2))
    result = unary.exp(binary.mul(x, constant(np.ones(2))))
    assert result.tracked
    assert result.source.inputs[0].source.inputs[0] is x
    assert not ops.zeros((2,)).tracked


def test_the_type_rule_is_asked_whether_traced_or_not():
    for make in (lambda shape: constant(np.ones(shape)), traced):
        with pytest.raises(ShapeError, match="add takes tensors of one shape, got float64"):
            binary.add(make((2,)), make((3,)))
    with pytest.raises(DTypeError, match=r"exp takes floating-point tensors, got int64\[2\]"):
        unary.exp(constant(np.ones(2, "int64")))


def test_nothing_warns_in_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(binary.div(constant(np.zeros(1)), constant(np.zeros(1))).numpy())
        assert unary.log(Tensor([0.0])).item() == -np.inf
        assert unary.cast(Tensor([1e300], "float64"), dtype=np.dtype("float32")).item() == np.inf


def test_repeated_numbers_take_no_memory():
    tracemalloc.start()
    x = ops.zeros((1000, 1000), "float64")
    y = ops.exp(-(x + 1.0) * 3.0)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    assert y.shape == (1000, 1000)
    assert y.source.primitive is repetition.broadcast
    assert y.source.inputs[0].item() == pytest.approx(np.exp(-3.0))


def test_derivatives_are_computed_in_the_same_order_whether_traced_or_not():
    def function(x):
        return (unary.exp(repetition.broadcast(x, shape=(2,))) * np.array([7.0, 8.0])).sum()

    x = np.asarray(-0.3)
    graph = tw.trace(tw.grad(function), x)
    assert tw.grad(function)(x).item() == interpret(graph, x)[0]


def test_repeated_numbers_keep_their_derivative():
    x = leaf(np.asarray(2.0))
    y = binary.mul(repetition.broadcast(x, shape=(3,)), repetition.broadcast(x, shape=(3,)))
    assert y.tracked
    y.sum().backward()
    assert x.grad.item() == 12.0


def test_defer_never_computes():
    result = defer(binary.add, (Tensor([1.0]), Tensor([2.0])), {})
    assert result.value is None
    assert apply(*result.source).numpy().tolist() == [3.0]


def test_a_name_is_registered_once():
    with pytest.raises(GraphError, match="primitive 'add' is declared twice"):
        register(dataclasses.replace(binary.sub, name="add"))
    assert PRIMITIVES["add"] is binary.add
    assert repr(binary.add) == "Primitive(add)"
