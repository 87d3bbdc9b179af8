"""NaN, infinities, zeros of both signs: what every primitive makes of them."""

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.graph import PRIMITIVES, constant

NAN, INF = math.nan, math.inf
UNARY = {
    "abs": [(-0.0, 0.0), (INF, INF), (-INF, INF)],
    "cos": [(0.0, 1.0), (INF, NAN), (-INF, NAN)],
    "erf": [(-0.0, -0.0), (INF, 1.0), (-INF, -1.0)],
    "exp": [(-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0)],
    "expm1": [(-0.0, -0.0), (INF, INF), (-INF, -1.0), (1e-30, 1e-30)],
    "floor": [(-0.0, -0.0), (INF, INF), (-INF, -INF), (-0.5, -1.0), (2.0, 2.0)],
    "identity": [(-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "log": [(0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1.0, NAN)],
    "log1p": [(-0.0, -0.0), (-1.0, -INF), (INF, INF), (-2.0, NAN), (1e-30, 1e-30)],
    "logistic": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (1e4, 1.0), (-1e4, 0.0)],
    "neg": [(0.0, -0.0), (-0.0, 0.0), (INF, -INF)],
    "round": [
        (-0.0, -0.0),
        (0.5, 0.0),
        (-0.5, -0.0),
        (1.5, 2.0),
        (2.5, 2.0),
        (INF, INF),
        (-INF, -INF),
    ],
    "sign": [(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (-1e-30, -1.0)],
    "sin": [(-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (-1.0, NAN)],
    "stop_gradient": [(-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "tanh": [(-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e4, 1.0)],
}
BINARY = {
    "add": [(INF, -INF, NAN), (-0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (INF, 1.0, INF)],
    "div": [(1.0, 0.0, INF), (1.0, -0.0, -INF), (0.0, 0.0, NAN), (INF, INF, NAN), (1.0, INF, 0.0)],
    "eq": [(0.0, -0.0, True), (NAN, NAN, False), (INF, INF, True)],
    "le": [(0.0, -0.0, True), (NAN, NAN, False), (-INF, INF, True)],
    "lt": [(-0.0, 0.0, False), (NAN, 1.0, False), (1.0, NAN, False), (-INF, INF, True)],
    "max": [(NAN, 1.0, NAN), (1.0, NAN, NAN), (-INF, 1.0, 1.0), (INF, 1.0, INF)],
    "min": [(NAN, 1.0, NAN), (1.0, NAN, NAN), (-INF, 1.0, -INF), (INF, 1.0, 1.0)],
    "mul": [(INF, 0.0, NAN), (-1.0, 0.0, -0.0), (-INF, 2.0, -INF)],
    "ne": [(0.0, -0.0, False), (NAN, NAN, True), (INF, INF, False)],
    "pow": [
        (0.0, 0.0, 1.0), (NAN, 0.0, 1.0), (1.0, NAN, 1.0), (-2.0, 0.5, NAN), (-2.0, 3.0, -8.0),
        (0.0, -1.0, INF), (-0.0, -1.0, -INF), (2.0, INF, INF), (0.5, INF, 0.0), (-1.0, INF, 1.0),
    ],
    "sub": [(INF, INF, NAN), (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0)],
}  # fmt: skip


def same_bits(result, expected):
    """Equal with the sign of zero; any NaN equals any NaN."""
    result, expected = np.asarray(result), np.asarray(expected, result.dtype)
    nan = np.isnan(result) & np.isnan(expected)
    assert (nan | ((result == expected) & (np.signbit(result) == np.signbit(expected)))).all(), (
        result,
        expected,
    )


def real_elementwise():
    return {
        name
        for name, primitive in PRIMITIVES.items()
        if primitive.kind == "elementwise" and name not in {"cast", "select"}
        and primitive.samples()[0].inputs[0].dtype.kind == "f"
    }  # fmt: skip


def test_special_values_are_listed_for_every_real_function():
    assert set(UNARY) | set(BINARY) == real_elementwise()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_special_values_of_one_input(name, dtype):
    points, values = np.array([*UNARY[name], (NAN, NAN)], dtype).T
    for repeat in (1, 40):
        inputs, expected = np.repeat(points, repeat), np.repeat(values, repeat)
        same_bits(PRIMITIVES[name](constant(inputs)).numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_special_values_of_two_inputs(name, dtype):
    for repeat in (1, 40):
        first, second, expected = (
            np.repeat(np.array(column), repeat) for column in zip(*BINARY[name], strict=True)
        )
        inputs = constant(first.astype(dtype)), constant(second.astype(dtype))
        result = PRIMITIVES[name](*inputs).numpy()
        if expected.dtype == bool:
            assert result.tolist() == expected.tolist()
        else:
            same_bits(result, expected)


@pytest.mark.parametrize("name", sorted(real_elementwise() - {"pow", "eq", "ne", "lt", "le"}))
def test_nan_propagates_through_elementwise_functions(name):
    inputs = len(PRIMITIVES[name].samples()[0].inputs)
    for place in range(inputs):
        arrays = [np.ones(3) for _ in range(inputs)]
        arrays[place][1] = np.nan
        assert np.isnan(PRIMITIVES[name](*map(constant, arrays)).numpy()).tolist() == [0, 1, 0]


def test_nan_propagates_through_sums_products_and_choices():
    x = np.ones((3, 4))
    x[1, 2] = np.nan
    assert np.isnan(tw.sum(x, 0).numpy()).tolist() == [0, 0, 1, 0]
    assert np.isnan(tw.max(x, 1).numpy()).tolist() == [0, 1, 0]
    assert np.isnan(tw.min(x, 1).numpy()).tolist() == [0, 1, 0]
    assert tw.argmax(x, 1).numpy().tolist() == [0, 2, 0]
    assert np.isnan((tw.Tensor(x) @ np.zeros((4, 2))).numpy())[:, 0].tolist() == [0, 1, 0]
    assert np.isnan(tw.scatter_add(np.zeros(3), [1, 1], np.array([np.nan, 1])).numpy())[1]


def test_casting_has_a_value_for_every_number():
    x = np.array([np.nan, np.inf, -np.inf, -1.5, 300.0])
    assert tw.Tensor(x).astype("uint8").numpy().tolist() == [0, 255, 0, 0, 255]
    assert tw.Tensor(x).astype("bool").numpy().tolist() == [True] * 5
    assert tw.Tensor([-1, 300]).astype("uint8").numpy().tolist() == [255, 44]
