"""What a step may do beside the plain update, each against a judge written out here."""

import numpy as np
import pytest
from scipy import stats
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.data.splits import split_rows
from thalweg.errors import DataError, SettingError
from thalweg.nn.augmentation import Mixup, symmetric_beta
from thalweg.ops.random import key_from_seed
from thalweg.optim.averaging import EMA, SWA
from thalweg.optim.optimizers import SGD, Adam, Moment
from thalweg.training.stopping import SmallChange, SmallGradient

X, Y = line(rows=60)
OPTIONS = {"epochs": 4, "batch_size": 10, "progress": False, "dtype": "float64", "seed": 2}


def fit(**options):
    network = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(1))
    return tw.fit(network, X, Y, **{**OPTIONS, **options})


class Path:
    """Keeps the parameters of every epoch."""

    def __init__(self):
        self.parameters, self.states = [], []

    def __call__(self, epoch):
        self.parameters.append({k: v.copy() for k, v in epoch.parameters.items()})
        self.states.append(dict(epoch.states))


def assert_close(first, second, rtol=1e-9):
    assert first.keys() == second.keys()
    for path in first:
        np.testing.assert_allclose(first[path], second[path], rtol=rtol, atol=rtol)


# ------------------------------------------------------------------ accumulation


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("small", "count"), [(10, 2), (8, 3), (7, 100)])
def test_accumulated_batches_are_one_large_batch(small, count, weighted):
    options = {"optimizer": Adam(0.05), "shuffle": False}
    if weighted:
        options["sample_weight"] = np.linspace(0, 2, len(X))
    gathered = fit(batch_size=small, accumulate=count, **options)
    whole = fit(batch_size=min(small * count, len(X)), **options)
    assert_close(gathered.model.parameters, whole.model.parameters)
    assert gathered.timing.updates > whole.timing.updates


def test_schedules_count_updates_and_not_batches():
    schedule = tw.Cosine(0.1)
    gathered = fit(batch_size=10, accumulate=3, optimizer=SGD(schedule), shuffle=False)
    whole = fit(batch_size=30, optimizer=SGD(schedule), shuffle=False)
    assert_close(gathered.model.parameters, whole.model.parameters)
    np.testing.assert_allclose(gathered.history["learning_rate"], whole.history["learning_rate"])


# ------------------------------------------------------------------ averages of weights


def averaged(average, weights, epochs=4):
    """The average of the parameters after each of a few full-batch updates, by hand."""
    options = {"batch_size": len(X), "optimizer": SGD(0.05), "epochs": epochs}
    plain, seen = Path(), Path()
    fit(callbacks=[plain], **options)
    run = fit(average=average, callbacks=[seen], **options)
    network = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(1))
    mean = tw.initialise(network, (3,), seed=OPTIONS["seed"], dtype="float64")
    for weight, now in zip(weights, plain.parameters, strict=True):
        mean = {path: mean[path] + weight * (now[path] - mean[path]) for path in mean}
    assert_close(run.model.parameters, mean)
    assert_close(seen.parameters[-1], mean)
    return run


def test_exponential_averages_follow_their_formula():
    averaged(EMA(0.7, warm_up=False), [0.3] * 4)
    averaged(EMA(0.9), [1 - min(0.9, (t + 1) / (t + 10)) for t in (1, 2, 3, 4)])
    averaged(0.9, [1 - min(0.9, (t + 1) / (t + 10)) for t in (1, 2, 3, 4)])


def test_swa_is_the_mean_of_the_last_parameters():
    averaged(SWA(0.5, every="update"), [1, 1, 1, 1 / 2])
    averaged(SWA(0.0, every="epoch"), [1, 1 / 2, 1 / 3, 1 / 4])


def test_swa_waits_for_the_ends_of_epochs():
    weights = [float(SWA(0.5).weight(Moment(step, 8, 2))) for step in range(8)]
    assert weights == [1, 1, 1, 1, 1, 1, 0, 1 / 2]


def test_validation_and_early_stopping_see_the_averages():
    run = fit(average=0.9, validation=(X, Y), early_stopping=10, epochs=6)
    best = run.best_epoch - 1
    error = np.mean((run.model.predict(X) - Y) ** 2)
    assert run.history["validation_loss"][best] == pytest.approx(error, rel=1e-6)


# ------------------------------------------------------------------ frozen, and from a model


def test_frozen_parameters_keep_their_bits():
    run = fit(frozen="0", optimizer=Adam(0.05))
    network = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(1))
    start = tw.initialise(network, (3,), seed=2, dtype="float64")
    for path in start:
        same = run.model.parameters[path].tobytes() == start[path].tobytes()
        assert same == path.startswith("0."), path


