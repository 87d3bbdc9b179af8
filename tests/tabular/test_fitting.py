"""``fit_table``: it learns, tests, records, saves; and it is the same each time."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score

import thalweg as tw
from thalweg.errors import FileError, NonFiniteError, SettingError
from thalweg.tabular import MODEL_FILE, TableRun, fit_table


@pytest.fixture(scope="module")
def wine() -> TableRun:
    return fit_table("wine", "target", epochs=30, progress=False)


@pytest.fixture(scope="module")
def diabetes() -> TableRun:
    return fit_table("diabetes", "target", epochs=30, progress=False)


def test_classes_are_learned(wine):
    assert wine.test["accuracy"] > 0.9
    assert list(wine.test) == ["accuracy", "balanced_accuracy", "log_loss", "auc"]
    assert list(wine.baselines) == ["majority class", "logistic regression"]
    assert wine.test["log_loss"] < 0.3 * wine.baselines["majority class"]["log_loss"]


def test_numbers_are_learned(diabetes):
    assert list(diabetes.test) == ["rmse", "mae", "r2"]
    assert list(diabetes.baselines) == ["mean", "linear model"]
    assert diabetes.test["rmse"] < diabetes.baselines["mean"]["rmse"]


def test_the_test_metrics_are_those_of_the_test_rows(wine):
    rows = wine.prepared.split.test
    table = wine.prepared.table.take(rows)
    truth = table.column("target")
    scores = wine.model.predict_proba(table)
    assert wine.test["accuracy"] == accuracy_score(truth, wine.model.predict(table))
    labels = list(wine.model.classes)
    assert wine.test["log_loss"] == pytest.approx(log_loss(truth, scores, labels=labels), rel=1e-5)
    area = roc_auc_score(truth, scores, multi_class="ovr", labels=labels)
    assert wine.test["auc"] == pytest.approx(area, rel=1e-6)


def test_the_baselines_learn_from_the_training_rows_alone(wine, diabetes):
    train, test = wine.prepared.split.train, wine.prepared.split.test
    x, y = wine.prepared.x.astype(np.float64), wine.prepared.y
    model = LogisticRegression(max_iter=1000).fit(x[train], y[train])
    expected = log_loss(y[test], model.predict_proba(x[test]))
    assert wine.baselines["logistic regression"]["log_loss"] == pytest.approx(expected, rel=1e-2)
    train, test = diabetes.prepared.split.train, diabetes.prepared.split.test
    x, y = diabetes.prepared.x.astype(np.float64), diabetes.prepared.values
    guess = Ridge(1.0).fit(x[train], y[train]).predict(x[test])
    found = diabetes.baselines["linear model"]["r2"]
    assert found == pytest.approx(r2_score(y[test], guess), rel=1e-6)


def test_predictions_are_in_the_targets_own_terms(wine, diabetes):
    assert set(wine.model.predict(wine.prepared.table)) <= {"class_0", "class_1", "class_2"}
    guess = diabetes.model.predict(diabetes.prepared.table)
    assert guess.shape == (442,)
    assert 25 < guess.min() < guess.max() < 400


def test_the_same_seed_gives_the_same_bits(wine):
    again = fit_table("wine", "target", epochs=30, progress=False)
    for path, array in wine.model.parameters.items():
        np.testing.assert_array_equal(again.model.parameters[path], array)
    assert again.test == wine.test
    other = fit_table("wine", "target", epochs=2, seed=1, progress=False)
    assert not np.array_equal(other.prepared.split.test, wine.prepared.split.test)


def test_the_best_epochs_weights_are_kept(wine):
    losses = wine.history["validation_loss"]
    assert wine.best_epoch == int(np.argmin(losses)) + 1


def test_a_saved_model_predicts_the_same_and_knows_how_it_was_made(wine, tmp_path):
    path = wine.save(tmp_path / "deep" / "folder")
    assert path == tmp_path / "deep" / "folder" / MODEL_FILE
    model = tw.load(path)
    table = wine.prepared.table
    np.testing.assert_array_equal(model.predict_proba(table), wine.model.predict_proba(table))
    assert model.record["table"] == "scikit-learn's wine"
    assert model.record["test"] == wine.test
    assert model.record["split"] == {"train": 106, "validation": 36, "test": 36}
    assert "logistic regression" in model.summary()
    assert "target: one of 3 classes (class_0, class_1, class_2)" in model.summary()


def test_numbers_survive_saving(diabetes, tmp_path):
    model = tw.load(diabetes.save(tmp_path))
    table = diabetes.prepared.table
    np.testing.assert_array_equal(model.predict(table), diabetes.model.predict(table))


def test_a_folder_that_cannot_be_made_is_an_error(wine, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="cannot make the folder"):
        wine.save(tmp_path / "file")


def test_the_report_has_a_row_for_each_model(wine, diabetes):
    lines = wine.report().splitlines()
    assert lines[0] == "Results on 36 test rows that no training saw"
    assert lines[2].split() == ["accuracy", "balanced", "accuracy", "log", "loss", "AUC"]
    names = [line[:20].strip() for line in lines[3:6]]
    assert names == ["network", "majority class", "logistic regression"]
    assert "R²" in diabetes.report()


def test_where_a_baseline_is_better_the_report_says_so():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    run = fit_table({"x": x, "y": 3 * x + 0.01}, "y", epochs=1, progress=False)
    assert "The linear model has the lower RMSE" in run.report()
    assert "may serve this table better" in run.report()


def test_without_test_rows_there_are_no_results():
    run = fit_table("iris", "target", epochs=2, fractions=(0.8, 0.2, 0.0), progress=False)
    assert run.test == {}
    assert run.baselines == {}
    assert run.report() == "no rows were held out for a test"


def test_without_validation_rows_the_training_loss_decides():
    run = fit_table("iris", "target", epochs=3, fractions=(0.8, 0.0, 0.2), progress=False)
    assert "validation_loss" not in run.history
    assert run.test["accuracy"] > 0.3


def test_settings_reach_the_training():
    run = fit_table(
        "iris", "target", hidden=[5], activation="tanh", dropout=0.0, epochs=4, batch_size=10,
        learning_rate=0.05, optimizer="sgd", early_stopping=None, clip=1.0, progress=False,
    )  # fmt: skip
    record = run.model.record
    assert record["optimizer"] == {"type": "sgd", "learning_rate": 0.05}
    assert record["batch_size"] == 10
    assert record["epochs"] == 4
    assert record["clip"] is not None
    assert [type(layer).__name__ for layer in run.model.network] == ["Linear", "Tanh", "Linear"]
    assert set(run.history["learning_rate"]) == {0.05}


def test_callbacks_can_stop_and_checkpoints_resume(tmp_path):
    path = tmp_path / "run.checkpoint"
    options = {"epochs": 8, "seed": 3, "progress": False, "checkpoint": path}
    whole = fit_table("iris", "target", epochs=8, seed=3, progress=False)
    part = fit_table("iris", "target", **options, callbacks=[lambda epoch: epoch.number == 3])
    assert part.stop_reason == "callback"
    rest = fit_table("iris", "target", **options, resume=True)
    assert len(rest.history.rows) == 8
    for name, array in whole.model.parameters.items():
        np.testing.assert_array_equal(rest.model.parameters[name], array)


def test_a_run_that_explodes_raises_and_keeps_the_last_finite_model():
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=100), "y": rng.normal(size=100)}
    with pytest.raises(NonFiniteError, match="try") as caught:
        fit_table(columns, "y", optimizer="sgd", learning_rate=1e9, progress=False)
    run = caught.value.run
    assert isinstance(run, TableRun)
    assert all(np.isfinite(array).all() for array in run.model.parameters.values())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hidden": (10**12,)}, "1,000,000,000,000 units"),
        ({"hidden": (2**20, 2**20)}, "more than this version trains"),
        ({"batch_size": 91}, "batch_size = 91 is beyond the 90 training rows"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, text):
    with pytest.raises(SettingError, match=text):
        fit_table("iris", "target", progress=False, **options)


def test_predicting_needs_the_columns_and_tells_of_others(wine):
    columns = {name: wine.prepared.table.column(name)[:3] for name in wine.model.encoder.columns}
    shuffled = dict(reversed(columns.items())) | {"extra": np.zeros(3)}
    assert wine.model.predict(shuffled).tolist() == wine.model.predict(columns).tolist()
    assert "'extra'" in wine.model.inputs(shuffled)[1][0].message
    del columns["hue"]
    with pytest.raises(tw.errors.ColumnError, match="has no column 'hue'"):
        wine.model.predict(columns)


def test_census_income_is_predicted_better_than_by_a_linear_model(shared_data):
    run = fit_table(shared_data / "adult.csv", "income", epochs=12, progress=False)
    assert run.test["accuracy"] >= 0.853
    assert run.test["log_loss"] < run.baselines["logistic regression"]["log_loss"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "target", "metric", "least"),
    [
        ("adult.csv", "income", "accuracy", 0.855),
        ("housing.csv", "median_house_value", "r2", 0.78),
        ("digits", "target", "accuracy", 0.97),
    ],
)
def test_the_defaults_reach_what_was_promised(shared_data, name, target, metric, least, seed):
    source = shared_data / name if name.endswith(".csv") else name
    run = fit_table(source, target, seed=seed, progress=False)
    assert run.test[metric] >= least
    if name == "adult.csv":
        assert run.test["log_loss"] < run.baselines["logistic regression"]["log_loss"]


def test_without_stopping_the_command_line_still_keeps_the_best_epoch():
    from thalweg.cli.train import parse_patience

    run = fit_table(
        "wine", "target", epochs=60, early_stopping=parse_patience(0), learning_rate=0.05,
        progress=False,
    )  # fmt: skip
    losses = run.history["validation_loss"]
    assert len(losses) == 60
    assert run.best_epoch == losses.argmin() + 1
