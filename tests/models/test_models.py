"""Named models: counts, shapes, descriptions, a short training on both backends."""

import json

import numpy as np
import pytest

import thalweg as tw
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.models import MODELS, model
from thalweg.nn.layer import blueprint

SMALL = {
    "lenet5": ({}, (1, 12, 12)),
    "lenet5_1998": ({}, (1, 28, 28)),
    "alexnet": ({"width": 3}, (2, 16, 16)),
    "resnet": ({"widths": (4, 6)}, (3, 8, 8)),
}
"""Options and row shapes for quick tests."""


# ------------------------------------------------------------------ counts and shapes


def _counts(net, shape):
    return [row.parameters for row in net.summary(shape).rows if row.parameters]


def test_lenet5_has_the_known_counts():
    assert _counts(tw.models.lenet5(), (1, 28, 28)) == [156, 2416, 48120, 10164, 850]
    assert tw.models.lenet5().summary((1, 28, 28)).parameters == 61706
    assert tw.models.lenet5(padding=0).summary((1, 32, 32)).parameters == 61706


def test_lenet5_1998_has_the_published_counts():
    for padding, side in ((2, 28), (0, 32)):
        net = tw.models.lenet5_1998(padding=padding)
        assert _counts(net, (1, side, side)) == [156, 12, 1516, 32, 48120, 10164]
    learned = tw.models.lenet5_1998(learned=True).summary((1, 28, 28)).parameters
    assert learned == 60000 + 840


def test_lenet5_has_the_published_maps():
    for net in (tw.models.lenet5(), tw.models.lenet5_1998()):
        shapes = [row.output_shape for row in net.summary((1, 28, 28)).rows]
        for shape in ((6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (84,), (10,)):
            assert shape in shapes


def test_alexnet_has_its_counts():
    w, summary = 8, tw.models.alexnet(7, width=8).summary((3, 32, 32))
    convolutions = (25 * 3 + 1) * w + (25 * w + 1) * 2 * w + (18 * w + 1) * 3 * w
    convolutions += (27 * w + 1) * 3 * w + (27 * w + 1) * 2 * w
    dense = (9 * 2 * w + 1) * 16 * w + (16 * w + 1) * 16 * w + (16 * w + 1) * 7
    assert summary.parameters == convolutions + dense
    assert [row.output_shape[1:] for row in summary.rows if row.kind == "MaxPool2d"] == [
        (15, 15),
        (7, 7),
        (3, 3),
    ]


@pytest.mark.parametrize(("blocks", "layers"), [(1, 8), (3, 20), (5, 32)])
def test_resnet_has_its_depth_and_counts(blocks, layers):
    """Projections add 16·32 + 32·64 weights and 2 (32 + 64) of batch normalisation."""
    summary = tw.models.resnet(blocks=blocks).summary((3, 32, 32))
    kinds = [row.kind for row in summary.rows if "projection" not in row.path]
    assert kinds.count("Conv2d") + kinds.count("Linear") == layers == 6 * blocks + 2
    stem = 27 * 16 + 32
    first = blocks * (2 * 9 * 16 * 16 + 64)
    others = sum(9 * w * w // 2 + (2 * blocks - 1) * 9 * w * w + blocks * 4 * w for w in (32, 64))
    assert summary.parameters == stem + first + others + 650 + (16 * 32 + 32 * 64 + 192)


def test_resnet_20_has_0_27_million():
    assert tw.models.resnet(blocks=3).summary((3, 32, 32)).parameters == 272474 == 269722 + 2752


def test_a_resnet_without_a_change_of_width_still_halves_with_a_projection():
    summary = tw.models.resnet(widths=(4, 4)).summary((3, 8, 8))
    assert [row.path for row in summary.rows if "projection" in row.path and row.parameters] == [
        "5.projection.0",
        "5.projection.1",
    ]


@pytest.mark.parametrize("name", list(MODELS))
def test_outputs_are_one_for_each_class(name):
    options, shape = SMALL[name]
    for classes in (2, 10):
        plan = blueprint(model(name, classes=classes, **options), shape, batch=3)
        assert plan.output_shape == (classes,)


def test_an_image_that_is_too_small_says_where():
    with pytest.raises(ShapeError, match=r"layer 3 \(Conv2d\).* spans 5 along the height"):
        tw.models.lenet5().summary((1, 7, 7))


def test_weights_start_as_rectifiers_ask():
    for net, shape in ((tw.models.resnet(), (3, 16, 16)), (tw.models.alexnet(), (3, 16, 16))):
        starts = blueprint(net, shape).parameters
        hidden = [item for path, item in starts.items() if path.endswith("weight")][:-1]
        kernels = [item for item in hidden if len(item.shape) == 4]
        assert all(item.initialiser.choose(item.fans) == tw.He() for item in kernels)


# ------------------------------------------------------------------ descriptions and names


@pytest.mark.parametrize("name", list(MODELS))
def test_models_are_descriptions(name):
    net = model(name, classes=5, **SMALL[name][0])
    assert from_plain("layer", json.loads(json.dumps(to_plain(net)))) == net
    assert net == model(name, classes=5, **SMALL[name][0])
    assert getattr(tw.models, name) is MODELS[name]


def test_options_may_stand_in_the_name():
    for text, net in (
        ("resnet(blocks=3)", tw.models.resnet(blocks=3)),
        ("resnet(widths=[4, 8], blocks=2)", tw.models.resnet(blocks=2, widths=(4, 8))),
        ("lenet5(padding=same)", tw.models.lenet5(padding="same")),
        ("lenet5_1998(prototypes='random', learned=true)",
         tw.models.lenet5_1998(prototypes="random", learned=True)),
        ("lenet5(classes=3)", tw.models.lenet5(3)),
    ):  # fmt: skip
        assert model(text) == net
    assert model("lenet5(classes=3)", classes=4) == tw.models.lenet5(4)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("lenet", {}, "unknown model 'lenet'; did you mean 'lenet5'. known: lenet5, lenet5_1998"),
        ("vgg", {}, "unknown model 'vgg'; known: lenet5, lenet5_1998, alexnet, resnet"),
        ("resnet", {"block": 3}, "resnet has no option 'block'; did you mean 'blocks'. known: cl"),
        ("resnet(width=3)", {}, "resnet has no option 'width'; did you mean 'widths'. known"),
        ("resnet(3)", {}, r"a model is a name, or a name with named options"),
        ("3", {}, r"a model is a name, or .* \(character 1 of '3'\)"),
        ("resnet(blocks={a: 1})", {}, "an option is a number, a word, a text or a list of them"),
        ("resnet(blocks=sgd())", {}, "an option is a number, a word, a text or a list of them"),
        ("resnet(blocks=0)", {}, "resnet: blocks is a whole number ≥ 1, got 0"),
        ("resnet(blocks=1.5)", {}, "resnet: blocks is a whole number ≥ 1, got 1.5"),
        ("resnet(blocks=true)", {}, "resnet: blocks is a whole number ≥ 1, got True"),
        ("resnet(widths=[])", {}, r"resnet: widths holds the maps of each stage"),
        ("resnet(widths=8)", {}, r"resnet: widths holds the maps .* got 8"),
        ("alexnet(width=0.5)", {}, "alexnet: width must be a whole number .* 0.5"),
        ("lenet5(classes=0)", {}, "Linear.features = 0 is outside"),
        ("lenet5_1998(prototypes=faces)", {}, "'faces' is not one of digits, random"),
        ("lenet5(padding=wide)", {}, "Conv2d.padding is .* got 'wide'"),
    ],
)
def test_what_is_no_model_is_refused(text, options, message):
    with pytest.raises(SettingError, match=message):
        model(text, **options)


