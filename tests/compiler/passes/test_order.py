"""Rules for the order of axes: where transposes go, and that values stay."""

import itertools

import numpy as np
import pytest

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.order import ORDER
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.passes.rules import RULES
from thalweg.compiler.passes.simplify import simplify
from thalweg.graph import TensorType, source_of, trace_flat
from thalweg.ops import functions as ops

FIRST = (3, 2, 0, 1)
X, SMALL = (2, 3, 4, 5), (4,)


def turned(x):
    return ops.transpose(x, FIRST)


def flattened(images):
    return ops.reshape(images, (images.shape[0], -1))


def wide_product(x):
    rows = ops.reshape(x, (5, 24))
    return rows @ (rows.T @ rows)


CASES = {
    "transpose-after": lambda x, b: ops.tanh(turned(x) + 1.0) * ops.reshape(b, (1, 4, 1, 1)),
    "repeat-transposed": lambda x, b: (
        x + ops.transpose(ops.broadcast(b, (2, 3, 5, 4)), (0, 1, 3, 2))
    ),
    "transpose-after-reducing": lambda x, b: turned(x).sum((0, 2)) * 1.0,
    "scale-after-summing": lambda x, b: (x * ops.reshape(b, (4, 1))).sum((0, 3)),
    "negate-after-summing": lambda x, b: (-(x + x)).sum((0, 3)),
    "transpose-after-choosing": lambda x, b: ops.argmax(turned(x), 1),
    "transpose-after-joining": lambda x, b: ops.concatenate([turned(x), turned(x * 2.0)], 1),
    "flat-rows-last": lambda x, b: flattened(turned(x)) @ ops.reshape(x, (24, 5)),
    "product-rows-last": lambda x, b: (
        ops.transpose(ops.reshape(wide_product(x), (5, 4, 2, 3)), (2, 3, 1, 0))
    ),
    "transpose-after-moving": lambda x, b: ops.exp(turned(x)[:, 1:, ::2]),
}  # fmt: skip


def traced(function):
    types = [TensorType(shape, np.dtype("float64")) for shape in (X, SMALL)]
    return trace_flat(function, types)[0]


def values(graph):
    rng = np.random.default_rng(0)
    return Interpreter(graph)(rng.normal(size=X), rng.normal(size=SMALL))


@pytest.mark.parametrize("name", CASES)
def test_each_rule_fires_and_keeps_the_values(name):
    graph = traced(CASES[name])
    found = simplify(graph, rules=[*ORDER, *RULES])
    assert found.fired[name]
    for one, other in zip(values(found.graph), values(graph), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_every_rule_has_a_case_and_a_reason():
    assert {rule.name for rule in ORDER} == set(CASES)
    assert all(rule.reason for rule in ORDER)


def test_a_chain_between_two_orders_has_no_transpose_left():
    def function(x, b):
        y = ops.maximum(turned(x) * 2.0 + ops.reshape(b, (1, 4, 1, 1)), 0.0)
        return ops.exp(ops.transpose(y, (2, 3, 1, 0)))

    graph = optimise(traced(function)).graph
    turned_nodes = [n for n in graph.nodes if source_of(n).primitive.name == "transpose"]
    assert all(node.size <= 4 for node in turned_nodes)


def test_of_two_orders_that_of_rows_last_prevails():
    def function(x, b):
        plain = ops.reshape(x, (5, 4, 2, 3))
        return ops.transpose(turned(x) * plain, (2, 3, 1, 0))

    graph = optimise(traced(function)).graph
    product = next(n for n in graph.nodes if source_of(n).primitive.name == "mul")
    assert product.shape == X
    np.testing.assert_array_equal(values(graph)[0], values(traced(function))[0])


def test_matrices_are_left_alone():
    def function(x, b):
        flat = ops.reshape(x, (6, 20))
        return flat.T + 1.0

    graph = optimise(traced(function)).graph
    assert source_of(graph.outputs[0]).primitive.name == "add"


def test_a_product_reads_and_gives_images_with_rows_last():
    def function(x, b):
        weights = ops.reshape(x, (24, 5))
        hidden = flattened(turned(x)) @ weights
        images = ops.reshape(hidden @ weights.T, (5, 4, 2, 3))
        return ops.transpose(images, (2, 3, 1, 0))

    graph = optimise(traced(function)).graph
    moved = [n for n in graph.nodes if source_of(n).primitive.name == "transpose"]
    assert moved
    assert all(source_of(n).parameters["axes"][-1] == 3 for n in moved)
    np.testing.assert_allclose(values(graph)[0], values(traced(function))[0], rtol=1e-13)


@pytest.mark.parametrize("ndim", [3, 4, 5])
def test_any_order_beside_the_plain_one_comes_to_an_end(ndim):
    shape = (2, 3, 4, 5, 6)[:ndim]
    for axes in itertools.permutations(range(ndim)):
        plain = tuple(shape[axis] for axis in axes)
        types = [TensorType(each, np.dtype("float64")) for each in (shape, plain)]
        graph, _ = trace_flat(lambda x, y, a=axes: ops.transpose(x, a) + y * 2.0, types)
        x, y = (np.random.default_rng(0).normal(size=each) for each in (shape, plain))
        got = Interpreter(optimise(graph).graph)(x, y)[0]
        np.testing.assert_array_equal(got, np.transpose(x, axes) + y * 2.0)
