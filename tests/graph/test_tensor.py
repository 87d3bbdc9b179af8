"""Tensors: made from data, computed with like NumPy's arrays, refusing what would go wrong."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import thalweg as tw
from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph import Tensor, TensorType, as_tensor, constant, placeholder, source_of
from thalweg.ops import functions as ops

DTYPES = [np.dtype(name) for name in ("float32", "float64", "int32", "int64", "bool")]
KIND = {"b": 0, "i": 1, "f": 2}


def traced(shape=(), dtype="float32", name=""):
    return placeholder(TensorType(shape, np.dtype(dtype)), name)


# ------------------------------------------------------------------ construction


def test_a_tensor_copies_its_data():
    data = np.array([1.0, 2.0])
    tensor = Tensor(data)
    data[0] = 9.0
    assert tensor.numpy().tolist() == [1.0, 2.0]
    assert as_tensor(data).numpy() is data
    assert as_tensor(tensor) is tensor


def test_a_tensor_of_a_tensor():
    tensor = Tensor(Tensor([1, 2]), "float64")
    assert tensor.dtype.name == "float64"
    with pytest.raises(GraphError, match="has no value"):
        Tensor(traced())


def test_only_real_tensors_have_gradients():
    assert Tensor([1.0], requires_grad=True).tracked
    with pytest.raises(DTypeError, match="only floating-point tensors have gradients, got int64"):
        Tensor([1, 2], requires_grad=True)


def test_what_a_tensor_tells_of_itself():
    tensor = Tensor(np.zeros((2, 3)))
    assert (tensor.shape, tensor.ndim, tensor.size, len(tensor)) == ((2, 3), 2, 6, 2)
    assert (tensor.dtype.name, tensor.is_traced) == ("float64", False)
    assert repr(Tensor([1.5, 2.0])) == "Tensor([1.5 2. ], float32)"
    assert repr(traced((2,), name="x")) == "Tensor(x: float32[2])"
    assert repr(traced((2,))) == "Tensor(traced: float32[2])"
    with pytest.raises(ShapeError, match="a 0-dimensional tensor has no length"):
        len(Tensor(1.0))
    with pytest.raises(GraphError, match=r"is an input or constant, computed by nothing"):
        source_of(tensor)


def test_a_tensor_is_as_itself_in_sets_and_dictionaries():
    one, other = Tensor([1.0]), Tensor([1.0])
    assert len({one, other}) == 2
    assert {one: 1}[one] == 1
    assert list(Tensor([[1, 2], [3, 4]]))[1].numpy().tolist() == [3, 4]


# ------------------------------------------------------------------ operators against NumPy


def common(first, second):
    """The type that two tensors are computed in, from the rule in words."""
    if first.kind == second.kind == "f":
        return max(first, second, key=lambda dtype: dtype.itemsize)
    if "f" in (first.kind, second.kind):
        return first if first.kind == "f" else second
    return np.promote_types(first, second)


def arrays(shape, dtype):
    if dtype.kind == "f":
        elements = st.floats(-8, 8, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, -0.0])
    else:
        elements = st.booleans() if dtype.kind == "b" else st.integers(-9, 9)
    return hnp.arrays(dtype, shape, elements=elements)


@st.composite
def pairs(draw, min_dims=1):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=min_dims, min_side=0))
    dtypes = st.sampled_from(DTYPES)
    return tuple(draw(arrays(shape, draw(dtypes))) for shape in shapes.input_shapes)


ARITHMETIC = [operator.add, operator.sub, operator.mul]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor]


def check(result, expected):
    assert isinstance(result, Tensor)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result.numpy(), expected)


def compare(function, first, second, wrap):
    dtype = common(first.dtype, second.dtype)
    if function is operator.truediv and dtype.kind != "f":
        dtype = np.dtype("float32")
    with np.errstate(all="ignore"):
        expected = function(first.astype(dtype), second.astype(dtype))
    check(function(*wrap(first, second)), expected)


def refused(function, first, second):
    kind = common(first.dtype, second.dtype).kind
    no_bool = [*ARITHMETIC, operator.lt, operator.le, operator.gt, operator.ge]
    return (function in BITS and kind == "f") or (function in no_bool and kind == "b")


@given(st.sampled_from([*ARITHMETIC, operator.truediv, *COMPARISONS, *BITS]), pairs())
def test_operators_broadcast_and_promote(function, pair):
    first, second = pair
    if refused(function, first, second):
        with pytest.raises(DTypeError, match=r"takes .* tensors, got"):
            function(constant(first), constant(second))
        return
    compare(function, first, second, lambda a, b: (constant(a), constant(b)))
    compare(function, first, second, lambda a, b: (a, constant(b)))
    compare(function, first, second, lambda a, b: (constant(a), b))


@given(
    st.sampled_from([*ARITHMETIC, operator.truediv, *COMPARISONS]),
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3),
    st.sampled_from([dtype for dtype in DTYPES if dtype.kind != "b"]),
    st.booleans() | st.integers(-9, 9) | st.floats(-9, 9, width=32),
    st.data(),
)
def test_python_numbers_take_the_type_beside_them(function, shape, dtype, number, data):
    array = data.draw(arrays(shape, dtype))
    joined = np.dtype("float32") if dtype.kind == "i" and isinstance(number, float) else dtype
    if function is operator.truediv and joined.kind != "f":
        joined = np.dtype("float32")
    same, scalar = array.astype(joined), np.asarray(number).astype(joined)
    with np.errstate(all="ignore"):
        check(function(constant(array), number), function(same, scalar))
        check(function(number, constant(array)), function(scalar, same))


@pytest.mark.parametrize(
    ("tensor", "scalar", "dtype"),
    [
        ("float32", np.float64(2), "float32"),
        ("float64", np.float32(2), "float64"),
        ("int32", np.int64(2), "int32"),
        ("int64", np.float32(2), "float32"),
        ("int64", np.float64(2), "float64"),
        ("int32", 2.0, "float32"),
        ("bool", 2, "int64"),
        ("bool", np.int32(2), "int32"),
        ("bool", 2.0, "float32"),
        ("uint8", 200, "uint8"),
        ("uint8", np.int64(-2), "int64"),
        ("uint32", True, "uint32"),
    ],
)
def test_numpy_scalars_widen_only_a_lower_kind(tensor, scalar, dtype):
    x = Tensor(np.ones(2, tensor))
    for result in (x * scalar, scalar * x):
        assert isinstance(result, Tensor)
        assert result.dtype.name == dtype
        np.testing.assert_array_equal(result.numpy(), scalar * np.ones(2))


@pytest.mark.parametrize(
    ("tensor", "number", "dtype"),
    [
        ("float32", np.float64(3), "float32"),
        ("float64", np.float32(3), "float64"),
        ("int32", np.float64(3), "float64"),
        ("uint8", np.int64(-3), "int64"),
        ("uint8", np.uint32(3), "uint8"),
        ("int64", np.bool_(True), "int64"),
    ],
)
def test_numbers_as_tensors_widen_only_a_lower_kind(tensor, number, dtype):
    x, scalar = Tensor(np.ones(2, tensor)), Tensor(number)
    assert scalar.shape == ()
    for result in (x * scalar, scalar * x, traced((2,), tensor) * scalar):
        assert result.dtype.name == dtype


def test_scalars_alone_keep_their_types():
    assert (Tensor(np.float32(1)) + Tensor(np.float64(1))).dtype.name == "float64"
    assert ops.add(2, 3).dtype.name == "int64"
    assert ops.add(2, 3.0).dtype.name == "float32"
    assert ops.add(np.float64(2), 3).dtype.name == "float64"


def test_several_scalars_beside_one_tensor():
    mask = Tensor([True, False])
    assert ops.where(mask, 1.0, 0.0).dtype.name == "float32"
    assert ops.where(mask, 1, 0).dtype.name == "int64"
    assert ops.where(mask, 1, 0.5).dtype.name == "float32"
    assert ops.where(mask, True, 3).dtype.name == "int64"
    assert ops.where(mask, Tensor(np.zeros(2)), 1).dtype.name == "float64"
    assert ops.where(mask, Tensor(np.float64(1)), np.zeros(2, "float32")).dtype.name == "float32"


@pytest.mark.parametrize(("dtype", "number"), [("uint8", 256), ("uint8", -1), ("int32", 2**31)])
def test_whole_numbers_that_do_not_fit_are_refused(dtype, number):
    with pytest.raises(DTypeError, match=f"{number} does not fit {dtype}, the type of the tensor"):
        Tensor(np.ones(2, dtype)) + number


def test_types_without_a_common_one_are_refused():
    with pytest.raises(DTypeError, match=r"uint64 and int64 have no common integer type; convert"):
        Tensor(np.ones(2, "uint64")) + Tensor([1, 2])


@pytest.mark.parametrize(
    ("first", "second"),
    [((2,), (3,)), ((2, 3), (2,)), ((2, 3), (3, 3)), ((0,), (2,)), ((4, 1, 2), (3, 2, 3))],
)
def test_shapes_that_do_not_fit_are_refused(first, second):
    message = r"shapes \(.*\) and \(.*\) do not broadcast: counted from the last axis"
    with pytest.raises(ShapeError, match=message):
        ops.zeros(first) + ops.zeros(second)
    with pytest.raises(ShapeError, match=message):
        traced(first) + traced(second)


@given(hnp.arrays(st.sampled_from(DTYPES[:4]), hnp.array_shapes(min_dims=0), elements=st.just(-3)))
def test_operators_of_one_operand(array):
    check(-constant(array), np.asarray(-array))
    check(abs(constant(array)), np.asarray(abs(array)))
    if array.dtype.kind == "i":
        check(~constant(array), np.asarray(~array))
    check(~constant(array > 0), np.asarray(~(array > 0)))


def test_bits_with_the_number_on_the_left():
    x = Tensor([1, 6])
    assert (3 & x).numpy().tolist() == [1, 2]
    assert (3 | x).numpy().tolist() == [3, 7]
    assert (3 ^ x).numpy().tolist() == [2, 5]


def test_arrays_on_the_left_give_way():
    x = Tensor([1.0, 2.0])
    for left in (np.ones(2, "float32"), np.float64(1), np.ones((3, 1), "float32")):
        for function in (*ARITHMETIC, operator.truediv, operator.pow, *COMPARISONS):
            assert isinstance(function(left, x), Tensor)
    assert isinstance(np.ones((3, 2), "float32") @ x, Tensor)
    array = np.ones(2, "float32")
    array += np.asarray(x)
    assert array.tolist() == [2.0, 3.0]


# ------------------------------------------------------------------ methods


def test_methods_are_the_functions():
    array = np.arange(6.0).reshape(2, 3)
    x = Tensor(array)
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == x.reshape(-1, 2).shape == (3, 2)
    assert x.T.shape == x.transpose().shape == x.transpose(1, 0).shape == (3, 2)
    assert x.transpose((1, 0)).shape == x.transpose([1, 0]).shape == (3, 2)
    np.testing.assert_array_equal(x.T.numpy(), array.T)
    for name in ("sum", "mean", "max", "min"):
        for axis in (None, 0, -1, (0, 1)):
            for keepdims in (False, True):
                expected = getattr(array, name)(axis=axis, keepdims=keepdims)
                check(getattr(x, name)(axis, keepdims), np.asarray(expected))
    assert x.argmax().numpy().tolist() == [2, 2]
    assert x.argmax(0).numpy().tolist() == [1, 1, 1]
    assert x.astype(int).dtype.name == "int64"


def test_powers():
    x = Tensor(np.array([0.5, 2.0, 3.0]))
    for exponent in (-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 2.5, np.float64(2), np.int64(3)):
        np.testing.assert_allclose((x**exponent).numpy(), x.numpy() ** exponent, rtol=1e-15)
        np.testing.assert_allclose((2.0**x).numpy(), 2.0 ** x.numpy(), rtol=1e-15)
    np.testing.assert_allclose((x**x).numpy(), x.numpy() ** x.numpy(), rtol=1e-15)


def test_powers_of_whole_numbers_stay_whole():
    x = Tensor([2, -3, 7])
    for exponent in (0, 1, 2, 3, 4, 5, 13, 20):
        check(x**exponent, np.array([2, -3, 7]) ** exponent)
    assert (x**2.0).dtype.name == (x**-1).dtype.name == (x**0.5).dtype.name == "float32"
    assert (Tensor([True]) ** 2).numpy().tolist() == [1]


# ------------------------------------------------------------------ values


def test_a_single_number_becomes_pythons():
    assert float(Tensor([[2.5]])) == 2.5
    assert int(Tensor(3)) == 3
    assert bool(Tensor([0.0])) is False
    assert Tensor([True]).item() is True


def test_a_single_number_is_formatted():
    assert f"{Tensor(2.0):.3f} {Tensor(7):>3d}" == "2.000   7"
    assert f"{Tensor([1, 2])}" == "Tensor([1 2], int64)"


@pytest.mark.parametrize("convert", [float, int, Tensor.item, lambda x: f"{x:.2f}"])
def test_several_numbers_are_no_number(convert):
    with pytest.raises(ShapeError, match=r"a single number is needed, got float32\[2\]"):
        convert(Tensor([1.0, 2.0]))


def test_several_truth_values_are_no_condition():
    with pytest.raises(ShapeError, match=r"a condition needs a single truth value, got bool\[2\]"):
        bool(Tensor([1.0, 2.0]) > 0)


@pytest.mark.parametrize("convert", [bool, float, int, np.asarray, Tensor.numpy, Tensor.item])
def test_a_traced_tensor_has_no_value(convert):
    with pytest.raises(
        GraphError, match=r"traced tensor \(float32\[\]\) has no value: .*where\(\)"
    ):
        convert(traced())


def test_a_condition_on_a_traced_tensor_is_explained():
    def function(x):
        return x if x > 0 else -x

    with pytest.raises(GraphError, match=r"write conditions with where\(\)"):
        tw.trace(function, 1.0)
    assert float(tw.grad(function)(-2.0)) == -1.0


def test_numpy_cannot_forget_a_derivative():
    x = Tensor([1.0, 2.0], requires_grad=True)
    message = "NumPy would forget the derivative of a tensor that is being differentiated"
    for use in (np.exp, np.asarray, lambda x: np.stack([x, x]), lambda x: Tensor([x, x])):
        with pytest.raises(GraphError, match=message):
            use(x)
    assert x.numpy().tolist() == [1.0, 2.0]
    assert np.exp(x.detach()).shape == (2,)


def test_conversion_to_arrays():
    x = Tensor([1.0, 2.0])
    assert np.asarray(x) is x.numpy()
    assert np.array(x) is not x.numpy()
    assert np.asarray(x, "float64").dtype.name == "float64"
    with pytest.raises(ValueError, match="copy"):
        np.array(x, "float64", copy=False)


def test_detach_forgets():
    x = Tensor([1.0], requires_grad=True)
    assert (x * 2).tracked
    assert not (x * 2).detach().tracked
    assert (x * 2).detach().source is None
    assert source_of(traced().detach()).primitive.name == "stop_gradient"
