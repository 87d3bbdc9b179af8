"""Difference quotients, and the check that compares derivatives with them."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import central_difference
from thalweg.errors import DTypeError, GradientError, SettingError
from thalweg.graph import PRIMITIVES, Primitive, register
from thalweg.ops import functions as ops
from thalweg.ops.declare import same_type


def test_the_difference_is_central():
    x = np.array([2.0, -3.0])
    quotient = central_difference(lambda x: x**3, x, np.ones(2))
    np.testing.assert_allclose(quotient, 3 * x**2, rtol=1e-8)
    calls = []
    central_difference(lambda x: calls.append(x) or x, np.array([100.0]), np.ones(1))
    assert [float(c[0]) for c in calls] == [100.0 + 1e-4, 100.0 - 1e-4]


@pytest.mark.parametrize("order", [1, 2])
def test_right_derivatives_pass(order, rng):
    def function(p, x):
        return ops.logistic(ops.tanh(x @ p["w"]) + p["b"]) * 3.0

    p = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    check = tw.check_gradients(function, p, rng.normal(size=(4, 3)), order=order, directions=3)
    assert check.directions == 3
    assert 0 < check.share_of_tolerance <= 1


def test_the_error_is_told_as_a_share_of_the_tolerance():
    x = np.array([1.0, 2.0])
    strict, loose = (
        tw.check_gradients(lambda x: (x**3).sum(), x, rtol=r, atol=0.0) for r in (1e-7, 1e-3)
    )
    assert loose.share_of_tolerance < 1e-3 * strict.share_of_tolerance
    assert repr(loose).startswith("GradientCheck(directions=5, share_of_tolerance=")


def test_large_values_do_not_raise_false_alarms(rng):
    x = rng.normal(size=50)
    for scale in (1.0, 1e4, 1e8):
        tw.check_gradients(lambda x, s=scale: (x * x).sum() + s * ops.cos(x * 1e-3), x, order=2)


def test_float32_arguments_are_checked_in_float64():
    tw.check_gradients(lambda x: ops.exp(x).sum(), np.ones(3, "float32"))


@pytest.fixture
def faulty():
    """Makes a sine whose derivative is given; it is unregistered afterwards."""

    def make(derivative):
        def tangent(node, tangents):
            return tangents[0] * derivative(node.source.inputs[0])

        return register(
            Primitive("test_faulty", "elementwise", same_type("sine", "f"), np.sin, tangent)
        )

    yield make
    PRIMITIVES.pop("test_faulty", None)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda x: -ops.cos(x),
        lambda x: ops.cos(x) * 1.00001,
        lambda x: ops.cos(x) + 1e-6,
        lambda x: ops.cos(x) * np.nan,
        lambda x: ops.cos(x) * np.inf,
    ],
)
def test_wrong_derivatives_are_found(faulty, derivative):
    sine = faulty(derivative)
    message = (
        r"first derivative, direction 1 of 5: forward mode gives .*, the central difference "
        r".*; they differ by .*, allowed are .* \(rtol 1e-06, atol 1e-08\)"
    )
    with pytest.raises(GradientError, match=message):
        tw.check_gradients(lambda x: sine(x), np.linspace(0.1, 1.0, 5))


def test_a_wrong_second_derivative_is_found(faulty):
    sine = faulty(lambda x: ops.stop_gradient(ops.cos(x)))
    tw.check_gradients(lambda x: sine(x), np.linspace(0.1, 1.0, 5))
    with pytest.raises(GradientError, match="second derivative, direction 1 of 5: forward mode"):
        tw.check_gradients(lambda x: sine(x), np.linspace(0.1, 1.0, 5), order=2)


def test_a_wrong_transpose_is_found(faulty):
    def tangent(node, tangents):
        return PRIMITIVES["test_faulty"](tangents[0])

    def transpose(node, cotangent, linear):
        return (cotangent * 2.5,)

    double = register(
        Primitive(
            "test_faulty", "elementwise", same_type("double", "f"), lambda x: 2 * x, tangent,
            transpose,
        )
    )  # fmt: skip
    with pytest.raises(
        GradientError, match="first derivative, direction 1 of 5: reverse mode gives"
    ):
        tw.check_gradients(lambda x: double(x), np.ones(3))


def test_a_kink_is_no_derivative():
    with pytest.raises(GradientError, match="differ by"):
        tw.check_gradients(lambda x: ops.maximum(x, 0.0), np.zeros(3))


def test_wrong_calls_are_refused():
    with pytest.raises(DTypeError, match=r"argument 1\.n is not floating point, but int64"):
        tw.check_gradients(lambda a, b: a, 1.0, {"n": 3})
    with pytest.raises(SettingError, match="order = 3 is not 1 or 2"):
        tw.check_gradients(lambda x: x, 1.0, order=3)
