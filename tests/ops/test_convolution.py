"""The three primitives of convolution against SciPy's correlate and convolve, in float64."""

import itertools

import numpy as np
import pytest
from scipy.signal import convolve as full_convolution
from scipy.signal import correlate

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import as_tensor
from thalweg.ops.convolution import Window, convolve, convolve_input, convolve_weight

CASES = [
    pytest.param(size, taps, channels, maps, groups, window, id=name)
    for name, size, taps, channels, maps, groups, window in [
        ("plain", (6, 7), (3, 2), 2, 3, 1, Window()),
        ("one channel", (5, 5), (5, 5), 1, 1, 1, Window()),
        ("one tap", (4, 3), (1, 1), 3, 2, 1, Window()),
        ("stride", (9, 8), (3, 3), 2, 2, 1, Window((2, 3))),
        ("stride beyond the kernel", (9, 8), (2, 1), 1, 2, 1, Window((4, 3))),
        ("padding", (4, 5), (3, 4), 2, 2, 1, Window(padding=((1, 2), (3, 0)))),
        ("padding beyond the kernel", (3, 4), (2, 2), 1, 2, 1, Window(padding=((3, 2), (0, 4)))),
        ("dilation", (9, 8), (3, 2), 2, 3, 1, Window(dilation=(2, 3))),
        ("groups", (5, 6), (2, 3), 4, 6, 2, Window()),
        ("depthwise", (5, 6), (3, 3), 3, 6, 3, Window(padding=((1, 1), (1, 1)))),
        ("all", (9, 7), (3, 2), 4, 2, 2, Window((2, 1), ((1, 0), (2, 1)), (2, 2))),
        ("a line", (1, 9), (1, 4), 2, 3, 1, Window((1, 2), ((0, 0), (2, 1)))),
    ]
]
EACH = pytest.mark.parametrize(("size", "taps", "channels", "maps", "groups", "window"), CASES)
ROWS = 3


def _stretched(array, by):
    """The array with zeros between its elements."""
    lengths = [(n - 1) * step + 1 for n, step in zip(array.shape, by, strict=True)]
    result = np.zeros(lengths)
    result[tuple(slice(None, None, step) for step in by)] = array
    return result


def _pairs(channels, maps, groups):
    """Channel, channel within its group, and map of one group."""
    own, each = channels // groups, maps // groups
    for group, c, k in itertools.product(range(groups), range(own), range(each)):
        yield group * own + c, c, group * each + k


