"""Convolution layers against SciPy's correlate and convolve always, and PyTorch where installed."""

import numpy as np
import pytest
from scipy.signal import convolve, correlate

import thalweg as tw
from thalweg.descriptions import from_plain, to_plain
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.initialisers import Constant, Normal, Orthogonal
from thalweg.nn.layer import blueprint
from thalweg.nn.receptive import HasReceptive, Receptive

CASES = [
    pytest.param(layer, shape, id=spec_of(layer).replace("'", ""))
    for layer, shape in [
        (tw.Conv2d(3, 3), (2, 6, 5)),
        (tw.Conv2d(4, (3, 2), padding=1), (3, 5, 7)),
        (tw.Conv2d(2, (1, 4), stride=(2, 3), padding=(0, 2)), (1, 7, 9)),
        (tw.Conv2d(2, 5, padding=((1, 3), (0, 4))), (2, 5, 3)),
        (tw.Conv2d(2, 3, dilation=(2, 1), stride=2, padding=2), (2, 8, 7)),
        (tw.Conv2d(6, 3, groups=2), (4, 5, 5)),
        (tw.Conv2d(3, 2, groups=3, padding=(1, 0)), (3, 4, 5)),
        (tw.Conv2d(5, 1, bias=False), (7, 3, 3)),
        (tw.Conv2d(3, (2, 3), mode="convolution", padding=1), (2, 5, 6)),
        (tw.Conv2d(3, (2, 3), padding="same"), (2, 5, 6)),
        (tw.Conv2d(2, (4, 3), stride=(2, 3), padding="same"), (2, 7, 8)),
    ]
]
EACH = pytest.mark.parametrize(("layer", "shape"), CASES)
LINES = [
    (tw.Conv1d(3, 3), (2, 7)),
    (tw.Conv1d(4, 4, stride=3, padding=2, groups=2), (4, 9)),
    (tw.Conv1d(2, 3, padding=(4, 0), dilation=2), (3, 6)),
    (tw.Conv1d(2, 2, padding="same", mode="convolution", bias=False), (3, 6)),
]


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def made(layer, shape, rows=3):
    """Parameters and inputs in float64."""
    rng = np.random.default_rng([*shape, rows])
    start = tw.initialise(layer, shape, dtype="float64")
    parameters = {path: rng.normal(size=value.shape) for path, value in start.items()}
    return parameters, rng.normal(size=(rows, *shape))


def applied(layer, parameters, x):
    found = tw.apply_network(layer, parameters, x)
    assert found.dtype == x.dtype
    return found.numpy()