def test_frozen_layers_draw_no_random_numbers():
    x, y = blobs()
    network = tw.Sequential(tw.Linear(8), tw.Dropout(0.9), tw.Linear(3))
    options = {"frozen": ["0", "1"], "epochs": 2, "progress": False, "optimizer": SGD(0.1)}
    without = tw.Sequential(tw.Linear(8), tw.Dropout(0.0), tw.Linear(3))
    with pytest.raises(SettingError, match="'1' fits none"):
        tw.fit(network, x, y, **options)
    inner = tw.Sequential(tw.Sequential(tw.Linear(8), tw.Dropout(0.9)), tw.Linear(3))
    outer = tw.Sequential(tw.Sequential(tw.Linear(8), tw.Dropout(0.0)), tw.Linear(3))
    options["frozen"] = "0"
    del without
    assert same_bits(
        tw.fit(inner, x, y, **options).model.parameters,
        tw.fit(outer, x, y, **options).model.parameters,
    )


def test_a_run_starts_from_a_trained_model():
    first = fit()
    again = fit(start=first.model, epochs=1, optimizer=SGD(0.0))
    assert same_bits(again.model.parameters, first.model.parameters)
    head = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(2))
    tuned = tw.fit(
        head, X, Y > 0, start=first.model.weights("0"), frozen="0", **{**OPTIONS, "epochs": 2}
    )
    for path in ("0.weight", "0.bias"):
        assert tuned.model.parameters[path].tobytes() == first.model.parameters[path].tobytes()


def test_what_does_not_fit_is_refused_by_name():
    model = fit(epochs=1).model
    head = tw.Sequential(tw.Linear(6), tw.Tanh(), tw.Linear(2))
    for options, words in [
        ({"start": model}, r"'2.weight' of shape \(6, 1\), the network's has \(6, 2\)"),
        ({"start": {"9.weight": np.zeros(3)}}, "'9.weight', which the network lacks"),
        ({"start": {"0.bias": np.full(6, np.nan)}}, "not finite"),
        ({"start": {}}, "start must be a model"),
        ({"frozen": "7"}, "'7' fits none of the parameters 0.weight"),
        ({"frozen": "*"}, "leaves no parameter"),
        ({"accumulate": 0}, "accumulate = 0 is outside"),
        ({"average": 1.0}, r"decay = 1.0 is outside \[0, 1\)"),
        ({"average": "mean"}, "unknown averaging 'mean'"),
        ({"statistics": "good"}, "not one of running, exact"),
        ({"augment": 3}, "augment must be"),
        ({"class_weight": {"x": 1}}, "'x', which is none of the classes"),
        ({"class_weight": {True: -1}}, "finite numbers ≥ 0"),
        ({"class_weight": "fair"}, "'balanced' or weights by label"),
    ]:
        with pytest.raises(SettingError, match=words):
            tw.fit(head, X, Y > 0, epochs=1, progress=False, **options)
    with pytest.raises(SettingError, match="fits none"):
        model.weights("5")


# ------------------------------------------------------------------ weights of classes


def test_class_weights_are_row_weights():
    x, y = blobs(rows=90)
    network, options = classifier(rate=0.0), {**OPTIONS, "shuffle": False}
    given = {0: 2.0, 2: 0.5}
    by_class = tw.fit(network, x, y, class_weight=given, **options)
    rows = np.array([given.get(int(label), 1.0) for label in y])
    by_row = tw.fit(network, x, y, sample_weight=rows, **options)
    assert same_bits(by_class.model.parameters, by_row.model.parameters)


def test_parts_of_a_split_without_weight_are_refused():
    drawn = split_rows(60, (0.8, 0.2, 0.0), labels=None, seed=2)
    for places, name in ((drawn.validation, "12 validation"), (drawn.train, "48 training")):
        weights = np.ones(60)
        weights[places] = 0.0
        with pytest.raises(
            DataError, match=f"sample_weight is 0 on all {name} rows that the split"
        ):
            fit(validation=0.2, sample_weight=weights, early_stopping=3)


def test_balanced_weights_follow_the_counts():
    x, y = blobs(rows=60)
    names = np.array(["a", "b", "c"])[np.minimum(y, 1) * 2]
    names[:6] = "b"
    counts = {label: int(np.sum(names == label)) for label in "abc"}
    network, options = classifier(rate=0.0), {**OPTIONS, "shuffle": False}
    balanced = tw.fit(network, x, names, class_weight="balanced", **options)
    given = {label: 60 / (3 * count) for label, count in counts.items()}
    assert_close(
        balanced.model.parameters,
        tw.fit(network, x, names, class_weight=given, **options).model.parameters,
    )
    with pytest.raises(DataError, match="class 'd' has no training rows"):
        tw.fit(classifier(4), x, names, classes=list("abcd"), class_weight="balanced")