def _data(size, taps, channels, maps, groups, window):
    rng = np.random.default_rng([*size, *taps, maps])
    places = window.places(size, taps)
    x = rng.normal(size=(*size, channels, ROWS))
    w = rng.normal(size=(*taps, channels // groups, maps))
    o = rng.normal(size=(*places, maps, ROWS))
    return x, w, o


def _close(found, wanted):
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12, atol=1e-12)


@EACH
def test_values_are_scipys_correlation(size, taps, channels, maps, groups, window):
    x, w, o = _data(size, taps, channels, maps, groups, window)
    wanted = np.zeros_like(o)
    for (c, own, k), n in itertools.product(_pairs(channels, maps, groups), range(ROWS)):
        padded = np.pad(x[:, :, c, n], window.padding)
        kernel = _stretched(w[:, :, own, k], window.dilation)
        whole = correlate(padded, kernel, "valid", "direct")
        wanted[:, :, k, n] += whole[:: window.stride[0], :: window.stride[1]]
    _close(convolve(as_tensor(x), as_tensor(w), groups=groups, **window._asdict()), wanted)


@EACH
def test_the_transpose_for_inputs_is_scipys_full_convolution(
    size, taps, channels, maps, groups, window
):
    x, w, o = _data(size, taps, channels, maps, groups, window)
    (top, bottom), (left, right) = window.padding
    padded = np.zeros((size[0] + top + bottom, size[1] + left + right, channels, ROWS))
    for (c, own, k), n in itertools.product(_pairs(channels, maps, groups), range(ROWS)):
        laid = _stretched(o[:, :, k, n], window.stride)
        kernel = _stretched(w[:, :, own, k], window.dilation)
        part = full_convolution(laid, kernel, "full", "direct")
        padded[: part.shape[0], : part.shape[1], c, n] += part
    wanted = padded[top : top + size[0], left : left + size[1]]
    found = convolve_input(
        as_tensor(o), as_tensor(w), groups=groups, shape=size, **window._asdict()
    )
    assert found.shape == x.shape
    _close(found, wanted)


@EACH
def test_the_transpose_for_weights_is_scipys_correlation(
    size, taps, channels, maps, groups, window
):
    x, w, o = _data(size, taps, channels, maps, groups, window)
    wanted = np.zeros_like(w)
    for (c, own, k), n in itertools.product(_pairs(channels, maps, groups), range(ROWS)):
        padded = np.pad(x[:, :, c, n], window.padding)
        laid = _stretched(o[:, :, k, n], window.stride)
        whole = correlate(padded, laid, "valid", "direct")
        part = whole[:: window.dilation[0], :: window.dilation[1]]
        wanted[:, :, own, k] += part[: taps[0], : taps[1]]
    found = convolve_weight(
        as_tensor(x), as_tensor(o), groups=groups, shape=taps, **window._asdict()
    )
    _close(found, wanted)


@EACH
def test_the_three_are_one_trilinear_form(size, taps, channels, maps, groups, window):
    x, w, o = map(as_tensor, _data(size, taps, channels, maps, groups, window))
    plain = {"groups": groups, **window._asdict()}
    numbers = [
        (convolve(x, w, **plain) * o).sum(),
        (convolve_input(o, w, shape=size, **plain) * x).sum(),
        (convolve_weight(x, o, shape=taps, **plain) * w).sum(),
    ]
    np.testing.assert_allclose(numbers[1:], float(numbers[0].numpy()), rtol=1e-11)


def test_float32_is_computed_in_float32():
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape) for shape in ((6, 6, 8, 2), (3, 3, 8, 4)))
    plain = {"groups": 1, **Window()._asdict()}
    found = convolve(as_tensor(x.astype("float32")), as_tensor(w.astype("float32")), **plain)
    assert found.dtype == np.float32
    wanted = convolve(as_tensor(x), as_tensor(w), **plain).numpy()
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "w", "changes", "message"),
    [
        ((5, 5, 2, 1), (6, 1, 2, 3), {}, "a window of 6 does not fit into 5 with padding 0 and 0"),
        ((5, 5, 3, 1), (2, 2, 1, 4), {"groups": 2}, "3 channels and 4 maps do not divide into 2"),
        ((5, 5, 4, 1), (2, 2, 2, 3), {"groups": 2}, "4 channels and 3 maps do not divide into 2"),
        ((5, 5, 4, 1), (2, 2, 3, 3), {}, "weights for 3 channels in each of 1 groups do not fit"),
        ((5, 5, 4), (2, 2, 4, 3), {}, r"takes an input \(H, W, C, N\)"),
        ((5, 5, 1, 1), (2, 2, 1, 1), {"stride": (1, 0)}, "stride and dilation must be ≥ 1"),
        ((5, 5, 1, 1), (2, 2, 1, 1), {"padding": ((0, -1), (0, 0))}, "padding ≥ 0"),
    ],
)
def test_what_does_not_fit_is_refused(x, w, changes, message):
    plain = {"groups": 1, **Window()._asdict(), **changes}
    with pytest.raises(ShapeError, match=message):
        convolve(as_tensor(np.zeros(x)), as_tensor(np.zeros(w)), **plain)


def test_types_that_differ_are_refused():
    plain = {"groups": 1, **Window()._asdict()}
    x, w = np.zeros((3, 3, 1, 1)), np.zeros((2, 2, 1, 1), "float32")
    with pytest.raises(DTypeError, match="tensors of one type"):
        convolve(as_tensor(x), as_tensor(w), **plain)
