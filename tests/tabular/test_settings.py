"""Networks and optimisers for tables."""

import dataclasses
import math

import pytest

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.optim.optimizers import SGD, Adam
from thalweg.optim.schedules import Cosine
from thalweg.tabular import TableSettings, activation_names


def kinds(network):
    return [type(layer).__name__ for layer in network]


def test_the_network_has_activation_and_dropout_after_each_hidden_layer():
    settings = TableSettings(hidden=(5, 3), activation="tanh", dropout=0.25)
    network = settings.network(outputs=2, rows=100)
    assert kinds(network) == ["Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [network[0].features, network[3].features, network[6].features] == [5, 3, 2]
    assert network[2].rate == 0.25


def test_without_hidden_layers_the_network_is_linear():
    assert kinds(TableSettings(hidden=()).network(3, 100)) == ["Linear"]


def test_without_dropout_there_is_no_such_layer():
    assert "Dropout" not in kinds(TableSettings(dropout=0.0).network(3, 100))


@pytest.mark.parametrize(
    ("rows", "batch", "dropout"),
    [(5, 5, 0.2), (1599, 16, 0.2), (1600, 32, 0.2), (3200, 64, 0.2), (6400, 128, 0.1)],
)
def test_choices_follow_the_number_of_rows(rows, batch, dropout):
    settings = TableSettings()
    assert settings.batch(rows) == batch
    assert settings.dropout_rate(rows) == dropout
    rate = settings.rule(rows).learning_rate
    assert rate == Cosine(5e-3 * math.sqrt(batch / 128))


def test_what_is_given_is_taken():
    assert TableSettings(learning_rate=0.1).rule(100) == Adam(0.1)
    assert TableSettings(optimizer="sgd").rule(100) == SGD(Cosine(0.01))
    own = Adam(0.3, beta1=0.5)
    assert TableSettings(optimizer=own).rule(100) is own
    assert TableSettings(optimizer=own, learning_rate=0.2).rule(100) == dataclasses.replace(
        own, learning_rate=0.2
    )
    gelu = tw.GELU()
    assert TableSettings(activation=gelu).network(2, 10)[1] is gelu


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        ("adam(cosine(0.1))", 0.1),
        ("adam(0.1)", "cosine(0.1)"),
        ("decoupled_decay(sgd(0.1))", 0.1),
        (tw.SGD(tw.Cosine(0.1)), 0.1),
        (tw.DecoupledDecay(tw.SGD(tw.Cosine(0.1))), tw.Cosine(0.2)),
    ],
)
def test_a_rate_that_is_given_twice_is_refused(optimizer, rate):
    settings = TableSettings(optimizer=optimizer, learning_rate=rate)
    with pytest.raises(SettingError, match=r"learning_rate .*0\.[12].* leave one of them out"):
        settings.check()


@pytest.mark.parametrize("name", [*activation_names(), "sigmoid"])
def test_every_activation_gives_a_network(name):
    network = TableSettings(hidden=(4,), activation=name).network(2, 100)
    assert network.summary(3).parameters >= 4 * 4 + 5 * 2


@pytest.mark.parametrize("name", ["step", "sign", "maxout", "dropout", "linear", "nonsense"])
def test_no_other_layer_serves_as_activation(name):
    with pytest.raises(SettingError, match=f"unknown activation {name!r}.* Known: .*relu"):
        TableSettings(activation=name).check()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"hidden": (10**12,)}, "hidden layer 1 is to have 1,000,000,000,000 units; choose 1 to"),
        ({"hidden": (64, 0)}, "hidden layer 2 is to have 0 units"),
        ({"hidden": (-3,)}, "hidden layer 1 is to have -3 units"),
        ({"hidden": (2.5,)}, "hidden layer 1 needs a whole number of units, got 2.5"),
        ({"hidden": (True,)}, "hidden layer 1 needs a whole number of units, got True"),
        ({"activation": "rely"}, "unknown activation 'rely'; did you mean 'relu'?"),
        ({"dropout": 1.0}, r"Dropout.rate = 1.0 is outside \[0, 1\)"),
        ({"dropout": -0.1}, r"Dropout.rate = -0.1 is outside \[0, 1\)"),
        ({"learning_rate": -1.0}, r"Adam.learning_rate = -1.0 is outside \[0, ∞\)"),
        ({"learning_rate": math.nan}, "Adam.learning_rate = nan is outside"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, got 1.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"early_stopping": -1}, "patience = -1 is outside"),
        ({"clip": -1.0}, "-1.0"),
    ],
)
def test_settings_outside_their_range_are_refused_before_any_data_is_read(settings, text):
    with pytest.raises(SettingError, match=text):
        TableSettings(**settings).check()
