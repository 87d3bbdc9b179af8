"""Tables: the encoding learned inside each fold, groups, classes and units of their own."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.data.metrics import classification_metrics, regression_metrics
from thalweg.errors import ColumnError, SettingError

QUICK = tw.TableSettings(hidden=(6,), epochs=6, batch_size=16, early_stopping=None)


def people(rows=60):
    """A table whose numbers, categories and target depend on the row."""
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, rows).round(1)
    town = np.array(["oslo", "rome", "bonn"])[np.arange(rows) % 3]
    town[:2] = "lund"  # which only some networks learn from
    return {
        "age": age,
        "town": town,
        "family": np.repeat(np.arange(rows // 4), 4).astype(str),
        "sold": np.where(age + 10 * (town == "rome") + rng.normal(0, 5, rows) > 42, "yes", "no"),
        "price": 1000 * age + 5e4 + rng.normal(0, 500, rows),
    }


def _run(target, **options):
    options = {"folds": 4, "settings": QUICK, "progress": False, **options}
    drop = {"sold", "price", "family"} - {target, options.get("groups")}
    return tw.cross_validate_table(people(), target, drop=sorted(drop), **options)


@pytest.mark.filterwarnings("error")
def test_the_encoding_is_learned_inside_each_fold():
    found = _run("sold", repeats=2)
    table = people()
    for fold, model in zip(found.splits, found.models, strict=True):
        alone = tw.tabular.prepare_table(
            found.table.take(fold.train), "sold", fractions=(1.0, 0.0, 0.0),
        )  # fmt: skip
        assert model.encoder.to_plain() == alone.encoder.to_plain()
        assert ("lund" in str(model.encoder.to_plain())) == ("lund" in table["town"][fold.train])
    assert found.task == "classification"
    assert found.classes == ("no", "yes")
    assert len(found) == 8


def test_scores_and_predictions_of_classes_are_those_of_the_models():
    found = _run("sold")
    table = found.table
    for place, fold in enumerate(found.splits):
        rows = fold.held_out
        chances = found.models[place].predict_proba(table.take(rows))
        np.testing.assert_allclose(found.predictions[rows], chances, rtol=1e-5)
        codes = (found.truth[rows] == "yes").astype(int)
        for name, value in classification_metrics(codes, chances).items():
            np.testing.assert_allclose(found.scores[name][0, fold.fold], value, rtol=1e-5)
    assert found.truth.tolist() == people()["sold"].tolist()


def test_numbers_are_in_the_unit_of_the_table():
    found = _run("price", settings=tw.TableSettings(hidden=(6,), epochs=30, batch_size=16))
    prices = people()["price"]
    for place, fold in enumerate(found.splits):
        rows, model = fold.held_out, found.models[place]
        watched = 45 - model.record["rows"]
        assert watched == 9  # a fifth of the training rows, for early stopping
        assert abs(model.target.mean - prices[fold.train].mean()) < 3000
        predicted = model.predict(found.table.take(rows))
        np.testing.assert_allclose(found.predictions[rows], predicted, rtol=1e-9)
        for name, value in regression_metrics(prices[rows], predicted).items():
            np.testing.assert_allclose(found.scores[name][0, fold.fold], value, rtol=1e-6)
    assert found.task == "regression"
    assert found.mean["rmse"] < prices.std()
    assert "RMSE" in repr(found)


def test_each_network_is_what_training_on_its_rows_alone_gives():
    found = _run("price")
    fold, model = found.splits[1], found.models[1]
    table = found.table.take(fold.train)
    alone = tw.tabular.prepare_table(table, "price", fractions=(1.0, 0.0, 0.0))
    assert alone.encoder.to_plain() == model.encoder.to_plain()
    x = alone.encoder.transform(table).values
    run = tw.fit(
        QUICK.network(1, 45), x, alone.y, loss="squared_error", optimizer=QUICK.rule(45),
        batch_size=16, epochs=6, penalty=QUICK.weight_penalty("regression"), seed=1,
        progress=False,
    )  # fmt: skip
    for path, array in run.model.parameters.items():
        assert array.tobytes() == model.parameters[path].tobytes()


def test_groups_are_held_out_together_and_are_no_input():
    found = _run("sold", groups="family", stratify=False)
    families = people()["family"]
    for fold in found.splits:
        assert not set(families[fold.train]) & set(families[fold.held_out])
    assert "family" not in str(found.models[0].encoder.to_plain())
    with pytest.raises(ColumnError, match="'famly'; did you mean 'family'"):
        _run("sold", groups="famly")


def test_rows_without_a_target_are_left_out():
    table = people()
    table["sold"] = np.where(np.arange(60) < 4, "", table["sold"])
    found = tw.cross_validate_table(
        table, "sold", groups="family", folds=3, settings=QUICK, progress=False
    )
    assert len(found.predictions) == len(found.truth) == 56
    families = table["family"][4:]
    for fold in found.splits:
        assert not set(families[fold.train]) & set(families[fold.held_out])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 58}, SettingError, "of class"),
        ({"metrics": ["rmse"]}, SettingError, "'rmse'. Known for these targets"),
        ({"settings": tw.TableSettings(members=3)}, SettingError, "one network for each fold"),
        ({"settings": tw.TableSettings(epochs=0)}, SettingError, "epochs"),
        ({"settings": tw.TableSettings(batch_size=46)}, SettingError, r"network \d .*batch_size"),
    ],
)
def test_what_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        _run("sold", **options)
