"""Activation functions against independent formulas, difference quotients, limits and PyTorch."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from thalweg.autodiff.numerical import check_gradients
from thalweg.autodiff.transforms import grad, jacobian
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Tensor
from thalweg.nn import functional as F

GRID = np.linspace(-6, 6, 49)  # holds the kinks 0, ±1, ±2
PHI, DENSITY = scipy.stats.norm.cdf, scipy.stats.norm.pdf
EXPIT = scipy.special.expit


def _swish_slope(x, beta):
    gate = EXPIT(beta * x)
    return gate + beta * x * gate * (1 - gate)


def _tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _tanh_gelu_slope(x):
    root = np.sqrt(2 / np.pi)
    curve = np.tanh(root * (x + 0.044715 * x**3))
    return 0.5 * (1 + curve) + 0.5 * x * (1 - curve**2) * root * (1 + 3 * 0.044715 * x**2)


# name: function, formula, derivative (at a kink: from the left), limits at -inf and inf
CASES = {
    "logistic": (F.logistic, EXPIT, lambda x: EXPIT(x) * EXPIT(-x), 0, 1),
    "tanh": (F.tanh, lambda x: 2 * EXPIT(2 * x) - 1, lambda x: np.cosh(x) ** -2.0, -1, 1),
    "hard_logistic": (
        F.hard_logistic,
        lambda x: np.maximum(np.minimum(0.25 * x + 0.5, 1), 0),
        lambda x: np.where(np.abs(x) < 2, 0.25, 0),
        0,
        1,
    ),
    "hard_tanh": (
        F.hard_tanh,
        lambda x: np.maximum(np.minimum(x, 1), -1),
        lambda x: np.where(np.abs(x) < 1, 1.0, 0),
        -1,
        1,
    ),
    "step": (F.step, lambda x: np.heaviside(x, 1.0), np.zeros_like, 0, 1),
    "sign": (F.sign, np.sign, np.zeros_like, -1, 1),
    "identity": (F.identity, lambda x: x, np.ones_like, -math.inf, math.inf),
    "relu": (F.relu, lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0), 0, math.inf),
    "leaky_relu": (
        F.leaky_relu,
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda x: np.where(x > 0, 1.0, 0.01),
        -math.inf,
        math.inf,
    ),
    "prelu": (
        lambda x: F.prelu(x, 0.25),
        lambda x: np.where(x > 0, x, x / 4),
        lambda x: np.where(x > 0, 1.0, 0.25),
        -math.inf,
        math.inf,
    ),
    "elu": (
        F.elu,
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0))),
        -1,
        math.inf,
    ),
    "elu 0.3": (
        lambda x: F.elu(x, 0.3),
        lambda x: np.where(x > 0, x, 0.3 * np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1.0, 0.3 * np.exp(np.minimum(x, 0))),
        -0.3,
        math.inf,
    ),
    "softplus": (F.softplus, lambda x: np.logaddexp(0, x), EXPIT, 0, math.inf),
    "swish": (F.swish, lambda x: x * EXPIT(x), lambda x: _swish_slope(x, 1), None, math.inf),
    "swish 1.5": (
        lambda x: F.swish(x, 1.5),
        lambda x: x * EXPIT(1.5 * x),
        lambda x: _swish_slope(x, 1.5),
        None,
        math.inf,
    ),
    "gelu": (F.gelu, lambda x: x * PHI(x), lambda x: PHI(x) + x * DENSITY(x), None, math.inf),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), _tanh_gelu, _tanh_gelu_slope, None, math.inf),
    "gelu logistic": (
        lambda x: F.gelu(x, "logistic"),
        lambda x: x * EXPIT(1.702 * x),
        lambda x: _swish_slope(x, 1.702),
        None,
        math.inf,
    ),
}
SMOOTH = {
    "logistic",
    "tanh",
    "identity",
    "softplus",
    "swish",
    "swish 1.5",
    "gelu",
    "gelu tanh",
    "gelu logistic",
}
TOLERANCE = {"float64": 1e-13, "float32": 1e-6}

every_function = pytest.mark.parametrize("name", CASES)
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def _slope(function, x):
    return grad(lambda value: function(value).sum())(Tensor(x)).numpy()


@every_function
@every_dtype
def test_values_follow_the_formula(name, dtype):
    function, formula, *_ = CASES[name]
    result = function(GRID.astype(dtype))
    assert result.dtype == dtype
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(result.numpy(), formula(GRID), rtol=tolerance, atol=tolerance)


@every_function
@every_dtype
def test_derivatives_follow_the_formula_at_kinks_too(name, dtype):
    function, _, slope, *_ = CASES[name]
    found = _slope(function, GRID.astype(dtype))
    assert found.dtype == dtype
    tolerance = 3 * TOLERANCE[dtype]
    np.testing.assert_allclose(found, slope(GRID), rtol=tolerance, atol=tolerance)


@every_function
def test_derivatives_agree_with_difference_quotients(name):
    points = np.random.default_rng(3).uniform(-4, 4, (3, 7))
    points[np.abs(points - np.round(points)) < 1e-3] += 0.1  # away from the kinks
    order = 2 if name in SMOOTH else 1
    assert check_gradients(CASES[name][0], points, order=order).directions == 5


@every_function
@every_dtype
def test_large_inputs_give_the_limit_and_a_finite_derivative(name, dtype):
    function, formula, slope, *_ = CASES[name]
    x = np.array([-1e4, -300, -100, 100, 300, 1e4], dtype)
    with np.errstate(over="ignore"):
        wanted, wanted_slope = formula(x.astype("float64")), slope(x.astype("float64"))
    np.testing.assert_allclose(function(x).numpy(), wanted, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(_slope(function, x), wanted_slope, rtol=1e-6, atol=1e-30)


@every_function
def test_second_derivatives_are_finite_at_large_inputs(name):
    def first(x):
        return grad(lambda value: CASES[name][0](value).sum())(x)

    assert np.isfinite(_slope(first, np.array([-1e4, 0.0, 1e4]))).all()


@every_function
@every_dtype
def test_infinity_gives_the_limit_and_nan_gives_nan(name, dtype):
    function, _, _, left, right = CASES[name]
    result = function(np.array([-math.inf, math.inf, math.nan], dtype)).numpy()
    if left is None:  # -∞ · 0
        assert math.isnan(result[0])
    else:
        assert result[0] == np.dtype(dtype).type(left)
    assert result[1] == right
    assert math.isnan(result[2])


@every_function
def test_whole_numbers_are_taken(name):
    found = CASES[name][0](np.array([-2, 0, 3])).numpy()
    np.testing.assert_allclose(
        found, CASES[name][1](np.array([-2.0, 0.0, 3.0])), rtol=1e-6, atol=1e-6
    )


def test_tanh_is_the_stretched_logistic():
    left, right = F.tanh(GRID).numpy(), 2 * F.logistic(2 * GRID).numpy() - 1
    np.testing.assert_allclose(left, right, atol=1e-15)


def test_two_relus_make_a_hard_logistic():
    built = 0.25 * (F.relu(GRID + 2.0) - F.relu(GRID - 2.0))
    np.testing.assert_allclose(built.numpy(), F.hard_logistic(GRID).numpy(), atol=1e-15)


def test_learned_slope_and_steepness_have_derivatives():
    x = np.array([[-3.0, -1.0, 2.0], [0.5, -2.0, 1.0]])
    found = grad(lambda slope: F.prelu(x, slope).sum())(np.array([0.1, 0.2, 0.3])).numpy()
    np.testing.assert_allclose(found, np.minimum(x, 0).sum(0))
    check_gradients(lambda beta: F.swish(x, beta), np.array([1.3]), order=2)


def test_learned_slope_has_no_nan_derivative_beside_infinite_inputs():
    x = np.array([math.inf, 1e4, -1.0])
    found = grad(lambda slope: F.prelu(x, slope)[1:].sum())(np.array([0.1])).numpy()
    assert found == [-1.0]


def test_a_float64_number_beside_float32_inputs_stays_float32():
    x = np.float32([-1, 1])
    constant = Tensor(np.float64(0.3))
    for function in (F.leaky_relu, F.elu, F.swish):
        assert function(x, constant).dtype == "float32"


def test_a_python_number_beside_float64_inputs_keeps_its_digits():
    assert F.leaky_relu(np.array([-1.0]), 0.1).numpy() == -0.1
    assert F.elu(np.array([-1000.0]), 0.1).numpy() == -0.1


def test_gelu_names_its_approximations():
    with pytest.raises(SettingError, match="'erf' is not one of exact, tanh, logistic"):
        F.gelu([1.0], "erf")


# ------------------------------------------------------------------ maxout


def test_maxout_takes_the_largest_piece_of_each_unit():
    x = np.random.default_rng(0).normal(size=(5, 3, 12))
    wanted = x.reshape(5, 3, 4, 3).max(axis=2)
    np.testing.assert_array_equal(F.maxout(x, 4).numpy(), wanted)
    check_gradients(lambda value: F.maxout(value, 4), x)


def test_maxout_shares_the_derivative_of_equal_pieces():
    found = grad(lambda x: F.maxout(x, 2).sum())(np.array([[1.0, 5.0, 1.0, 4.0]])).numpy()
    np.testing.assert_array_equal(found, [[0.5, 1, 0.5, 0]])


def test_maxout_refuses_pieces_that_do_not_divide():
    with pytest.raises(ShapeError, match=r"3 pieces do not divide the last axis of float64\[2,4\]"):
        F.maxout(np.zeros((2, 4)), 3)


# ------------------------------------------------------------------ softmax


@pytest.mark.parametrize("axis", [-1, 0, 1])
@every_dtype
def test_softmax_and_its_logarithm_follow_scipy(axis, dtype):
    x = np.random.default_rng(1).normal(0, 5, (4, 6)).astype(dtype)
    tolerance = TOLERANCE[dtype] * 10
    for function, judge in (
        (F.softmax, scipy.special.softmax),
        (F.log_softmax, scipy.special.log_softmax),
    ):
        result = function(x, axis)
        assert result.dtype == dtype
        wanted = judge(x.astype("float64"), axis=axis)
        np.testing.assert_allclose(result.numpy(), wanted, rtol=tolerance)
        check_gradients(lambda value, f=function: f(value, axis), x, order=2)


def test_softmax_jacobian_is_diagonal_minus_outer_product():
    z = np.array([0.3, -1.0, 2.0])
    a = F.softmax(z).numpy()
    np.testing.assert_allclose(
        jacobian(F.softmax)(z).numpy(), np.diag(a) - np.outer(a, a), atol=1e-15
    )
    np.testing.assert_allclose(jacobian(F.log_softmax)(z).numpy(), np.eye(3) - a[None], atol=1e-15)


@every_dtype
def test_softmax_of_large_inputs(dtype):
    x = np.array([[1e4, -1e4, 1e4], [0, -math.inf, 0]], dtype)
    np.testing.assert_array_equal(F.softmax(x).numpy(), [[0.5, 0, 0.5]] * 2)
    logs = F.log_softmax(x).numpy()
    half = -math.log(2)
    np.testing.assert_allclose(
        logs, [[half, -2e4 + half, half], [half, -math.inf, half]], rtol=1e-6
    )
    for function in (F.softmax, F.log_softmax):
        slope = grad(lambda value, f=function: f(value)[:, 0].sum())(Tensor(x)).numpy()
        factor = 0.5 if function is F.softmax else 1
        np.testing.assert_allclose(slope, factor * np.array([[0.5, 0, -0.5]] * 2), atol=1e-6)


def test_log_softmax_keeps_digits_beside_a_large_offset():
    x = np.float32([[0.0, 0.5]])
    shifted = F.log_softmax(x + np.float32(8192)).numpy()
    np.testing.assert_allclose(shifted, scipy.special.log_softmax(x, axis=1), rtol=1e-6)


def test_softmax_of_nan_is_nan_in_its_row_only():
    result = F.softmax([[math.nan, 0.0], [0.0, 0.0]]).numpy()
    assert np.isnan(result[0]).all()
    assert (result[1] == 0.5).all()


def test_softmax_needs_an_axis():
    with pytest.raises(ShapeError, match=r"softmax takes tensors with an axis, got float32\[\]"):
        F.softmax(1.0)


# ------------------------------------------------------------------ PyTorch


def test_values_and_derivatives_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    pairs = {
        "logistic": torch.sigmoid,
        "tanh": torch.tanh,
        "hard_tanh": nn.hardtanh,
        "relu": nn.relu,
        "leaky_relu": nn.leaky_relu,
        "elu": nn.elu,
        "softplus": nn.softplus,
        "swish": nn.silu,
        "gelu": nn.gelu,
        "gelu tanh": lambda x: nn.gelu(x, approximate="tanh"),
    }
    x = np.concatenate([GRID, [-1e4, -50, 50, 1e4]])
    for name, judge in pairs.items():
        tensor = torch.tensor(x, requires_grad=True)
        wanted = judge(tensor)
        wanted.sum().backward()
        tolerance = 1e-8 if name == "softplus" else 1e-13  # PyTorch is linear beyond 20
        np.testing.assert_allclose(
            CASES[name][0](x).numpy(),
            wanted.detach().numpy(),
            rtol=tolerance,
            atol=tolerance,
            err_msg=name,
        )
        np.testing.assert_allclose(
            _slope(CASES[name][0], x),
            tensor.grad.numpy(),
            rtol=tolerance,
            atol=tolerance,
            err_msg=name,
        )