# ------------------------------------------------------------------ augmentation


@pytest.mark.parametrize("backend", ["native"], indirect=True)  # nothing is trained
def test_beta_numbers_have_their_distribution(backend):
    for alpha in (0.2, 0.5, 1.0):
        draws = [float(symmetric_beta(key_from_seed(5, k), alpha)) for k in range(400)]
        assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert all(0 <= float(symmetric_beta(key_from_seed(k), 1e-3)) <= 1 for k in range(50))


def test_mixup_mixes_rows_and_losses():
    x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 2])
    key = tw.Tensor(key_from_seed(3))
    changed = Mixup(1.0)(tw.Tensor(x), key)
    share = float(symmetric_beta(key, 1.0))
    np.testing.assert_allclose(changed.x.numpy(), share * x + (1 - share) * x[[2, 0, 1]])
    weights = np.array([1.0, 2.0, 3.0])

    def score(targets, w):
        return (targets * 1.0).sum() * 0.0 + targets[0] * 1.0 + w[0] * 10.0

    found = float(changed.loss(score, tw.Tensor(y), tw.Tensor(weights)))
    assert found == pytest.approx(share * (0 + 10) + (1 - share) * (2 + 30))


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (tw.Sequential(tw.Embedding(2, 3, flatten=True), tw.Linear(3)), "layer 0 (Embedding)"),
        (tw.Sequential(tw.OneHot(2), tw.Linear(3)), "layer 0 (OneHot)"),
        (
            tw.Sequential(
                tw.Columns(tw.Branch((0,)), tw.Branch((1,), tw.Embedding(2, 3, "first"))),
                tw.Linear(3),
            ),
            "layer 0.1 (Embedding)",
        ),
        (lambda x, scope: scope.apply("front", tw.Sequential(tw.Embedding(2, 1, flatten=True)), x)
         @ np.ones((2, 3)), "layer front.0 (Embedding)"),
    ],
)  # fmt: skip
def test_mixup_refuses_numbers_of_categories(network, layer):
    codes = (blobs()[0] > 0.5).astype(float)
    for augment in (Mixup(), tw.Augmentations(Mixup(0.3))):
        with pytest.raises(SettingError, match="stand for categories") as caught:
            tw.fit(network, codes, blobs()[1], augment=augment, progress=False)
        assert layer in str(caught.value)
    tw.fit(network, codes, blobs()[1], epochs=1, progress=False)


def test_mixup_trains_and_repeats():
    x, y = blobs(rows=50)
    options = {**OPTIONS, "batch_size": 20, "augment": Mixup(0.3), "optimizer": Adam(0.02)}
    first = tw.fit(classifier(), x, y, **options)
    assert same_bits(first.model.parameters, tw.fit(classifier(), x, y, **options).model.parameters)
    plain = tw.fit(classifier(), x, y, **{**options, "augment": None})
    assert not same_bits(first.model.parameters, plain.model.parameters)
    assert first.model.record["augment"] == {"type": "mixup", "alpha": 0.3}


# ------------------------------------------------------------------ resuming


def test_all_of_it_resumes_bit_for_bit(tmp_path):
    options = {
        "average": SWA(0.3, every="update"), "accumulate": 2, "augment": Mixup(0.3),
        "class_weight": "balanced", "frozen": "0.bias", "epochs": 5, "batch_size": 16,
        "progress": False, "optimizer": Adam(0.01),
    }  # fmt: skip
    x, y = blobs(rows=60)
    whole = tw.fit(classifier(), x, y, **options)
    place = tmp_path / "run.checkpoint"
    tw.fit(classifier(), x, y, checkpoint=place, callbacks=[lambda e: e.number == 2], **options)
    resumed = tw.fit(classifier(), x, y, checkpoint=place, resume=True, **options)
    assert same_bits(resumed.model.parameters, whole.model.parameters)
    with pytest.raises(SettingError, match="average, epochs differ"):
        tw.fit(classifier(), x, y, checkpoint=place, resume=True, **{**options, "average": 0.5})


# ------------------------------------------------------------------ a rate that waits for the loss


