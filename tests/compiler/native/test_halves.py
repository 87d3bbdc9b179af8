"""Large products whose threads share rows, or halves of the inner axis, and their threads."""

import numpy as np
import pytest
from tests.compiler.native.shared import assert_same_bits, normal, program, splits_all

from thalweg.compiler.interpreter import Interpreter
from thalweg.ops import functions as ops

__all__ = ["splits_all"]

DEEP = [(64, 400, 120), (50, 1024, 49), (101, 640, 130)]
TALL = [(400, 64, 120), (777, 130, 65), (1025, 33, 300)]
SIZES = [*DEEP, *TALL, (129, 401, 120)]


def operands(size, dtype="float32"):
    rows, inner, columns = size
    return normal((rows, inner), (inner, rows), (inner, columns), (columns,), dtype=dtype)


def products(a, turned, b, bias):
    plain = ops.maximum(a @ b + bias, 0.0)
    return plain, turned.T @ (b * 2.0), a @ ops.reshape(b, (b.shape[1], b.shape[0])).T


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_products_are_the_interpreters(size, dtype):
    inputs = operands(size, dtype)
    code = program(products, *inputs)
    slack = 8 * np.finfo(dtype).eps * size[1]
    for got, want in zip(code(*inputs), Interpreter(code.graph)(*inputs), strict=True):
        np.testing.assert_allclose(got, want, rtol=slack, atol=slack)


@pytest.mark.parametrize(("size", "is_deep"), [(DEEP[0], True), (TALL[0], False)])
def test_the_inner_axis_of_few_results_is_halved(size, is_deep):
    text = str(program(lambda a, _, b, bias: a @ b + bias, *operands(size)).lowered().module)
    assert ("@sum_of_halves" in text) == is_deep


@pytest.mark.usefixtures("splits_all")
@pytest.mark.parametrize("size", SIZES)
def test_threads_change_no_bit(size):
    assert_same_bits(products, operands(size))
