"""Settings of a table's network given by name, as a search varies them."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.tabular import TableSettings, fit_prepared, prepare_table
from thalweg.tabular.fitting import fit_options, table_network, table_targets
from thalweg.tabular.searching import check_searched, searched_names, with_searched


@pytest.mark.parametrize(
    ("values", "hidden"),
    [
        ({"depth": 3, "width": 16}, (16, 16, 16)),
        ({"depth": 1}, (64,)),
        ({"width": 8}, (8, 8)),
        ({"depth": 0, "width": 8}, ()),
        ({"hidden": "64, 32"}, (64, 32)),
        ({"hidden": ""}, ()),
        ({"hidden": 5}, (5,)),
        ({"hidden": (5, 6)}, (5, 6)),
        ({}, (64, 64)),
    ],
)
def test_widths_of_hidden_layers(values, hidden):
    assert with_searched(TableSettings(), values).hidden == hidden


def test_every_name_is_a_setting_that_training_takes():
    samples = {
        "depth": 1, "width": 4, "activation": "tanh", "dropout": 0.1, "epochs": 2,
        "batch_size": 16, "learning_rate": 0.01, "optimizer": "sgd", "early_stopping": 3,
        "clip": 1.0, "seed": 4, "initialiser": "he", "normalise": "batch_norm",
        "loss": "cross_entropy", "penalty": 0.01, "class_weight": "balanced", "average": "ema",
        "augment": "mixup", "accumulate": 2, "statistics": "exact", "stop": "small_change",
    }  # fmt: skip
    assert set(samples) | {"hidden", "network"} == set(searched_names())
    base = TableSettings()
    for name, value in samples.items():
        changed = with_searched(base, {name: value})
        changed.check()
        field = "hidden" if name in {"depth", "width"} else name
        assert getattr(changed, field) != getattr(base, field), name
    whole = with_searched(base, {"network": "sequential(linear(3))"})
    assert whole.structure == tw.Sequential(tw.Linear(3))


@pytest.mark.parametrize("name", ["normalise", "penalty", "clip", "average", "augment"])
def test_none_stands_for_no_value(name):
    assert getattr(with_searched(TableSettings(), {name: "none"}), name) is None
    assert getattr(with_searched(TableSettings(), {name: None}), name) is None


def test_a_path_reaches_a_number_inside():
    found = with_searched(
        TableSettings(clip="norm(1.0)"),
        {
            "optimizer": "nesterov", "optimizer.momentum": 0.8, "clip.bound": 2.5,
            "learning_rate": "cosine(0.5)", "learning_rate.initial": 0.25,
            "activation": "leaky_relu", "activation.slope": 0.125,
        },
    )  # fmt: skip
    assert found.rule(100) == tw.Nesterov(tw.Cosine(0.25), momentum=0.8)
    assert (found.clip, found.activation) == (tw.ClipNorm(2.5), "leaky_relu(slope=0.125)")


def test_a_path_into_the_optimizer_keeps_the_measured_learning_rate():
    plain, changed = (
        with_searched(TableSettings(), values).rule(1000)
        for values in ({}, {"optimizer.beta1": 0.8})
    )
    assert changed == tw.Adam(plain.learning_rate, beta1=0.8)


def test_a_learning_rate_inside_the_optimizer_counts_even_where_it_is_the_default():
    default = tw.Adam().learning_rate
    found = with_searched(TableSettings(), {"optimizer.learning_rate": default})
    assert found.rule(1000) == tw.Adam(default)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"learning_rat": 0.1}, "did you mean 'learning_rate'"),
        ({"zzz": 1}, "Known: depth, width"),
        ({"members": 3}, "members is not searched over"),
        ({"epochs.x": 3}, "epochs holds no numbers"),
        ({"hidden": "8", "depth": 2}, "hidden beside depth or width"),
        ({"hidden": "8;4"}, "hidden takes widths such as"),
        ({"depth": 1.5}, "depth must be a whole number of at least 0, got 1.5"),
        ({"width": 0}, "width must be a whole number of at least 1, got 0"),
        ({"depth": 1000}, "depth = 1,000 is more than 64"),
        ({"optimizer.beta3": 0.9}, "adam has no number 'beta3'; did you mean 'beta2'"),
        ({"clip.bound": 0.9}, "clip.bound reaches into clip, which is None"),
        ({"optimizer": "adma"}, "adma"),
        ({"optimizer.beta1": 1.5}, "beta1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values, said):
    with pytest.raises(SettingError, match=said.replace("(", r"\(")):
        with_searched(TableSettings(), values).check()


@pytest.mark.parametrize("name", ["loss", "class_weight", "seed"])
def test_what_decides_the_value_itself_must_not_vary(name):
    check_searched([name])
    with pytest.raises(SettingError, match=f"varies {name}"):
        check_searched([name], [name])


def test_options_of_a_trial_train_the_network_that_fit_prepared_trains():
    prepared = prepare_table("wine", "target", seed=1)
    base = TableSettings(epochs=3, seed=1)
    settings = with_searched(base, {"depth": 1, "width": 8, "dropout": 0.25, "penalty": 0.01})
    whole = fit_prepared(prepared, settings, progress=False)
    train = prepared.split.train
    run = tw.fit(
        table_network(prepared, settings),
        prepared.x[train],
        table_targets(prepared, settings)[train],
        progress=False,
        **fit_options(prepared, settings),
    )
    for path, array in whole.model.parameters.items():
        np.testing.assert_array_equal(run.model.parameters[path], array)
    assert run.history.rows == whole.history.rows
