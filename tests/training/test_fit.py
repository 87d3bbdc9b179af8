"""Fitting: what is learned, what is reported, that a seed fixes every bit."""

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.graph import Tensor
from thalweg.optim.optimizers import SGD, Adam
from thalweg.optim.schedules import Cosine
from thalweg.training.stopping import EarlyStopping


def fit(net, x, y, **options):
    return tw.fit(net, x, y, **{"progress": False, "epochs": 4, "batch_size": 16, **options})


def test_blobs_are_learned_and_labels_keep_their_type():
    x, y = blobs()
    names = np.array(["left", "right", "up"])[y]
    run = fit(classifier(), x, names, epochs=40, optimizer=tw.Adam(1e-2))
    assert np.mean(run.model.predict(x) == names) > 0.97
    probabilities = run.model.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert run.model.classes == ("left", "right", "up")
    assert run.history["train_loss"].shape == (40,)


def test_least_squares_is_reached():
    x, y = line()
    run = fit(tw.Sequential(tw.Linear(1)), x, y, epochs=400, optimizer=SGD(0.1), dtype="float64",
              batch_size=64)  # fmt: skip
    design = np.column_stack([x, np.ones(len(x))])
    exact = np.linalg.lstsq(design, y, rcond=None)[0]
    found = np.append(run.model.parameters["0.weight"][:, 0], run.model.parameters["0.bias"])
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    assert run.model.predict(x).shape == (64,)


def test_one_step_of_each_batch_is_gradient_descent_by_hand():
    x, y = line(rows=5)
    start = tw.initialise(tw.Linear(1), 3, seed=0, dtype="float64")
    run = fit(tw.Linear(1), x, y, epochs=1, optimizer=SGD(0.1), dtype="float64", batch_size=2,
              shuffle=False)  # fmt: skip
    weight, bias = start["weight"][:, 0], start["bias"][0]
    losses = []
    for rows in ([0, 1], [2, 3], [4]):
        error = x[rows] @ weight + bias - y[rows]
        losses.append(np.mean(error**2) * len(rows))
        weight = weight - 0.1 * 2 * x[rows].T @ error / len(rows)
        bias = bias - 0.1 * 2 * np.mean(error)
    np.testing.assert_allclose(run.model.parameters["weight"][:, 0], weight, rtol=1e-12)
    np.testing.assert_allclose(run.model.parameters["bias"][0], bias, rtol=1e-12)
    np.testing.assert_allclose(run.history["train_loss"], [sum(losses) / 5], rtol=1e-12)
    assert run.timing.updates == 3


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    x, y = blobs()
    runs = [fit(classifier(), x, y, seed=seed, validation=0.2) for seed in (1, 1, 2)]
    assert same_bits(runs[0].model.parameters, runs[1].model.parameters)
    assert runs[0].history["validation_loss"].tobytes() == (
        runs[1].history["validation_loss"].tobytes()
    )
    assert not same_bits(runs[0].model.parameters, runs[2].model.parameters)


def test_integer_rows_train_like_their_float_values():
    x, y = blobs()
    whole = np.round(10 * x).astype("int32")
    first = fit(classifier(), whole, y)
    second = fit(classifier(), whole.astype("float32"), y)
    assert same_bits(first.model.parameters, second.model.parameters)


def test_a_weight_of_two_is_a_row_twice():
    x, y = line(rows=8)
    weights = np.array([2.0, 1, 1, 1, 1, 1, 1, 1])
    options = {"epochs": 3, "optimizer": SGD(0.05), "dtype": "float64", "shuffle": False}
    weighted = fit(tw.Linear(1), x, y, sample_weight=weights, batch_size=8, **options)
    doubled = fit(tw.Linear(1), x[[0, *range(8)]], y[[0, *range(8)]], batch_size=9, **options)
    for path, value in weighted.model.parameters.items():
        np.testing.assert_allclose(value, doubled.model.parameters[path], rtol=1e-12)
    np.testing.assert_allclose(
        weighted.history["train_loss"], doubled.history["train_loss"], rtol=1e-12
    )


def test_validation_numbers_are_those_of_the_model():
    x, y = blobs()
    run = fit(classifier(), x[:90], y[:90], validation=(x[90:], y[90:]))
    probabilities = run.model.predict_proba(x[90:])
    loss = -np.mean(np.log(probabilities[np.arange(30), y[90:]]))
    np.testing.assert_allclose(run.history["validation_loss"][-1], loss, rtol=1e-5)
    accuracy = np.mean(run.model.predict(x[90:]) == y[90:])
    np.testing.assert_allclose(run.history["validation_accuracy"][-1], accuracy)


