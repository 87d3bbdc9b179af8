"""Training as one program: the interpreter's numbers, and the same bits however it is run."""

import subprocess
import sys

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, same_bits

import thalweg as tw
from thalweg.compiler.native.engine import COMPILATIONS
from thalweg.errors import NonFiniteError, ShapeError
from thalweg.training import snapshot, thread_choice, validation
from thalweg.training.executor import Sums
from thalweg.training.job import Job, Rows
from thalweg.training.native import NativeExecutor
from thalweg.training.recipe import Recipe, initial_slots
from thalweg.training.step import State
from thalweg.training.thread_choice import ThreadChoice

X, Y = blobs(rows=70)
OPTIONS = {"epochs": 4, "batch_size": 16, "seed": 3, "progress": False}


@pytest.fixture(autouse=True)
def backend():
    """These tests name their backends."""


def wide(width=128):
    return tw.Sequential(
        tw.Linear(width), tw.Tanh(), tw.Dropout(0.2), tw.Linear(width), tw.ReLU(), tw.Linear(3)
    )


def same_run(first, second):
    same_history = all(
        first.history[name].tobytes() == second.history[name].tobytes() for name in first.history
    )
    return same_history and same_bits(first.model.parameters, second.model.parameters)


# ------------------------------------------------------------------ against the interpreter


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": tw.Adam(0.01)},
        {"optimizer": tw.SGD(0.1), "clip": 0.5},
        {"optimizer": tw.Momentum(0.05), "sample_weight": np.linspace(0, 2, 70)},
        {"optimizer": tw.Nesterov(0.05), "validation": 0.2, "shuffle": False},
        {"optimizer": tw.Adam(tw.WarmUp(tw.Cosine(0.02), length=3)), "batch_size": 70},
        {"batch_size": 1, "epochs": 1},
    ],
)
def test_losses_and_weights_are_the_interpreters(options, dtype):
    runs = [
        tw.fit(wide(8), X, Y, **{**OPTIONS, **options, "dtype": dtype}, backend=backend)
        for backend in ("native", "interpreter")
    ]
    tolerance = 2e-4 if dtype == "float32" else 1e-9
    for name in runs[1].history:
        np.testing.assert_allclose(runs[0].history[name], runs[1].history[name], rtol=tolerance)
    for path, value in runs[1].model.parameters.items():
        atol = tolerance * np.abs(value).max()
        np.testing.assert_allclose(runs[0].model.parameters[path], value, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "bool"])
def test_rows_of_every_type_are_read(dtype):
    x = (X * 10).astype(dtype)
    runs = [
        tw.fit(classifier(), x, Y, **OPTIONS, backend=backend)
        for backend in ("native", "interpreter")
    ]
    np.testing.assert_allclose(
        runs[0].history["train_loss"], runs[1].history["train_loss"], rtol=1e-4
    )


def test_a_network_that_looks_up_refuses_a_wrong_index():
    def network(x, scope):
        table = scope.parameter("table", (5, 3), tw.Normal(0.1))
        return tw.take(table, x[:, 0].astype("int64"))

    x = np.arange(12.0)[:, None] % 5
    options = {"epochs": 1, "batch_size": 1, "progress": False, "shuffle": False}
    tw.fit(network, x, Y[:12], **options)
    x[7] = 5
    with pytest.raises(ShapeError, match=r"index 5 is outside an axis of 5 elements"):
        tw.fit(network, x, Y[:12], **options)


# ------------------------------------------------------------------ the same bits


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads):
    options = {**OPTIONS, "clip": 1.0, "validation": 0.2}
    x = np.random.default_rng(0).normal(size=(300, 200)).astype("float32")
    y = np.arange(300) % 3
    options["batch_size"] = 120
    one = tw.fit(wide(256), x, y, **options, threads=1)
    assert same_run(tw.fit(wide(256), x, y, **options, threads=threads), one)


@pytest.mark.parametrize("arrange", ["slice", "fortran", "reversed", "mapped", "repeated"])
def test_rows_are_read_as_they_lie(arrange, tmp_path):
    big = np.random.default_rng(1).normal(size=(70, 9)).astype("float32")
    np.save(tmp_path / "rows.npy", big)
    x = {
        "slice": big[:, 2:6],
        "fortran": np.asfortranarray(big[:, 2:6]),
        "reversed": big[::-1, 2:6],
        "mapped": np.load(tmp_path / "rows.npy", mmap_mode="r")[:, 2:6],
        "repeated": np.broadcast_to(big[:1, 2:6], (70, 4)),
    }[arrange]
    expected = tw.fit(classifier(), x.copy(), Y, **OPTIONS)
    assert same_run(tw.fit(classifier(), x, Y, **OPTIONS), expected)


@pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 70)])
def test_rows_that_are_split_off_stay_where_they_are(monkeypatch, weights):
    options = {**OPTIONS, "validation": 0.3, "sample_weight": weights}
    expected = tw.fit(classifier(), X, Y, **options)
    monkeypatch.setattr(validation, "_COPIED", 0)
    assert same_run(tw.fit(classifier(), X, Y, **options), expected)
    interpreted = tw.fit(classifier(), X, Y, **options, backend="interpreter")
    np.testing.assert_allclose(
        interpreted.history["validation_loss"], expected.history["validation_loss"], rtol=1e-4
    )


def executor(batch=16, rows=70):
    network = classifier()
    model = tw.fit(network, X[:rows], Y[:rows], epochs=1, batch_size=rows, progress=False).model
    recipe = Recipe(network, model.loss, tw.Adam(0.01))
    parameters = {path: value.copy() for path, value in model.parameters.items()}
    job = Job(recipe, Rows(X[:rows], Y[:rows], None), 5, batch, seed=1)
    found = NativeExecutor(job)
    state = State(parameters, initial_slots(recipe, parameters), {}, 0)
    found.prepare(state)
    found.load(state)
    return found


def test_stretches_of_any_length_give_the_same_state():
    whole, pieces = executor(), executor()
    expected = whole.run(range(25), Sums(), 60.0)
    sums, done = Sums(), 0
    epochs = []
    for length in (1, 2, 5, 1, 9, 7):
        stretch = pieces.run(range(done, done + length), sums, 60.0)
        done, sums = done + stretch.steps, stretch.sums
        epochs += stretch.epochs
    assert (expected.steps, done) == (25, 25)
    assert tuple(epochs) == expected.epochs
    assert same_bits(whole.state().parameters, pieces.state().parameters)
    assert same_bits(whole.state().slots, pieces.state().slots)


def test_a_stretch_ends_in_time_and_does_at_least_one_step():
    assert executor().run(range(25), Sums(), 0.0).steps == 1


def test_the_exported_state_stays_as_it_was():
    found = executor()
    found.run(range(3), Sums(), 60.0)
    state = found.state()
    before = {path: value.copy() for path, value in state.parameters.items()}
    found.run(range(3, 9), Sums(), 60.0)
    assert same_bits(state.parameters, before)


def test_a_second_run_compiles_nothing():
    tw.fit(classifier(), X, Y, **OPTIONS)
    before = COMPILATIONS.count
    other = {**OPTIONS, "seed": 9, "optimizer": tw.Adam(0.5, beta1=0.5), "epochs": 2}
    tw.fit(classifier(), X, Y, **other)
    assert before == COMPILATIONS.count


# ------------------------------------------------------------------ going back


@pytest.mark.parametrize("in_memory", [2**26, 0])
def test_a_step_that_fails_is_undone_to_the_bit(monkeypatch, in_memory):
    monkeypatch.setattr(snapshot, "_IN_MEMORY", in_memory)
    options = {**OPTIONS, "optimizer": tw.SGD(1e3), "epochs": 50}
    x = X * 1e3
    with pytest.raises(NonFiniteError) as caught:
        tw.fit(classifier(), x, Y, **options)
    run = caught.value.run
    updates = run.timing.updates
    assert updates > 0
    states = []
    tw.fit(
        classifier(), x, Y, **{**options, "epochs": 1, "batch_size": 70}, callbacks=[states.append]
    )
    found = executor_of(options, x)
    found.run(range(updates), Sums(), 60.0)
    assert same_bits(found.state().parameters, run.model.parameters)
    stretch = found.run(range(updates, updates + 1), Sums(), 60.0)
    assert stretch.failed
    assert stretch.steps == 0
    assert same_bits(found.state().parameters, run.model.parameters)


def test_the_rows_of_a_failed_step_are_found_again_in_a_weighted_run():
    x = X.copy()
    x[33] = 1e3

    def network(x, scope):
        return scope.apply("out", tw.Linear(3), tw.exp(x))

    options = {**OPTIONS, "optimizer": tw.SGD(0.1), "batch_size": 1}
    messages = []
    for backend in ("native", "interpreter"):
        with pytest.raises(NonFiniteError) as caught:
            tw.fit(
                network, x, Y, **options, sample_weight=np.linspace(1, 2, 70), backend=backend
            )  # fmt: skip
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "operation exp gave NaN or infinity from finite inputs up to 1e+03" in messages[0]


