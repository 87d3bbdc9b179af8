"""Transposed convolution against SciPy's full convolution always, and PyTorch where installed."""

import numpy as np
import pytest
from scipy.signal import convolve

import thalweg as tw
from thalweg.descriptions import from_plain, to_plain
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.layer import blueprint

CASES = [
    pytest.param(layer, shape, id=spec_of(layer))
    for layer, shape in [
        (tw.ConvTranspose2d(3, 3), (2, 4, 5)),
        (tw.ConvTranspose2d(2, 2, stride=2), (3, 3, 4)),
        (tw.ConvTranspose2d(2, (3, 4), stride=(2, 3), padding=(1, 2)), (3, 3, 4)),
        (tw.ConvTranspose2d(2, 3, stride=2, padding=1, output_padding=1), (1, 4, 3)),
        (tw.ConvTranspose2d(2, 3, stride=(3, 2), output_padding=(2, 1)), (1, 3, 2)),
        (tw.ConvTranspose2d(2, 2, dilation=3, output_padding=2, bias=False), (1, 3, 3)),
        (tw.ConvTranspose2d(2, 3, padding=((0, 2), (1, 0)), dilation=(1, 2)), (2, 3, 4)),
        (tw.ConvTranspose2d(4, 3, stride=2, groups=2), (6, 3, 2)),
        (tw.ConvTranspose2d(3, (3, 4), stride=(2, 3), padding="same"), (2, 3, 4)),
        (tw.ConvTranspose2d(3, 1, stride=2, padding="same"), (2, 3, 4)),
    ]
]
EACH = pytest.mark.parametrize(("layer", "shape"), CASES)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def made(layer, shape, rows=2):
    rng = np.random.default_rng([*shape, rows])
    start = tw.initialise(layer, shape, dtype="float64")
    parameters = {path: rng.normal(size=value.shape) for path, value in start.items()}
    return parameters, rng.normal(size=(rows, *shape))


def applied(layer, parameters, x):
    return tw.apply_network(layer, parameters, x).numpy()


def cut(layer, shape):
    """What is cut off (or added, where negative) each side of the full convolution."""
    sides = []
    for axis in (0, 1):
        by, more = pair(layer.stride)[axis], pair(layer.output_padding)[axis]
        cover = (pair(layer.kernel_size)[axis] - 1) * pair(layer.dilation)[axis] + 1
        if layer.padding == "same":
            total = (shape[axis + 1] - 1) * by + cover - shape[axis + 1] * by
            low = max(total, 0) // 2
            sides.append((low, total - low))
        else:
            low, high = pair(pair(layer.padding)[axis])
            sides.append((low, high - more))
    return sides


def stretched(array, by):
    result = np.zeros([(n - 1) * step + 1 for n, step in zip(array.shape, by, strict=True)])
    result[tuple(slice(None, None, step) for step in by)] = array
    return result


def by_scipy(layer, parameters, x):
    weight, groups = parameters["weight"], layer.groups
    each, own = x.shape[1] // groups, layer.features // groups
    rows = []
    for row in x:
        maps = []
        for k in range(layer.features):
            group, place = divmod(k, own)
            total = sum(
                convolve(
                    stretched(row[c], pair(layer.stride)),
                    stretched(weight[:, :, place, c], pair(layer.dilation)),
                    "full",
                    "direct",
                )
                for c in range(group * each, group * each + each)
            )
            for axis, (low, high) in enumerate(cut(layer, x.shape[1:])):
                width = [(0, 0), (0, 0)]
                width[axis] = (0, max(-high, 0))
                kept = np.pad(total, width)
                stop = kept.shape[axis] - max(high, 0)
                total = np.take(kept, np.arange(low, stop), axis)
            maps.append(total)
        rows.append(maps)
    return np.array(rows) + parameters.get("bias", np.zeros(layer.features))[:, None, None]


@EACH
def test_values_are_scipys(layer, shape):
    parameters, x = made(layer, shape)
    found = applied(layer, parameters, x)
    np.testing.assert_allclose(found, by_scipy(layer, parameters, x), rtol=1e-12, atol=1e-12)


@EACH
def test_derivatives_agree_with_difference_quotients(layer, shape):
    parameters, x = made(layer, shape)
    tw.check_gradients(lambda p, z: tw.apply_network(layer, p, z), parameters, x, order=2)


@EACH
def test_values_and_gradients_are_pytorchs(layer, shape):
    torch = pytest.importorskip("torch")
    if layer.padding == "same" or isinstance(pair(layer.padding)[0], tuple):
        pytest.skip("PyTorch has no such padding")
    parameters, x = made(layer, shape)
    inputs = {path: torch.tensor(value, requires_grad=True) for path, value in parameters.items()}
    given = torch.tensor(x, requires_grad=True)
    result = torch.nn.functional.conv_transpose2d(
        given,
        inputs["weight"].permute(3, 2, 0, 1),
        inputs.get("bias"),
        layer.stride,
        layer.padding,
        layer.output_padding,
        layer.groups,
        layer.dilation,
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


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (3, (2, 1), "same")]
)
def test_it_is_the_transpose_of_a_convolution(kernel, stride, padding):
    forth = tw.Conv2d(5, kernel, stride, padding, bias=False)
    back = tw.ConvTranspose2d(3, kernel, stride, padding, bias=False)
    parameters, x = made(forth, (3, 8, 6))
    y = applied(forth, parameters, x)
    o = np.random.default_rng(2).normal(size=y.shape)
    found = applied(back, parameters, o)
    if found.shape != x.shape:  # an uneven rest is open
        found = np.pad(found, [(0, n - m) for n, m in zip(x.shape, found.shape, strict=True)])
    np.testing.assert_allclose((y * o).sum(), (x * found).sum(), rtol=1e-11)