def test_a_rate_falls_on_a_plateau_and_resumes(tmp_path):
    rule = tw.ReduceOnPlateau(0.3, factor=0.5, patience=1, threshold=0.02)
    options = {"optimizer": SGD(tw.WarmUp(rule, length=3)), "epochs": 14, "validation": 0.25}
    run = fit(**options)
    rates, losses = run.history["learning_rate"], list(run.history["validation_loss"])
    expected = [0.3 * rule.share_after(losses[:k]) for k in range(14)]
    np.testing.assert_allclose(rates, expected)
    assert rates[-1] < rates[1]
    place = tmp_path / "run.checkpoint"
    fit(checkpoint=place, callbacks=[lambda e: e.number == 9], **options)
    resumed = fit(checkpoint=place, resume=True, **options)
    assert same_bits(resumed.model.parameters, run.model.parameters)


def test_the_step_takes_the_rate_that_the_history_shows():
    rule = tw.ReduceOnPlateau(0.2, factor=0.5, patience=0, threshold=0.9, monitor="train_loss")
    path = Path()
    run = fit(optimizer=SGD(rule), batch_size=len(X), callbacks=[path], epochs=5)
    rates = run.history["learning_rate"]
    assert len(set(rates)) > 2
    plain = {k: v.copy() for k, v in path.parameters[0].items()}
    for epoch in range(1, 5):
        step = fit(
            optimizer=SGD(float(rates[epoch])), batch_size=len(X), start=plain, epochs=1
        ).model.parameters
        assert_close(step, path.parameters[epoch])
        plain = path.parameters[epoch]


def test_a_schedule_longer_than_the_run_is_refused():
    with pytest.raises(SettingError, match="100"):
        fit(optimizer=SGD(tw.WarmUp(0.1, length=100)), epochs=2)


# ------------------------------------------------------------------ other ends


def test_a_small_change_ends_the_run():
    rule = SmallChange(1e-4, patience=2)
    run = fit(optimizer=SGD(0.1), batch_size=len(X), epochs=900, stop=rule)
    changes = np.abs(np.diff(run.history["train_loss"]))
    assert run.stop_reason == "small change"
    small = changes <= 1e-4
    assert small[-2:].all()
    assert not (small[:-2] & small[1:-1]).any()


def test_a_small_gradient_ends_the_run():
    network = tw.Sequential(tw.Linear(1))
    options = {**OPTIONS, "batch_size": len(X), "optimizer": SGD(0.1), "epochs": 2000}
    run = tw.fit(network, X, Y, stop=[SmallGradient(1e-6), SmallChange(0.0)], **options)
    assert run.stop_reason == "small gradient"
    norms = run.history["gradient_norm"]
    weights, bias = run.model.parameters["0.weight"][:, 0], run.model.parameters["0.bias"]
    error = 2 * (X @ weights + bias - Y) / len(X)
    expected = np.sqrt(np.sum((X.T @ error) ** 2) + np.sum(error) ** 2)
    assert norms[-1] == pytest.approx(expected, abs=1e-12)
    assert norms[-1] <= 1e-6 < norms[-2]
    with pytest.raises(SettingError, match="early_stopping="):
        fit(stop=tw.EarlyStopping(3))
    with pytest.raises(SettingError, match="draws random numbers"):
        tw.fit(classifier(), *blobs(), stop="small_gradient", progress=False)


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        (tw.Sequential(tw.Linear(1)), {"augment": "mixup"}, r"augment = Mixup\(.*leave it out, or"),
        (
            tw.Sequential(tw.Dropout(), tw.Linear(1)),
            {},
            "draws random numbers .*leave these layers",
        ),
    ],
)
def test_a_risk_at_random_has_no_gradient_and_no_epoch_is_lost(network, options, words):
    seen = []
    with pytest.raises(SettingError, match=words):
        tw.fit(network, X, Y, stop="small_gradient", callbacks=[seen.append], **OPTIONS, **options)
    assert not seen


# ------------------------------------------------------------------ layers that know the rows


def test_exact_statistics_are_those_of_all_rows():
    x, y = blobs(rows=70)
    network = tw.Sequential(tw.Linear(5), tw.BatchNorm1d(), tw.ReLU(), tw.Linear(3))
    whole = tw.fit(network, x, y, **OPTIONS, statistics="exact").model
    hidden = x.astype("float64") @ whole.parameters["0.weight"]
    np.testing.assert_allclose(whole.states["1.mean"], hidden.mean(0), rtol=1e-9)
    np.testing.assert_allclose(whole.states["1.variance"], hidden.var(0), rtol=1e-9)
    running = tw.fit(network, x, y, **OPTIONS)
    assert not np.allclose(running.model.states["1.mean"], whole.states["1.mean"])
    averaged = tw.fit(network, x, y, average=0.9, **OPTIONS).model
    hidden = x.astype("float64") @ averaged.parameters["0.weight"]
    np.testing.assert_allclose(averaged.states["1.mean"], hidden.mean(0), rtol=1e-9)


