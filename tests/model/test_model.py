"""Models: predictions, and saving and loading them bit for bit."""

import copy
import pickle

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.errors import DescriptionError, FileError
from thalweg.model.model import Model


@pytest.fixture(scope="module")
def trained():
    x, y = blobs()
    names = np.array(["left", "right", "up"])[y]
    return tw.fit(classifier(), x, names, epochs=3, progress=False, validation=0.2).model


def test_a_loaded_model_is_the_saved_one(trained, tmp_path):
    path = tmp_path / "m.safetensors"
    trained.save(path)
    loaded = tw.load(path)
    x, _ = blobs(seed=1)
    assert loaded.network == trained.network
    assert same_bits(loaded.parameters, trained.parameters)
    assert loaded.classes == trained.classes == ("left", "right", "up")
    assert loaded.record == trained.record
    assert loaded.predict_proba(x).tobytes() == trained.predict_proba(x).tobytes()
    assert (loaded.predict(x) == trained.predict(x)).all()
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_a_model_that_has_predicted_predict_the_same(trained, copied):
    x, _ = blobs(seed=2)
    expected = trained.predict_proba(x)
    assert copied(trained).predict_proba(x).tobytes() == expected.tobytes()


@pytest.mark.parametrize("labels", [np.array([3, 5]), np.array([False, True]), [-1, 1]])
def test_labels_of_every_kind_come_back(labels, tmp_path):
    x, y = blobs(classes=2)
    model = tw.fit(classifier(2), x, np.asarray(labels)[y], epochs=1, progress=False,
                   loss="cross_entropy").model  # fmt: skip
    model.save(tmp_path / "m.safetensors")
    loaded = tw.load(tmp_path / "m.safetensors")
    assert loaded.classes == tuple(np.asarray(labels).tolist())
    assert loaded.predict(x).dtype == model.predict(x).dtype


def test_numbers_in_double_precision_come_back(tmp_path):
    x, y = line()
    model = tw.fit(tw.Linear(1), x, y, epochs=2, dtype="float64", progress=False).model
    model.save(tmp_path / "m.safetensors")
    loaded = tw.load(tmp_path / "m.safetensors")
    assert loaded.predict(x).dtype == np.float64
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()


def test_a_network_given_as_a_function_is_asked_for(tmp_path):
    def network(x, scope):
        return scope.apply("out", tw.Linear(1), x)

    def loss(outputs, targets):
        return (outputs - targets) ** 2

    x, y = line()
    model = tw.fit(network, x, y, loss=loss, epochs=1, progress=False).model
    path = tmp_path / "m.safetensors"
    model.save(path)
    with pytest.raises(FileError, match=r"Python function .*network.*load\(path, network=function"
                       r"\); the command line cannot"):  # fmt: skip
        tw.load(path)
    assert tw.load(path, network=network).predict(x).tobytes() == model.predict(x).tobytes()


def test_a_layer_that_is_not_registered_cannot_be_saved(tmp_path):
    class Secret(tw.Layer):
        def forward(self, x, scope):
            return x

    x, y = line()
    net = tw.Sequential(Secret(), tw.Linear(1))
    model = tw.fit(net, x, y, epochs=1, progress=False).model
    with pytest.raises(DescriptionError, match="Secret is not registered"):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_models_are_read_by_the_safetensors_library(trained, tmp_path):
    from safetensors.numpy import load_file

    trained.save(tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    assert set(arrays) == {f"parameters/{path}" for path in trained.parameters}


def test_the_summary_says_what_a_person_wants_to_know(trained):
    text = trained.summary()
    for words in ("Linear", "left, right, up", "adam", "total"):
        assert words in text


def test_several_targets_are_predicted_together():
    x, y = line()
    both = np.stack([y, -y], axis=1)
    model = tw.fit(tw.Linear(2), x, both, epochs=1, progress=False).model
    assert isinstance(model, Model)
    assert model.predict(x).shape == (64, 2)
