"""From settings to the arguments of ``fit``, and networks from settings."""

import pytest

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.searching.assembling import Asked, Assembly, shape_of
from thalweg.searching.reaching import paths_in, reached
from thalweg.searching.stacked import stacked

NET = tw.Sequential(tw.Linear(4), tw.Dropout(0.5), tw.Linear(2))


def made(settings, build=NET, **options):
    return Assembly(build, options).make(settings)


def test_names_of_fit_are_put_there():
    found = made({"batch_size": 16, "optimizer": "sgd(0.1)", "clip": "norm(0.5)", "penalty": 0.01})
    assert found.arguments == {
        "network": NET,
        "batch_size": 16,
        "optimizer": tw.SGD(0.1),
        "clip": tw.ClipNorm(0.5),
        "penalty": 0.01,
    }
    assert found.used == {"batch_size", "optimizer", "clip", "penalty"}


def test_paths_reach_into_descriptions_and_defaults():
    settings = {
        "optimizer.learning_rate": 0.5,
        "network.layers.1.rate": 0.25,
        "network.0.features": 7,
        "penalty.factor": 0.125,
        "augment.alpha": 0.3,
    }
    found = made(settings, penalty=0.5, augment="mixup")
    assert found.arguments["optimizer"] == tw.Adam(0.5)
    assert found.arguments["penalty"] == tw.L2(0.125)
    assert found.arguments["augment"] == tw.Mixup(0.3)
    assert found.arguments["network"] == tw.Sequential(tw.Linear(7), tw.Dropout(0.25), tw.Linear(2))
    assert found.used == set(settings)


def test_a_path_goes_into_the_part_that_the_trial_chose():
    found = made({"optimizer": "sgd", "optimizer.learning_rate": 0.125})
    assert found.arguments["optimizer"] == tw.SGD(0.125)
    absent = made({"optimizer": "sgd", "optimizer.beta1": 0.5})
    assert absent.used == {"optimizer"}


def test_a_schedule_by_path():
    found = made(
        {"optimizer.learning_rate.initial": 0.5}, optimizer=tw.SGD(tw.Cosine(0.1, length=5))
    )
    assert found.arguments["optimizer"].learning_rate == tw.Cosine(0.5, length=5)
    text = made({"optimizer.learning_rate": "cosine(0.2)"})
    assert text.arguments["optimizer"].learning_rate == tw.Cosine(0.2)


def test_what_build_reads_and_gives_is_its_own():
    def build(settings):
        rate = settings["optimizer"] * settings.get("factor", 2)
        return {"network": NET, "optimizer": tw.SGD(rate)}

    found = made({"optimizer": 0.25, "batch_size": 8}, build)
    assert found.arguments == {"network": NET, "optimizer": tw.SGD(0.5), "batch_size": 8}
    assert found.asked == {"optimizer", "factor"}


def test_what_build_reads_but_does_not_give_is_applied():
    seen = []

    def build(settings):
        seen.append(settings["batch_size"])
        return NET

    assert made({"batch_size": 8}, build).arguments["batch_size"] == 8
    assert seen == [8]


def test_settings_can_be_taken_whole():
    def build(settings):
        return {"network": NET, **settings}

    assert made({"batch_size": 8, "epochs": 3}, build).arguments["epochs"] == 3
    asked = Asked({"a": 1, "b": None})
    assert (dict(asked), len(asked), "c" in asked, asked.get("b", 3)) == (
        {"a": 1, "b": None}, 2, False, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda s: 3, "must give a network or a mapping of fit's arguments, got 3"),
        (lambda s: {"optimizer": "sgd"}, "gave optimizer, but no network"),
        (lambda s: {"network": NET, "batchsize": 3}, "did you mean 'batch_size'"),
        (lambda s: {"network": NET, "validation": 0.5}, "cannot hold validation: the search"),
    ],
)
def test_what_build_may_not_give(build, words):
    with pytest.raises(SettingError, match=words):
        made({}, build)


def test_values_outside_their_range_are_named():
    with pytest.raises(SettingError, match=r"Dropout.rate = 1.5 is outside \[0, 1\)"):
        made({"network.1.rate": 1.5})
    with pytest.raises(SettingError, match="did you mean 'momentum'"):
        made({"optimizer": "momentun"})


def test_shapes_leave_numeric_settings_out():
    first = shape_of(made({"optimizer.learning_rate": 0.1, "clip": 0.5}).arguments)
    assert first == shape_of(made({"optimizer.learning_rate": 0.2, "clip": 0.7}).arguments)
    assert first != shape_of(made({"optimizer": "sgd", "clip": 0.7}).arguments)
    assert first != shape_of(
        made({"optimizer.learning_rate": 0.1, "clip": 0.5, "batch_size": 3}).arguments
    )


# ------------------------------------------------------------------ paths


def test_every_path_can_be_reached():
    net = tw.Sequential(tw.Linear(4), tw.Residual(tw.Dropout(0.5)), tw.LeakyReLU(0.1))
    for path in paths_in(net):
        assert isinstance(reached(net, path, _held(net, path)), tw.Sequential), path


def _held(description, path):
    for name in path.split("."):
        description = description[int(name)] if name.isdecimal() else getattr(description, name)
    return description


@pytest.mark.parametrize("path", ["", "layers", "3.rate", "1.rat", "1.rate.x", "0.weight.0", "x.y"])
def test_paths_that_lead_nowhere(path):
    assert reached(NET, path, 1) is None


# ------------------------------------------------------------------ architectures


@pytest.mark.parametrize("skip", ["none", "residual", "dense", True, False, None])
@pytest.mark.parametrize("normalise", [None, "none", "batch_norm", "layer_norm", "weight_norm"])
def test_stacked_networks_have_the_parameters_they_should(skip, normalise):
    settings = {"depth": 3, "width": 5, "width_2": 7, "skip": skip, "normalise": normalise}
    found = stacked(settings, outputs=2).summary(4).parameters
    widths, inputs = (5, 7, 5), 4
    expected = 0
    for width in widths:
        expected += inputs * width + width
        if normalise in {"batch_norm", "layer_norm"}:
            expected += 2 * width - (width if normalise == "batch_norm" else 0)
        if normalise == "weight_norm":
            expected += width
        if skip in {"residual", True}:
            expected += inputs * width + width
        inputs = inputs + width if skip == "dense" else width
    expected += inputs * 2 + 2
    assert found == expected


def test_blocks_of_one_width_need_no_projection():
    plain = stacked({"depth": 3, "width": 5}, 1).summary(5).parameters
    skipped = stacked({"depth": 3, "width": 5, "skip": True}, 1).summary(5).parameters
    assert skipped - plain == 5 * 5 + 5


def test_no_blocks_is_a_linear_model():
    assert stacked({"depth": 0}, 3) == tw.Sequential(tw.Linear(3))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"depth": -1}, "depth = -1"),
        ({"depth": 1.5}, "depth must be a whole number"),
        ({"width": 0}, "width = 0"),
        ({"width_1": 0}, "width_1 = 0"),
        ({"skip": "residul"}, "skip = 'residul' is not one of none, residual, dense"),
        ({"activation": "rely"}, "did you mean 'relu'"),
        ({"normalise": "batchnorm"}, "did you mean 'batch_norm'"),
        ({"dropout": 1.0}, r"rate = 1.0 is outside \[0, 1\)"),
    ],
)
def test_wrong_architectures_are_named(settings, words):
    with pytest.raises(SettingError, match=words):
        stacked(settings, 1)
