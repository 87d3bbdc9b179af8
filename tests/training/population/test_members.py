"""Member k is bit for bit what ``fit`` gives for its settings alone, whatever varies."""

import numpy as np
import pytest
from tests.training.problems import blobs, line, same_bits

import thalweg as tw

X, Y = blobs(rows=60)
K = 3
NUMBERS = (0.3, 0.02, 0.1)
ARRAY = np.array(NUMBERS)
MASK = np.random.default_rng(0).random((K, 60)) < 0.7
PLACES = [np.arange(40), np.arange(20, 60), np.array([5, 3, 3, 50, 20, 10] * 5)]
WEIGHTS = np.random.default_rng(1).random((K, 60))
NOISE = np.random.default_rng(2).integers(0, 3, 60)
LABELS = [Y, (Y + 1) % 3, np.array(["a", "b", "c"])[NOISE]]
OPTIMIZERS = ["adam", tw.SGD(0.1), tw.Momentum(0.1)]
OPTIONS = {"epochs": 2, "batch_size": 10, "optimizer": tw.Adam(0.01), "progress": False}


def net(rate=0.2, start=1.0, slope=0.01):
    """Dropout, an initialiser and an activation with a number: three kinds of settings."""
    return tw.Sequential(
        tw.Standardise(), tw.Linear(4, weight=tw.Normal(start)), tw.LeakyReLU(slope),
        tw.Dropout(rate), tw.Linear(3),
    )  # fmt: skip


def deeper():
    return tw.Sequential(tw.Linear(4), tw.BatchNorm1d(), tw.Tanh(), tw.Linear(3))


def optimizer(rate, beta, decay):
    return tw.AdamW(tw.WarmUp(tw.LinearDecay(rate, length=3), length=2), beta, weight_decay=decay)


def regularised(number):
    return {
        "clip": tw.ClipNorm(number),
        "penalty": tw.L1(number),
        "average": tw.EMA(number),
        "augment": tw.Mixup(number),
        "loss": tw.CrossEntropy(number),
    }


NETS = [net(), deeper(), tw.Linear(3)]
STOPS = {"y": NOISE, "epochs": 8, "validation": 0.2, "optimizer": tw.SGD(0.3)}
WHOLE_RUN = {"optimizer": tw.Adam(tw.LinearDecay(0.1)), "average": tw.SWA(0.3)}
PLATEAU = {"y": NOISE, "epochs": 6, "validation": 0.2}