@pytest.mark.parametrize(
    "layer",
    [
        tw.ConvTranspose1d(4, 3, stride=2, padding=1, output_padding=1, groups=2),
        tw.ConvTranspose1d(4, 3, padding=(0, 2), dilation=2, bias=False),
        tw.ConvTranspose1d(4, 4, stride=3, padding="same"),
    ],
)
def test_a_line_is_an_image_of_one_row(layer):
    parameters, x = made(layer, (2, 5))
    sides = layer.padding if isinstance(layer.padding, str) else (0, layer.padding)
    wide = tw.ConvTranspose2d(
        4,
        (1, layer.kernel_size),
        (1, layer.stride),
        sides,
        (0, layer.output_padding),
        (1, layer.dilation),
        layer.groups,
        layer.bias,
    )
    image = {**parameters, "weight": parameters["weight"][None]}
    wanted = by_scipy(wide, image, x[:, :, None])[:, :, 0]
    np.testing.assert_allclose(applied(layer, parameters, x), wanted, rtol=1e-12, atol=1e-12)


def test_compiled_it_computes_the_same():
    layer = tw.ConvTranspose2d(4, 3, stride=2, padding=1, output_padding=1, groups=2)
    parameters, x = made(layer, (2, 4, 5))
    compiled = tw.compile(lambda p, z: tw.apply_network(layer, p, z))
    found = np.asarray(compiled(parameters, x))
    np.testing.assert_allclose(found, by_scipy(layer, parameters, x), rtol=1e-12, atol=1e-12)


def test_parameters_and_fans():
    plan = blueprint(tw.ConvTranspose2d(6, 4, stride=2, groups=2), (10, 5, 5)).parameters
    assert {path: item.shape for path, item in plan.items()} == {
        "weight": (4, 4, 3, 10),
        "bias": (6,),
    }
    assert plan["weight"].fans[:2] == (4 * 4 * 10 // 2 // 4, 4 * 4 * 3)
    assert blueprint(tw.ConvTranspose1d(6, 2, stride=9), (1, 5)).parameters["weight"].fans[0] == 1


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_starts_take_into_account_how_many_inputs_meet(stride):
    layer = tw.ConvTranspose2d(32, 4, stride, weight=tw.He())
    x = np.random.default_rng(0).normal(size=(2, 64, 10, 10))
    start = tw.initialise(layer, (64, 10, 10), dtype="float64")
    inside = applied(layer, start, x)[:, :, 4:-4, 4:-4]
    np.testing.assert_allclose(np.square(inside).mean(), 2.0, rtol=0.05)


def test_weights_are_normalised_by_unit():
    layer = tw.WeightNorm(tw.ConvTranspose2d(3, 2))
    assert tw.initialise(layer, (5, 4, 4))["weight_g"].shape == (3,)


def test_bias_is_left_out_where_a_normalisation_removes_it():
    for following, left_out in ((tw.BatchNorm2d(), True), (tw.GroupNorm(1), False)):
        start = tw.initialise(tw.Sequential(tw.ConvTranspose2d(2, 2), following), (1, 3, 3))
        assert ("0.bias" not in start) == left_out


@pytest.mark.parametrize(
    "layer",
    [
        tw.ConvTranspose2d(4, (3, 2), (2, 3), ((0, 1), 2), (1, 2), (1, 2), 2, False),
        tw.ConvTranspose2d(4, 3, padding="same"),
        tw.ConvTranspose1d(4, 3, 2, (0, 1), 1),
    ],
)
def test_descriptions_survive_json_and_text(layer):
    assert from_plain("layer", to_plain(layer)) == layer
    assert parse_spec("layer", spec_of(layer)) == layer


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (tw.ConvTranspose2d, {"output_padding": 1}, "output_padding = 1 must be smaller than the"),
        (
            tw.ConvTranspose2d,
            {"stride": (2, 1), "output_padding": (0, 1)},
            r"\(0, 1\) must be smal",
        ),
        (tw.ConvTranspose2d, {"output_padding": -1}, "output_padding is a whole number ≥ 0"),
        (
            tw.ConvTranspose2d,
            {"stride": 2, "padding": "same", "output_padding": 1},
            "must be 0 with padding",
        ),
        (tw.ConvTranspose2d, {"groups": 3}, "groups = 3 must divide ConvTranspose2d.features = 4"),
        (tw.ConvTranspose1d, {"groups": 3}, "groups = 3 must divide ConvTranspose1d.features = 4"),
        (tw.ConvTranspose1d, {"stride": (2, 2)}, "stride must be a whole number"),
        (
            tw.ConvTranspose1d,
            {"stride": 2, "output_padding": 2},
            "must be smaller than the stride 2",
        ),
    ],
)
def test_settings_outside_their_range_are_refused(kind, fields, message):
    with pytest.raises(SettingError, match=message):
        kind(4, 3, **fields)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (tw.ConvTranspose2d(1, 3), (8, 8), r"takes inputs \(N, C, H, W\).*add a channel axis"),
        (tw.ConvTranspose1d(1, 3), (8,), r"takes inputs \(N, C, L\).*add a channel axis"),
        (tw.ConvTranspose2d(4, 3, groups=2), (3, 8, 8), "the 3 channels of the input"),
        (tw.ConvTranspose2d(4, 2, padding=1), (3, 1, 8), "padding 1 cuts everything off"),
        (tw.ConvTranspose1d(4, 2, padding=1), (3, 1), r"cuts everything off .*float32\[1,3,1\];"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        tw.initialise(layer, shape)
