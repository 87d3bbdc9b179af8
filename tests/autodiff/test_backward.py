"""The method ``backward``: derivatives added to leaves."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import GraphError, ShapeError
from thalweg.graph import Tensor
from thalweg.ops import functions as ops


def test_backward_adds_to_every_leaf():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    unused = Tensor(np.float64(1.0), requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.numpy().tolist() == [3.0, 4.0]
    assert y.grad.numpy().tolist() == [1.0, 2.0]
    assert unused.grad is None
    (x * x).sum().backward()
    assert x.grad.numpy().tolist() == [5.0, 8.0]
    assert not x.grad.tracked
    x.grad = None
    (x * 3).backward(np.array([1.0, 10.0]))
    assert x.grad.numpy().tolist() == [3.0, 30.0]
    (x * 3).backward([1, 1])
    assert x.grad.numpy().tolist() == [6.0, 33.0]


def test_backward_twice_gives_the_same_again():
    x = Tensor(np.float64(2.0), requires_grad=True)
    y = x**3
    y.backward()
    y.backward()
    assert x.grad.item() == 24.0


def test_backward_of_a_leaf_itself():
    x = Tensor(np.float64(2.0), requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_backward_and_grad_agree():
    def function(x):
        return (ops.tanh(x) * ops.exp(-x)).sum()

    data = np.linspace(-1, 1, 7)
    x = Tensor(data, requires_grad=True)
    function(x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), tw.grad(function)(data).numpy())


def test_grad_of_a_function_over_a_leaf_can_be_differentiated_again():
    w = Tensor(np.float64(3.0), requires_grad=True)
    slope = tw.grad(lambda x: w * x * x)(np.float64(2.0))
    assert slope.tracked
    slope.backward()
    assert w.grad.item() == 4.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Tensor(1.0).backward(), GraphError, "was made with requires_grad=True"),
        (
            lambda: (Tensor([1.0, 2.0], requires_grad=True) * 2).backward(),
            ShapeError,
            r"backward\(\) of float32\[2\] needs a gradient of its shape",
        ),
        (
            lambda: (Tensor([1.0, 2.0], requires_grad=True) * 2).backward(np.ones(3)),
            ShapeError,
            r"a gradient has shape \(3,\), expected \(2,\)",
        ),
        (
            lambda: tw.trace(lambda x: x.backward(), 1.0),
            GraphError,
            r"backward\(\) needs values; inside a trace use grad",
        ),
    ],
)
def test_backward_refuses_what_it_cannot_do(call, error, message):
    with pytest.raises(error, match=message):
        call()
