"""What padding means for an input."""

import numpy as np
import pytest

from thalweg.graph import as_tensor
from thalweg.nn.padding import across, amounts, jutting, laid, reads
from thalweg.ops.convolution import Window


@pytest.mark.parametrize(
    ("padding", "wanted"),
    [
        ("valid", ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((0, 1), 2), ((0, 1), (2, 2))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        (across(2), ((0, 0), (2, 2))),
        (across((1, 3)), ((0, 0), (1, 3))),
    ],
)
def test_amounts_of_numbers_and_pairs(padding, wanted):
    assert amounts(padding, (5, 6), (3, 3), (1, 1)) == wanted


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("extent", [1, 2, 3, 6])
def test_same_keeps_the_size_over_the_stride(stride, extent):
    for size in range(1, 12):
        low, high = amounts("same", (size, size), (extent, extent), (stride, stride))[0]
        assert 0 <= high - low <= 1
        count = (size + low + high - extent) // stride + 1
        assert count == -(-size // stride)
        if low + high:  # no more than needed
            assert (count - 1) * stride + extent == size + low + high


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_windows_that_jut_out_begin_inside(stride, padding):
    for size in range(1, 10):
        x = as_tensor(np.zeros((1, 1, size, size)))
        plain = (
            laid("MaxPool2d", x, (3, 3), stride, padding, may_jut=size + 2 * padding < 3)
            if (size + 2 * padding + stride > 3)
            else None
        )
        if plain is None:
            continue
        wide = jutting(x, (3, 3), plain)
        starts = reads(x, (3, 3), wide)[0][:, 0]
        every = np.arange(-padding, size, stride)
        covered = [s for s in every if s == -padding or s - stride + 3 < size + padding]
        np.testing.assert_array_equal(starts, covered)


def test_what_taps_read_counts_from_the_input():
    x = as_tensor(np.zeros((1, 1, 4, 5)))
    rows, columns = reads(x, (2, 3), Window((2, 2), ((1, 0), (0, 2)), (1, 2)))
    np.testing.assert_array_equal(rows, [[-1, 0], [1, 2]])
    np.testing.assert_array_equal(columns, [[0, 2, 4], [2, 4, 6]])
