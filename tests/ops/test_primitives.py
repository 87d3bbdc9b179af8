"""Every primitive of the registry: its value, its derivatives, what it refuses.

The tests know the primitives only by their declarations; the judges beside them are written with
other means (Python's ``math``, loops, ``einsum``).
"""

import itertools
import math

import numpy as np
import pytest
import scipy.special
from tests.ops.judges import JUDGES

import thalweg as tw
from thalweg.compiler.interpreter import interpret
from thalweg.errors import DTypeError, ShapeError, ThalwegError
from thalweg.graph import PRIMITIVES, TensorType, as_array, constant, trace_flat, verify
from thalweg.ops import functions as ops

KINDS = {"elementwise", "reduction", "product", "layout", "index", "random"}
ANYTHING_GOES = {"identity", "stop_gradient"}
SAMPLES = [
    pytest.param(primitive, sample, id=f"{name}-{number}")
    for name, primitive in PRIMITIVES.items()
    for number, sample in enumerate(primitive.samples())
]
SMOOTH = [
    pytest.param(primitive, sample, id=f"{name}-{number}")
    for name, primitive in PRIMITIVES.items()
    for number, sample in enumerate(primitive.samples())
    if primitive.tangent and any(array.dtype.kind == "f" for array in sample.inputs)
]
FAILURES = [
    pytest.param(primitive, sample, id=f"{name}-{number}")
    for name, primitive in PRIMITIVES.items()
    for number, sample in enumerate(primitive.failures())
]


def run(primitive, sample, inputs=None):
    arrays = sample.inputs if inputs is None else inputs
    return primitive(*map(constant, arrays), **sample.parameters)


# ------------------------------------------------------------------ completeness


@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_declaration_is_complete(name):
    primitive = PRIMITIVES[name]
    assert primitive.name == name
    assert primitive.kind in KINDS
    assert primitive.ulp >= 0.5
    assert primitive.samples()
    assert primitive.failures() or name in ANYTHING_GOES
    assert name in JUDGES
    assert primitive.transpose is None or primitive.tangent is not None


def test_every_judge_has_a_primitive():
    assert set(JUDGES) == set(PRIMITIVES)


@pytest.mark.parametrize("name", [n for n, p in PRIMITIVES.items() if p.samples()[0].inputs])
def test_samples_are_of_every_sort(name):
    primitive = PRIMITIVES[name]
    if primitive.kind == "random":
        return
    inputs = [array for sample in primitive.samples() for array in sample.inputs]
    assert any(array.size == 0 for array in inputs), "none is empty"
    assert any(not array.flags.c_contiguous for array in inputs), "none is non-contiguous"
    assert any(array.ndim == 2 for array in inputs), "none is a matrix"
    if primitive.kind == "elementwise":
        assert any(array.ndim == 0 for array in inputs), "none is 0-dimensional"


# ------------------------------------------------------------------ values


def agree(result, expected, ulp):
    """Equal within some units in the last place of the result's type; NaN equals NaN."""
    assert result.shape == np.shape(expected)
    if result.dtype.kind != "f":
        np.testing.assert_array_equal(result, expected)
        return
    with np.errstate(all="ignore"):
        expected = np.asarray(expected, result.dtype)
        close = np.abs(result - expected) <= ulp * np.spacing(np.abs(expected))
    same = (result == expected) | (np.isnan(result) & np.isnan(expected)) | close
    assert same.all(), f"{result} is not {expected}"


def in_type(sample, dtype):
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in sample.inputs]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("primitive", "sample"), SAMPLES)
def test_the_value_is_the_judges(primitive, sample, dtype):
    inputs = in_type(sample, dtype)
    result = run(primitive, sample, inputs)
    wide = [array.astype("float64") if array.dtype.kind == "f" else array for array in inputs]
    expected = JUDGES[primitive.name](*wide, **sample.parameters)
    if primitive.kind == "product":
        scale = JUDGES[primitive.name](*map(np.abs, wide), **sample.parameters)
        length = 1 + max(array.size for array in inputs)
        error = np.abs(result.numpy() - expected)
        assert (error <= length * np.finfo(dtype).eps * scale).all()
    else:
        agree(result.numpy(), expected, 2 * primitive.ulp)


