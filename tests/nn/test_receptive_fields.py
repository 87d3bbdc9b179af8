"""Receptive fields: published answers, paths that meet, and a gradient that shows what is seen."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.adaptive_pooling import GlobalAvgPool2d
from thalweg.nn.convolution import Conv1d, Conv2d
from thalweg.nn.image_input import ImageInput
from thalweg.nn.layer import apply_network, initialise
from thalweg.nn.pooling import AvgPool2d, MaxPool2d
from thalweg.nn.receptive import Receptive
from thalweg.nn.receptive_fields import composed, joined


def _square(extent, jump):
    return Receptive((extent, extent), (jump, jump))


def _fields(net, shape):
    return {row.path: row.receptive for row in net.summary(shape).rows if row.receptive}


# ------------------------------------------------------------------ composition


def test_windows_compose():
    first = Receptive((5, 3), (2, 1))
    assert composed(first, Receptive((3, 2), (1, 4))) == Receptive((9, 4), (2, 4))


def test_where_paths_meet_the_largest_counts():
    assert joined(Receptive((5, 3), (1, 2)), Receptive((1, 7), (2, 1))) == Receptive((5, 7), (2, 2))
    assert joined(_square(3, 1), None) is None


@pytest.mark.parametrize(
    ("net", "seen"),
    [
        (tw.Sequential(Conv2d(2, 3), Conv2d(2, 3)), {"0": (3, 1), "1": (5, 1)}),
        (tw.Sequential(Conv2d(2, 3, dilation=2), tw.ReLU(), MaxPool2d(2)),
         {"0": (5, 1), "2": (6, 2)}),
        (tw.Sequential(Conv2d(2, 3, stride=2), tw.BatchNorm2d(), tw.Dropout(), Conv2d(2, 3)),
         {"0": (3, 2), "3": (7, 2)}),
        (tw.Sequential(Conv2d(2, 3), tw.Flatten(), tw.Linear(4)), {"0": (3, 1)}),
        (tw.Sequential(Conv2d(2, 3), tw.Linear(12)), {"0": (3, 1)}),
        (tw.Sequential(Conv2d(2, 3), GlobalAvgPool2d()), {"0": (3, 1)}),
        (tw.Sequential(tw.Linear(14), Conv2d(2, 3)), {}),
        (tw.WeightNorm(Conv2d(2, 3)), {"": (3, 1)}),
        (tw.Sequential(tw.Sequential(Conv2d(2, 3), tw.Tanh()), MaxPool2d(2)),
         {"0.0": (3, 1), "1": (4, 2)}),
        (tw.Sequential(tw.Residual(Conv2d(2, 3, padding=1)), Conv2d(2, 3)),
         {"0.inner": (3, 1), "0": (3, 1), "1": (5, 1)}),
        (tw.Residual(Conv2d(4, 3, stride=2, padding=1), projection=Conv2d(4, 1, stride=2)),
         {"inner": (3, 2), "projection": (1, 2), "": (3, 2)}),
        (tw.Residual(GlobalAvgPool2d(), projection=tw.Sequential(tw.Flatten(), tw.Linear(2))), {}),
        (tw.Sequential(tw.Concatenated(Conv2d(3, 5, padding=2), axis="channels"), MaxPool2d(2)),
         {"0.inner": (5, 1), "1": (6, 2)}),
        (tw.Sequential(tw.Parallel((Conv2d(2, 1), Conv2d(2, 5, padding=2)))),
         {"0.0": (1, 1), "0.1": (5, 1), "0": (5, 1)}),
        (tw.SkipSequential(
            (Conv2d(2, 3, padding=1), Conv2d(2, 3, padding=1), Conv2d(2, 1)), ((0, 2, "sum"),)),
         {"0": (3, 1), "1": (5, 1), "2": (5, 1)}),
    ],
)  # fmt: skip
def test_fields_through_containers(net, seen):
    found = _fields(net, (2, 14, 14))
    assert {path: found[path] for path in seen} == {p: _square(*pair) for p, pair in seen.items()}
    assert found.keys() == seen.keys()


def test_images_without_channels_are_pixels_too():
    net = tw.Sequential(ImageInput(), Conv2d(2, 3))
    assert _fields(net, (8, 8)) == {"1": _square(3, 1)}
    net = tw.Sequential(tw.Reshape((1, 8, 8)), Conv2d(2, 3))
    assert _fields(net, 64) == {"1": _square(3, 1)}


def test_lines():
    net = tw.Sequential(Conv1d(2, 5), Conv1d(2, 3))
    assert _fields(net, (1, 20)) == {"0": Receptive((1, 5), (1, 1)), "1": Receptive((1, 7), (1, 1))}
    assert "2×14          7                1" in str(net.summary((1, 20)))


def test_functions_have_none():
    def net(x, scope):
        return scope.apply("conv", Conv2d(2, 3), x)

    from thalweg.nn.summary import summarise

    assert summarise(net, (1, 8, 8)).rows[0].receptive is None


# ------------------------------------------------------------------ known answers


def test_lenet_5():
    """C1 5, S2 6, C3 14, S4 16, C5 32, at jumps of 1, 2, 2, 4, 4."""
    found = _fields(tw.models.lenet5_1998(), (1, 28, 28))
    wanted = [(5, 1), (6, 2), (14, 2), (16, 4), (32, 4)]
    assert list(found.values()) == [_square(*pair) for pair in wanted]


def test_resnet_20():
    """Each 3 × 3 convolution adds 2 jumps: 1 + 2·7 + 1·2 + 5·4 + 1·4 + 5·8."""
    found = _fields(tw.models.resnet(blocks=3), (3, 32, 32))
    assert found["19"] == _square(1 + 2 * 7 + 2 + 5 * 4 + 4 + 5 * 8, 4)


def test_the_input_s_gradient_reaches_as_far_as_the_field():
    net = tw.Sequential(
        Conv2d(3, (3, 2), stride=(1, 2)),
        tw.Tanh(),
        AvgPool2d((2, 3), stride=(2, 1)),
        tw.Residual(Conv2d(3, (3, 5), padding="same")),
    )
    shape = (2, 24, 40)
    summary = net.summary(shape)
    field = summary.rows[-1].receptive
    parameters = initialise(net, shape, dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, *shape))
    middle = tuple(length // 2 for length in summary.rows[-1].output_shape[1:])

    def seen(place):
        def output(z):
            return apply_network(net, parameters, z)[:, :, place[0], place[1]].sum()

        slope = tw.grad(output)(x).numpy()
        return [np.flatnonzero(np.abs(slope).sum(axes) > 0) for axes in ((0, 1, 3), (0, 1, 2))]

    here, below, right = (
        seen(place) for place in (middle, (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1))
    )
    assert tuple(int(places.max() - places.min()) + 1 for places in here) == field.extent
    assert (below[0][0] - here[0][0], right[1][0] - here[1][0]) == field.stride