CASES = {
    "nothing but the seed": ({}, lambda k: {"seed": k}),
    "seeds": ({"seed": [7, 3, 7]}, lambda k: {"seed": (7, 3, 7)[k]}),
    "numbers of the network": (
        {"network": net(ARRAY, 10 * ARRAY, ARRAY)},
        lambda k: {"network": net(NUMBERS[k], 10 * NUMBERS[k], NUMBERS[k])},
    ),
    "numbers of the optimiser and its schedule": (
        {"optimizer": optimizer(ARRAY, 3 * ARRAY, ARRAY)},
        lambda k: {"optimizer": optimizer(NUMBERS[k], 3 * NUMBERS[k], NUMBERS[k])},
    ),
    "lengths of schedules": (
        {"optimizer": tw.SGD(tw.WarmUp(tw.LinearDecay(0.1, length=5), length=np.array([1, 2, 4])))},
        lambda k: {
            "optimizer": tw.SGD(tw.WarmUp(tw.LinearDecay(0.1, length=5), length=(1, 2, 4)[k]))
        },
    ),
    "momentum": (
        {"optimizer": tw.Momentum(0.05, momentum=3 * ARRAY)},
        lambda k: {"optimizer": tw.Momentum(0.05, momentum=3 * NUMBERS[k])},
    ),
    "numbers of all that regularises": (regularised(ARRAY), lambda k: regularised(NUMBERS[k])),
    "plain numbers": (
        {"clip": ARRAY, "penalty": list(NUMBERS), "average": ARRAY},
        lambda k: {"clip": NUMBERS[k], "penalty": NUMBERS[k], "average": NUMBERS[k]},
    ),
    "label smoothing, and none": (
        {"loss": tw.CrossEntropy(np.array([0.0, 0.1, 0.2]))},
        lambda k: {"loss": tw.CrossEntropy((0.0, 0.1, 0.2)[k])},
    ),
    "batches, epochs and accumulation": (
        {
            **WHOLE_RUN,
            "batch_size": np.array([10, 7, 60]),
            "epochs": [3, 1, 2],
            "accumulate": [1, 2, 1],
        },
        lambda k: {
            **WHOLE_RUN,
            "batch_size": (10, 7, 60)[k],
            "epochs": (3, 1, 2)[k],
            "accumulate": (1, 2, 1)[k],
        },
    ),
    "patience": (
        {**STOPS, "early_stopping": [1, 2, 5]},
        lambda k: {**STOPS, "early_stopping": (1, 2, 5)[k], "seed": 0},
    ),
    "least fall": (
        {**STOPS, "early_stopping": tw.EarlyStopping(3, np.array([0.0, 0.01, 1.0]))},
        lambda k: {
            **STOPS,
            "early_stopping": tw.EarlyStopping(3, (0.0, 0.01, 1.0)[k]),
            "seed": 0,
        },
    ),
    "rates that wait for the loss": (
        {**PLATEAU, "optimizer": tw.SGD(tw.ReduceOnPlateau(ARRAY, factor=ARRAY, patience=1))},
        lambda k: {
            **PLATEAU,
            "optimizer": tw.SGD(tw.ReduceOnPlateau(NUMBERS[k], factor=NUMBERS[k], patience=1)),
            "seed": 0,
        },
    ),
    "other rules": (
        {"stop": (tw.SmallChange(ARRAY), tw.SmallChange(0.01)), "epochs": 5},
        lambda k: {
            "stop": (tw.SmallChange(NUMBERS[k]), tw.SmallChange(0.01)),
            "epochs": 5,
            "seed": 0,
        },
    ),
    "validation shares with seeds": (
        {"validation": np.array([0.1, 0.2, 0.3]), "seed": [1, 1, 2]},
        lambda k: {"validation": (0.1, 0.2, 0.3)[k], "seed": (1, 1, 2)[k]},
    ),
    "rows by mask": ({"rows": MASK}, lambda k: {"rows": np.flatnonzero(MASK[k]), "seed": 0}),
    "rows as a matrix": (
        {"rows": np.arange(60).reshape(3, 20)},
        lambda k: {"rows": np.arange(20 * k, 20 * k + 20), "seed": 0},
    ),
    "rows as a list": ({"rows": PLACES}, lambda k: {"rows": PLACES[k], "seed": 0}),
    "rows and a share of them": (
        {"rows": PLACES, "validation": 0.25},
        lambda k: {"rows": PLACES[k], "seed": 0, "validation": 0.25},
    ),
    "weights of rows": (
        {"sample_weight": WEIGHTS},
        lambda k: {"sample_weight": WEIGHTS[k].copy(), "seed": 0},
    ),
    "networks": (
        {"network": tw.PerMember(NETS), "validation": 0.2},
        lambda k: {"network": NETS[k], "validation": 0.2, "seed": 0},
    ),
    "optimisers": (
        {"optimizer": tw.PerMember(OPTIMIZERS)},
        lambda k: {"optimizer": OPTIMIZERS[k], "seed": 0},
    ),
    "labels": ({"y": tw.PerMember(LABELS)}, lambda k: {"y": LABELS[k], "seed": 0}),
    "validation rows": (
        {"validation": tw.PerMember([(X[:k], Y[:k]) for k in (5, 10, 15)])},
        lambda k: {"validation": (X[: (5, 10, 15)[k]], Y[: (5, 10, 15)[k]]), "seed": 0},
    ),
    "weights of classes": (
        {"class_weight": tw.PerMember([None, "balanced", {0: 3.0}]), "y": NOISE},
        lambda k: {"class_weight": (None, "balanced", {0: 3.0})[k], "y": NOISE, "seed": 0},
    ),
    "starts": (
        {"start": tw.PerMember([None, {"4.bias": [1.0, 2.0, 3.0]}, None]), "frozen": "1"},
        lambda k: {
            "start": {"4.bias": [1.0, 2.0, 3.0]} if k == 1 else None,
            "frozen": "1",
            "seed": 0,
        },
    ),
}
"""By what varies: the options of a population, and those of member k alone."""

