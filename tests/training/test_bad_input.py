"""Each wrong call and each wrong array gives one sentence that says what to do."""

import numpy as np
import pytest
from scipy import sparse
from tests.training.problems import blobs, classifier, line

import thalweg as tw
from thalweg.errors import DataError, SettingError, ShapeError

X, Y = blobs()
LINE_X, LINE_Y = line()


def fit(x=X, y=Y, net=None, **options):
    return tw.fit(net or classifier(), x, y, **{"progress": False, "epochs": 1, **options})


def holed(value):
    x = X.copy()
    x[7, 1] = value
    return x


SETTINGS = [
    ({"epochs": 0}, r"epochs = 0 is outside its range: at least 1"),
    ({"epochs": 1.5}, r"epochs must be a whole number, got 1.5"),
    ({"batch_size": 0}, r"batch_size = 0 is outside its range"),
    ({"batch_size": 121}, r"batch_size = 121 is beyond the 120 training rows"),
    ({"seed": -1}, r"seed = -1 is outside its range"),
    ({"validation": 1.0}, r"validation = 1.0 is outside \(0, 1\)"),
    ({"validation": "some"}, r"validation must be None, a share or a pair"),
    ({"optimizer": "adamm"}, r"did you mean 'adam'"),
    ({"loss": "cross_entropi"}, r"did you mean 'cross_entropy'"),
    ({"backend": "gpu"}, r"backend 'gpu' is not one of"),
    ({"resume": True}, r"resume=True needs the checkpoint's path"),
    ({"early_stopping": 0}, r"EarlyStopping.patience = 0 is outside"),
    ({"clip": -1.0}, r"ClipNorm.bound = -1.0 is outside \(0, ∞\)"),
    ({"seed": 2**70}, r"seed = \d+ is outside its range: at most 2\^63 - 1"),
    ({"dtype": "int64"}, r"dtype must be float32 or float64"),
    ({"dtype": "float16"}, r"dtype must be float32 or float64, got 'float16'$"),
    ({"dtype": None}, r"dtype must be float32 or float64, got None"),
    ({"checkpoint_every": 0}, r"checkpoint_every = 0 is outside"),
]


@pytest.mark.parametrize(("options", "message"), SETTINGS, ids=lambda v: str(v)[:40])
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        fit(**options)


DATA = [
    ({"x": holed(np.nan)}, DataError, r"x holds nan in row 7, column 1 \(counted from 0\)"),
    ({"x": holed(np.nan)}, DataError, r"fill the value, or train with Impute\(\) at the front"),
    ({"x": holed(np.inf)}, DataError, r"x holds inf in row 7, column 1 .* fill the value$"),
    ({"x": [["a", "b"]] * 120}, DataError, r"x holds text or mixed types where numbers are due"),
    ({"x": [["a", "b"]] * 120}, DataError, r"numbers are due, such as 'a'; encode categories"),
    ({"x": [[1.0, None]] * 120}, DataError, r"numbers are due, such as None; encode categories"),
    ({"x": X * 1j}, DataError, r"x holds complex numbers \(complex64\); give their real and"),
    ({"x": np.full((120, 1), "2020-01-01", "M8[D]")}, DataError, r"x holds dates or times"),
    ({"x": sparse.csr_array(X)}, DataError, r"x is sparse \(csr_array\); .*: x\.toarray\(\)$"),
    ({"x": [[1.0]] * 119 + [[1.0, 2.0]]}, ShapeError, r"x holds rows of different lengths"),
    ({"x": X[:50]}, ShapeError, r"x has 50 rows, y has 120"),
    ({"x": X[:0], "y": Y[:0]}, DataError, r"x has no rows"),
    ({"x": 3.0}, ShapeError, r"x has shape \(\), expected \(rows, …\)"),
    ({"y": np.zeros(120, int)}, DataError, r"y holds 1 class \(.*0.*\); a classifier needs"),
    ({"y": np.arange(120)}, DataError, r"y holds 120 classes but the network has 3 outputs"),
    (
        {"y": np.arange(120) % 10, "loss": "binary_cross_entropy", "net": tw.Linear(1)},
        DataError,
        r"y holds 10 classes, and loss binary_cross_entropy takes two; use cross_entropy .*r\(10\)",
    ),
    ({"y": np.array(["a", "b", "c"] * 40), "net": tw.Linear(1)}, DataError, r"3 classes, and loss"),
    ({"y": Y + 0.5, "loss": "cross_entropy"}, DataError, r"y holds 0.5 in row 0"),
    ({"y": Y.astype(float)}, ShapeError, r"one number a row, but the network has \(3,\) outputs"),
    ({"y": np.array(["a", None, "b"] * 40, object)}, DataError, r"y is missing in row 1"),
    (
        {"validation": (X, Y + 1)},
        DataError,
        r"validation y holds the label 3 in row 2 .* none of the 3 classes \(0, 1, 2\)",
    ),
    ({"validation": (X[:, :1], Y)}, ShapeError, r"validation x has shape \(120, 1\)"),
    ({"validation": (X[:5], Y[:4])}, ShapeError, r"validation x has 5 rows, y has 4"),
    ({"sample_weight": np.ones(3)}, ShapeError, r"sample_weight has shape \(3,\)"),
    ({"sample_weight": -np.ones(120)}, DataError, r"sample_weight must be finite"),
    (
        {"x": LINE_X, "y": np.where(LINE_Y > 5, np.nan, LINE_Y), "net": tw.Linear(1)},
        DataError,
        r"y holds nan in row",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), DATA, ids=lambda v: str(v)[:30])
