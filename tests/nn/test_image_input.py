"""The layer that takes images as they are kept: layouts, scale, standardisation."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.nn.image_input import find_layout
from thalweg.training.learning import learn_states


@pytest.mark.parametrize(
    ("shape", "layout", "doubtful"),
    [
        ((28, 28), "channels_first", False),
        ((1, 28, 28), "channels_first", False),
        ((28, 28, 1), "channels_last", False),
        ((32, 24, 3), "channels_last", False),
        ((4, 24, 32), "channels_first", False),
        ((3, 24, 3), "channels_first", True),
        ((16, 8, 8), "channels_first", True),
    ],
)
def test_the_layout_follows_from_the_shape(shape, layout, doubtful):
    found, doubt = find_layout(shape)
    assert found == layout
    assert bool(doubt) == doubtful
    summary = str(tw.Sequential(tw.ImageInput()).summary(shape))
    assert ("could be the channels" in summary) == doubtful


def test_every_layout_gives_channels_first(rng):
    x = rng.integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    expected = np.moveaxis(x, 3, 1) / np.float32(255)
    for layer, given in [
        (tw.ImageInput(), x),
        (tw.ImageInput("channels_last"), x),
        (tw.ImageInput(), np.moveaxis(x, 3, 1)),
        (tw.ImageInput("channels_first"), np.moveaxis(x, 3, 1)),
    ]:
        found = tw.apply_network(layer, {}, given.astype(np.float32))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    grey = tw.apply_network(tw.ImageInput(), {}, x[..., 0].astype(np.float32))
    np.testing.assert_allclose(grey.numpy(), expected[:, :1], rtol=1e-6)
    other = tw.apply_network(tw.ImageInput("channels_last"), {}, np.zeros((2, 3, 5, 6), "f4"))
    assert other.shape == (2, 6, 3, 5)


def test_scale_and_white():
    x = np.array([[[0.0, 51.0]]], np.float32)
    assert tw.apply_network(tw.ImageInput(scale=False), {}, x).numpy().tolist() == [[[[0.0, 51.0]]]]
    found = tw.apply_network(tw.ImageInput(white=51.0), {}, x)
    assert found.numpy().tolist() == [[[[0.0, 1.0]]]]
    with pytest.raises(SettingError, match="white"):
        tw.ImageInput(white=0.0)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last", "plain"])
def test_standardised_channels_have_mean_0_and_deviation_1(rng, layout):
    x = rng.integers(0, 200, (40, 3, 6, 5)).astype(np.uint8)
    x[:, 1] = x[:, 1] // 4 + 100
    x[:, 2] = 17
    given = {"channels_first": x, "channels_last": np.moveaxis(x, 1, 3), "plain": x[:, 0]}[layout]
    layer = tw.ImageInput("auto" if layout == "plain" else layout, standardise=True)
    network = tw.Sequential(layer)
    states = learn_states(network, given, {}, "float64")
    used = x[:, :1] if layout == "plain" else x
    values = used.astype(np.float64)
    mean, deviation = values.mean((0, 2, 3)), values.std((0, 2, 3))
    np.testing.assert_allclose(states["0.mean"][:, 0, 0], mean, rtol=1e-12)
    expected = np.where(deviation > 0, deviation, 1.0)
    np.testing.assert_allclose(states["0.deviation"][:, 0, 0], expected, rtol=1e-12)
    found = tw.evaluate(network, {}, given.astype(np.float64), states=states).output.numpy()
    np.testing.assert_allclose(found[:, 0].mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(found[:, 0].std(), 1.0, rtol=1e-12)


def test_pixels_that_do_not_suit_white_are_refused():
    with pytest.raises(DataError, match=r"go up to 1 only.*set scale=False \(or white=1\)"):
        tw.ImageInput().learn(np.ones((3, 4, 4)))
    with pytest.raises(DataError, match=r"go up to 4000, above ImageInput.white = 255; .*65535"):
        tw.ImageInput().learn(np.full((3, 4, 4), 4000))
    with pytest.raises(DataError, match="NaN"):
        tw.ImageInput().learn(np.full((3, 4, 4), np.nan))
    assert tw.ImageInput().learn(np.zeros((3, 4, 4))) == {}


def test_other_axes_are_refused_by_name():
    with pytest.raises(ShapeError, match=r"images are \(H, W\).*\(6,\)"):
        tw.Sequential(tw.ImageInput()).summary(6)


@pytest.mark.parametrize("backend", ["native", "interpreter"])
@pytest.mark.parametrize("standardise", [False, True])
def test_bytes_train_like_the_same_numbers_scaled_before(tmp_path, rng, backend, standardise):
    x = rng.integers(0, 256, (50, 5, 4, 3), dtype=np.uint8)
    y = np.arange(50) % 2
    path = tmp_path / "x.npy"
    np.save(path, x)
    floats = np.moveaxis(x, 3, 1) / 255.0
    if standardise:
        mean = floats.mean((0, 2, 3), keepdims=True)
        floats = (floats - mean) / floats.std((0, 2, 3), keepdims=True)
    options = {"epochs": 3, "batch_size": 16, "backend": backend, "progress": False}
    dense = (tw.Flatten(), tw.Linear(6), tw.Tanh(), tw.Linear(2))
    plain = tw.fit(tw.Sequential(tw.Identity(), *dense), floats, y, dtype="float64", **options)
    network = tw.Sequential(tw.ImageInput(standardise=standardise), *dense)
    for given in (x, np.load(path, mmap_mode="r")):
        run = tw.fit(network, given, y, dtype="float64", **options)
        np.testing.assert_allclose(
            run.history["train_loss"], plain.history["train_loss"], rtol=1e-10
        )
        shares = plain.model.predict_proba(floats)
        np.testing.assert_allclose(run.model.predict_proba(x), shares, rtol=1e-9)
