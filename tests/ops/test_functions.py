"""Functions of tensors against NumPy and SciPy, for every kind of input that they take."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import thalweg as tw
from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import OPERATORS, Tensor, TensorType, constant, placeholder, verify
from thalweg.ops import functions as ops

UNARY = {
    "absolute": np.abs,
    "cos": np.cos,
    "erf": scipy.special.erf,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "isfinite": np.isfinite,
    "log": np.log,
    "log1p": np.log1p,
    "logistic": scipy.special.expit,
    "negative": np.negative,
    "round_": np.round,
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "square": np.square,
    "stop_gradient": np.asarray,
    "tanh": np.tanh,
}
BINARY = {
    "add": np.add,
    "divide": np.divide,
    "equal": np.equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "not_equal": np.not_equal,
    "power": np.power,
    "subtract": np.subtract,
}
REDUCTIONS = {
    "logsumexp": lambda x, **how: np.log(np.sum(np.exp(x.astype("float64")), **how)),
    "max_": np.max,
    "mean": np.mean,
    "min_": np.min,
    "sum_": np.sum,
    "variance": np.var,
}
FEW = settings(max_examples=40)
floats = st.floats(-50, 50, width=32) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])


def real_arrays(min_side=0, elements=floats):
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=min_side, max_side=4)
    dtypes = st.sampled_from([np.float32, np.float64])
    return dtypes.flatmap(lambda dtype: hnp.arrays(dtype, shapes, elements=elements))


def close(result, expected, **tolerances):
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    rtol = {"float32": 2e-6, "float64": 1e-14}.get(result.dtype.name, 0.0)
    np.testing.assert_allclose(result.numpy(), expected, **({"rtol": rtol} | tolerances))


# ------------------------------------------------------------------ elementwise


@pytest.mark.parametrize("name", UNARY)
@FEW
@given(real_arrays())
def test_functions_of_one_input_are_numpys(name, array):
    with np.errstate(all="ignore"):
        expected = np.asarray(UNARY[name](array))
    close(getattr(ops, name)(array), expected)


@pytest.mark.parametrize("name", BINARY)
@FEW
@given(st.data())
def test_functions_of_two_inputs_are_numpys(name, data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=4))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    first, second = (data.draw(hnp.arrays(dtype, s, elements=floats)) for s in shapes.input_shapes)
    with np.errstate(all="ignore"):
        expected = np.asarray(BINARY[name](first, second))
    close(getattr(ops, name)(first, second), expected)


@pytest.mark.parametrize(
    ("name", "whole", "result"),
    [(name, [0, 1, 3], "float32") for name in sorted(UNARY)]
    + [("absolute", [0, 1, 3], "int64"), ("square", [0, 1, 3], "int64")],
)
def test_real_functions_make_whole_numbers_real(name, whole, result):
    keeps = {"absolute", "negative", "sign", "square", "stop_gradient"}
    expected = "bool" if name == "isfinite" else "int64" if name in keeps else result
    for data in (whole, np.array(whole, "int64"), Tensor(whole)):
        tensor = getattr(ops, name)(data)
        assert tensor.dtype.name == expected
        with np.errstate(all="ignore"):
            reference = UNARY[name](np.array(whole, "float64"))
        np.testing.assert_allclose(tensor.numpy(), reference, rtol=1e-6)


def test_unsigned_and_boolean_inputs():
    x = np.array([3, 0, 200], "uint8")
    assert ops.absolute(x).numpy().tolist() == [3, 0, 200]
    assert ops.sign(x).numpy().tolist() == [1, 0, 1]
    assert ops.isfinite(x).numpy().all()
    assert ops.absolute([True, False]).numpy().tolist() == [True, False]
    with pytest.raises(DTypeError, match=r"neg takes floating-point or integer tensors, got uint8"):
        ops.negative(x)


@given(real_arrays(elements=st.floats(-9, 9, width=32)), st.floats(-9, 0), st.floats(0, 9))
def test_clip_is_numpys(array, low, high):
    expected = np.clip(array, array.dtype.type(low), array.dtype.type(high))
    close(ops.clip(array, low, high), np.asarray(expected))


@given(st.data())
def test_where_is_numpys(data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3))
    test, yes, no = shapes.input_shapes
    condition = data.draw(hnp.arrays(bool, test))
    first = data.draw(hnp.arrays(np.float32, yes, elements=floats))
    second = data.draw(hnp.arrays(np.float32, no, elements=floats))
    close(ops.where(condition, first, second), np.where(condition, first, second))


def test_where_needs_truth_values():
    with pytest.raises(DTypeError, match=r"select takes boolean tensors, got int64\[2\]"):
        ops.where([0, 1], 1.0, 2.0)


# ------------------------------------------------------------------ reductions


@pytest.mark.parametrize("name", REDUCTIONS)
@FEW
@given(st.data())
def test_reductions_are_numpys(name, data):
    array = data.draw(real_arrays(min_side=1, elements=st.floats(-9, 9, width=32)))
    axes = [None, *range(-array.ndim, array.ndim), *[tuple(range(n)) for n in range(array.ndim)]]
    axis, keepdims = data.draw(st.sampled_from(axes)), data.draw(st.booleans())
    expected = np.asarray(REDUCTIONS[name](array, axis=axis, keepdims=keepdims))
    result = getattr(ops, name)(array, axis, keepdims)
    assert result.dtype == array.dtype
    close(result, expected.astype(array.dtype), rtol=1e-4, atol=1e-4)


@given(real_arrays(min_side=1))
def test_argmax_is_numpys(array):
    for axis in range(-array.ndim, array.ndim):
        close(ops.argmax(array, axis), np.asarray(np.argmax(array, axis)))


def test_argmax_needs_one_axis():
    for axis in (None, (0, 1), 1.0):
        with pytest.raises(ShapeError, match="an axis is a whole number, got"):
            ops.argmax(np.zeros((2, 3)), axis)
    with pytest.raises(ShapeError, match=r"axis -1 is not an axis of float64\[\]"):
        ops.argmax(np.float64(3))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint32", "int32", "int64"])
def test_whole_numbers_are_summed_in_64_bits(dtype):
    x = np.full(1000, 1 if dtype == "bool" else np.iinfo(dtype).max // 2**20 + 100).astype(dtype)
    result = ops.sum_(x)
    assert result.item() == int(np.sum(x))
    assert result.dtype == np.sum(x).dtype
    assert ops.mean(x[:2]).dtype.name == "float32"


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
def test_the_smallest_element_of_every_type(dtype):
    low = -np.inf if dtype == "float32" else np.iinfo(dtype).min
    x = np.array([[low, 7], [3, 5]], dtype)
    assert ops.min_(x, 1).numpy().tolist() == [low, 3]
    assert ops.max_(x, 0).numpy().tolist() == [3, 7]


def test_empty_reductions():
    x = np.zeros((0, 3))
    assert ops.sum_(x, 0).numpy().tolist() == [0, 0, 0]
    assert np.isnan(ops.mean(x).item())
    assert ops.max_(x, 1).shape == (0,)
    message = r"reduce_max: float64\[0,3\] has no element to choose from"
    for function in (ops.max_, ops.min_, ops.logsumexp):
        with pytest.raises(ShapeError, match=message):
            function(x, 0)
    with pytest.raises(ShapeError, match="has no element to choose from"):
        ops.argmax(x, 0)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (2, r"axis 2 is not an axis of float64\[2,3\]"),
        (-3, r"axis -3 is not an axis of float64\[2,3\]"),
        ((0, 0), r"axis \(0, 0\) names an axis twice"),
        ((0, -2), r"axis \(0, -2\) names an axis twice"),
        (1.5, "an axis is a whole number, got 1.5"),
        ("0", "an axis is a whole number, got '0'"),
    ],
)
def test_wrong_axes_are_refused(axis, message):
    with pytest.raises(ShapeError, match=message):
        ops.sum_(np.zeros((2, 3)), axis)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1000.0, 1000.0], 1000 + math.log(2)),
        ([-1000.0, -1001.0], -1000 + math.log1p(math.exp(-1))),
        ([-math.inf, 0.0], 0.0),
        ([-math.inf, -math.inf], -math.inf),
        ([math.inf, 1.0], math.inf),
        ([math.nan, 1.0], math.nan),
    ],
)
def test_logsumexp_neither_overflows_nor_loses(x, expected):
    np.testing.assert_allclose(ops.logsumexp(np.array(x)).item(), expected, rtol=1e-15)


def test_the_derivative_of_logsumexp_is_the_softmax():
    x = np.array([1000.0, 1001.0, -math.inf])
    gradient = tw.grad(ops.logsumexp)(x).numpy()
    np.testing.assert_allclose(gradient, scipy.special.softmax(x), rtol=1e-14)


# ------------------------------------------------------------------ the module


def test_tensors_have_their_operators():
    names = {"abs", "add", "argmax", "astype", "backward", "divide", "equal", "getitem", "less"}
    assert names <= set(OPERATORS)


def test_every_function_that_is_promised_is_there():
    functions = [name for name in ops.__all__ if name != "Axis"]
    assert len(functions) > 60
    assert all(getattr(ops, name).__doc__ for name in functions)


@pytest.mark.parametrize("name", sorted(UNARY))
def test_functions_are_traced_to_sound_graphs(name):
    for dtype in ("float32", "int64"):
        x = placeholder(TensorType((2, 3), np.dtype(dtype)), "x")
        graph = tw.trace(getattr(ops, name), np.zeros((2, 3), dtype))
        verify(graph)
        assert graph.outputs[0].type == getattr(ops, name)(x).type
        assert graph.outputs[0].type == getattr(ops, name)(constant(np.ones((2, 3), dtype))).type


def test_a_power_does_not_depend_on_how_the_exponent_lies_in_memory():
    from thalweg.ops.binary import pow_
    from thalweg.ops.repetition import broadcast

    base = Tensor(np.float32([-np.inf, -0.0, 0.3, 1.7, 2.5e10, 7.0, 11.0, 0.123]))
    for exponent in (0.5, 2.0, -1.5):
        repeated = broadcast(Tensor(np.float32(exponent)), shape=base.shape)
        written = Tensor(np.full(base.shape, exponent, "float32"))
        assert pow_(base, repeated).numpy().tobytes() == pow_(base, written).numpy().tobytes()