def test_early_stopping_restores_the_best_epoch():
    x, y = blobs(rows=60)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 3, 60)
    run = fit(
        classifier(rate=0.0), x, noise, validation=(x, y), epochs=200, optimizer=Adam(0.02),
        early_stopping=EarlyStopping(patience=3),
    )  # fmt: skip
    losses = run.history["validation_loss"]
    assert run.stop_reason == "early stopping"
    assert run.best_epoch == np.argmin(losses) + 1 == len(losses) - 3
    probabilities = run.model.predict_proba(x)
    best = -np.mean(np.log(probabilities[np.arange(60), y]))
    np.testing.assert_allclose(best, losses.min(), rtol=1e-5)


def test_two_classes_train_with_one_output_or_two():
    x, y = blobs(classes=2)
    for outputs, loss in ((1, "binary_cross_entropy"), (2, "cross_entropy")):
        run = fit(classifier(outputs), x, y == 1, loss=loss, epochs=40, optimizer=Adam(0.02))
        assert run.model.classes == (False, True)
        assert np.mean(run.model.predict(x) == (y == 1)) > 0.97
        assert run.model.predict_proba(x).shape == (120, 2)


def test_several_labels_are_several_logistic_outputs():
    x, y = blobs()
    labels = np.stack([y == 0, y != 1], axis=1).astype(float)
    run = fit(classifier(2), x, labels, loss="binary_cross_entropy", epochs=60,
              optimizer=Adam(0.02))  # fmt: skip
    assert np.mean(run.model.predict(x) == labels) > 0.97


def test_a_function_is_a_network_and_a_function_is_a_loss():
    def network(x, scope):
        hidden = tw.relu(scope.apply("hidden", tw.Linear(8), x))
        return scope.apply("out", tw.Linear(1), hidden)

    def loss(outputs, targets):
        return (outputs - targets) ** 2

    x, y = line()
    run = fit(network, x, y, loss=loss, epochs=60, optimizer=Adam(0.02))
    assert set(run.model.parameters) == {
        "hidden.weight", "hidden.bias", "out.weight", "out.bias",
    }  # fmt: skip
    assert np.mean((run.model.predict(x) - y) ** 2) < 0.2 * np.var(y)


def test_changing_a_number_changes_no_graph():
    from thalweg.training.recipe import Recipe, initial_slots
    from thalweg.training.step import Batch, State, StepGraph

    x, y = blobs()
    parameters = tw.initialise(classifier(), 2)
    texts = set()
    for rate, dropout in ((1e-3, 0.1), (0.5, 0.7)):
        recipe = Recipe(classifier(rate=dropout), tw.CrossEntropy(), Adam(rate))
        state = State(parameters, initial_slots(recipe, parameters), {}, 0)
        texts.add(str(StepGraph(recipe, state, Batch(x[:16], y[:16])).graph))
    assert len(texts) == 1
    assert "network.layers.2.rate" in texts.pop()


def test_callbacks_see_each_epoch_and_may_stop():
    x, y = blobs()
    seen = []

    def watch(epoch):
        seen.append((epoch.number, epoch.step, sorted(epoch.values)))
        return epoch.number == 2

    run = fit(classifier(), x, y, callbacks=[watch])
    assert [item[:2] for item in seen] == [(1, 8), (2, 16)]
    assert seen[0][2] == ["learning_rate", "train_loss"]
    assert run.stop_reason == "callback"


def test_a_schedule_spans_the_run():
    x, y = blobs()
    run = fit(classifier(), x, y, optimizer=Adam(Cosine(0.1)), epochs=4)
    updates = 4 * 8
    expected = [0.05 * (1 + np.cos(np.pi * (8 * k - 1) / updates)) for k in range(1, 5)]
    np.testing.assert_allclose(run.history["learning_rate"], expected, rtol=1e-12)


def test_clipping_bounds_the_update():
    x, y = line()
    run = fit(tw.Linear(1), x, y * 1e6, epochs=1, optimizer=SGD(1.0), clip=0.5, batch_size=64,
              dtype="float64")  # fmt: skip
    start = tw.initialise(tw.Linear(1), 3, dtype="float64")
    moved = np.concatenate([
        (run.model.parameters[path] - start[path]).ravel() for path in start
    ])  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(moved), 0.5, rtol=1e-9)


