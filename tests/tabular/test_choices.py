"""Choices of training as text: what is read, and which network and rules come of it."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.descriptions import members
from thalweg.errors import SettingError
from thalweg.optim.schedules import Schedule
from thalweg.tabular import TableSettings, fit_table
from thalweg.tabular.choices import (
    leading_rule,
    normalisation_names,
    read_class_weight,
    states_rate,
)

QUICK = {"epochs": 1, "hidden": (3,), "progress": False}


@pytest.mark.parametrize(
    ("given", "name", "wanted"),
    [
        ({"clip": "0.5"}, "clip", 0.5),
        ({"clip": "value(-1, 2)"}, "clip", tw.ClipValue(-1, 2)),
        ({"learning_rate": "0.1"}, "learning_rate", 0.1),
        ({"learning_rate": "cosine(0.1)"}, "learning_rate", tw.Cosine(0.1)),
        ({"average": "ema(0.9)"}, "average", tw.EMA(0.9)),
        ({"initialiser": "he"}, "initialiser", tw.He()),
        ({"loss": "absolute_error"}, "loss", tw.AbsoluteError()),
        ({"structure": "sequential(tanh)"}, "structure", tw.Sequential(tw.Tanh())),
        ({"class_weight": "{a: 1, b: 0.5}"}, "class_weight", {"a": 1, "b": 0.5}),
        ({"class_weight": {"a": 3}}, "class_weight", {"a": 3}),
    ],
)
def test_text_is_read(given, name, wanted):
    assert getattr(TableSettings(**given), name) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [("adam", False), ("adam()", False), ("adam(0.1)", True), ("adam(beta1=0.5)", False),
     ("adam(learning_rate=0.001)", True), (tw.SGD(), True), ("decoupled_decay(sgd, 0.1)", False),
     ("decoupled_decay(then=sgd(0.1))", True), ("groups([group('0', adam)], otherwise=sgd)", False),
     ("groups([group('0', adam)], otherwise=sgd(0.1))", True)],
)  # fmt: skip
def test_a_rate_that_is_said_is_known_from_one_that_is_not(text, said):
    assert states_rate(text) == said
    rate = leading_rule(TableSettings(optimizer=text).rule(100)).chosen_rate
    assert isinstance(rate, Schedule) != said


@pytest.mark.parametrize("name", members("optimizer"))
def test_every_optimiser_is_chosen_by_its_name(name):
    settings = TableSettings(optimizer=name)
    settings.check()
    assert isinstance(settings.rule(100), members("optimizer")[name])


@pytest.mark.parametrize("name", normalisation_names())
def test_every_normalisation_gives_a_network(name):
    spec = "group_norm(2)" if name == "group_norm" else name
    plain = TableSettings(hidden=(4,), dropout=0.0).network(2, 100)
    network = TableSettings(hidden=(4,), dropout=0.0, normalise=spec).network(2, 100)
    assert network.summary(3).parameters > plain.summary(3).parameters - 4
    assert name in [tw.descriptions.name_of(layer) for layer in network]


def test_a_normalisation_goes_around_the_hidden_layer_with_its_settings():
    settings = TableSettings(hidden=(4,), dropout=0.0, normalise="spectral_norm(iterations=2)")
    assert settings.network(2, 100)[0] == tw.SpectralNorm(tw.Linear(4), iterations=2)


@pytest.mark.parametrize(
    "given",
    ["weight_norm(linear(64))", "spectral_norm(inner=linear(4))", tw.WeightNorm(tw.Linear(64))],
)
def test_a_normalisation_takes_no_other_layer_than_the_hidden_one(given):
    with pytest.raises(SettingError, match="goes around each hidden layer and takes no other"):
        TableSettings(normalise=given).check()


@pytest.mark.parametrize("given", ["relu", "dropout(0.5)", "linear(5)", "instance_norm", "3"])
def test_only_normalisations_are_normalisations(given):
    with pytest.raises(SettingError, match=r"unknown normalisation .* Known: layer_norm, rms_norm"):
        TableSettings(normalise=given).check()


def test_lbfgs_takes_all_rows_and_leaves_nothing_out():
    settings = TableSettings(optimizer="lbfgs")
    assert settings.batch(10_000) == 10_000
    assert settings.dropout_rate(10_000) == 0.0
    assert settings.rule(100) == tw.LBFGS()


def test_losses_fit_their_task():
    binary = TableSettings(loss="binary_cross_entropy")
    assert binary.outputs("classification", 2) == 1
    assert TableSettings(loss="cross_entropy").outputs("classification", 2) == 2
    assert TableSettings().outputs("regression", 1) == 1
    with pytest.raises(SettingError, match="tells two classes apart, the target has 3"):
        binary.outputs("classification", 3)
    with pytest.raises(SettingError, match="is for classes, but this is a regression; choose a"):
        binary.objective("regression")


def test_losses_with_outputs_of_their_own():
    assert TableSettings(loss="gaussian_nll").outputs("regression", 1) == 2
    run = fit_table("diabetes", "target", loss="gaussian_nll", **QUICK)
    assert run.model.network[-1].features == 2
    assert run.model.predict(run.prepared.table).shape == (442,)


def test_counts_are_not_standardised(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    table = {"x": x, "visits": rng.poisson(np.exp(1 + 0.5 * x))}
    run = fit_table(
        table, "visits", task="regression", loss="poisson_nll", hidden=(), epochs=60,
        learning_rate=0.05, progress=False,
    )  # fmt: skip
    assert (run.model.target.mean, run.model.target.scale) == (0.0, 1.0)
    assert run.test["r2"] > 0.3
    run.save(tmp_path)
    loaded = tw.load(tmp_path / "model.safetensors")
    wanted = np.exp(1 + 0.5 * np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_allclose(loaded.predict({"x": [-1.0, 0.0, 1.0]}), wanted, rtol=0.2)


def test_class_weights_are_read():
    assert read_class_weight(None) is None
    assert read_class_weight("{0: 1, 1: 2}") == {"0": 1, "1": 2}
    with pytest.raises(SettingError, match="class_weight: expected ',' or '}', got the end"):
        read_class_weight("{a: 1")


def test_columns_are_left_out():
    run = fit_table("diabetes", "target", drop=["bmi", "age"], **QUICK)
    assert run.prepared.x.shape[1] == 8


def test_python_takes_the_same_choices():
    run = fit_table(
        "wine", "target", optimizer="sgd(0.05)", normalise="layer_norm", initialiser=tw.He(),
        loss="cross_entropy", clip="norm(1)", average=0.5, accumulate=2,
        class_weight={"class_0": 2.0}, statistics="exact", **QUICK,
    )  # fmt: skip
    record = run.model.record
    assert record["optimizer"]["learning_rate"] == 0.05
    assert record["class_weight"] == {"class_0": 2.0}
    assert [type(layer).__name__ for layer in run.model.network][:2] == ["Linear", "LayerNorm"]
    with pytest.raises(SettingError, match=r"needs \(3,\): end the network with linear\(3\)"):
        fit_table("wine", "target", network=tw.Sequential(tw.Linear(2)), epochs=1)
    with pytest.raises(SettingError, match="network must be a layer or its text, got 3"):
        fit_table("wine", "target", network=3)