ON_BOTH = {
    "numbers of the network", "numbers of the optimiser and its schedule",
    "numbers of all that regularises", "batches, epochs and accumulation", "rows by mask",
    "weights of rows", "networks",
}  # fmt: skip
"""Cases that the interpreter runs too; it takes long, and shares the code around the steps."""


def fitted(options, **more):
    given = {**OPTIONS, "network": net(), "y": Y, **options, **more}
    return tw.fit(given.pop("network"), X, given.pop("y"), **given)


def assert_same(run, alone):
    assert same_bits(run.model.parameters, alone.model.parameters)
    assert same_bits(run.model.states, alone.model.states)
    assert repr(run.history.rows) == repr(alone.history.rows)
    assert run.stop_reason == alone.stop_reason
    assert run.best_epoch == alone.best_epoch
    assert run.model.classes == alone.model.classes
    assert run.model.network == alone.model.network


@pytest.mark.parametrize("name", CASES)
def test_a_member_is_what_it_is_alone(name, backend):
    if backend == "interpreter" and name not in ON_BOTH:
        pytest.skip("run with machine code only")
    together, alone = CASES[name]
    many = fitted(together, members=K, threads=2)
    runs = [fitted(alone(k)) for k in range(K)]
    for k, run in enumerate(runs):
        assert_same(many.runs[k], run)
    assert len({str(run.history.rows) for run in runs}) > 1, "what varies has an effect"


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_do_not_depend_on_the_threads(threads):
    options = {
        "optimizer": tw.Adam(np.geomspace(1e-3, 1e-1, 6)),
        "batch_size": [10, 20, 10, 20, 10, 20],
        "validation": 0.2,
        "epochs": [1, 2, 3, 1, 2, 3],
    }
    many = fitted(options, members=6, threads=threads)
    again = fitted(options, members=6, threads=3)
    for first, second in zip(many.runs, again.runs, strict=True):
        assert_same(first, second)


def test_numbers_to_predict_with_a_scaled_target():
    x, y = line()
    options = {"scale_targets": True, "dtype": "float64", "epochs": 2, "progress": False}
    rates = np.array([0.01, 0.1])
    many = tw.fit(tw.Linear(1), x, y, members=2, optimizer=tw.SGD(rates), **options)
    for k, rate in enumerate(rates):
        alone = tw.fit(tw.Linear(1), x, y, optimizer=tw.SGD(rate), **options)
        assert_same(many.runs[k], alone)
        np.testing.assert_array_equal(many.predict(x)[k], alone.model.predict(x))


def test_functions_are_networks_too():
    def plain(x, scope):
        return scope.apply("line", tw.Linear(3), x)

    many = fitted({"network": plain}, members=2)
    assert_same_but_network(many.runs[1], fitted({"network": plain, "seed": 1}))


def assert_same_but_network(run, alone):
    assert same_bits(run.model.parameters, alone.model.parameters)
    assert run.history.rows == alone.history.rows


def test_methods_without_batches_have_members_too():
    x, y = line()
    options = {"dtype": "float64", "epochs": 3, "progress": False, "optimizer": tw.LBFGS()}
    many = tw.fit(tw.Linear(1), x, y, members=2, penalty=tw.L2(np.array([0.0, 0.1])), **options)
    for k, factor in enumerate((0.0, 0.1)):
        alone = tw.fit(tw.Linear(1), x, y, penalty=tw.L2(factor), **options)
        assert_same(many.runs[k], alone)


def test_one_member_is_one_network():
    many = fitted({"optimizer": tw.Adam(np.array([0.02]))}, members=1)
    assert_same(many.runs[0], fitted({"optimizer": tw.Adam(0.02)}))
    assert many.settings["optimizer.learning_rate"].tolist() == [0.02]


def test_what_varies_is_told_by_name():
    options = {"network": net(rate=ARRAY), "optimizer": tw.Adam(ARRAY), "seed": range(K)}
    many = fitted(options, members=K, epochs=1)
    assert list(many.settings) == ["network.layers.3.rate", "optimizer.learning_rate", "seed"]
    assert many[1].settings == {
        "network.layers.3.rate": 0.02,
        "optimizer.learning_rate": 0.02,
        "seed": 1,
    }
    assert many[1].model.network == net(rate=0.02)
