"""Maxima and sums of windows against SciPy's filters and plain loops, in float64."""

import itertools

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from scipy.signal import correlate

import thalweg as tw
from thalweg.errors import ShapeError
from thalweg.graph import as_tensor
from thalweg.ops.convolution import Window
from thalweg.ops.window import window_max, window_pick, window_place, window_spread, window_sum

CASES = [
    pytest.param(size, taps, window, id=name)
    for name, size, taps, window in [
        ("apart", (6, 8), (2, 2), Window((2, 2))),
        ("a rest", (7, 5), (2, 2), Window((2, 2))),
        ("overlapping", (7, 8), (3, 2), Window((2, 1))),
        ("padding", (5, 6), (3, 3), Window((2, 2), ((1, 1), (2, 0)))),
        ("dilation", (8, 7), (3, 2), Window((1, 2), ((1, 2), (0, 0)), (2, 3))),
        ("whole", (4, 5), (4, 5), Window()),
        ("one tap", (4, 5), (1, 1), Window((3, 2))),
    ]
]
EACH = pytest.mark.parametrize(("size", "taps", "window"), CASES)


def _image(size, tail=(2, 3), seed=0):
    return np.random.default_rng([seed, *size]).normal(size=(*size, *tail))


def _footprint(taps, window):
    rows, columns = window.extent(taps)
    result = np.zeros((rows, columns))
    result[:: window.dilation[0], :: window.dilation[1]] = 1.0
    return result


def _reads(size, taps, window):
    """For each place, the elements that its window reads, row by row."""
    counts = window.places(size, taps)
    for place in itertools.product(*map(range, counts)):
        found = []
        for tap in itertools.product(*map(range, taps)):
            read = tuple(
                p * s + t * d - low
                for p, s, t, d, (low, _) in zip(
                    place, window.stride, tap, window.dilation, window.padding, strict=True
                )
            )
            if all(0 <= r < n for r, n in zip(read, size, strict=True)):
                found.append(read)
        yield place, found


@EACH
def test_sums_are_scipys_correlation_with_ones(size, taps, window):
    x = _image(size)
    padded = np.pad(x, (*window.padding, (0, 0), (0, 0)))
    ones = _footprint(taps, window)[:, :, None, None]
    wanted = correlate(padded, ones, "valid", "direct")
    found = window_sum(as_tensor(x), taps=taps, **window._asdict()).numpy()
    strided = wanted[:: window.stride[0], :: window.stride[1]]
    np.testing.assert_allclose(found, strided, rtol=1e-12, atol=1e-13)


@EACH
def test_maxima_are_scipys_filter(size, taps, window):
    x = _image(size)
    padded = np.pad(x, (*window.padding, (0, 0), (0, 0)), constant_values=-np.inf)
    footprint = _footprint(taps, window).astype(bool)
    centre = [n // 2 for n in footprint.shape]
    whole = maximum_filter(padded, footprint=footprint[:, :, None, None], mode="constant")
    counts = window.places(size, taps)
    cut = tuple(
        slice(first, first + (count - 1) * by + 1, by)
        for first, count, by in zip(centre, counts, window.stride, strict=True)
    )
    found = window_max(as_tensor(x), taps=taps, **window._asdict()).numpy()
    np.testing.assert_array_equal(found, whole[cut])


@EACH
def test_maxima_pass_on_what_loops_say(size, taps, window):
    x = np.round(_image(size) * 2)  # with many equal numbers
    v, plain = _image(size, seed=1), {"taps": taps, **window._asdict()}
    counts = window.places(size, taps)
    o = _image(counts, seed=2)
    picked, placed = np.zeros(o.shape), np.zeros(x.shape)
    for place, reads in _reads(size, taps, window):
        for rest in np.ndindex(x.shape[2:]):
            values = [x[(*read, *rest)] for read in reads]
            first = reads[values.index(max(values))]
            picked[(*place, *rest)] = v[(*first, *rest)]
            placed[(*first, *rest)] += o[(*place, *rest)]
    found = window_pick(as_tensor(x), as_tensor(v), **plain).numpy()
    np.testing.assert_array_equal(found, picked)
    found = window_place(as_tensor(x), as_tensor(o), **plain).numpy()
    np.testing.assert_allclose(found, placed, rtol=1e-13, atol=1e-14)


@EACH
def test_sums_are_spread_as_loops_say(size, taps, window):
    o = _image(window.places(size, taps))
    wanted = np.zeros((*size, *o.shape[2:]))
    for place, reads in _reads(size, taps, window):
        for read in reads:
            wanted[read] += o[place]
    found = window_spread(as_tensor(o), taps=taps, shape=size, **window._asdict()).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


def test_unknown_numbers_are_greatest():
    x = np.array([[1.0, np.nan], [3.0, np.nan]])[:, :, None, None]
    plain = {"taps": (2, 2), **Window()._asdict()}
    assert np.isnan(window_max(as_tensor(x), **plain).numpy()).all()
    placed = window_place(as_tensor(x), as_tensor(np.ones((1, 1, 1, 1))), **plain).numpy()
    np.testing.assert_array_equal(placed[:, :, 0, 0], [[0, 1], [0, 0]])


def test_whole_numbers_have_maxima():
    x = np.array([[-5, -7], [-9, -6]], "int32")[:, :, None, None]
    window = Window(padding=((1, 0), (0, 0)))
    found = window_max(as_tensor(x), taps=(2, 2), **window._asdict())
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found.numpy()[:, :, 0, 0], [[-5], [-5]])


@EACH
def test_derivatives_agree_with_difference_quotients(size, taps, window):
    plain = {"taps": taps, **window._asdict()}
    for function in (window_max, window_sum):
        tw.check_gradients(lambda x, function=function: function(x, **plain), _image(size, (1, 2)))


@pytest.mark.parametrize(
    ("taps", "changes", "message"),
    [
        ((5, 1), {}, "a window of 5 does not fit into 4 with padding 0 and 0"),
        ((2, 2), {"dilation": (4, 1)}, "a window of 5 does not fit into 4"),
        ((2, 2), {"padding": ((2, 0), (0, 0))}, "must be smaller than the window"),
        ((0, 2), {}, "windows of at least 1 × 1"),
        ((2, 2), {"stride": (0, 1)}, "stride and dilation must be ≥ 1"),
    ],
)
def test_what_does_not_fit_is_refused(taps, changes, message):
    plain = {**Window()._asdict(), **changes}
    for function in (window_max, window_sum):
        with pytest.raises(ShapeError, match=message):
            function(as_tensor(np.zeros((4, 4, 1, 1))), taps=taps, **plain)
