"""Pooling in the kernel of its convolution: the interpreter's values, and nothing else stored."""

import numpy as np
import pytest
from tests.compiler.native.shared import assert_same_bits, normal, program, splits_all

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.lower import lower
from thalweg.compiler.native.target import host_target
from thalweg.compiler.passes.pipeline import optimise
from thalweg.graph import TensorType, trace_flat
from thalweg.nn import windows
from thalweg.ops import functions as ops
from thalweg.ops.convolution import Window, convolve_weight

__all__ = ["splits_all"]

SIDE = ((1, 1), (1, 1))


def largest(size):
    return lambda z: windows.largest_in_windows(z, size, Window(size))


def mean(size):
    return lambda z: windows.sum_in_windows(z, size, Window(size)) * (1.0 / (size[0] * size[1]))


POOLS = [
    ("maximum", largest((2, 2))),
    ("mean", mean((2, 2))),
    ("tall", largest((3, 1))),
    ("wide", mean((1, 4))),
    ("nine", largest((3, 3))),
]
ENDS = [("plain", lambda z: z), ("relu", tw.relu), ("square", lambda z: z * z + 0.5)]


def arrays(rows=20, channels=4, maps=6, groups=1, size=(9, 11), dtype="float32"):
    rng = np.random.default_rng(rows + maps)
    shapes = (rows, channels, *size), (3, 3, channels // groups, maps), (maps,)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def layer(pool, end, groups=1, window=None):
    window = window or Window((1, 1), SIDE)

    def function(x, w, b):
        z = windows.convolution(x, w, window, groups) + b.reshape((1, b.shape[0], 1, 1))
        return pool(end(z))

    return function


def lowered(function, inputs):
    types = [TensorType(array.shape, array.dtype) for array in inputs]
    graph, _ = trace_flat(function, types)
    return lower(optimise(graph).graph, host_target())


def pooled(function, inputs):
    return [k for k in lowered(function, inputs).plan.kernels if k.pool is not None]


def check(function, inputs, slack=1.0):
    types = [TensorType(array.shape, array.dtype) for array in inputs]
    graph, _ = trace_flat(function, types)
    got = program(function, *inputs)(*inputs)
    expected = Interpreter(graph)(*inputs)
    eps = np.finfo(inputs[0].dtype).eps
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        scale = np.nanmax(np.abs(other)) if other.size else 1.0
        bound = slack * 64 * eps * max(scale, 1.0)
        np.testing.assert_allclose(one, other, rtol=0, atol=bound)


@pytest.mark.parametrize("rows", [1, 7, 16, 37])
@pytest.mark.parametrize(("_", "end"), ENDS, ids=[name for name, _ in ENDS])
@pytest.mark.parametrize(("name", "pool"), POOLS, ids=[name for name, _ in POOLS])
def test_windows_are_computed_with_their_convolution(name, pool, _, end, rows):
    inputs = arrays(rows)
    function = layer(pool, end)
    (kernel,) = pooled(function, inputs)
    assert all(node.shape[:2] == kernel.pool.places for node in kernel.outputs)
    check(function, inputs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("window", "groups"),
    [
        (Window((2, 1), ((1, 0), (2, 2))), 1),
        (Window((1, 1), ((2, 2), (0, 3)), (2, 1)), 1),
        (Window((1, 1), SIDE), 2),
    ],
    ids=["strided", "dilated", "grouped"],
)
def test_every_kind_of_convolution_takes_windows_in(window, groups, dtype):
    inputs = arrays(groups=groups, dtype=dtype)
    function = layer(largest((2, 2)), tw.relu, groups, window)
    assert pooled(function, inputs)
    check(function, inputs)


def slopes(function):
    def loss(x, w, b, weight):
        return (function(x, w, b) * weight).sum()

    def every(x, w, b, weight):
        return list(tw.grad(loss, (0, 1, 2))(x, w, b, weight))

    return every


@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize(("_", "end"), ENDS, ids=[name for name, _ in ENDS])
@pytest.mark.parametrize(("name", "pool"), POOLS, ids=[name for name, _ in POOLS])
def test_gradients_through_windows_are_the_interpreters(name, pool, _, end, rows):
    inputs = arrays(rows)
    shape = Interpreter(trace_flat(layer(pool, end), types_of(inputs))[0])(*inputs)[0].shape
    weight = np.random.default_rng(1).normal(size=shape).astype("float32")
    check(slopes(layer(pool, end)), [*inputs, weight], slack=8.0)


@pytest.mark.usefixtures("splits_all")
@pytest.mark.parametrize("rows", [16, 20, 37, 80])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("end", [tw.relu, lambda z: z], ids=["relu", "plain"])
@pytest.mark.parametrize("size", [(8, 10), (9, 11)], ids=["even", "odd"])
def test_gradients_for_weights_lay_results_where_the_maxima_were(size, end, groups, rows):
    x, w, b = arrays(rows, groups=groups, size=size)
    function = layer(largest((2, 2)), end, groups)
    weight = np.random.default_rng(1).normal(size=(rows, 6, 4, 5)).astype("float32")

    def slope(x, w, b, weight):
        return list(tw.grad(lambda w, b: (function(x, w, b) * weight).sum(), (0, 1))(w, b))

    inputs = [x, w, b, weight]
    kernels = lowered(slope, inputs).plan.kernels
    (gradient,) = [k for k in kernels if k.kind == "convolve_weight"]
    assert (len(gradient.nodes) > 1) == (size == (8, 10))
    check(slope, inputs, slack=8.0)
    assert_same_bits(slope, inputs)


def types_of(inputs):
    return [TensorType(array.shape, array.dtype) for array in inputs]


@pytest.mark.parametrize("kind", ["ties", "nan", "negative"])
def test_ties_and_nan_choose_the_interpreters_winner(kind):
    x, w, b = arrays(16)
    x, w = np.round(x), np.round(w)
    b[:] = -100.0 if kind == "negative" else 0.0
    if kind == "nan":
        x[3, 1, 4, 4] = np.nan
    function = layer(largest((2, 2)), tw.relu)
    weight = np.ones((16, 6, 4, 5), "float32")
    check(function, [x, w, b])
    check(slopes(function), [x, w, b, weight])


def test_what_a_place_and_what_a_window_reads_is_found():
    x, w, b = arrays(24)
    rng = np.random.default_rng(0)
    v = rng.normal(size=w.shape).astype("float32")
    scale = rng.normal(size=(24, 6, 4, 5)).astype("float32")

    def function(x, w, b, v, scale):
        along = windows.convolution(x, w, Window((1, 1), SIDE)) + b.reshape((1, 6, 1, 1))
        z = windows.convolution(x, v, Window((1, 1), SIDE)) + along
        return largest((2, 2))(tw.relu(z)) * scale + b.reshape((1, 6, 1, 1))

    inputs = [x, w, b, v, scale]
    (kernel,) = pooled(function, inputs)
    sizes = sorted(base.size for base in kernel.reads)
    assert sizes[-3:] == [scale.size, 24 * 4 * 99, 24 * 6 * 99]
    check(function, inputs)


@pytest.mark.parametrize("pool", [
    lambda z: windows.largest_in_windows(z, (3, 3), Window((2, 2))),
    lambda z: windows.largest_in_windows(z, (2, 2), Window((2, 2), SIDE)),
    lambda z: [largest((2, 2))(z), z],
    lambda z: largest((2, 2))(z) + mean((2, 2))(tw.exp(z)),
], ids=["overlapping", "padded", "wanted", "heavy"])  # fmt: skip
def test_where_places_are_needed_elsewhere_they_are_stored(pool):
    inputs = arrays()
    assert not pooled(layer(pool, tw.relu), inputs)
    check(layer(pool, tw.relu), inputs, slack=100.0)


@pytest.mark.usefixtures("splits_all")
@pytest.mark.parametrize("rows", [2, 40])
def test_threads_share_windows_without_changing_a_bit(rows):
    inputs = arrays(rows)
    assert_same_bits(layer(largest((2, 2)), tw.relu), inputs)


def test_a_long_chain_behind_a_window_is_taken_in_as_far_as_it_may_be():
    def function(x, w, b):
        z = layer(largest((2, 2)), tw.relu)(x, w, b)
        for number in range(60):
            z = z * 0.5 + float(number)
        return z

    inputs = arrays()
    (kernel,) = pooled(function, inputs)
    assert 10 < len(kernel.nodes) < 60
    check(function, inputs, slack=4.0)


def test_a_training_step_stores_no_places_beneath_a_maximum():
    network = tw.Sequential(
        tw.Conv2d(6, 3, padding=1), tw.ReLU(), tw.MaxPool2d(2), tw.Flatten(), tw.Linear(2)
    )
    parameters = tw.initialise(network, (3, 12, 12))
    (x,) = normal((20, 3, 12, 12))

    def slope(*values):
        given = dict(zip(parameters, values, strict=True))
        return list(tw.grad(lambda p: tw.apply_network(network, p, x).sum())(given).values())

    inputs = [np.asarray(value) for value in parameters.values()]
    kernels = lowered(slope, inputs).plan.kernels
    written = [n for k in kernels for n in k.outputs if n.size == 20 * 6 * 144]
    assert not written
    check(slope, inputs, slack=8.0)


# ------------------------------------------------------------------ what must not be joined


def by_row(g):
    return g * ops.broadcast(tw.arange(16, "float32"), (8, 8, 6, 16))


def through_a_view(g):
    m = tw.relu(g)
    return m + tw.transpose(m, (1, 0, 2, 3))


@pytest.mark.parametrize("results", [by_row, through_a_view])
def test_results_that_are_not_read_line_by_line_are_stored(results):
    def function(x, g):
        return convolve_weight(x, results(g), shape=(3, 3), groups=1, **Window()._asdict())

    rng = np.random.default_rng(0)
    inputs = [
        rng.normal(size=shape).astype("float32") for shape in ((10, 10, 4, 16), (8, 8, 6, 16))
    ]
    check(function, inputs, slack=8.0)


def test_images_that_are_computed_with_the_results_are_stored():
    def function(z, g):
        h = tw.relu(z)
        window = Window((1, 1), SIDE)._asdict()
        return convolve_weight(h, h * g, shape=(3, 3), groups=1, **window)

    rng = np.random.default_rng(0)
    check(function, [rng.normal(size=(8, 8, 4, 16)).astype("float32") for _ in "zg"], slack=8.0)


def test_a_bias_is_read_at_places_and_at_windows():
    def function(x, w, b):
        bias = b.reshape((1, 6, 1, 1))
        z = tw.relu(windows.convolution(x, w, Window((1, 1), SIDE)) + bias)
        return largest((2, 2))(z) + bias

    inputs = arrays()
    assert pooled(function, inputs)
    check(function, inputs)


@pytest.mark.parametrize(("given", "wanted"), [("float32", "float64"), ("float64", "float32")])
def test_places_of_another_type_are_stored(given, wanted):
    def function(x, w, b):
        return largest((2, 2))(windows.convolution(x, w, Window((1, 1), SIDE)).astype(wanted))

    inputs = arrays(dtype=given)
    assert not pooled(function, inputs)
    check(function, inputs, slack=1.0 if given == "float32" else 1e9)


def test_a_line_that_no_cache_holds_is_read_as_it_stands():
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(3, 70, 2, 1024)), rng.normal(size=(3, 70, 4, 1024))]

    def function(x, g):
        window = Window((1, 1), SIDE)._asdict()
        return convolve_weight(x, g * 2.0, shape=(3, 3), groups=1, **window)

    assert lowered(function, inputs).arena_bytes < 16 * 70 * 4 * 1024 * 8
    check(function, inputs, slack=100.0)
