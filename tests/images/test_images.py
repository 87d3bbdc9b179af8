"""From images to a trained model: reading, splitting, training, judging, predicting."""

import numpy as np
import pytest
from PIL import Image

import thalweg as tw
from thalweg.data.image_encoder import ImageEncoder
from thalweg.errors import (
    DataError,
    FileError,
    NonFiniteError,
    SettingError,
    ShapeError,
)
from thalweg.images import prepare_images
from thalweg.images.judging import class_figures, class_table, confusion, confusion_text

DENSE = "sequential(flatten, linear(8), relu, linear(2))"
QUIET = {"progress": False, "epochs": 4}


def stripes(rng, count, height=6, width=8, channels=3):
    """Upright and level stripes, with noise."""
    y = np.arange(count) % 2
    x = rng.integers(0, 60, (count, height, width, channels))
    x[y == 0, :, ::2] += 150
    x[y == 1, ::2] += 150
    return x.astype(np.uint8), np.array(["upright", "level"])[y]


@pytest.fixture
def folder(tmp_path, rng):
    x, y = stripes(rng, 60)
    for place, (image, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / label / f"{place:02}.png")
    return tmp_path / "set"


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_a_folder_is_learned_and_files_are_predicted(folder, tmp_path, backend):
    run = tw.fit_images(folder, DENSE, epochs=60, progress=False, backend=backend)
    assert run.test["accuracy"] == 1.0
    assert run.baselines["majority class"]["accuracy"] == 0.5
    assert run.confusion.tolist() == [[6, 0], [0, 6]]
    assert [item.name for item in run.classes] == ["level", "upright"]
    assert run.model.classes == ("level", "upright")
    assert run.model.images == ImageEncoder(8, 6, 3, "channels_first", 255.0)
    assert [len(rows) for rows in run.prepared.split] == [36, 12, 12]
    run.model.save(tmp_path / "model.safetensors")
    model = tw.load(tmp_path / "model.safetensors")
    assert model.images == run.model.images
    files = sorted(folder.glob("*/*.png"))
    assert model.predict(files).tolist() == [file.parent.name for file in files]
    shares = model.predict_proba(str(files[0]))
    assert shares.shape == (1, 2)
    array = tw.read_images(files)
    np.testing.assert_array_equal(model.predict_proba(array), model.predict_proba(files))
    np.testing.assert_array_equal(
        model.predict_proba(array.transpose(0, 3, 1, 2)), model.predict_proba(files)
    )


def test_the_report_and_the_summary_say_what_was_learned(folder, tmp_path):
    run = tw.fit_images(folder, DENSE, epochs=60, progress=False)
    for text in (
        "Results on 12 test images that no training saw",
        "majority class",
        "class    images  precision  recall      F1",
        "level         6     1.0000  1.0000  1.0000",
        "predicted class by column, true class by row",
    ):
        assert text in run.report(), text
    assert "images               8x6 RGB" in run.model.summary()
    assert "one of 2 classes (level, upright)" in run.model.summary()
    assert "ImageRun(" in repr(run)
    path = run.save(tmp_path / "run")
    assert path == tmp_path / "run" / "model.safetensors"


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_every_layout_and_source_learns_the_same(tmp_path, rng, backend):
    x, y = stripes(rng, 40, channels=1)
    np.savez(tmp_path / "set.npz", x=x[..., 0], y=y)
    np.save(tmp_path / "x.npy", x[..., 0])
    np.save(tmp_path / "y.npy", y)
    runs = [
        tw.fit_images(source, DENSE, labels=labels, backend=backend, **QUIET)
        for source, labels in [
            (x, y), (x[..., 0], y), (x.transpose(0, 3, 1, 2), y), ((x, y), None),
            (tmp_path / "set.npz", None), (tmp_path / "x.npy", tmp_path / "y.npy"),
        ]
    ]  # fmt: skip
    for run in runs[1:]:
        np.testing.assert_array_equal(run.history["train_loss"], runs[0].history["train_loss"])
        np.testing.assert_array_equal(run.confusion, runs[0].confusion)


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_many_images_stay_where_they_are(monkeypatch, tmp_path, rng, backend):
    from thalweg.images import fitting

    x, y = stripes(rng, 40)
    near = tw.fit_images(x, DENSE, labels=y, backend=backend, **QUIET)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    monkeypatch.setattr(fitting, "_COPIED", 0)
    seen = []
    take = fitting.Chosen
    monkeypatch.setattr(fitting, "Chosen", lambda *given: seen.append(given) or take(*given))
    run = tw.fit_images(tmp_path / "x.npy", DENSE, labels=tmp_path / "y.npy", backend=backend,
                        **QUIET)  # fmt: skip
    assert len(seen) == 2
    assert isinstance(seen[0][0], np.memmap)
    for name in ("train_loss", "validation_loss"):
        np.testing.assert_array_equal(run.history[name], near.history[name])


