"""Convolutions as machine code: every way of lying, against the interpreter; threads; layout."""

import numpy as np
import pytest
from tests.compiler.native.shared import assert_same_bits, normal, program, splits_all
from tests.training.problems import same_bits

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.lower import lower
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.native.target import host_target
from thalweg.compiler.passes.pipeline import optimise
from thalweg.graph import TensorType, trace_flat
from thalweg.nn.windows import convolution
from thalweg.ops.convolution import Window, convolve, convolve_input, convolve_weight, form_of

__all__ = ["splits_all"]

PLAIN = {**Window()._asdict(), "groups": 1}
WAYS = [
    ("plain", {}),
    ("padded", {"padding": ((1, 1), (2, 1))}),
    ("strided", {"stride": (2, 3), "padding": ((0, 1), (1, 1))}),
    ("dilated", {"dilation": (2, 2), "padding": ((2, 2), (2, 2))}),
    ("grouped", {"groups": 2, "padding": ((1, 1), (1, 1))}),
    ("all", {"groups": 2, "stride": (2, 1), "dilation": (1, 2), "padding": ((1, 2), (0, 3))}),
]
SIZES = [(2, 2, 1), (2, 6, 3), (4, 18, 16), (8, 10, 20), (6, 4, 33), (18, 34, 7)]


def problem(channels, maps, rows, way, dtype):
    parameters = {**PLAIN, **way}
    x = (9, 8, channels, rows)
    w = (3, 2, channels // parameters["groups"], maps)
    window = Window(*(parameters[name] for name in Window._fields))
    form = form_of(x, w, window, parameters["groups"])
    rng = np.random.default_rng(channels + maps + rows)
    shapes = {"x": x, "w": w, "o": (*form.places, maps, rows)}
    arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    return arrays, parameters, form


def run(primitive, inputs, parameters):
    types = [TensorType(array.shape, array.dtype) for array in inputs]
    graph, _ = trace_flat(lambda *given: primitive(*given, **parameters), types)
    return NativeProgram(optimise(graph).graph, cached=False)(*inputs)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("channels", "maps", "rows"), SIZES)
@pytest.mark.parametrize(("name", "way"), WAYS, ids=[name for name, _ in WAYS])
def test_convolutions_are_the_interpreters(name, way, channels, maps, rows, dtype):
    arrays, parameters, form = problem(channels, maps, rows, way, dtype)
    for primitive, kinds, more in (
        (convolve, "xw", {}),
        (convolve_input, "ow", {"shape": form.size}),
        (convolve_weight, "xo", {"shape": form.taps}),
    ):
        inputs = [arrays[kind] for kind in kinds]
        expected = primitive.evaluate(*inputs, **parameters, **more)
        got = run(primitive, inputs, {**parameters, **more})
        terms = max(form.places[0] * form.places[1] * rows, 6 * max(channels, maps))
        bound = 4 * np.finfo(dtype).eps * np.sqrt(terms) * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=4 * bound)


@pytest.mark.usefixtures("splits_all")
@pytest.mark.parametrize("rows", [2, 20])
@pytest.mark.parametrize(
    ("lines", "channels", "maps"), [(30, 1, 6), (11, 6, 16), (7, 20, 20), (35, 3, 2), (1, 5, 3)]
)
def test_chunks_of_lines_give_the_gradient_for_weights(lines, channels, maps, rows):
    padding = ((2, 2), (1, 0))
    parameters = {**PLAIN, "padding": padding, "shape": (5, 3)}
    inputs = normal((lines, 9, channels, rows), (lines, 8, maps, rows))

    def slope(x, o):
        return convolve_weight(x, o, **parameters)

    got, want = program(slope, *inputs)(*inputs)[0], convolve_weight.evaluate(*inputs, **parameters)
    slack = 2e-6 * np.sqrt(lines * 8 * rows)
    np.testing.assert_allclose(got, want, rtol=slack, atol=slack)
    assert_same_bits(slope, inputs)


def images(rows=40):
    rng = np.random.default_rng(3)
    return rng.normal(size=(rows, 3, 12, 12)).astype("float32"), np.arange(rows) % 4


def small():
    return tw.Sequential(
        tw.Conv2d(8, 3, padding="same"),
        tw.BatchNorm2d(),
        tw.ReLU(),
        tw.MaxPool2d(2),
        tw.Residual(tw.Sequential(tw.Conv2d(8, 3, padding=1), tw.ReLU())),
        tw.AvgPool2d(3, stride=2, padding=1),
        tw.Flatten(),
        tw.Linear(4),
    )