# ------------------------------------------------------------------ training


def _problem(shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, *shape)), np.arange(24) % 3
    for row, label in enumerate(y):
        x[row, 0, 3 * label : 3 * label + 3] += 2.0
    return x, y


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("lenet5", tw.CrossEntropy()),
        ("lenet5_1998", tw.MaximumAPosteriori()),
        ("alexnet", tw.CrossEntropy()),
        ("resnet", tw.CrossEntropy()),
    ],
)
def test_both_backends_train_it(name, loss):
    options, shape = SMALL[name]
    x, y = _problem(shape)
    net = model(name, classes=10 if name == "lenet5_1998" else 3, **options)
    runs = [
        tw.fit(
            net, x, y, loss=loss, optimizer=tw.Adam(0.003), batch_size=8, epochs=4,
            backend=backend, dtype="float64", progress=False,
        )
        for backend in ("interpreter", "native")
    ]  # fmt: skip
    losses = [run.history["train_loss"] for run in runs]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    assert losses[0][-1] < losses[0][0]
    for group in ("parameters", "states"):
        one, two = (getattr(run.model, group) for run in runs)
        assert one.keys() == two.keys()
        for path in one:
            np.testing.assert_allclose(one[path], two[path], rtol=1e-5, atol=1e-7, err_msg=path)


@pytest.mark.parametrize("width", [0.25, 0])
def test_alexnet_refuses_a_width_that_is_no_number_of_maps(width):
    with pytest.raises(SettingError, match="alexnet: width must be a whole number"):
        tw.models.alexnet(width=width)