def test_pixels_are_scaled_by_what_they_can_reach(rng):
    x, y = stripes(rng, 30)
    for given, white, scaled in [
        (x, 255.0, True),
        (x / 255.0, 1.0, True),
        ((x > 100).astype(np.uint8), 1.0, True),
        (x.astype(np.uint16) * 257, 65535.0, True),
        (x / 128.0 - 1.0, 1.0, False),
    ]:
        prepared = prepare_images((given, y))
        assert (prepared.encoder.white, prepared.scaled) == (white, scaled)
        run = tw.fit_images(given, DENSE, labels=y, epochs=1, progress=False)
        assert run.model.predict(given).shape == (30,)
    run = tw.fit_images(x, DENSE, labels=y, epochs=1, standardise=True, progress=False)
    assert run.model.network.layers[0].standardise


def test_a_source_may_bring_its_own_split(tmp_path, rng):
    x, y = stripes(rng, 60)
    np.savez(tmp_path / "a.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    prepared = prepare_images(tmp_path / "a.npz")
    train, validation, test = prepared.split
    assert test.tolist() == list(range(40, 60))
    assert (len(train), len(validation)) == (32, 8)
    assert not set(train) & set(validation)
    assert "own split is kept; 8 images of its training images are for validation" in (
        prepared.notes[-1].message
    )
    prepared = prepare_images(tmp_path / "a.npz", fractions=(0.5, 0.0, 0.5))
    assert [len(rows) for rows in prepared.split] == [30, 0, 30]


def test_classes_keep_their_share(rng):
    x = rng.integers(0, 256, (100, 4, 4), dtype=np.uint8)
    y = np.array([0] * 80 + [1] * 20)
    for rows, share in zip(prepare_images((x, y)).split, (12, 4, 4), strict=True):
        assert y[rows].sum() == share


def test_prediction_names_expected_and_given_and_offers_to_resize(folder, tmp_path):
    run = tw.fit_images(folder, DENSE, **QUIET)
    Image.new("L", (10, 6)).save(tmp_path / "wide.png")
    with pytest.raises(DataError, match=r"wide\.png is 10x6 L.*8x6 RGB; resize=True"):
        run.model.predict(tmp_path / "wide.png")
    assert run.model.predict(tmp_path / "wide.png", resize=True).shape == (1,)
    assert run.model.predict_proba(np.zeros((3, 9, 9), np.uint8), resize=True).shape == (3, 2)
    with pytest.raises(DataError, match="images are 9x9 L"):
        run.model.predict(np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(FileError, match="is no file that is there"):
        run.model.predict("nothing.png")
    table = tw.fit_table("iris", "target", epochs=1, progress=False).model
    with pytest.raises(SettingError, match="resize is for models that were trained on images"):
        table.predict("iris", resize=True)


def test_networks_of_ones_own(rng):
    x, y = stripes(rng, 30)
    network = tw.Sequential(tw.ImageInput("channels_last"), tw.Flatten(), tw.Linear(2))
    run = tw.fit_images(x, network, labels=y, **QUIET)
    assert len(run.model.network) == 3
    with pytest.raises(SettingError, match=r"outputs of shape \(3,\), but there are 2 classes"):
        tw.fit_images(x, tw.Sequential(tw.Flatten(), tw.Linear(3)), labels=y, **QUIET)
    with pytest.raises(SettingError, match="does not fit images of 8x6 RGB"):
        tw.fit_images(x, tw.Reshape((7,)), labels=y, **QUIET)
    with pytest.raises(SettingError, match="model must be a name, a text or a layer, got 3"):
        tw.fit_images(x, 3, labels=y, **QUIET)
    with pytest.raises(SettingError, match=r"squared_error.* is for numbers"):
        tw.fit_images(x, DENSE, labels=y, loss="squared_error", **QUIET)


def test_sources_that_are_none(tmp_path, rng):
    x, y = stripes(rng, 30)
    for source, options, error, message in [
        (x, {}, SettingError, "need their labels"),
        (x[0, 0], {"labels": y[:8]}, ShapeError, r"array of shape \(8, 3\)"),
        (x * np.nan, {"labels": y}, DataError, "NaN or infinity"),
        ((x, y), {"size": (2, 2)}, SettingError, "are for folders"),
        ((x, y), {"layout": "channels_last", "fractions": (1, 1, 1)}, SettingError, "fractions"),
        ((x, y), {"seed": -1}, SettingError, "seed"),
        ((x, y), {"layout": "nhwc"}, SettingError, "layout = 'nhwc' is not one of auto"),
        (x.astype(str), {"labels": y}, DataError, "images are numbers"),
        (tmp_path / "no", {}, FileError, "no file or folder"),
        (__file__, {}, FileError, "is no folder of images"),
        (tmp_path, {"labels": y}, SettingError, "leave labels out"),
    ]:
        with pytest.raises(error, match=message):
            prepare_images(source, **options)


def test_settings_are_refused_before_images_are_read(tmp_path):
    for options, message in [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"optimizer": "adamm"}, "adam"),
        ({"class_weight": "heavy"}, "class_weight"),
        ({"augment": "mixup(3)"}, "alpha"),
    ]:
        with pytest.raises(SettingError, match=message):
            tw.fit_images(tmp_path / "no", DENSE, **{"progress": False, **options})
    with pytest.raises(SettingError, match="'lenet'; did you mean 'lenet5'"):
        tw.fit_images(tmp_path / "no", "lenet", progress=False)