def executor_of(options, x):
    from thalweg.nn.layer import initialise
    from thalweg.training.targets import fit_targets

    network = classifier()
    code = fit_targets(Y, None, (3,), np.dtype("float32"), None)
    parameters = initialise(network, x.shape[1:], options["seed"], np.dtype("float32"))
    recipe = Recipe(network, code.loss, options["optimizer"])
    rows = Rows(x, code.encode(Y), None)
    job = Job(recipe, rows, options["epochs"], options["batch_size"], options["seed"])
    found = NativeExecutor(job)
    state = State(parameters, initial_slots(recipe, parameters), {}, 0)
    found.prepare(state)
    found.load(state)
    return found


# ------------------------------------------------------------------ threads and memory


def test_the_faster_number_of_threads_is_kept(monkeypatch):
    monkeypatch.setattr(thread_choice, "cores", lambda: 4)
    choice = ThreadChoice()
    choice.allow(True, None)
    speeds = {1: 100.0, 4: 250.0}
    for _ in range(10):
        choice.note(choice.now, speeds[choice.now], 0.01)
    assert (choice.now, choice.is_open) == (4, False)
    speeds[4] = 50.0
    for _ in range(900):
        choice.note(choice.now, speeds[choice.now], 0.01)
    assert choice.now == 1


def test_long_steps_are_tried_once_each(monkeypatch):
    monkeypatch.setattr(thread_choice, "cores", lambda: 4)
    for fast, wanted in ((30.0, 4), (9.0, 1)):
        choice = ThreadChoice()
        choice.allow(True, None)
        tried = []
        for _ in range(3):
            tried.append(choice.now)
            rates = {1: 10.0, 4: fast if tried.count(4) > 1 else 1.0}
            choice.note(choice.now, rates[choice.now], 0.1)
        assert (tried, choice.now, choice.is_open) == ([4, 4, 1], wanted, False)


def test_a_later_run_begins_with_several_threads_where_they_were_faster(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(thread_choice.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(thread_choice, "_found", thread_choice._Found(most=2))
    for program, speed in ((b"slow", 5.0), (b"fast", 50.0)):
        choice = ThreadChoice()
        choice.allow(True, 4, program)
        while choice.is_open:
            choice.note(choice.now, speed if choice.now > 1 else 10.0, 0.1)
    choice.allow(True, 4, b"fast")
    assert (choice.now, choice.is_open) == (4, False)
    for program, most in ((b"slow", 4), (b"fast", 3), (None, 4)):
        choice.allow(True, most, program)
        assert choice.is_open
    now[0] += 31.0
    choice.allow(True, 4, b"fast")
    assert choice.is_open


def test_several_threads_are_tried_again_soon_after_one_has_won():
    choice = ThreadChoice()
    choice.allow(True, 2)
    tried = []
    for moment in range(1200):
        if choice.is_open and (not tried or moment > tried[-1] + 50):
            tried.append(moment)
        choice.note(choice.now, 10.0 if choice.now == 1 else 5.0, 0.01)
    waits = np.diff(tried)
    np.testing.assert_array_less(np.abs(waits - [108, 208, 408]), 5)


def test_threads_are_at_most_those_asked_for():
    choice = ThreadChoice()
    choice.allow(True, 1)
    assert (choice.now, choice.is_open) == (1, False)
    choice.allow(False, 8)
    assert not choice.is_open


MEMORY = """
import resource, sys
import numpy as np
import thalweg as tw
from thalweg.compiler.native.program import NativeProgram
new_arena, taken = NativeProgram.new_arena, []
NativeProgram.new_arena = lambda program: taken.append(program.facts.arena_bytes) or (
    new_arena(program))
x = np.random.default_rng(0).normal(size=(64, 3000)).astype("float32")
y = np.arange(64) % 10
tw.fit(tw.Sequential(tw.Linear(10)), x, y, epochs=1, progress=False)
small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
taken.clear()
net = tw.Sequential(tw.Linear(4000), tw.ReLU(), tw.Linear(4000), tw.ReLU(), tw.Linear(10))
run = tw.fit(net, x, y, epochs=2, batch_size=32, progress=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - small
state = 3 * sum(value.nbytes for value in run.model.parameters.values())
print(peak / (state + sum(taken)))
"""


@pytest.mark.soak
def test_a_large_network_takes_little_more_than_state_and_arena():
    result = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) < 1.3
