"""The transpose of forward mode, on graphs themselves."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.forward import push_forward
from thalweg.autodiff.reverse import linearise, pull_back
from thalweg.errors import GraphError
from thalweg.graph import (
    PRIMITIVES,
    Primitive,
    TensorType,
    constant,
    leaf,
    placeholder,
    register,
)
from thalweg.ops import functions as ops
from thalweg.ops import unary

F64 = np.dtype("float64")


def test_tangents_of_what_does_not_depend_are_none():
    x, y = leaf(np.ones(2)), leaf(np.ones(2))
    z = ops.exp(y)
    changes = push_forward([z, x, x * z], [x], [constant(np.full(2, 3.0))])
    assert changes[0] is None
    assert changes[1].numpy().tolist() == [3.0, 3.0]
    np.testing.assert_allclose(changes[2].numpy(), 3 * np.exp(np.ones(2)))


def test_inputs_may_be_inside_a_graph():
    x = leaf(np.ones(2))
    middle = ops.exp(x)
    end = (middle * middle).sum()
    (change,) = pull_back([end], [middle], [constant(np.asarray(1.0))])
    np.testing.assert_allclose(change.numpy(), 2 * np.e * np.ones(2))


def test_one_linearisation_serves_both_modes():
    x = leaf(np.array([1.0, 2.0]))
    linear = linearise([x * x, ops.sin(x)], [x])
    forward = linear.push_forward([constant(np.ones(2))])
    np.testing.assert_allclose(forward[0].numpy(), [2.0, 4.0])
    np.testing.assert_allclose(forward[1].numpy(), np.cos([1.0, 2.0]))
    for cotangents, expected in (([1, 0], [2, 4]), ([0, 1], np.cos([1, 2]))):
        units = [constant(np.full(2, float(c))) for c in cotangents]
        np.testing.assert_allclose(linear.pull_back(units)[0].numpy(), expected)


def test_outputs_that_are_inputs_or_equal_add_up():
    x = leaf(np.asarray(2.0))
    one = constant(np.asarray(1.0))
    y = x * x
    assert pull_back([y, y, x], [x], [one, one, one])[0].item() == 9.0


def test_the_linear_part_alone_is_walked():
    x = placeholder(TensorType((2,), F64))
    history = x
    for _ in range(50):
        history = ops.sin(history)
    linear = linearise([history * 1.0], [history])
    assert len(linear._linear) == 1


def test_a_tangent_rule_that_is_not_linear_is_named():
    def tangent(node, tangents):
        return ops.exp(tangents[0])

    wrong = register(Primitive("test_wrong", "elementwise", lambda x: x, np.sin, tangent))
    try:
        with pytest.raises(
            GraphError, match="a tangent rule used exp, which has no transpose rule"
        ):
            tw.grad(lambda x: wrong(x))(1.0)
    finally:
        del PRIMITIVES["test_wrong"]


def test_transposes_are_asked_for_linear_inputs_alone():
    assert unary.exp.transpose is None
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    gradient = tw.grad(lambda x: (x / y * y - y).sum())(x)
    np.testing.assert_allclose(gradient.numpy(), [1.0, 1.0])