@pytest.mark.parametrize(("primitive", "sample"), SAMPLES)
def test_eager_traced_and_copied_agree_bit_for_bit(primitive, sample):
    eager = run(primitive, sample).numpy()
    types = [TensorType(array.shape, array.dtype) for array in sample.inputs]
    graph, _ = trace_flat(lambda *inputs: primitive(*inputs, **sample.parameters), types)
    verify(graph)
    (interpreted,) = interpret(graph, *sample.inputs)
    (copied,) = interpret(graph, *[np.array(array, order="C") for array in sample.inputs])
    for other in (interpreted, copied):
        assert other.dtype == eager.dtype == graph.outputs[0].dtype
        assert other.shape == eager.shape == graph.outputs[0].shape
        assert other.tobytes() == eager.tobytes()


@pytest.mark.parametrize(("primitive", "sample"), SAMPLES)
def test_inputs_are_left_as_they_are(primitive, sample):
    kept = [array.copy() for array in sample.inputs]
    run(primitive, sample)
    for array, before in zip(sample.inputs, kept, strict=True):
        np.testing.assert_array_equal(array, before)


# ------------------------------------------------------------------ special values

NAN, INF = math.nan, math.inf
UNARY = {
    "abs": [(-0.0, 0.0), (INF, INF), (-INF, INF)],
    "cos": [(0.0, 1.0), (INF, NAN), (-INF, NAN)],
    "erf": [(-0.0, -0.0), (INF, 1.0), (-INF, -1.0)],
    "exp": [(-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0)],
    "expm1": [(-0.0, -0.0), (INF, INF), (-INF, -1.0), (1e-30, 1e-30)],
    "floor": [(-0.0, -0.0), (INF, INF), (-INF, -INF), (-0.5, -1.0), (2.0, 2.0)],
    "identity": [(-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "log": [(0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1.0, NAN)],
    "log1p": [(-0.0, -0.0), (-1.0, -INF), (INF, INF), (-2.0, NAN), (1e-30, 1e-30)],
    "logistic": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (1e4, 1.0), (-1e4, 0.0)],
    "neg": [(0.0, -0.0), (-0.0, 0.0), (INF, -INF)],
    "round": [
        (-0.0, -0.0),
        (0.5, 0.0),
        (-0.5, -0.0),
        (1.5, 2.0),
        (2.5, 2.0),
        (INF, INF),
        (-INF, -INF),
    ],
    "sign": [(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (-1e-30, -1.0)],
    "sin": [(-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (-1.0, NAN)],
    "stop_gradient": [(-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "tanh": [(-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e4, 1.0)],
}
BINARY = {
    "add": [(INF, -INF, NAN), (-0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (INF, 1.0, INF)],
    "div": [(1.0, 0.0, INF), (1.0, -0.0, -INF), (0.0, 0.0, NAN), (INF, INF, NAN), (1.0, INF, 0.0)],
    "eq": [(0.0, -0.0, True), (NAN, NAN, False), (INF, INF, True)],
    "le": [(0.0, -0.0, True), (NAN, NAN, False), (-INF, INF, True)],
    "lt": [(-0.0, 0.0, False), (NAN, 1.0, False), (1.0, NAN, False), (-INF, INF, True)],
    "max": [(NAN, 1.0, NAN), (1.0, NAN, NAN), (-INF, 1.0, 1.0), (INF, 1.0, INF)],
    "min": [(NAN, 1.0, NAN), (1.0, NAN, NAN), (-INF, 1.0, -INF), (INF, 1.0, 1.0)],
    "mul": [(INF, 0.0, NAN), (-1.0, 0.0, -0.0), (-INF, 2.0, -INF)],
    "ne": [(0.0, -0.0, False), (NAN, NAN, True), (INF, INF, False)],
    "pow": [
        (0.0, 0.0, 1.0), (NAN, 0.0, 1.0), (1.0, NAN, 1.0), (-2.0, 0.5, NAN), (-2.0, 3.0, -8.0),
        (0.0, -1.0, INF), (-0.0, -1.0, -INF), (2.0, INF, INF), (0.5, INF, 0.0), (-1.0, INF, 1.0),
    ],
    "sub": [(INF, INF, NAN), (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0)],
}  # fmt: skip


def same_bits(result, expected):
    """Equal with the sign of zero; any NaN equals any NaN."""
    result, expected = np.asarray(result), np.asarray(expected, result.dtype)
    nan = np.isnan(result) & np.isnan(expected)
    assert (nan | ((result == expected) & (np.signbit(result) == np.signbit(expected)))).all(), (
        result,
        expected,
    )


def real_elementwise():
    return {
        name
        for name, primitive in PRIMITIVES.items()
        if primitive.kind == "elementwise" and name not in {"cast", "select"}
        and primitive.samples()[0].inputs[0].dtype.kind == "f"
    }  # fmt: skip


def test_special_values_are_listed_for_every_real_function():
    assert set(UNARY) | set(BINARY) == real_elementwise()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_special_values_of_one_input(name, dtype):
    points, values = np.array([*UNARY[name], (NAN, NAN)], dtype).T
    for repeat in (1, 40):
        inputs, expected = np.repeat(points, repeat), np.repeat(values, repeat)
        same_bits(PRIMITIVES[name](constant(inputs)).numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_special_values_of_two_inputs(name, dtype):
    for repeat in (1, 40):
        first, second, expected = (
            np.repeat(np.array(column), repeat) for column in zip(*BINARY[name], strict=True)
        )
        inputs = constant(first.astype(dtype)), constant(second.astype(dtype))
        result = PRIMITIVES[name](*inputs).numpy()
        if expected.dtype == bool:
            assert result.tolist() == expected.tolist()
        else:
            same_bits(result, expected)


@pytest.mark.parametrize("name", sorted(real_elementwise() - {"pow", "eq", "ne", "lt", "le"}))
def test_nan_propagates_through_elementwise_functions(name):
    inputs = len(PRIMITIVES[name].samples()[0].inputs)
    for place in range(inputs):
        arrays = [np.ones(3) for _ in range(inputs)]
        arrays[place][1] = np.nan
        assert np.isnan(PRIMITIVES[name](*map(constant, arrays)).numpy()).tolist() == [0, 1, 0]


def test_nan_propagates_through_sums_products_and_choices():
    x = np.ones((3, 4))
    x[1, 2] = np.nan
    assert np.isnan(tw.sum(x, 0).numpy()).tolist() == [0, 0, 1, 0]
    assert np.isnan(tw.max(x, 1).numpy()).tolist() == [0, 1, 0]
    assert np.isnan(tw.min(x, 1).numpy()).tolist() == [0, 1, 0]
    assert tw.argmax(x, 1).numpy().tolist() == [0, 2, 0]
    assert np.isnan((tw.Tensor(x) @ np.zeros((4, 2))).numpy())[:, 0].tolist() == [0, 1, 0]
    assert np.isnan(tw.scatter_add(np.zeros(3), [1, 1], np.array([np.nan, 1])).numpy())[1]


def test_casting_has_a_value_for_every_number():
    x = np.array([np.nan, np.inf, -np.inf, -1.5, 300.0])
    assert tw.Tensor(x).astype("uint8").numpy().tolist() == [0, 255, 0, 0, 255]
    assert tw.Tensor(x).astype("bool").numpy().tolist() == [True] * 5
    assert tw.Tensor([-1, 300]).astype("uint8").numpy().tolist() == [255, 44]


# ------------------------------------------------------------------ derivatives


class Differentiable:
    """A sample as a function of its floating-point inputs alone."""

    def __init__(self, primitive, sample):
        self.primitive, self.sample = primitive, sample
        self.places = [p for p, array in enumerate(sample.inputs) if array.dtype.kind == "f"]
        self.points = [sample.inputs[place] for place in self.places]

    def __call__(self, *inputs):
        arrays = list(map(constant, self.sample.inputs))
        for place, tensor in zip(self.places, inputs, strict=True):
            arrays[place] = ops.as_tensor(tensor)
        return self.primitive(*arrays, **self.sample.parameters)

    def directions(self, rng):
        return [rng.normal(size=point.shape) for point in self.points]


def difference(function, points, directions):
    """The central difference of a function of arrays, ε = 1e-6·max(1, |x|)."""
    step = 1e-6 * max(1.0, *(np.max(np.abs(point), initial=0.0) for point in points))
    ahead = function(*[p + step * d for p, d in zip(points, directions, strict=True)])
    behind = function(*[p - step * d for p, d in zip(points, directions, strict=True)])
    return (ahead.numpy() - behind.numpy()) / (2 * step)


def dot(left, right):
    return sum(
        float(np.sum(np.asarray(a) * np.asarray(b))) for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize(("primitive", "sample"), SMOOTH)
def test_forward_derivatives_are_the_difference_quotients(primitive, sample, rng):
    function = Differentiable(primitive, sample)
    for _ in range(5):
        first, second = function.directions(rng), function.directions(rng)

        def slope(*inputs, along=first):
            return tw.jvp(function, inputs, along)[1]

        for derive, direction in ((function, first), (slope, second)):
            exact = tw.jvp(derive, function.points, direction)[1].numpy()
            quotient = difference(derive, function.points, direction)
            np.testing.assert_allclose(exact, quotient, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("primitive", "sample"), SMOOTH)
def test_reverse_is_the_transpose_of_forward(primitive, sample, rng):
    function = Differentiable(primitive, sample)
    for _ in range(5):
        directions = function.directions(rng)
        value, change = tw.jvp(function, function.points, directions)
        cotangent = rng.normal(size=value.shape)
        pulled = tw.vjp(function, *function.points)[1](cotangent)
        forward, backward = dot([cotangent], [change]), dot(pulled, directions)
        scale = np.linalg.norm(cotangent) * np.linalg.norm(change.numpy())
        assert abs(forward - backward) <= 1e-12 * max(abs(forward), scale)
        for part, point in zip(pulled, function.points, strict=True):
            assert (part.shape, part.dtype) == (point.shape, point.dtype)


@pytest.mark.parametrize(("primitive", "sample"), SMOOTH)
def test_each_input_alone_has_its_derivative(primitive, sample, rng):
    function = Differentiable(primitive, sample)
    whole = tw.vjp(function, *function.points)
    cotangent = rng.normal(size=whole[0].shape)
    for place, expected in enumerate(whole[1](cotangent)):

        def alone(x, place=place):
            return function(*function.points[:place], x, *function.points[place + 1 :])

        (pulled,) = tw.vjp(alone, function.points[place])[1](cotangent)
        np.testing.assert_allclose(pulled.numpy(), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("primitive", "sample"), SMOOTH)
def test_second_derivatives_agree_in_every_order_of_modes(primitive, sample, rng):
    function = Differentiable(primitive, sample)
    numbers = tuple(range(len(function.points)))
    weights = rng.normal(size=function(*function.points).shape)
    direction = function.directions(rng)

    def scalar(*inputs):
        return (function(*inputs) * weights).sum()

    def along(*inputs):
        gradient = tw.grad(scalar, numbers)(*inputs)
        return sum((part * d).sum() for part, d in zip(gradient, direction, strict=True))

    def slope(*inputs):
        return tw.jvp(scalar, inputs, direction)[1]

    reverse_reverse = tw.grad(along, numbers)(*function.points)
    forward_reverse = tw.jvp(tw.grad(scalar, numbers), function.points, direction)[1]
    reverse_forward = tw.grad(slope, numbers)(*function.points)
    for first, second, third in zip(reverse_reverse, forward_reverse, reverse_forward, strict=True):
        np.testing.assert_allclose(second.numpy(), first.numpy(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(third.numpy(), first.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("primitive", "sample"), SMOOTH)
def test_derivatives_are_sound_graphs_of_the_inputs_types(primitive, sample, dtype):
    function = Differentiable(primitive, sample)
    function.sample = sample._replace(inputs=tuple(in_type(sample, dtype)))
    points = [function.sample.inputs[place] for place in function.places]

    def both(*inputs):
        ones = [ops.ones(x.shape, dtype) for x in inputs]
        value, change = tw.jvp(function, inputs, ones)
        return value, change, tw.vjp(function, *inputs)[1](ops.ones(value.shape, dtype))

    types = [TensorType(point.shape, point.dtype) for point in points]
    graph, (value, change, pulled) = trace_flat(both, types)
    verify(graph)
    assert change.type == value.type
    assert [part.type for part in pulled] == types


@pytest.mark.parametrize("name", [n for n, p in PRIMITIVES.items() if p.transpose])
def test_a_transpose_is_the_matrix_transpose(name):
    for sample in PRIMITIVES[name].samples():
        function = Differentiable(PRIMITIVES[name], sample)
        if not 0 < sum(point.size for point in function.points) <= 30:
            continue
        for place, point in enumerate(function.points):

            def alone(x, place=place, function=function):
                return function(*function.points[:place], x, *function.points[place + 1 :])

            forward = tw.jacobian(alone, mode="forward")(point).numpy()
            reverse = tw.jacobian(alone, mode="reverse")(point).numpy()
            np.testing.assert_array_equal(forward, reverse)


# ------------------------------------------------------------------ conventions at kinks


def slopes(function, *points):
    numbers = tuple(range(len(points)))
    gradient = tw.grad(lambda *x: ops.sum_(function(*x)), numbers)(*map(np.float64, points))
    return [part.item() for part in gradient]


@pytest.mark.parametrize(
    ("function", "points", "expected"),
    [
        (tw.abs, [0.0], [0.0]),
        (tw.abs, [-2.0], [-1.0]),
        (tw.sign, [0.0], [0.0]),
        (tw.floor, [1.0], [0.0]),
        (tw.round, [0.5], [0.0]),
        (tw.sqrt, [0.0], [INF]),
        (tw.log, [0.0], [INF]),
        (tw.maximum, [2.0, 2.0], [0.0, 1.0]),
        (tw.minimum, [2.0, 2.0], [0.0, 1.0]),
        (lambda x: tw.maximum(x, 0.0), [0.0], [0.0]),
        (lambda x: tw.maximum(0.0, x), [0.0], [1.0]),
        (lambda x: tw.clip(x, -1.0, 1.0), [1.0], [0.0]),
        (lambda x: tw.clip(x, -1.0, 1.0), [-1.0], [0.0]),
        (lambda x: tw.clip(x, -1.0, 1.0), [0.5], [1.0]),
        (ops.power, [0.0, 3.0], [0.0, 0.0]),
        (ops.power, [0.0, 2.0], [0.0, 0.0]),
        (ops.power, [0.0, 1.0], [1.0, 0.0]),
        (ops.power, [0.0, 0.5], [INF, 0.0]),
        (ops.power, [0.0, 0.0], [0.0, 0.0]),
        (ops.power, [5.0, 0.0], [0.0, math.log(5)]),
        (ops.power, [-2.0, 3.0], [12.0, NAN]),
        (ops.power, [-2.0, 0.0], [0.0, NAN]),
        (lambda x: tw.max(tw.stack([x, x, 1.0])), [2.0], [1.0]),
        (tw.stop_gradient, [2.0], [0.0]),
        (lambda x: x.astype("int64").astype("float64"), [2.5], [0.0]),
        (lambda x: ops.where(x > 0, x, 0.0), [0.0], [0.0]),
    ],
)
def test_the_derivative_at_a_kink_is_the_written_one(function, points, expected):
    np.testing.assert_array_equal(slopes(function, *points), expected)


@pytest.mark.parametrize(("reduce", "sign"), [(tw.max, 1.0), (tw.min, -1.0)])
def test_equal_extremes_share_the_derivative(reduce, sign):
    x = sign * np.array([[3.0, 3.0, 1.0], [2.0, 5.0, 4.0]])
    gradient = tw.grad(lambda x: reduce(x, 1).sum())(x).numpy()
    assert gradient.tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]
    change = tw.jvp(lambda x: reduce(x, 1), [x], [np.arange(6.0).reshape(2, 3)])[1]
    assert change.numpy().tolist() == [0.5, 4.0]
    assert np.isnan(tw.grad(lambda x: reduce(x))(np.array([1.0, np.nan])).numpy()).all()


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(3.0, [0, 0, 0, 6]), (2.0, [0, 0, 2, 0]), (1.0, [0, 1, 0, 0]), (0.0, [1, 0, 0, 0])],
)
def test_every_derivative_of_a_power_at_zero(exponent, expected):
    function = lambda x: ops.power(x, ops.as_tensor(np.float64(exponent)))
    found = []
    for _ in range(4):
        found.append(function(np.float64(0.0)).item())
        function = tw.grad(function)
    assert found == expected


def test_the_mixed_derivative_of_a_power():
    function = tw.grad(tw.grad(ops.power, 0), 1)
    for a, b in ((2.0, 0.0), (3.0, 1.0), (0.5, -2.0)):
        exact = a ** (b - 1) * (1 + b * math.log(a))
        assert function(np.float64(a), np.float64(b)).item() == pytest.approx(exact, rel=1e-14)


def test_a_select_does_not_mix_the_branches_values():
    x = np.array([0.0, 4.0])
    result = ops.where(x > 1, ops.log(x), -1.0)
    assert result.numpy().tolist() == [-1.0, math.log(4)]


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize(("primitive", "sample"), FAILURES)
def test_what_does_not_fit_is_refused_in_words(primitive, sample):
    with pytest.raises((ShapeError, DTypeError)) as caught:
        run(primitive, sample._replace(inputs=tuple(map(as_array, sample.inputs))))
    assert isinstance(caught.value, ThalwegError)
    text = str(caught.value)
    assert text.startswith(primitive.name) or "tensors cannot hold complex64" in text


@pytest.mark.parametrize(("primitive", "sample"), FAILURES)
def test_what_does_not_fit_is_refused_when_tracing(primitive, sample):
    types = [TensorType(array.shape, array.dtype) for array in sample.inputs]
    needs_values = {"gather": ([3], [-1]), "scatter_add": ([3],)}.get(primitive.name, ())
    if any(sample.inputs[1].tolist() == indices for indices in needs_values):
        graph, _ = trace_flat(lambda *x: primitive(*x, **sample.parameters), types)
        with pytest.raises(ShapeError, match=f"top forward: {primitive.name}: index"):
            interpret(graph, *sample.inputs)
        return
    with pytest.raises((ShapeError, DTypeError)):
        trace_flat(lambda *inputs: primitive(*inputs, **sample.parameters), types)


def test_every_elementwise_primitive_counts_its_inputs():
    for name in real_elementwise():
        inputs = len(PRIMITIVES[name].samples()[0].inputs)
        with pytest.raises(ShapeError, match=f"{name} takes {inputs} tensors, got {inputs + 1}"):
            PRIMITIVES[name](*[constant(np.ones(2))] * (inputs + 1))


def test_scipy_and_numpy_agree_on_the_error_function_and_the_logistic():
    x = np.linspace(-9, 9, 1001)
    exact = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(ops.erf(x).numpy(), exact, rtol=1e-15)
    stable = np.exp(np.minimum(x, 0)) / (np.exp(-np.abs(x)) + 1)
    np.testing.assert_allclose(ops.logistic(x).numpy(), stable, rtol=1e-15)
    np.testing.assert_array_equal(ops.erf(x).numpy(), scipy.special.erf(x))


def test_every_pair_of_values_of_a_bit_is_computed():
    pairs = np.array(list(itertools.product([False, True], repeat=2)))
    first, second = constant(pairs[:, 0].copy()), constant(pairs[:, 1].copy())
    assert (first & second).numpy().tolist() == [False, False, False, True]
    assert (first | second).numpy().tolist() == [False, True, True, True]
    assert (first ^ second).numpy().tolist() == [False, True, True, False]
    assert (~first).numpy().tolist() == [True, True, False, False]
