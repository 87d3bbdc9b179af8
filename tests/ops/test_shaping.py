"""Products and shapes against NumPy."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Tensor
from thalweg.ops import functions as ops

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def same(result, expected):
    assert isinstance(result, Tensor)
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.numpy(), expected)


def numbered(shape, dtype="float64"):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


# ------------------------------------------------------------------ products


@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_side=3), st.booleans())
def test_matmul_is_numpys(found, whole):
    dtype = "int64" if whole else "float64"
    first, second = (numbered(shape, dtype) - 3 for shape in found.input_shapes)
    same(ops.matmul(first, second), np.asarray(np.matmul(first, second)))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((2, 3), (2, 3), r"matmul: inner lengths differ: float64\[2,3\] has 3 columns, .* 2 rows"),
        ((3,), (4,), "matmul: inner lengths differ"),
        ((), (3,), r"matmul takes vectors or matrices, got float64\[\] and float64\[3\]"),
        ((2, 2, 3), (3, 3, 2), r"shapes \(2,\) and \(3,\) do not broadcast"),
    ],
)
def test_products_that_do_not_fit_are_refused(first, second, message):
    with pytest.raises(ShapeError, match=message):
        ops.matmul(np.zeros(first), np.zeros(second))


# ------------------------------------------------------------------ shapes


@given(shapes, st.data())
def test_reshape_is_numpys(shape, data):
    array = numbered(shape)
    wanted = list(data.draw(st.permutations(shape)))
    if wanted and array.size and data.draw(st.booleans()):
        wanted[data.draw(st.integers(0, len(wanted) - 1))] = -1
    same(ops.reshape(array, wanted), array.reshape(wanted))
    same(ops.reshape(array, *wanted) if wanted else ops.reshape(array, ()), array.reshape(wanted))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4,), r"cannot make float64\[2,3\] \(6 elements\) into shape \(4,\) \(4 elements\)"),
        ((-1, 4), r"cannot make float64\[2,3\] \(6 elements\) into shape \(-1, 4\)"),
        ((-1, -1), r"one length of a shape may be -1, got \(-1, -1\)"),
        ((-2, -3), r"a shape has no negative lengths, got \(-2, -3\)"),
        ((2.0, 3), "a shape is made of whole numbers, got"),
        ((), r"\(6 elements\) into shape \(\) \(1 elements\)"),
    ],
)
def test_wrong_shapes_are_refused(shape, message):
    with pytest.raises(ShapeError, match=message):
        ops.reshape(np.zeros((2, 3)), shape)


def test_an_open_length_beside_an_empty_axis_is_refused():
    with pytest.raises(ShapeError, match=r"into shape \(-1, 0\)"):
        ops.reshape(np.zeros((0, 3)), (-1, 0))


@given(shapes, st.data())
def test_transpose_is_numpys(shape, data):
    array = numbered(shape)
    axes = data.draw(st.permutations(range(array.ndim)))
    same(ops.transpose(array), array.transpose())
    same(ops.transpose(array, axes), array.transpose(axes))
    same(ops.transpose(array, [axis - array.ndim for axis in axes]), array.transpose(axes))


@pytest.mark.parametrize("axes", [(0, 2), (0, 0), (0,), (0, 1, 2), (-3, 0)])
def test_wrong_orders_of_axes_are_refused(axes):
    with pytest.raises(ShapeError, match=r"not an axis of|are no permutation of the 2 axes"):
        ops.transpose(np.zeros((2, 3)), axes)


@given(hnp.mutually_broadcastable_shapes(num_shapes=1, min_side=0, max_side=4), st.data())
def test_broadcast_is_numpys(found, data):
    array = numbered(found.input_shapes[0])
    more = data.draw(st.lists(st.integers(0, 3), max_size=2))
    target = (*more, *found.result_shape)
    same(ops.broadcast(array, target), np.broadcast_to(array, target))


@pytest.mark.parametrize("target", [(2,), (4, 2), (), (-1, 3)])
def test_broadcasts_that_do_not_fit_are_refused(target):
    with pytest.raises(ShapeError, match=r"broadcast: cannot repeat float64\[3\]|negative lengths"):
        ops.broadcast(np.zeros(3), target)


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3), st.data())
def test_joining_is_numpys(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = []
    for length in lengths:
        one = list(shape)
        one[axis] = length
        parts.append(numbered(one))
    same(ops.concatenate(parts, axis), np.concatenate(parts, axis))
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    copies = [numbered(shape), numbered(shape) + 1]
    same(ops.stack(copies, place), np.stack(copies, place))
    same(ops.stack((part for part in copies), place), np.stack(copies, place))


def test_what_can_be_joined():
    assert ops.concatenate(Tensor([[1, 2], [3, 4]])).numpy().tolist() == [1, 2, 3, 4]
    assert ops.stack([1.0, Tensor(2.0)]).numpy().tolist() == [1.0, 2.0]
    assert ops.concatenate([np.zeros(2, "float32"), np.zeros(1)]).dtype.name == "float64"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.concatenate([]), "concatenate needs at least one tensor"),
        (lambda: ops.stack([]), "stack needs at least one tensor"),
        (lambda: ops.concatenate([1.0, 2.0]), r"axis 0 is not an axis of float32\[\]"),
        (lambda: ops.concatenate([[1.0], [2.0]], None), "an axis is a whole number, got None"),
        (lambda: ops.stack([[1.0], [1.0, 2.0]]), r"stack takes one shape, got float32\[1\] and"),
        (lambda: ops.stack([[1.0]], 2), "axis 2 is not an axis of a stack with 2 axes"),
        (
            lambda: ops.concatenate([np.zeros((2, 3)), np.zeros((2, 2))]),
            r"concatenate: float64\[2,3\] and float64\[2,2\] differ outside axis 0",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


@given(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), st.data())
def test_pad_is_numpys(shape, data):
    array = numbered(shape)
    width = st.tuples(st.integers(0, 2), st.integers(0, 2))
    widths = data.draw(st.lists(width, min_size=array.ndim, max_size=array.ndim))
    assume(array.ndim)
    same(ops.pad(array, widths, -1.5), np.pad(array, widths, constant_values=-1.5))


def test_wrong_padding_is_refused():
    with pytest.raises(ShapeError, match="pad needs a pair of widths for each axis"):
        ops.pad(np.zeros((2, 2)), [(1, 1)])
    with pytest.raises(ShapeError, match=r"a shape has no negative lengths, got \(-1, 0\)"):
        ops.pad(np.zeros(2), [(-1, 0)])
    for value in (0.5, np.nan, 300.0):
        with pytest.raises(DTypeError, match=r"pad: uint8\[2\] cannot hold"):
            ops.pad(np.zeros(2, "uint8"), [(1, 0)], value)
    assert ops.pad(np.zeros(2, "uint8"), [(1, 0)], 7).numpy().tolist() == [7, 0, 0]
    assert ops.pad([True], [(1, 0)]).numpy().tolist() == [False, True]


# ------------------------------------------------------------------ new tensors


def test_new_tensors():
    same(ops.arange(4), np.arange(4))
    same(ops.arange(300, "uint8"), np.arange(300).astype("uint8"))
    same(ops.arange(0, "float32"), np.zeros(0, "float32"))
    same(ops.zeros((2, 3)), np.zeros((2, 3), "float32"))
    same(ops.ones(3, "int32"), np.ones(3, "int32"))
    same(ops.zeros([np.int64(2)], "bool"), np.zeros(2, bool))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.zeros((-1,)), ShapeError, "a shape has no negative lengths"),
        (lambda: ops.zeros((2.5,)), ShapeError, "a shape is made of whole numbers"),
        (lambda: ops.zeros(2, "float16"), DTypeError, "tensors cannot hold float16"),
        (lambda: ops.arange(-1), ShapeError, "a shape has no negative lengths"),
        (lambda: ops.arange(2, "bool"), DTypeError, "iota takes floating-point or integer"),
        (lambda: ops.arange(2.5), ShapeError, r"a shape is made of whole numbers, got \(2\.5,\)"),
    ],
)
def test_new_tensors_that_cannot_be(call, error, message):
    with pytest.raises(error, match=message):
        call()