def by_scipy(layer, parameters, x, padding):
    """The layer said with SciPy: one channel and one map at a time."""
    weight, groups = parameters["weight"], layer.groups
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    own, each = x.shape[1] // groups, layer.features // groups
    spread = [(n - 1) * d + 1 for n, d in zip(weight.shape, pair(layer.dilation), strict=False)]
    rows = []
    for row in padded:
        maps = []
        for k in range(layer.features):
            total = 0.0
            for c in range(own):
                kernel = np.zeros(spread)
                down, across = pair(layer.dilation)
                kernel[::down, ::across] = weight[:, :, c, k]
                slide = convolve if layer.mode == "convolution" else correlate
                total = total + slide(row[k // each * own + c], kernel, "valid", "direct")
            down, across = pair(layer.stride)
            maps.append(total[::down, ::across])
        rows.append(maps)
    bias = parameters.get("bias", np.zeros(layer.features))
    return np.array(rows) + bias[:, None, None]


def amounts(layer, shape):
    """Padding on each side, said again."""
    if layer.padding == "same":
        taps = [
            (n - 1) * d + 1
            for n, d in zip(pair(layer.kernel_size), pair(layer.dilation), strict=True)
        ]
        strides = pair(layer.stride)
        total = [
            max((-(-n // s) - 1) * s + t - n, 0)
            for n, t, s in zip(shape[1:], taps, strides, strict=True)
        ]
        return [(n // 2, n - n // 2) for n in total]
    return [pair(item) for item in pair(layer.padding)]


# ------------------------------------------------------------------ values


@EACH
def test_values_are_scipys(layer, shape):
    parameters, x = made(layer, shape)
    wanted = by_scipy(layer, parameters, x, amounts(layer, shape))
    np.testing.assert_allclose(applied(layer, parameters, x), wanted, rtol=1e-12, atol=1e-12)


@EACH
def test_derivatives_agree_with_difference_quotients(layer, shape):
    parameters, x = made(layer, shape, rows=2)
    tw.check_gradients(lambda p, z: tw.apply_network(layer, p, z), parameters, x, order=2)


@EACH
def test_values_and_gradients_are_pytorchs(layer, shape):
    torch = pytest.importorskip("torch")
    parameters, x = made(layer, shape)
    inputs = {path: torch.tensor(value, requires_grad=True) for path, value in parameters.items()}
    given = torch.tensor(x, requires_grad=True)
    weight = inputs["weight"].permute(3, 2, 0, 1)
    if layer.mode == "convolution":
        weight = weight.flip(2, 3)
    (top, bottom), (left, right) = amounts(layer, shape)
    result = torch.nn.functional.conv2d(
        torch.nn.functional.pad(given, (left, right, top, bottom)),
        weight,
        inputs.get("bias"),
        layer.stride,
        0,
        layer.dilation,
        layer.groups,
    )
    found = applied(layer, parameters, x)
    np.testing.assert_allclose(found, result.detach().numpy(), rtol=1e-12, atol=1e-12)
    cotangent = np.random.default_rng(1).normal(size=found.shape)
    (result * torch.tensor(cotangent)).sum().backward()

    def loss(x, parameters):
        return (tw.apply_network(layer, parameters, x) * cotangent).sum()

    ours = tw.grad(lambda x: loss(x, parameters))(x)
    np.testing.assert_allclose(ours, given.grad.numpy(), rtol=1e-11, atol=1e-11)
    ours = tw.grad(lambda parameters: loss(x, parameters))(parameters)
    for path, value in inputs.items():
        np.testing.assert_allclose(ours[path], value.grad.numpy(), rtol=1e-11, atol=1e-11)


@EACH
def test_compiled_it_computes_the_same(layer, shape):
    for dtype, bound in (("float32", 1e-5), ("float64", 1e-12)):
        parameters, x = made(layer, shape)
        parameters = {path: value.astype(dtype) for path, value in parameters.items()}
        x = x.astype(dtype)
        compiled = tw.compile(lambda p, z: tw.apply_network(layer, p, z))
        found = np.asarray(compiled(parameters, x))
        wanted = applied(layer, parameters, x)
        np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound * 10)


@pytest.mark.parametrize(("layer", "shape"), LINES)
def test_a_line_is_an_image_of_one_row(layer, shape):
    parameters, x = made(layer, shape)
    before = layer.padding if isinstance(layer.padding, str) else (0, layer.padding)
    wide = tw.Conv2d(
        layer.features,
        (1, layer.kernel_size),
        (1, layer.stride),
        before,
        (1, layer.dilation),
        layer.groups,
        layer.bias,
        layer.mode,
    )
    assert parameters["weight"].shape == (
        layer.kernel_size,
        shape[0] // layer.groups,
        layer.features,
    )
    image = {**parameters, "weight": parameters["weight"][None]}
    padding = amounts(wide, (shape[0], 1, shape[1]))
    wanted = by_scipy(wide, image, x[:, :, None], padding)[:, :, 0]
    np.testing.assert_allclose(applied(layer, parameters, x), wanted, rtol=1e-12, atol=1e-12)
    tw.check_gradients(lambda p, z: tw.apply_network(layer, p, z), parameters, x)


def test_a_causal_convolution_does_not_look_ahead():
    layer = tw.Conv1d(2, 3, padding=(2, 0))
    parameters, x = made(layer, (2, 8), rows=1)
    later = x.copy()
    later[:, :, 5:] += 1.0
    before, after = (applied(layer, parameters, item) for item in (x, later))
    assert before.shape == (1, 2, 8)
    np.testing.assert_array_equal(before[:, :, :5], after[:, :, :5])
    assert (before[:, :, 5:] != after[:, :, 5:]).all()


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_each_channel_has_kernels_of_its_own(multiplier):
    layer = tw.DepthwiseConv2d((3, 2), multiplier, stride=(2, 1), padding=1, mode="convolution")
    parameters, x = made(layer, (4, 6, 5))
    assert parameters["weight"].shape == (3, 2, 1, 4 * multiplier)
    found = applied(layer, parameters, x)
    assert found.shape == (3, 4 * multiplier, 3, 6)
    for c in range(4):
        for m in range(multiplier):
            k = c * multiplier + m
            kernel = parameters["weight"][:, :, 0, k]
            padded = np.pad(x[1, c], 1)
            wanted = convolve(padded, kernel, "valid", "direct")[::2] + parameters["bias"][k]
            np.testing.assert_allclose(found[1, k], wanted, rtol=1e-12, atol=1e-12)
    tw.check_gradients(lambda p, z: tw.apply_network(layer, p, z), parameters, x)


def test_one_tap_is_a_linear_layer_at_each_place():
    layer = tw.Conv2d(5, 1)
    parameters, x = made(layer, (3, 4, 2))
    linear = {"weight": parameters["weight"][0, 0], "bias": parameters["bias"]}
    wanted = tw.apply_network(tw.Linear(5), linear, x.transpose(0, 2, 3, 1)).numpy()
    found = applied(layer, parameters, x)
    np.testing.assert_allclose(found, wanted.transpose(0, 3, 1, 2), rtol=1e-12, atol=1e-13)


def test_the_largest_kernel_is_a_linear_layer_of_the_image():
    layer = tw.Conv2d(5, (4, 2))
    parameters, x = made(layer, (3, 4, 2))
    weight = parameters["weight"].transpose(2, 0, 1, 3).reshape(24, 5)
    wanted = x.reshape(3, 24) @ weight + parameters["bias"]
    np.testing.assert_allclose(applied(layer, parameters, x)[:, :, 0, 0], wanted, rtol=1e-12)


def test_an_empty_batch_stays_empty():
    layer = tw.Conv2d(5, 3)
    parameters, _ = made(layer, (3, 4, 4))
    assert applied(layer, parameters, np.zeros((0, 3, 4, 4))).shape == (0, 5, 2, 2)


def test_the_wider_type_of_weights_and_inputs_is_computed_in():
    layer = tw.Conv2d(2, 3)
    parameters = tw.initialise(layer, (1, 4, 4))
    assert parameters["weight"].dtype == np.float32
    assert tw.apply_network(layer, parameters, np.ones((1, 1, 4, 4))).dtype == np.float64


# ------------------------------------------------------------------ sizes and starts


def test_same_padding_is_tensorflows():
    shapes = {
        (size, kernel, stride): tw.Conv2d(1, kernel, stride, "same")
        .summary((1, size, size))
        .rows[0]
        .output_shape
        for size in (5, 6, 7)
        for kernel in (1, 2, 3, 4)
        for stride in (1, 2, 3)
    }
    for (size, _, stride), shape in shapes.items():
        assert shape == (1, -(-size // stride), -(-size // stride))
    # of one element of padding TensorFlow lays none before and one behind
    ones = {"weight": np.ones((1, 2, 1, 1))}
    x = np.arange(1.0, 5.0).reshape(1, 1, 1, 4)
    found = applied(tw.Conv2d(1, (1, 2), padding="same", bias=False), ones, x)
    np.testing.assert_array_equal(found.ravel(), [3, 5, 7, 4])


def test_parameters_and_fans():
    plan = blueprint(tw.Conv2d(6, (3, 2), groups=2), (4, 5, 5)).parameters
    assert {path: item.shape for path, item in plan.items()} == {
        "weight": (3, 2, 2, 6),
        "bias": (6,),
    }
    for item in plan.values():
        assert item.fans[:2] == (3 * 2 * 2, 3 * 2 * 3)
    plan = blueprint(tw.Conv1d(6, 3, groups=2), (4, 5)).parameters
    assert plan["weight"].fans[:2] == (3 * 2, 3 * 3)
    plan = blueprint(tw.DepthwiseConv2d(3, 2), (4, 5, 5)).parameters
    assert plan["weight"].fans[:2] == (9, 18)


def test_initialisers_fill_weights_and_biases():
    layer = tw.Conv2d(4, 3, weight=Normal(1e-6), bias_start=Constant(0.5))
    start = tw.initialise(layer, (2, 5, 5))
    assert np.abs(start["weight"]).max() < 1e-5
    assert (start["bias"] == 0.5).all()
    weight = tw.initialise(tw.Conv2d(4, 3, weight=Orthogonal()), (2, 5, 5))["weight"]
    matrix = weight.reshape(-1, 4)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("groups", [1, 4])
def test_rectifiers_behind_keep_the_variance(groups):
    net = tw.Sequential(tw.Conv2d(256, 3, groups=groups), tw.ReLU())
    weight = tw.initialise(net, (64, 8, 8))["0.weight"]
    wanted = 2.0 / (9 * 64 / groups)
    np.testing.assert_allclose(weight.var(), wanted, rtol=0.03)


@pytest.mark.parametrize("layer", [tw.Conv2d(4, 3), tw.DepthwiseConv2d(3)])
def test_bias_is_left_out_where_a_normalisation_removes_it(layer):
    def paths(following):
        return set(tw.initialise(tw.Sequential(layer, following), (4, 6, 6)))

    assert "0.bias" not in paths(tw.BatchNorm2d())
    assert "0.bias" not in paths(tw.InstanceNorm2d())
    assert "0.bias" in paths(tw.GroupNorm(2))
    assert "0.bias" in paths(tw.ReLU())
    summary = tw.Sequential(layer, tw.BatchNorm2d()).summary((4, 6, 6))
    assert "no bias" in summary.rows[0].note


def test_the_window_behind_an_output():
    assert tw.Conv2d(1, (3, 5), (2, 1), dilation=2).receptive() == Receptive((5, 9), (2, 1))
    assert tw.DepthwiseConv2d(3, stride=2).receptive() == Receptive((3, 3), (2, 2))
    assert tw.Conv1d(1, 3, 2, dilation=4).receptive() == Receptive((1, 9), (1, 2))
    assert isinstance(tw.Conv2d(1, 3), HasReceptive)
    assert not isinstance(tw.Linear(1), HasReceptive)


def test_the_summary_counts_products_inside_the_image():
    row = tw.Conv2d(8, 3, bias=False).summary((4, 10, 10)).rows[0]
    assert row.output_shape == (8, 8, 8)
    assert row.parameters == 9 * 4 * 8
    assert row.flops == 2 * 9 * 4 * 8 * 64


# ------------------------------------------------------------------ descriptions


@pytest.mark.parametrize(
    "layer",
    [
        tw.Conv2d(4, 3),
        tw.Conv2d(4, (3, 1), (1, 2), ((0, 1), (2, 3)), (2, 1), 2, False, "convolution"),
        tw.Conv2d(4, 3, padding=(1, (0, 2)), weight=Normal(0.1)),
        tw.Conv2d(4, 3, padding="same"),
        tw.Conv1d(4, 3, padding=(2, 0)),
        tw.DepthwiseConv2d((3, 2), 2, padding="valid"),
    ],
)
def test_descriptions_survive_json_and_text(layer):
    assert from_plain("layer", to_plain(layer)) == layer
    assert parse_spec("layer", spec_of(layer)) == layer


def test_lists_and_numpy_numbers_become_tuples_and_ints():
    layer = tw.Conv2d(4, [3, np.int64(2)], padding=[[0, 1], np.int32(2)])
    assert layer == tw.Conv2d(4, (3, 2), padding=((0, 1), 2))
    assert type(layer.kernel_size[1]) is int
    assert hash(layer) == hash(tw.Conv2d(4, (3, 2), padding=((0, 1), 2)))


NO_SIZE = "is a whole number ≥ 1 or a pair of them"
NO_PADDING = r'is "same", "valid", a whole number ≥ 0 or \(rows, columns\)'


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (tw.Conv2d, {"features": 0, "kernel_size": 3}, r"Conv2d.features = 0 is outside \[1, "),
        (tw.Conv2d, {"features": 1, "kernel_size": 0}, f"Conv2d.kernel_size {NO_SIZE}.*got 0"),
        (tw.Conv2d, {"features": 1, "kernel_size": 2.0}, f"kernel_size {NO_SIZE}.*got 2.0"),
        (tw.Conv2d, {"features": 1, "kernel_size": True}, f"kernel_size {NO_SIZE}.*got True"),
        (tw.Conv2d, {"features": 1, "kernel_size": (3, 3, 3)}, f"kernel_size {NO_SIZE}.*3, 3, 3"),
        (tw.Conv2d, {"features": 1, "kernel_size": (3, 0)}, f"kernel_size {NO_SIZE}.*3, 0"),
        (tw.Conv2d, {"features": 1, "kernel_size": 3, "stride": 0}, f"stride {NO_SIZE}.*got 0"),
        (tw.Conv2d, {"features": 1, "kernel_size": 3, "dilation": 2**31}, "dilation is a whole"),
        (tw.Conv2d, {"features": 1, "kernel_size": 3, "padding": -1}, f"{NO_PADDING}.*got -1"),
        (tw.Conv2d, {"features": 1, "kernel_size": 3, "padding": "full"}, f"{NO_PADDING}.*'full'"),
        (tw.Conv2d, {"features": 1, "kernel_size": 3, "padding": (1, (1, -2))}, NO_PADDING),
        (tw.Conv2d, {"features": 1, "kernel_size": 3, "padding": None}, f"{NO_PADDING}.*None"),
        (tw.Conv2d, {"features": 4, "kernel_size": 3, "groups": 3}, "groups = 3 must divide .* 4"),
        (tw.Conv2d, {"features": 4, "kernel_size": 3, "mode": "flip"}, "mode = 'flip' is not one"),
        (tw.Conv1d, {"features": 4, "kernel_size": (3, 3)}, "kernel_size must be a whole number"),
        (
            tw.Conv1d,
            {"features": 4, "kernel_size": 3, "padding": ((1, 2), 3)},
            r"Conv1d.padding is .*\(before, behind\), got",
        ),
        (tw.DepthwiseConv2d, {"kernel_size": 3, "multiplier": 0}, r"multiplier = 0 is outside"),
    ],
)
def test_settings_outside_their_range_are_refused(kind, fields, message):
    with pytest.raises(SettingError, match=message):
        kind(**fields)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (tw.Conv2d(1, 3), (8, 8), r"Conv2d takes inputs \(N, C, H, W\).*add a channel axis"),
        (tw.Conv2d(1, 3), (8,), r"Conv2d takes inputs \(N, C, H, W\), got float32\[1,8\]"),
        (tw.Conv2d(1, 3), (1, 1, 8, 8), r"Conv2d takes inputs \(N, C, H, W\)"),
        (tw.DepthwiseConv2d(3), (8, 8), r"DepthwiseConv2d takes inputs.*add a channel axis"),
        (tw.Conv1d(1, 3), (8,), r"Conv1d takes inputs \(N, C, L\).*add a channel axis"),
        (tw.Conv1d(1, 3), (1, 8, 8), r"Conv1d takes inputs \(N, C, L\), got"),
        (
            tw.Conv2d(1, (3, 7), padding=1),
            (2, 8, 4),
            "the window spans 7 along the width, but the input .* has 4 there with padding 1 befor",
        ),
        (tw.Conv2d(1, 3, dilation=4), (2, 8, 9), "the window spans 9 along the height"),
        (tw.Conv1d(1, 9), (2, 8), r"Conv1d: .* 9 along the length, but the input float32\[1,2,8\]"),
        (tw.Conv2d(4, 3, groups=2), (3, 8, 8), "the 3 channels of the input .* into 2 groups"),
        (tw.Conv1d(4, 3, groups=2), (3, 8), "Conv1d: the 3 channels of the input"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        tw.initialise(layer, shape)


def test_inside_a_network_the_layer_is_named():
    net = tw.Sequential(tw.Conv2d(4, 3), tw.Conv2d(4, 9))
    with pytest.raises(ShapeError, match=r"layer 1 \(Conv2d\).*Conv2d: the window spans 9"):
        tw.initialise(net, (1, 8, 8))


def test_another_number_of_channels_than_at_the_start_is_refused():
    layer = tw.Conv2d(4, 3)
    parameters = tw.initialise(layer, (1, 8, 8))
    with pytest.raises(ShapeError, match=r"weight has shape .*was the network initialised for an"):
        tw.apply_network(layer, parameters, np.zeros((1, 3, 8, 8), "float32"))