def test_class_weights_go_by_name(rng):
    x, y = stripes(rng, 30)
    tw.fit_images(x, DENSE, labels=y, class_weight={"level": 2.0}, **QUIET)
    with pytest.raises(SettingError, match="names 'levle'; the images have level, upright"):
        tw.fit_images(x, DENSE, labels=y, class_weight={"levle": 2.0}, **QUIET)


def test_a_run_that_fails_leaves_what_was_learned(rng):
    x, y = stripes(rng, 30)
    with (
        pytest.raises(NonFiniteError) as caught,
        np.errstate(all="ignore"),
    ):
        tw.fit_images(x, DENSE, labels=y, optimizer="sgd(1e30)", **QUIET)
    assert isinstance(caught.value.run, tw.ImageRun)
    assert caught.value.run.report() == "no images were held out for a test"


def test_figures_of_classes_are_those_of_scikit_learn(rng):
    from sklearn import metrics

    truth, guess = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    table = confusion(truth, guess, 5)
    np.testing.assert_array_equal(
        table, metrics.confusion_matrix(truth, guess, labels=list(range(5)))
    )
    expected = metrics.precision_recall_fscore_support(
        truth, guess, labels=list(range(4)), zero_division=0
    )
    figures = class_figures(table, tuple("abcde"))
    for place, values in enumerate(zip(*expected, strict=True)):
        item = figures[place]
        np.testing.assert_allclose((item.precision, item.recall, item.f1, item.images), values)
    assert np.isnan(figures[4].recall)
    assert class_table(figures).splitlines()[-1].split() == ["e", "0", "–", "–", "–"]


def test_of_many_classes_only_the_most_frequent_confusions_are_shown():
    table = np.diag(np.full(20, 5))
    table[3, 7] = 4
    lines = confusion_text(table, tuple(range(20))).splitlines()
    assert lines[0] == "most frequent confusions"
    assert lines[2].split() == ["3", "7", "4"]
    assert len(lines) == 3
    assert confusion_text(np.diag(np.full(20, 5)), tuple(range(20))) == "no confusions"


def test_a_run_is_resumed_bit_for_bit(tmp_path, rng):
    x, y = stripes(rng, 40)
    options = {"labels": y, "progress": False, "early_stopping": None}
    whole = tw.fit_images(x, DENSE, epochs=4, **options)
    path = tmp_path / "checkpoint"
    stop = [lambda epoch: epoch.number == 2]
    tw.fit_images(x, DENSE, epochs=4, checkpoint=path, callbacks=stop, **options)
    again = tw.fit_images(x, DENSE, epochs=4, checkpoint=path, resume=True, **options)
    for name, values in whole.model.parameters.items():
        np.testing.assert_array_equal(again.model.parameters[name], values)


def test_models_of_images_make_an_ensemble(rng):
    x, y = stripes(rng, 40)
    models = [tw.fit_images(x, DENSE, labels=y, seed=1, **QUIET).model for _ in range(2)]
    assert tw.ensemble(models).images == models[0].images
    other = tw.fit_images(x[:, :, :, :1], DENSE, labels=y, **QUIET).model
    with pytest.raises(SettingError, match="input_shape"):
        tw.ensemble([models[0], other])


@pytest.mark.parametrize(
    "change", [{"width": 9}, {"layout": "channels_last"}, {"channels": 1}, {"white": "x"}, None]
)
def test_a_model_file_whose_images_do_not_fit_is_refused(tmp_path, rng, change):
    from thalweg.model.files import FORMAT, VERSION
    from thalweg.storage.container import read_container, write_container

    x, y = stripes(rng, 20)
    path = tmp_path / "model.safetensors"
    run = tw.fit_images(x.transpose(0, 3, 1, 2), DENSE, labels=y, epochs=1, progress=False)
    run.model.save(path)
    held = read_container(path, format=FORMAT)
    images = held.document["images"]
    images = None if change is None else {**images, **change}
    document = {**held.document, "images": images}
    write_container(path, held.arrays, document, format=FORMAT, version=VERSION)
    with pytest.raises(FileError, match="the model file is damaged"):
        tw.load(path)


def test_a_named_network_learns_and_its_text_may_hold_options(rng):
    x, y = stripes(rng, 48, 28, 28, 1)
    run = tw.fit_images(x, "lenet5(padding=0)", labels=y, epochs=6, progress=False)
    assert run.test["accuracy"] == 1.0
    assert run.model.record["model"] == "lenet5(padding=0)"
    assert run.model.record["penalty"]["factor"] == 0.0005
