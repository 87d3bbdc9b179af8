"""The derivatives of every primitive: forward, reverse, of first and second order, at kinks."""

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.graph import PRIMITIVES, TensorType, as_tensor, constant, trace_flat, verify
from thalweg.ops import functions as ops

NAN, INF = math.nan, math.inf
SMOOTH = [
    pytest.param(primitive, sample, id=f"{name}-{number}")
    for name, primitive in PRIMITIVES.items()
    for number, sample in enumerate(primitive.samples())
    if primitive.tangent and any(array.dtype.kind == "f" for array in sample.inputs)
]


def in_type(sample, dtype):
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in sample.inputs]


class Differentiable:
    """A sample as a function of its floating-point inputs alone."""

    def __init__(self, primitive, sample):
        self.primitive, self.sample = primitive, sample
        self.places = [p for p, array in enumerate(sample.inputs) if array.dtype.kind == "f"]
        self.points = [sample.inputs[place] for place in self.places]

    def __call__(self, *inputs):
        arrays = list(map(constant, self.sample.inputs))
        for place, tensor in zip(self.places, inputs, strict=True):
            arrays[place] = as_tensor(tensor)
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
    function = lambda x: ops.power(x, as_tensor(np.float64(exponent)))
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