def test_data_that_does_not_fit_is_refused(options, error, message):
    with pytest.raises(error, match=message) as caught:
        fit(**options)
    assert "\n" not in str(caught.value)


def test_a_run_is_no_start():
    run = fit()
    with pytest.raises(SettingError, match=r"got a TrainedRun; give its model: start=run\.model$"):
        fit(start=run)


def test_networks_that_cannot_be_trained_are_refused():
    with pytest.raises(SettingError, match="has no parameters"):
        fit(net=tw.Sequential(tw.ReLU()), y=X)
    with pytest.raises(SettingError, match="more than this version trains"):
        fit(net=tw.Sequential(tw.Linear(2_000_000_000), tw.Linear(3)))
    with pytest.raises(SettingError, match=r"Linear.features = 1000000000000 is outside"):
        tw.Linear(10**12)
    with pytest.raises(
        SettingError, match=r"layer 1 of Sequential is .*write ReLU\(\) with parentheses"
    ):
        tw.Sequential(tw.Linear(3), tw.ReLU)
    with pytest.raises(SettingError, match="network must be a layer or a function"):
        fit(net=3)


def test_predictions_refuse_other_rows_than_the_training_had():
    model = fit().model
    with pytest.raises(ShapeError, match=r"x has shape \(2, 3\), expected \(rows, 2\)"):
        model.predict(np.zeros((2, 3)))
    with pytest.raises(DataError, match="x holds nan in row 0, column 0") as caught:
        model.predict(np.full((1, 2), np.nan))
    assert "before training" not in str(caught.value)
    assert "train with Impute()" in str(caught.value)
    with pytest.raises(DataError, match="predict_proba is for classes"):
        fit(LINE_X, LINE_Y, tw.Linear(1)).model.predict_proba(LINE_X)


LABELS = [
    (np.array(["a", 1, "b"] * 40, object), r"labels of several types, 'a' in row 0 and 1 in row 1"),
    (np.array([b"a", b"b", b"c"] * 40), r"y holds b'a' in row 0, which is no label"),
    (np.array([2**63, 1, 2] * 40, "uint64"), r"labels beyond 2⁶³"),
    (np.array(["2020-01-01", "2021-01-01"] * 60, "datetime64[D]"), r"which is no label"),
]


@pytest.mark.parametrize(("y", "message"), LABELS, ids=lambda v: str(v)[:30])
def test_labels_that_no_file_could_hold_are_refused(y, message):
    with pytest.raises(DataError, match=message):
        fit(y=y, loss="cross_entropy")


def test_labels_of_odd_types_are_plain_afterwards(tmp_path):
    model = fit(y=np.array([np.int64(item) for item in Y], dtype=object)).model
    model.save(tmp_path / "m.safetensors")
    assert tw.load(tmp_path / "m.safetensors").classes == (0, 1, 2)
    assert fit(y=np.array(["a", "b", "c"])[Y][:, None]).model.classes == ("a", "b", "c")


def test_other_words_for_what_is_wrong():
    with pytest.raises(DataError, match="classes names a label twice"):
        fit(classes=[0, 1, 1])
    with pytest.raises(DataError, match="classes names 2 labels, the network has 3 outputs"):
        fit(y=Y % 2, classes=[0, 1])
    with pytest.raises(SettingError, match=r"optimizer.learning_rate is an array of shape \(2,\)"):
        fit(optimizer=tw.Adam(np.array([1e-3, 1e-2])))
    with pytest.raises(DataError, match="beyond float32's range, up to 1e"):
        fit(LINE_X, LINE_Y * 0 + 1e300, tw.Linear(1))
    with pytest.raises(ShapeError, match=r"flatten the inputs first: x.reshape\(len\(x\), -1\)"):
        fit(np.zeros((120, 8, 8)))
    with pytest.raises(DataError, match="validation weights must be finite"):
        fit(validation=(X, Y, np.zeros(120)))