@pytest.mark.parametrize("batch_size", [1, 16, 20])
def test_threads_change_no_bit(batch_size):
    x, y = images(20 if batch_size == 1 else 40)
    net = small() if batch_size > 1 else tw.Sequential(tw.Conv2d(8, 5), *small().layers[2:])
    options = {"epochs": 2, "batch_size": batch_size, "progress": False, "seed": 4}
    one, other = (tw.fit(net, x, y, **options, threads=threads) for threads in (1, 3))
    assert same_bits(one.model.parameters, other.model.parameters)


def step_kernels(network, shape):
    types = [TensorType(shape, np.dtype("float32"))]
    parameters = tw.initialise(network, shape[1:])
    arrays = {path: np.asarray(value) for path, value in parameters.items()}
    graph, _ = trace_flat(lambda x: tw.apply_network(network, arrays, x), types)
    return lower(optimise(graph).graph, host_target()).plan.kernels


def test_no_image_is_copied_between_layers():
    network = tw.Sequential(
        tw.Conv2d(8, 3, padding=1), tw.ReLU(), tw.Conv2d(8, 3, padding=1), tw.Tanh(),
        tw.GlobalAvgPool2d(),
    )  # fmt: skip
    kernels = step_kernels(network, (32, 3, 10, 10))
    products = [kernel for kernel in kernels if kernel.kind == "product"]
    assert [str(kernel) for kernel in products[:1]] == ["convolve add max"]
    assert len(products) == 2
    copies = [k for k in kernels if str(k) == "identity" and k.size >= 8 * 100 * 32]
    assert not copies


def test_a_convolution_of_a_view_reads_it_in_place():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(16, 6, 6, 6)), rng.normal(size=(3, 3, 3, 4))

    def function(x, w):
        return convolution(x[:, ::2, 1:, :], w).sum((2, 3))

    types = [TensorType(array.shape, array.dtype) for array in (x, w)]
    graph = optimise(trace_flat(function, types)[0]).graph
    got = NativeProgram(graph, cached=False)(x, w)[0]
    np.testing.assert_allclose(got, Interpreter(graph)(x, w)[0], rtol=1e-11)


def test_nan_in_one_image_stays_there():
    x, _ = images(20)
    x[7, 1, 3, 3] = np.nan
    network = tw.Sequential(tw.Conv2d(4, 3, padding=1), tw.Flatten())
    parameters = tw.initialise(network, (3, 12, 12))
    compiled = tw.compile(lambda x: tw.apply_network(network, parameters, x))
    found = np.isnan(np.asarray(compiled(x))).reshape(20, 4, 12, 12)
    expected = np.zeros_like(found)
    expected[7, :, 2:5, 2:5] = True
    np.testing.assert_array_equal(found, expected)


# ------------------------------------------------------------------ pooling and what was cut off


@pytest.mark.parametrize(
    "pool",
    [tw.AvgPool2d(32), tw.MaxPool2d(32), tw.AdaptiveAvgPool2d(1), tw.MaxPool2d((5, 7), stride=3)],
    ids=["average", "maximum", "all", "overlapping"],
)
def test_large_windows_are_the_interpreters(pool):
    x = np.random.default_rng(0).normal(size=(3, 2, 40, 40))

    def loss(z):
        return (tw.apply_network(pool, {}, z) * 2.0).sum()

    slope = tw.grad(loss)
    np.testing.assert_allclose(np.asarray(tw.compile(loss)(x)), loss(x).numpy(), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(tw.compile(slope)(x)), slope(x).numpy(), rtol=1e-12)


def test_what_lies_in_the_padding_takes_no_part_in_a_gradient():
    network = tw.ConvTranspose2d(1, 3, stride=2, padding=1)
    x = np.random.default_rng(0).normal(size=(1, 1, 9, 9))
    x[0, 0, 0, 0] = np.nan
    parameters = tw.initialise(network, (1, 9, 9), dtype="float64")

    def slope(weight):
        given = {**parameters, "weight": weight}
        return tw.grad(lambda w: tw.apply_network(network, {**given, "weight": w}, x).sum())(weight)

    native = np.asarray(tw.compile(slope)(parameters["weight"]))
    eager = slope(parameters["weight"]).numpy()
    np.testing.assert_array_equal(np.isnan(native), np.isnan(eager))
    np.testing.assert_allclose(native, eager, rtol=1e-12)
