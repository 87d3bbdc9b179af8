"""Pooling layers against plain loops always, and PyTorch where installed."""

import itertools

import numpy as np
import pytest

import thalweg as tw
from thalweg.descriptions import from_plain, to_plain
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.receptive import HasReceptive, Receptive

CASES = [
    pytest.param(layer, size, id=f"{spec_of(layer)} {size}")
    for layer, size in [
        (tw.MaxPool2d(2), (6, 4)),
        (tw.MaxPool2d(2), (7, 5)),
        (tw.MaxPool2d((3, 2), (1, 2), (1, 0)), (5, 6)),
        (tw.MaxPool2d(3, 2, 1, ceil_mode=True), (6, 7)),
        (tw.MaxPool2d(2, dilation=(3, 2)), (8, 7)),
        (tw.MaxPool2d(2, 3, dilation=2, ceil_mode=True), (8, 6)),
        (tw.MaxPool2d(4, 4, ceil_mode=True), (2, 9)),
        (tw.AvgPool2d(2), (6, 4)),
        (tw.AvgPool2d(2), (7, 5)),
        (tw.AvgPool2d((3, 2), (1, 2), (1, 0)), (5, 6)),
        (tw.AvgPool2d(3, 2, 1, count_include_pad=False), (6, 7)),
        (tw.AvgPool2d(3, 2, 1, ceil_mode=True), (6, 8)),
        (tw.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (6, 8)),
        (tw.AvgPool2d(4, 4, ceil_mode=True), (2, 9)),
    ]
]
OURS = [
    pytest.param(layer, size, id=f"{spec_of(layer)} {size}")
    for layer, size in [
        (tw.MaxPool2d(3, 2, "same"), (5, 6)),
        (tw.MaxPool2d(3, 2, ((0, 1), (2, 0))), (5, 6)),
        (tw.MaxPool2d(2, 1, "same", dilation=2), (4, 3)),
        (tw.AvgPool2d(3, 2, "same"), (5, 6)),
        (tw.AvgPool2d(3, 2, "same", count_include_pad=False), (5, 6)),
        (tw.AvgPool2d((2, 3), 1, (1, (0, 2)), count_include_pad=False), (4, 5)),
    ]
]
EACH = pytest.mark.parametrize(("layer", "size"), CASES + OURS)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def images(size, ties=False, rows=2, channels=3):
    x = np.random.default_rng([*size, 7]).normal(size=(rows, channels, *size))
    return np.round(x) if ties else x


def applied(layer, x):
    found = tw.apply_network(layer, {}, x)
    assert found.dtype == x.dtype
    return found.numpy()


