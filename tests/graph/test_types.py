"""Shapes and data types, and how data becomes an array of one of them."""

import decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import DTYPES, TensorType, as_array, as_dtype, as_shape, converted


@pytest.mark.parametrize(
    ("data", "dtype", "value"),
    [
        (2.5, "float32", 2.5),
        (3, "int64", 3),
        (True, "bool", True),
        ([1.0, 2], "float32", [1.0, 2.0]),
        ([[1, 2], [3, 4]], "int64", [[1, 2], [3, 4]]),
        ([True, False], "bool", [True, False]),
        ([], "float32", []),
        (2**63, "uint64", 2**63),
        (np.float64(2.5), "float64", 2.5),
        (np.float16(2.5), "float32", 2.5),
        (np.zeros(2, np.float64), "float64", [0, 0]),
        (np.zeros(2, np.float16), "float32", [0, 0]),
        (np.ones(2, np.int8), "int32", [1, 1]),
        (np.ones(2, np.int16), "int32", [1, 1]),
        (np.full(2, 65535, np.uint16), "int32", [65535, 65535]),
        (np.ones(2, np.uint8), "uint8", [1, 1]),
        (np.ones(2, ">f4"), "float32", [1, 1]),
        (np.ones(2, ">i8"), "int64", [1, 1]),
    ],
)
def test_data_becomes_an_array_of_its_own_type(data, dtype, value):
    array = as_array(data)
    assert array.dtype.name == dtype
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, value)


@given(hnp.arrays(st.sampled_from(list(DTYPES.values())), hnp.array_shapes(min_dims=0, min_side=0)))
def test_arrays_of_known_types_are_kept_as_they_are(array):
    assert as_array(array) is array or as_array(array).base is array


def test_a_type_can_be_asked_for():
    assert as_array([1, 2], "float64").dtype.name == "float64"
    assert as_array([1.9, -1.9], "int32").tolist() == [1, -1]
    assert as_array(1e300, "float32") == np.inf
    assert as_array([0.0, 2.0, np.nan], bool).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([[1.0, 2.0], [3.0]], ShapeError, "rows of different lengths do not make a tensor"),
        ("text", DTypeError, r"tensors hold real numbers, got str.*: 'text'"),
        (["1", "2"], DTypeError, r"tensors hold real numbers, got str.*: \['1', '2'\]"),
        ([1, None], DTypeError, r"got object: \[1, None\]; None, mixed types and whole numbers"),
        (None, DTypeError, "got object: None; None, mixed types"),
        (2**70, DTypeError, "got object: 1180591620717411303424; .* beyond 64 bits"),
        (decimal.Decimal(1), DTypeError, r"got object: Decimal\('1'\)"),
        ({"a": 1}, DTypeError, r"got object: \{'a': 1\}"),
        (1 + 2j, DTypeError, r"tensors hold real numbers, got complex128: \(1\+2j\)"),
        (np.datetime64("2020-01-01"), DTypeError, "tensors hold real numbers, got datetime64"),
        (np.zeros(1, "S3"), DTypeError, "tensors hold real numbers, got bytes"),
        (np.zeros(1, np.longdouble), DTypeError, r"tensors cannot hold .*double|float128"),
    ],
)
def test_what_is_no_tensor_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        as_array(data)


@pytest.mark.parametrize("dtype", ["float16", "int8", "complex64", "object", "str", ">M8[D]"])
def test_types_that_tensors_cannot_have_are_refused(dtype):
    with pytest.raises(DTypeError, match=r"tensors cannot hold \S+; known: bool, uint8, .*float64"):
        as_dtype(dtype)


@pytest.mark.parametrize("dtype", [None, "float33", 3, {"names": 1}])
def test_what_is_no_type_is_refused(dtype):
    with pytest.raises(DTypeError, match="is not a data type; known: bool, uint8"):
        as_dtype(dtype)


def test_types_by_other_names():
    assert as_dtype(float).name == "float64"
    assert as_dtype(int) == np.dtype(np.int64)
    assert as_dtype(np.float32) is DTYPES["float32"]
    assert as_dtype(">f8") is DTYPES["float64"]


# ------------------------------------------------------------------ conversion


@pytest.mark.parametrize("name", ["uint8", "uint32", "uint64", "int32", "int64"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_real_numbers_become_the_nearest_whole_number_of_the_type(name, real):
    limits = np.iinfo(name)
    values = [np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, 0.9, -0.9, -0.0, 200.5]
    expected = [0, limits.max, limits.min, limits.max, limits.min, 2, 0, 0, 0, 200]
    assert converted(np.array(values, real), np.dtype(name)).tolist() == expected


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("name", ["uint8", "uint32", "uint64", "int32", "int64"])
def test_the_last_numbers_before_the_bounds_are_exact(name, real):
    limits = np.iinfo(name)
    for bound in (limits.min, limits.max):
        near = np.array(bound, real)
        for value in (np.nextafter(near, -np.inf), near, np.nextafter(near, np.inf)):
            clipped = min(max(int(value), limits.min), limits.max)
            assert int(converted(np.asarray(value), np.dtype(name))) == clipped


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]), 5, elements=st.floats(-1e6, 1e6, width=32)
    )
)
def test_within_the_range_conversion_is_numpys(array):
    for name in ("int32", "int64"):
        np.testing.assert_array_equal(converted(array, np.dtype(name)), array.astype(name))


def test_whole_numbers_wrap_around():
    assert converted(np.array([-1, 300]), np.dtype("uint8")).tolist() == [255, 44]


# ------------------------------------------------------------------ shapes


def test_a_shape_is_a_tuple_of_whole_numbers():
    assert as_shape(3) == (3,)
    assert as_shape([2, np.int64(3)]) == (2, 3)
    assert type(as_shape((np.int64(3),))[0]) is int
    assert as_shape(()) == ()
    assert as_shape((-1, 2), least=-1) == (-1, 2)


@pytest.mark.parametrize("shape", [2.5, (1, 2.0), "3", None, [[2]]])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(ShapeError, match="a shape is made of whole numbers, got"):
        as_shape(shape)


def test_negative_lengths_are_refused():
    with pytest.raises(ShapeError, match=r"a shape has no negative lengths, got \(2, -1\)"):
        as_shape((2, -1))


def test_a_type_tells_size_and_bytes():
    type_ = TensorType((2, 3, 4), np.dtype("float64"))
    assert (type_.size, type_.bytes, type_.is_float) == (24, 192, True)
    assert str(type_) == "float64[2,3,4]"
    assert str(TensorType((), np.dtype("bool"))) == "bool[]"
    assert TensorType((10**10, 10**10), np.dtype("int32")).bytes == 4 * 10**20
