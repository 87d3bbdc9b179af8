"""Model files whose container is sound but whose content is not: one clear error each."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import FileError
from thalweg.storage.container import read_container, write_container

LINEAR = {"type": "linear", "features": 1, "bias": True, "weight": {"type": "auto"},
          "bias_start": {"type": "constant", "value": 0.0}}  # fmt: skip


def nested(depth):
    plain = {"type": "relu"}
    for _ in range(depth):
        plain = {"type": "sequential", "layers": [plain]}
    return plain


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "m.safetensors"
    x = np.arange(12.0).reshape(6, 2)
    tw.fit(tw.Linear(1), x, x[:, 0], epochs=1, progress=False).model.save(path)
    held = read_container(path, format="thalweg-model")
    return held.arrays, held.document


ARRAYS = [
    ("missing", lambda a: {k: v for k, v in a.items() if "bias" not in k}, "bias"),
    ("extra", lambda a: {**a, "parameters/more": np.zeros(1, "f4")}, "more"),
    ("misshapen", lambda a: {**a, "parameters/weight": np.zeros((3, 1), "f4")}, "weight"),
    ("another type", lambda a: {**a, "parameters/weight": np.zeros((2, 1), "f8")}, "weight"),
]


@pytest.mark.parametrize(
    ("change", "word"), [case[1:] for case in ARRAYS], ids=[case[0] for case in ARRAYS]
)
def test_arrays_that_do_not_fit_the_network(change, word, good, tmp_path):
    arrays, document = good
    path = tmp_path / "m.safetensors"
    write_container(path, change(arrays), document, format="thalweg-model", version=1)
    with pytest.raises(FileError, match=word):
        tw.load(path)


DOCUMENTS = [
    ({"network": {"type": "os.system"}}, "unknown layer 'os.system'"),
    ({"network": {"type": "linear"}}, "missing"),
    ({"network": {**LINEAR, "features": "1"}}, "linear.features: Expected `int`, got `str`"),
    ({"network": {**LINEAR, "features": 2**40}}, "Linear.features = "),
    ({"network": {**LINEAR, "features": 2**31 - 1}}, "weight"),
    ({"network": {**LINEAR, "extra": 1}}, "unknown"),
    ({"network": {**LINEAR, "weight": {"type": "relu"}}}, "unknown initialiser 'relu'"),
    ({"network": {"type": "sequential", "layers": 3}}, "must be a list"),
    ({"network": {"type": "dropout", "rate": 2.0}}, "outside"),
    ({"network": [1]}, "needs an object with a 'type'"),
    ({"network": nested(25)}, "parameters"),
    ({"input_shape": [0]}, "input_shape holds 0"),
    ({"input_shape": [2.5]}, "input_shape holds 2.5"),
    ({"input_shape": [2**62]}, "input_shape holds"),
    ({"input_shape": [2**30, 2**30, 2**30]}, "m.safetensors"),
    ({"input_shape": "x"}, "must be a list"),
    ({"dtype": "float16"}, "dtype"),
    ({"loss": {"type": "relu"}}, "unknown loss 'relu'"),
    ({"classes": ["a", 1]}, "mixed types or a label twice"),
    ({"classes": [[1]]}, "no label"),
    ({"classes": ["a", "b", "c"]}, "3 classes for output shape"),
    ({"single": 1}, "single must be true or false"),
    ({"encoder": {"columns": []}}, "table"),
    ({"target": {"type": "shell"}}, "target"),
    ({"record": []}, "record must be an object"),
    ({"more": 1}, "unknown"),
]


def test_a_layer_of_the_users_own_is_no_damage(good, tmp_path):
    arrays, document = good
    path = tmp_path / "m.safetensors"
    change = {"network": {"type": "sequential", "layers": [{"type": "scaled", "start": 0.5}]}}
    write_container(path, arrays, {**document, **change}, format="thalweg-model", version=1)
    with pytest.raises(FileError, match="unknown layer 'scaled'; one of your own is kn") as caught:
        tw.load(path)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(("change", "message"), DOCUMENTS, ids=lambda v: str(v)[:50])
def test_documents_that_say_something_else(change, message, good, tmp_path):
    arrays, document = good
    path = tmp_path / "m.safetensors"
    write_container(path, arrays, {**document, **change}, format="thalweg-model", version=1)
    with pytest.raises(FileError, match=message) as caught:
        tw.load(path)
    assert "m.safetensors" in str(caught.value)


def test_a_network_of_enormous_layers_takes_no_memory(good, tmp_path):
    import tracemalloc

    arrays, document = good
    path = tmp_path / "m.safetensors"
    relus = {"type": "sequential", "layers": [{"type": "relu"}, {"type": "softmax", "axis": -1},
                                              {"type": "elu", "alpha": 1.0}]}  # fmt: skip
    change = {"network": relus, "input_shape": [2**31 - 1]}
    write_container(path, arrays, {**document, **change}, format="thalweg-model", version=1)
    tracemalloc.start()
    try:
        with pytest.raises(FileError):
            tw.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_a_newer_version_says_so(good, tmp_path):
    arrays, document = good
    path = tmp_path / "m.safetensors"
    write_container(path, arrays, document, format="thalweg-model", version=2)
    with pytest.raises(FileError, match="version 2, this thalweg reads 1"):
        tw.load(path)


def test_a_checkpoint_is_no_model(good, tmp_path):
    arrays, document = good
    path = tmp_path / "m.safetensors"
    write_container(path, arrays, document, format="thalweg-checkpoint", version=1)
    with pytest.raises(FileError, match="thalweg-checkpoint"):
        tw.load(path)
