"""Cheap work done again by each reader: where, and that values stay."""

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.repeat import repeated
from thalweg.graph import TensorType, trace_flat
from thalweg.ops import functions as ops

LARGE = (200, 96)


def traced(function, *shapes):
    types = [TensorType(shape, np.dtype("float64")) for shape in shapes]
    return trace_flat(function, types)[0]


def centred_product(x, w):
    z = x @ w
    centred = z - ops.mean(z, 0)
    return (centred * centred).sum(0), ops.exp(centred)


def test_a_centred_product_is_centred_by_each_reader():
    graph = traced(centred_product, (200, 5), (5, 96))
    found = repeated(graph)
    assert graph.operations()["sub"] == 1
    assert found.operations()["sub"] == 3
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 5)), rng.normal(size=(5, 96))
    for one, other in zip(Interpreter(found)(*inputs), Interpreter(graph)(*inputs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_fits_into_registers_or_is_small_or_is_multiplied_is_left():
    def biased(x, w):  # the bias is known before the product
        z = x @ w + x[0, 0]
        return ops.exp(z), ops.tanh(z)

    def multiplied(x, w):
        z = x @ w
        centred = z - ops.mean(z, 0)
        return centred.T @ centred, ops.exp(centred)

    assert repeated(traced(biased, (200, 5), (5, 96))).operations()["add"] == 1
    assert repeated(traced(multiplied, (200, 5), (5, 96))).operations()["sub"] == 1
    assert repeated(traced(centred_product, (20, 5), (5, 9))).operations()["sub"] == 1
