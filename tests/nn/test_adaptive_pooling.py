"""Global and adaptive pooling against plain loops always, and PyTorch where installed."""

import itertools
import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import SettingError, ShapeError

SIZES = [
    ((6, 4), (3, 2)),
    ((7, 5), (3, 2)),
    ((5, 8), (5, 3)),
    ((2, 3), (4, 7)),
    ((7, 6), (1, 1)),
    ((1, 1), (2, 3)),
]
EACH = pytest.mark.parametrize(("size", "wanted"), SIZES)


def images(size, ties=False):
    x = np.random.default_rng([*size, 3]).normal(size=(2, 3, *size))
    return np.round(x) if ties else x


def applied(layer, x):
    found = tw.apply_network(layer, {}, x)
    assert found.dtype == x.dtype
    return found.numpy()


def by_loops(x, wanted, reduce):
    result = np.zeros((*x.shape[:2], *wanted))
    for i, j in itertools.product(*map(range, wanted)):
        cut = [
            slice(math.floor(place * n / m), math.ceil((place + 1) * n / m))
            for place, n, m in zip((i, j), x.shape[2:], wanted, strict=True)
        ]
        result[:, :, i, j] = reduce(x[:, :, cut[0], cut[1]], axis=(2, 3))
    return result


@EACH
def test_adaptive_means_and_maxima_are_those_of_loops(size, wanted):
    x = images(size)
    found = applied(tw.AdaptiveAvgPool2d(wanted), x)
    np.testing.assert_allclose(found, by_loops(x, wanted, np.mean), rtol=1e-12, atol=1e-14)
    found = applied(tw.AdaptiveMaxPool2d(wanted), x)
    np.testing.assert_array_equal(found, by_loops(x, wanted, np.max))


@EACH
@pytest.mark.parametrize("kind", [tw.AdaptiveAvgPool2d, tw.AdaptiveMaxPool2d])
def test_derivatives_agree_with_difference_quotients(kind, size, wanted):
    tw.check_gradients(lambda x: tw.apply_network(kind(wanted), {}, x), images(size), order=2)


@EACH
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_values_and_gradients_are_pytorchs(kind, ties, size, wanted):
    torch = pytest.importorskip("torch")
    x = images(size, ties)
    given = torch.tensor(x, requires_grad=True)
    if kind == "avg":
        layer = tw.AdaptiveAvgPool2d(wanted)
        result = torch.nn.functional.adaptive_avg_pool2d(given, wanted)
    else:
        layer = tw.AdaptiveMaxPool2d(wanted)
        result = torch.nn.functional.adaptive_max_pool2d(given, wanted)
    found = applied(layer, x)
    np.testing.assert_allclose(found, result.detach().numpy(), rtol=1e-12, atol=1e-14)
    cotangent = np.random.default_rng(1).normal(size=found.shape)
    (result * torch.tensor(cotangent)).sum().backward()
    ours = tw.grad(lambda x: (tw.apply_network(layer, {}, x) * cotangent).sum())(x)
    np.testing.assert_allclose(ours, given.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_compiled_they_compute_the_same():
    x = images((7, 5)).astype("float32")
    for kind, reduce in ((tw.AdaptiveAvgPool2d, np.mean), (tw.AdaptiveMaxPool2d, np.max)):
        for wanted in ((3, 2), (7, 1)):
            layer = kind(wanted)
            compiled = tw.compile(lambda x, layer=layer: tw.apply_network(layer, {}, x))
            exact = by_loops(x.astype(float), wanted, reduce)
            np.testing.assert_allclose(np.asarray(compiled(x)), exact, rtol=1e-5, atol=1e-6)


def test_global_pooling_reduces_each_channel():
    x = images((5, 4))
    np.testing.assert_allclose(applied(tw.GlobalAvgPool2d(), x), x.mean((2, 3)), rtol=1e-13)
    np.testing.assert_array_equal(applied(tw.GlobalMaxPool2d(), x), x.max((2, 3)))
    for layer in (tw.GlobalAvgPool2d(), tw.GlobalMaxPool2d()):
        tw.check_gradients(lambda x, layer=layer: tw.apply_network(layer, {}, x), x)
        compiled = tw.compile(lambda x, layer=layer: tw.apply_network(layer, {}, x))
        np.testing.assert_allclose(np.asarray(compiled(x)), applied(layer, x), rtol=1e-13)


@pytest.mark.parametrize("layer", [tw.GlobalMaxPool2d(), tw.AdaptiveMaxPool2d(1)])
def test_of_equal_maxima_the_first_passes_the_gradient_on(layer):
    gradient = tw.grad(lambda x: tw.apply_network(layer, {}, x).sum())
    ties = np.array([[[[1.0, 2.0, 3.0], [3.0, 3.0, 0.0]]]])
    np.testing.assert_array_equal(gradient(ties)[0, 0], [[0, 0, 1], [0, 0, 0]])


def test_a_classifier_takes_images_of_any_size():
    net = tw.Sequential(tw.Conv2d(4, 3), tw.GlobalAvgPool2d(), tw.Linear(2))
    parameters = tw.initialise(net, (1, 8, 8))
    for size in ((8, 8), (5, 9)):
        x = np.ones((3, 1, *size), "float32")
        assert tw.apply_network(net, parameters, x).shape == (3, 2)


def test_sizes_that_are_none_are_refused():
    for kind in (tw.AdaptiveAvgPool2d, tw.AdaptiveMaxPool2d):
        with pytest.raises(SettingError, match=f"{kind.__name__}.output_size is a whole .*got 0"):
            kind(0)


@pytest.mark.parametrize(
    "layer",
    [tw.GlobalAvgPool2d(), tw.GlobalMaxPool2d(), tw.AdaptiveAvgPool2d(), tw.AdaptiveMaxPool2d()],
)
def test_inputs_that_are_no_images_are_refused(layer):
    message = rf"{type(layer).__name__} takes inputs \(N, C, H, W\).*add a channel axis"
    with pytest.raises(ShapeError, match=message):
        tw.apply_network(layer, {}, np.zeros((2, 5, 5)))


def test_nan_and_infinity_stay_in_their_windows():
    x = np.zeros((1, 1, 9, 9))
    x[0, 0, 3, 4], x[0, 0, 8, 8] = np.nan, np.inf
    found = tw.apply_network(tw.AdaptiveAvgPool2d(4), {}, x).numpy()[0, 0]
    expected = np.zeros((4, 4))
    expected[1, 1:3] = np.nan
    expected[3, 3] = np.inf
    np.testing.assert_array_equal(found, expected)
