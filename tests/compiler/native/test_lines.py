"""Sums for each channel of images, walked line by line, against the interpreter; threads."""

import numpy as np
import pytest
from tests.compiler.native.shared import assert_same_bits, normal, program, splits_all

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.nest_lines import write_loop
from thalweg.compiler.native.text import Module
from thalweg.compiler.native.written import Parts
from thalweg.ops import functions as ops

__all__ = ["splits_all"]

SHAPES = [(16, 6, 5, 64), (11, 9, 3, 40), (14, 14, 16, 7), (5, 30, 64, 17), (64, 33, 2, 21)]


def statistics(x, y):
    kept = ops.where(x > 0.1, y, 0.0)
    return kept, kept.sum((0, 1, 3)), (kept * x).sum((0, 1, 3)), ops.exp(y).sum((0, 1, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_of_channels_are_the_interpreters(shape, dtype):
    inputs = normal(shape, shape, dtype=dtype)
    code = program(statistics, *inputs)
    terms = np.prod(shape) // shape[2]
    slack = 60 * np.finfo(dtype).eps * np.sqrt(terms)
    for got, want in zip(code(*inputs), Interpreter(code.graph)(*inputs), strict=True):
        np.testing.assert_allclose(got, want, rtol=30 * np.finfo(dtype).eps, atol=slack)


def test_such_sums_are_computed_in_parts_of_an_outer_axis():
    kernels = program(statistics, *normal(*SHAPES[:1] * 2)).lowered().plan.kernels
    done = [write_loop(Module(True), kernel, 64) for kernel in kernels]
    assert [(item.extent, item.parts) for item in done] == [(96, Parts(6, 80, 16))]


@pytest.mark.usefixtures("splits_all")
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_change_no_bit(shape):
    assert_same_bits(statistics, normal(shape, shape))


def halved(x, y):
    greater = ops.maximum(x[::2, 1::2], y[1::2, ::2])
    return greater, (greater * x[1::2, ::2]).sum((0, 1, 3)), ops.exp(greater).sum((0, 1))


@pytest.mark.usefixtures("splits_all")
@pytest.mark.parametrize("shape", [(10, 10, 16, 64), (6, 18, 40, 33), (10, 30, 5, 128)])
def test_short_outer_axes_are_shared_together(shape):
    inputs = normal(shape, shape)
    code = program(halved, *inputs)
    for got, want in zip(code(*inputs), Interpreter(code.graph)(*inputs), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-4)
    kernels = [kernel for kernel in code.lowered().plan.kernels if kernel.kind == "loop"]
    done = [write_loop(Module(True), kernel, 64) for kernel in kernels]
    assert shape[0] // 2 * (shape[1] // 2) in {item.extent for item in done}
    assert_same_bits(halved, inputs)
