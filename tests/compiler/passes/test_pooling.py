"""Rules for pooling: equal values, NaN, ties and zeros included, and less to compute."""

import numpy as np
import pytest

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.pooling import POOLING
from thalweg.compiler.passes.simplify import simplify
from thalweg.graph import TensorType, trace_flat
from thalweg.ops import binary, repetition
from thalweg.ops.convolution import window_of
from thalweg.ops.window import window_place

SIDE = {"taps": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
OVER = {"taps": (3, 2), "stride": (2, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
PADDED = {"taps": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 0)), "dilation": (1, 1)}
WAYS = [SIDE, OVER, PADDED]


def numbers(shape):
    """Few different numbers, so that maxima tie; NaN, infinities and both zeros among them."""
    rng = np.random.default_rng(3)
    return rng.choice([np.nan, -np.inf, np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, -3.0], shape)


def arrays(way):
    x = numbers((6, 6, 2, 9))
    if way is PADDED:
        x[x == -np.inf] = -9.0
    places = places_of(x.shape, way)
    return x, np.random.default_rng(1).normal(size=places)


def places_of(shape, way):
    return (*window_of(way).places(shape[:2], way["taps"]), *shape[2:])


def masked(way, of_sum):
    def function(z, result):
        zero = repetition.zeros_like(z)
        x = binary.max_(z, zero)
        condition = binary.lt(zero, x if of_sum else z)
        return binary.select(condition, window_place(x, result, **way), zero)

    return function


def summed(way, axes):
    return lambda x, result: repetition.reduce_sum(window_place(x, result, **way), axes=axes)


def before_and_after(function, inputs):
    types = [TensorType(array.shape, array.dtype) for array in inputs]
    graph, _ = trace_flat(function, types)
    after = simplify(graph, {"fold-constants"}, POOLING)
    return graph, after


@pytest.mark.parametrize("of_sum", [True, False], ids=["of x", "of z"])
@pytest.mark.parametrize("way", WAYS, ids=["side by side", "overlapping", "padded"])
def test_masks_move_to_the_winners(way, of_sum):
    inputs = arrays(way)
    graph, after = before_and_after(masked(way, of_sum), inputs)
    assert after.fired["mask-winners"] == 1
    with np.errstate(invalid="ignore"):
        got, expected = Interpreter(after.graph)(*inputs)[0], Interpreter(graph)(*inputs)[0]
    np.testing.assert_array_equal(got, expected)
    name = after.graph.outputs[0].source.primitive.name
    assert name == "window_place"


@pytest.mark.parametrize("axes", [(0, 1), (0, 1, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("way", [SIDE, OVER], ids=["side by side", "overlapping"])
def test_the_sum_of_what_was_placed_is_the_sum_of_the_results(way, axes):
    inputs = arrays(way)
    graph, after = before_and_after(summed(way, axes), inputs)
    assert after.fired["sum-of-placed"] == 1
    assert "window_place" not in after.graph.operations()
    got, expected = Interpreter(after.graph)(*inputs)[0], Interpreter(graph)(*inputs)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        summed(SIDE, (0, 3)),
        summed(PADDED, (0, 1)),
        lambda z, result: binary.select(
            binary.lt(repetition.zeros_like(z), z),
            window_place(z * 2.0, result, **SIDE),
            repetition.zeros_like(z),
        ),
        lambda z, result: binary.select(
            binary.lt(repetition.zeros_like(z), z),
            window_place(binary.max_(z, repetition.zeros_like(z)), result, **SIDE),
            repetition.full_like(z, 1.0),
        ),
    ],
    ids=["part of the places", "padded", "another condition", "other branch"],
)
def test_what_would_not_be_equal_is_left_alone(function):
    shape = (3, 3, 2, 9)
    inputs = (numbers((6, 6, 2, 9)), np.ones(shape))
    fired = before_and_after(function, inputs)[1].fired
    assert not {rule.name for rule in POOLING} & set(fired)


def test_each_rule_says_why():
    assert {rule.name for rule in POOLING} == {"mask-winners", "sum-of-placed"}
    assert all(rule.reason for rule in POOLING)