def test_frozen_batch_normalisation_keeps_its_statistics():
    x, y = blobs(rows=60)
    network = tw.Sequential(tw.Sequential(tw.Linear(5), tw.BatchNorm1d()), tw.ReLU(), tw.Linear(3))
    first = tw.fit(network, x, y, **OPTIONS).model
    for statistics in ("running", "exact"):
        again = tw.fit(
            network, x, y, start=first, frozen="0", statistics=statistics, **OPTIONS
        ).model
        assert same_bits(again.states, first.states)


@pytest.mark.parametrize(
    ("frozen", "statistics"),
    [("1.*", "running"), ("1.*", "exact"), (("1.weight", "?.bias"), "running")],
)
def test_a_layer_whose_parameters_are_all_frozen_is_in_use(frozen, statistics):
    network = tw.Sequential(tw.Linear(4), tw.BatchNorm1d(), tw.Linear(1))
    options = {**OPTIONS, "epochs": 1, "statistics": statistics}
    run = tw.fit(network, X, Y, frozen=frozen, **options)
    np.testing.assert_array_equal(run.model.states["1.mean"], np.zeros(4))
    np.testing.assert_array_equal(run.model.states["1.variance"], np.ones(4))
    some = tw.fit(network, X, Y, frozen="1.bias", **options).model
    assert (some.states["1.mean"] != 0).all()


def test_what_has_no_parameters_is_in_use_with_the_layer_around_it():
    inner = (tw.Linear(4), tw.BatchNorm1d(scale=False, shift=False), tw.Dropout(0.5))
    network = tw.Sequential(tw.Sequential(*inner), tw.Linear(1))
    options = {**OPTIONS, "epochs": 2, "shuffle": False}
    by_layer, by_name = (
        tw.fit(network, X, Y, frozen=frozen, **options).model for frozen in ("0", "0.0.weight")
    )
    assert same_bits(by_layer.parameters, by_name.parameters)
    assert same_bits(by_layer.states, by_name.states)
    flat = tw.Sequential(*inner, tw.Linear(1))
    moved = tw.fit(flat, X, Y, frozen="0.weight", **options).model
    assert (moved.states["1.mean"] != 0).all()


def test_front_layers_learn_from_training_rows_only():
    x, y = line(rows=50)
    x = x * 3 + 7
    x[4, 1] = np.nan
    network = tw.Sequential(tw.Impute(), tw.Standardise(), tw.Linear(1))
    own = (x[:10], y[:10])
    model = tw.fit(network, x[10:], y[10:], validation=own, **OPTIONS).model
    np.testing.assert_allclose(model.states["1.mean"], x[10:].mean(0), rtol=1e-12)
    np.testing.assert_allclose(model.states["1.scale"], x[10:].std(0), rtol=1e-12)
    assert np.isfinite(model.predict(x)).all()
    with pytest.raises(DataError, match="nan"):
        tw.fit(tw.Sequential(tw.Linear(1)), x, y, **OPTIONS)
    tuned = tw.fit(network, x[:20] * 2, y[:20], start=model, **OPTIONS).model
    assert same_bits(tuned.states, model.states)


# ------------------------------------------------------------------ what the run reports


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 2},
        {"optimizer": "nadam"},
        {"optimizer": "adam", "accumulate": 3, "average": EMA(0.9)},
    ],
    ids=["accumulated", "nadam", "averaged"],
)
def test_the_training_loss_of_single_precision_is_the_interpreters(options):
    x, y = blobs()
    losses = {
        backend: tw.fit(
            classifier(), x, y, epochs=3, progress=False, seed=1, backend=backend, **options
        ).history["train_loss"]
        for backend in ("native", "interpreter")
    }
    assert (losses["native"] > 0.01).all()
    np.testing.assert_allclose(losses["native"], losses["interpreter"], rtol=1e-3)


def test_mixup_of_missing_values_is_refused():
    network = tw.Sequential(tw.Impute(), tw.Linear(1))
    whole = tw.fit(network, X, Y, augment=Mixup(0.2), **OPTIONS)
    assert np.isfinite(whole.history["train_loss"]).all()
    x = X.copy()
    x[3] = np.nan
    with pytest.raises(SettingError, match="mixes rows before missing values are filled"):
        tw.fit(network, x, Y, augment=Mixup(0.2), **OPTIONS)
