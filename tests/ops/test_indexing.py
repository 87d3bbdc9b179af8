"""Square brackets, take, scatter_add and one_hot against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import thalweg as tw
from thalweg.compiler.interpreter import interpret
from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Tensor, TensorType, trace_flat, verify
from thalweg.ops import functions as ops


def numbered(shape):
    return np.arange(np.prod(shape, dtype=int), dtype="float64").reshape(shape)


def both_ways(array, index):
    """The indexed tensor, eagerly and through a traced graph."""
    eager = Tensor(array)[index].numpy()
    graph, _ = trace_flat(lambda x: x[index], [TensorType(array.shape, array.dtype)])
    verify(graph)
    assert interpret(graph, array)[0].tobytes() == eager.tobytes()
    return eager


# ------------------------------------------------------------------ square brackets

BASIC = {"allow_newaxis": True, "allow_ellipsis": True}


@given(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), st.data())
def test_numbers_and_slices_are_numpys(shape, data):
    array = numbered(shape)
    index = data.draw(hnp.basic_indices(shape, **BASIC))
    expected = np.asarray(array[index])
    result = both_ways(array, index)
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)


@given(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4), st.data())
def test_one_array_of_indices_among_slices_is_numpys(shape, data):
    array = numbered(shape)
    place = data.draw(st.integers(0, len(shape) - 1))
    length = shape[place]
    picks = data.draw(
        hnp.arrays(
            np.int64,
            hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
            elements=st.integers(-length, length - 1),
        )
    )
    index = [data.draw(st.slices(n) | st.none().map(lambda _: slice(None))) for n in shape]
    index[place] = picks
    if data.draw(st.booleans()):
        index.insert(data.draw(st.integers(0, len(index))), None)
    expected = array[tuple(index)]
    for kind in (np.asarray, Tensor):
        result = both_ways(array, tuple(kind(e) if e is picks else e for e in index))
        assert result.shape == expected.shape
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "index",
    [
        (0, [0, 2]),
        ([0, 1], 2),
        (0, [1], 2),
        (slice(None), 1, [0, 0]),
        ([1, 0], 1, slice(None)),
        (..., [1, 0], 2),
        [[0, 1], [1, 1]],
        [],
        (slice(None, None, -1), [-1]),
        (np.uint8(1), np.array([0, 1], "uint64")),
        np.int64(-1),
        np.asarray(1),
        (slice(1, 0), np.asarray(0)),
    ],
)
def test_whole_numbers_beside_indices_are_numpys(index):
    array = numbered((2, 3, 4))
    expected = array[tuple(index) if isinstance(index, tuple) else index]
    np.testing.assert_array_equal(both_ways(array, index), expected)


def test_a_0_dimensional_tensor_drops_its_axis():
    for shape in ((3, 4), (3, 1), (3,)):
        array = numbered(shape)
        for number in (0, 2, -1):
            np.testing.assert_array_equal(both_ways(array, Tensor(number)), array[number])


def test_indices_may_be_traced():
    def function(x, i):
        return x[i], x[:, i]

    array, indices = numbered((3, 3)), np.array([2, -1, 0])
    types = [TensorType((3, 3), np.dtype("float64")), TensorType((3,), np.dtype("int64"))]
    rows, columns = interpret(trace_flat(function, types)[0], array, indices)
    np.testing.assert_array_equal(rows, array[indices])
    np.testing.assert_array_equal(columns, array[:, indices])


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, ShapeError, r"index 3 is outside axis 0 of float64\[3,4\]"),
        ((0, -5), ShapeError, r"index -5 is outside axis 1 of float64\[3,4\]"),
        ((0, 0, 0), ShapeError, "3 indices for a tensor of 2 axes"),
        ((..., 0, ...), ShapeError, "an index can hold one '...' only"),
        ([3], ShapeError, r"index 3 is outside axis 0 of float64\[3,4\]"),
        ([-4], ShapeError, r"index -4 is outside axis 0 of float64\[3,4\]"),
        (([0, 1], [0, 1]), ShapeError, "an index can hold one tensor of indices; take along one"),
        (([0, 1], slice(None), None), None, ""),
        (True, DTypeError, r"a boolean mask has no fixed shape; use where\(mask, x, 0\) instead"),
        (np.ones((3, 4), bool), DTypeError, "a boolean mask has no fixed shape"),
        (1.0, DTypeError, r"indices are whole numbers, got float32\[\]"),
        ("0", DTypeError, "tensors hold real numbers, got str"),
    ],
)
def test_wrong_indices_are_refused(index, error, message):
    x = Tensor(numbered((3, 4)))
    if error is None:
        assert x[index].shape == (2, 4, 1)
        return
    with pytest.raises(error, match=message):
        x[index]


@pytest.mark.parametrize("index", [(0, slice(None), [0, 1]), ([0, 1], None, 0), (0, ..., [1])])
def test_indices_whose_axes_numpy_would_move_are_refused(index):
    with pytest.raises(ShapeError, match="with a slice between them: index in two steps"):
        Tensor(numbered((2, 3, 4)))[index]


def test_the_derivative_of_indexing_adds_up():
    x = numbered((3, 2))
    gradient = tw.grad(lambda x: (x[[0, 2, 0]] * numbered((3, 2))).sum() + x[-1, 0] * 10)(x)
    assert gradient.numpy().tolist() == [[4.0, 6.0], [0.0, 0.0], [12.0, 3.0]]


# ------------------------------------------------------------------ take, scatter_add, one_hot


@given(
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    st.data(),
)
def test_take_and_scatter_add_are_numpys(shape, picked, data):
    array = numbered(shape)
    axis = data.draw(st.integers(-array.ndim, array.ndim - 1))
    elements = st.integers(0, shape[axis] - 1)
    dtype = data.draw(st.sampled_from(["uint8", "int32", "int64", "uint64"]))
    indices = data.draw(hnp.arrays(dtype, picked, elements=elements))
    taken = ops.take(array, indices, axis)
    np.testing.assert_array_equal(taken.numpy(), np.take(array, indices.astype(int), axis))
    updates = numbered(taken.shape) + 1
    expected = array.copy()
    place = axis % array.ndim
    np.add.at(expected, (*[slice(None)] * place, indices.astype(int)), updates)
    result = ops.scatter_add(array, indices, updates, axis)
    np.testing.assert_array_equal(result.numpy(), expected)
    np.testing.assert_array_equal(array, numbered(shape))


def test_take_refuses_what_is_outside():
    for index in (-1, 3):
        with pytest.raises(ShapeError, match=f"gather: index {index} is outside an axis of 3"):
            ops.take(np.zeros(3), [index])
    with pytest.raises(ShapeError, match=r"axis 1 is not an axis of float64\[3\]"):
        ops.take(np.zeros(3), [0], 1)
    assert ops.take(np.zeros((3, 2)), []).shape == (0, 2)


def test_scatter_add_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"updates are float64\[3\], not float64\[2\]"):
        ops.scatter_add(np.zeros(3), [0, 1], np.ones(3))
    with pytest.raises(ShapeError, match="scatter_add: index 5 is outside an axis of 3"):
        ops.scatter_add(np.zeros(3), [5], np.ones(1))


def test_one_hot_rows():
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    for dtype in ("int32", "int64"):
        assert ops.one_hot(np.array([0, 2, 3, -1], dtype), 3).numpy().tolist() == expected
    assert ops.one_hot([], 3).shape == (0, 3)
    assert ops.one_hot(2, 3, "bool").numpy().tolist() == [False, False, True]
    assert ops.one_hot(np.array([44], "uint8"), 301).numpy().sum() == 1
    with pytest.raises(DTypeError, match=r"one_hot takes whole numbers, got float32\[1\]"):
        ops.one_hot([1.0], 3)