def test_results_do_not_depend_on_the_number_of_blas_threads():
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(256, 300)).astype("float32"), rng.integers(0, 3, 256)
    net = tw.Sequential(tw.Linear(300), tw.ReLU(), tw.Linear(3))
    runs = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            runs.append(fit(net, x, y, batch_size=256, epochs=2).model.parameters)
    assert same_bits(*runs)


def test_eager_and_traced_evaluation_agree():
    x, y = blobs()
    model = fit(classifier(), x, y).model
    eager = tw.apply_network(model.network, model.parameters, Tensor(x)).numpy()
    np.testing.assert_allclose(model.outputs(x), eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 1024, 1025, 2500])
def test_predictions_do_not_depend_on_the_batching(rows):
    x, y = blobs()
    model = fit(classifier(), x, y).model
    many = np.resize(x, (rows, 2))
    whole = model.outputs(many)
    np.testing.assert_allclose(whole[-1], model.outputs(many[-1:])[0], rtol=1e-5, atol=1e-6)
    assert len(model.predict(many)) == rows


def test_a_loss_function_serves_for_classes(tmp_path):
    def focal(outputs, targets):
        losses = tw.CrossEntropy().values(outputs, targets)
        return losses * tw.square(1.0 - tw.exp(-losses))

    x, y = blobs()
    names = np.array(["left", "right", "up"])[y]
    model = fit(classifier(), x, names, loss=focal, epochs=40, optimizer=Adam(0.02)).model
    assert np.mean(model.predict(x) == names) > 0.97
    model.save(tmp_path / "m.safetensors")
    loaded = tw.load(tmp_path / "m.safetensors")
    assert loaded.predict_proba(x).tobytes() == model.predict_proba(x).tobytes()


def test_a_callback_may_answer_with_numpy_and_cannot_change_the_weights():
    x, y = blobs()
    assert fit(classifier(), x, y, callbacks=[lambda e: np.float64(1) > 0]).stop_reason == (
        "callback"
    )

    def meddle(epoch):
        epoch.parameters["0.weight"][0, 0] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        fit(classifier(), x, y, callbacks=[meddle])


def test_runs_and_models_are_shown_in_a_line():
    x, y = blobs()
    run = fit(classifier(), x, y)
    assert len(repr(run)) < 300
    assert repr(run.model) == "Model(Sequential, 123 parameters, input (2,), 3 classes)"


@tw.register("layer", "test_gain")
class Gain(tw.Layer):
    """One trained number times the input."""

    def forward(self, x, scope):
        return x * scope.parameter("gain", (), tw.Constant(1.0))


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adam"])
def test_a_single_number_can_be_a_parameter(name):
    x, y = line()
    run = fit(tw.Sequential(tw.Linear(1), Gain()), x, y, optimizer=name)
    assert run.model.parameters["1.gain"].dtype == np.float32
    assert run.model.parameters["1.gain"] != 1.0


def test_rare_labels_keep_their_share_of_the_validation_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = np.arange(200) < 10
    for loss, outputs in (("binary_cross_entropy", 1), ("cross_entropy", 2)):
        for seed in range(4):
            shown = []

            def watch(epoch, shown=shown):
                shown.append(epoch.values["validation_accuracy"])

            net = tw.Sequential(tw.Linear(outputs, weight=tw.Zeros()))
            fit(net, x, y, loss=loss, validation=0.2, epochs=1, seed=seed,
                optimizer=SGD(0.0), callbacks=[watch])  # fmt: skip
            assert shown[0] in {0.95, 0.05}


def test_fits_in_threads_leave_the_process_as_it_was():
    import threading

    from threadpoolctl import threadpool_info

    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    x, y = blobs()
    before = threads()
    results = []
    workers = [
        threading.Thread(target=lambda n=n: results.append(fit(classifier(), x, y, epochs=n)))
        for n in (3, 30)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 2
    assert threads() == before


def test_an_epoch_whose_validation_is_nan_is_never_the_best():
    from thalweg.training.stopping import Best

    assert not Best().falls(np.nan, 0.0)
    assert Best().falls(np.inf, 0.0)
    best = Best(2, 3.0)
    assert [best.falls(value, 0.5) for value in (2.4, 2.5, 3.0, np.nan)] == [True] + 3 * [False]