def windows(layer, length, axis):
    """For each place along an axis: what the window reads inside, and how much of it counts."""
    taps = pair(layer.kernel_size)[axis]
    by = taps if layer.stride is None else pair(layer.stride)[axis]
    gap = pair(getattr(layer, "dilation", 1))[axis]
    cover = (taps - 1) * gap + 1
    if layer.padding == "same":
        total = max((-(-length // by) - 1) * by + cover - length, 0)
        low, high = total // 2, total - total // 2
    else:
        low, high = pair(pair(layer.padding)[axis])
    start = -low
    while start + cover <= length + high or (
        layer.ceil_mode and start < length and start - by + cover < length + high
    ):
        reads = [start + tap * gap for tap in range(taps)]
        inside = [read for read in reads if 0 <= read < length]
        counted = [read for read in reads if -low <= read < length + high]
        yield inside, len(counted if getattr(layer, "count_include_pad", False) else inside)
        start += by


def by_loops(layer, x):
    rows, columns = (list(windows(layer, x.shape[axis + 2], axis)) for axis in (0, 1))
    result = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for (i, (down, high)), (j, (across, wide)) in itertools.product(
        enumerate(rows), enumerate(columns)
    ):
        part = x[:, :, down][:, :, :, across]
        largest = isinstance(layer, tw.MaxPool2d)
        result[:, :, i, j] = part.max((2, 3)) if largest else part.sum((2, 3)) / (high * wide)
    return result


@EACH
def test_values_are_those_of_loops(layer, size):
    x = images(size)
    np.testing.assert_allclose(applied(layer, x), by_loops(layer, x), rtol=1e-13, atol=1e-14)


@EACH
def test_derivatives_agree_with_difference_quotients(layer, size):
    tw.check_gradients(lambda x: tw.apply_network(layer, {}, x), images(size), order=2)


@EACH
def test_compiled_it_computes_the_same(layer, size):
    x = images(size).astype("float32")
    found = np.asarray(tw.compile(lambda x: tw.apply_network(layer, {}, x))(x))
    np.testing.assert_allclose(found, by_loops(layer, x), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("layer", "size"), CASES)
@pytest.mark.parametrize("ties", [False, True])
def test_values_and_gradients_are_pytorchs(layer, size, ties):
    torch = pytest.importorskip("torch")
    x = images(size, ties)
    given = torch.tensor(x, requires_grad=True)
    plain = (layer.kernel_size, layer.stride, layer.padding)
    if isinstance(layer, tw.MaxPool2d):
        result = torch.nn.functional.max_pool2d(given, *plain, layer.dilation, layer.ceil_mode)
    else:
        last = (layer.ceil_mode, layer.count_include_pad)
        result = torch.nn.functional.avg_pool2d(given, *plain, *last)
    found = applied(layer, x)
    np.testing.assert_allclose(found, result.detach().numpy(), rtol=1e-13, atol=1e-14)
    cotangent = np.random.default_rng(1).normal(size=found.shape)
    (result * torch.tensor(cotangent)).sum().backward()
    ours = tw.grad(lambda x: (tw.apply_network(layer, {}, x) * cotangent).sum())(x)
    np.testing.assert_allclose(ours, given.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("layer", "wide"),
    [
        (tw.MaxPool1d(3, 2, 1), tw.MaxPool2d((1, 3), (1, 2), (0, 1))),
        (tw.MaxPool1d(2), tw.MaxPool2d((1, 2))),
        (tw.MaxPool1d(2, 3, dilation=3, ceil_mode=True), None),
        (tw.MaxPool1d(3, 2, "same"), tw.MaxPool2d((1, 3), (1, 2), "same")),
        (tw.AvgPool1d(3, 2, (0, 2)), tw.AvgPool2d((1, 3), (1, 2), (0, (0, 2)))),
        (tw.AvgPool1d(2), tw.AvgPool2d((1, 2))),
        (
            tw.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            tw.AvgPool2d((1, 3), (1, 2), (0, 1), ceil_mode=True, count_include_pad=False),
        ),
    ],
)
def test_a_line_is_an_image_of_one_row(layer, wide):
    wide = wide or tw.MaxPool2d((1, 2), (1, 3), 0, (1, 3), ceil_mode=True)
    x = images((1, 8))
    found = applied(layer, x[:, :, 0])
    np.testing.assert_allclose(found, by_loops(wide, x)[:, :, 0], rtol=1e-13)
    tw.check_gradients(lambda x: tw.apply_network(layer, {}, x), x[:, :, 0])


def test_of_equal_maxima_the_first_passes_the_gradient_on():
    gradient = tw.grad(lambda x: tw.apply_network(tw.MaxPool2d(2), {}, x).sum())
    ties = np.array([[[[1.0, 3.0, 2.0, 2.0], [3.0, 3.0, 2.0, 2.0]]]])
    np.testing.assert_array_equal(gradient(ties)[0, 0], [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_padding_is_no_maximum():
    x = np.full((1, 1, 3, 3), -5.0)
    assert (applied(tw.MaxPool2d(3, 2, 1), x) == -5.0).all()


def test_constants_have_themselves_as_mean_where_padding_does_not_count():
    x = np.full((1, 2, 5, 6), 3.0)
    for ceil_mode in (False, True):
        layer = tw.AvgPool2d(3, 2, 1, ceil_mode, count_include_pad=False)
        np.testing.assert_allclose(applied(layer, x), 3.0, rtol=1e-15)


def test_whole_numbers_have_maxima():
    x = np.arange(16, dtype="int32").reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(applied(tw.MaxPool2d(2), x)[0, 0], [[5, 7], [13, 15]])


def test_an_empty_batch_stays_empty():
    for layer in (tw.MaxPool2d(2), tw.AvgPool2d(2)):
        assert applied(layer, np.zeros((0, 2, 4, 4))).shape == (0, 2, 2, 2)


def test_initialisers_look_past_pooling():
    for layer in (tw.MaxPool2d(2), tw.AvgPool2d(2), tw.GlobalAvgPool2d()):
        net = tw.Sequential(tw.Conv2d(64, 3), layer, tw.ReLU())
        weight = tw.initialise(net, (32, 6, 6))["0.weight"]
        np.testing.assert_allclose(weight.var(), 2.0 / (9 * 32), rtol=0.05)


def test_the_window_behind_an_output():
    assert tw.MaxPool2d((3, 2), dilation=2).receptive() == Receptive((5, 3), (3, 2))
    assert tw.MaxPool2d(3, 2).receptive() == Receptive((3, 3), (2, 2))
    assert tw.AvgPool2d(2).receptive() == Receptive((2, 2), (2, 2))
    assert tw.MaxPool1d(3, 2, dilation=2).receptive() == Receptive((1, 5), (1, 2))
    assert tw.AvgPool1d(3).receptive() == Receptive((1, 3), (1, 3))
    assert isinstance(tw.AvgPool2d(2), HasReceptive)


@pytest.mark.parametrize(
    "layer",
    [
        tw.MaxPool2d(2),
        tw.MaxPool2d((3, 2), (1, 2), ((0, 1), 1), (1, 2), ceil_mode=True),
        tw.AvgPool2d(3, 2, "same", count_include_pad=False),
        tw.MaxPool1d(3, 2, (0, 2), 2),
        tw.AvgPool1d(3, padding=1),
    ],
)
def test_descriptions_survive_json_and_text(layer):
    assert from_plain("layer", to_plain(layer)) == layer
    assert parse_spec("layer", spec_of(layer)) == layer


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (tw.MaxPool2d, (0,), "MaxPool2d.kernel_size is a whole number ≥ 1 or a pair.*got 0"),
        (tw.MaxPool2d, (2, 0), "MaxPool2d.stride is a whole number ≥ 1 or a pair.*got 0"),
        (tw.MaxPool2d, (2, 2, "full"), 'MaxPool2d.padding is "same", "valid".*got \'full\''),
        (tw.MaxPool2d, (2, 2, 0, 0), "MaxPool2d.dilation is a whole number ≥ 1.*got 0"),
        (tw.AvgPool2d, ((2, 2, 2),), "AvgPool2d.kernel_size is a whole number"),
        (tw.AvgPool2d, (2, 2, 0, 1), "AvgPool2d.ceil_mode must be True or False, got 1"),
        (tw.MaxPool1d, ((2, 2),), "MaxPool1d.kernel_size must be a whole number"),
        (tw.MaxPool1d, (2, (2, 2)), r"MaxPool1d.stride is a whole number ≥ 1, got \(2, 2\)"),
        (tw.AvgPool1d, (2, 0), "AvgPool1d.stride is a whole number ≥ 1, got 0"),
        (tw.AvgPool1d, (2, 2, -1), r"AvgPool1d.padding is .*\(before, behind\), got -1"),
    ],
)
def test_settings_outside_their_range_are_refused(kind, values, message):
    with pytest.raises(SettingError, match=message):
        kind(*values)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (tw.MaxPool2d(2), (8, 8), r"MaxPool2d takes inputs \(N, C, H, W\).*add a channel axis"),
        (tw.AvgPool2d(2), (8,), r"AvgPool2d takes inputs \(N, C, H, W\), got"),
        (tw.MaxPool1d(2), (8,), r"MaxPool1d takes inputs \(N, C, L\).*add a channel axis"),
        (tw.AvgPool1d(2), (1, 8, 8), r"AvgPool1d takes inputs \(N, C, L\), got"),
        (tw.MaxPool2d((2, 9)), (1, 8, 8), "MaxPool2d: the window spans 9 along the width"),
        (tw.AvgPool2d((9, 2)), (1, 8, 8), "AvgPool2d: the window spans 9 along the height"),
        (tw.MaxPool1d(9), (1, 8), r"MaxPool1d: .* along the length, but the input float32\[1,1,8"),
        (tw.MaxPool2d(2, 1, 2), (1, 8, 8), "MaxPool2d: a window would lie in the padding alone"),
        (tw.AvgPool2d(2, 1, (0, 2)), (1, 8, 8), "AvgPool2d: .* alone along the width"),
        (tw.MaxPool2d((2, 1), 1, (1, 0), 2), (1, 1, 8), "MaxPool2d: .* alone along the height"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        tw.apply_network(layer, {}, np.zeros((1, *shape), "float32"))
