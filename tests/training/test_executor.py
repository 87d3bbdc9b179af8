"""What the loop asks of an executor: any backend that keeps its arrays to itself will do."""

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line, same_bits

import thalweg as tw
from thalweg.errors import NonFiniteError
from thalweg.ops.random import key_from_seed, permutation
from thalweg.optim.optimizers import SGD, Adam
from thalweg.training.backends import BACKENDS
from thalweg.training.executor import Executor, InterpreterExecutor, Stretch, Sums, gathered
from thalweg.training.history import Display
from thalweg.training.job import SHUFFLE, Job, Rows
from thalweg.training.recipe import Recipe
from thalweg.training.step import State

X, Y = blobs(rows=40)
OPTIONS = {"batch_size": 12, "epochs": 6, "seed": 3, "progress": False, "optimizer": Adam(0.05)}


def make_job(rows=40, batch_size=12, weights=None, **options):
    data = Rows(X[:rows], Y[:rows], weights)
    return Job(Recipe(classifier(), tw.CrossEntropy(), Adam()), data, 3, batch_size, 3, **options)


class InPlace:
    """Writes each step over the same arrays, and ends a stretch after three steps.

    Attributes:
        made: the executor that was made last.
        calls: what the loop asked for.
    """

    made: "InPlace"

    def __init__(self, job):
        self.inner = InterpreterExecutor(job)
        self.calls = []
        InPlace.made = self

    def prepare(self, state):
        self.calls.append("prepare")
        self.inner.prepare(state)

    def load(self, state):
        self.calls.append("load")
        self.inner.load(copied(state))

    def adjust(self, settings):
        self.inner.adjust(settings)

    def run(self, steps, sums, seconds):
        before = self.inner.state()
        stretch = self.inner.run(steps[:3], sums, seconds=60.0)
        self.calls.append(stretch.steps)
        after = self.inner.state()
        for old, new in zip(before[:3], after[:3], strict=True):
            for path, value in new.items():
                old[path][...] = value
        self.inner.load(State(*before[:3], after.step))
        return stretch

    def state(self, last=False):
        self.calls.append("state")
        return copied(self.inner.state())

    def evaluate(self, x, states=None):
        self.calls.append("evaluate")
        return self.inner.evaluate(x, states)


def copied(state):
    parts = ({path: value.copy() for path, value in part.items()} for part in state[:3])
    return State(*parts, state.step)


@pytest.fixture
def in_place(monkeypatch):
    monkeypatch.setitem(BACKENDS, "in place", InPlace)
    return "in place"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"validation": 0.25, "early_stopping": 2, "epochs": 30},
        {"sample_weight": np.linspace(0, 2, 40), "shuffle": False},
        {"callbacks": [lambda epoch: epoch.number == 4], "clip": 0.5},
    ],
)
def test_another_executor_gives_the_same_run(options, in_place):
    first = tw.fit(classifier(), X, Y, **{**OPTIONS, **options}, backend="interpreter")
    second = tw.fit(classifier(), X, Y, **{**OPTIONS, **options}, backend=in_place)
    assert same_bits(first.model.parameters, second.model.parameters)
    assert same_bits(first.history, second.history)
    assert (first.stop_reason, first.best_epoch) == (second.stop_reason, second.best_epoch)
    assert first.timing.updates == second.timing.updates


def test_nobody_asks_for_the_state_before_the_end(in_place):
    tw.fit(classifier(), X, Y, **OPTIONS, backend=in_place)
    assert InPlace.made.calls == ["prepare", "load", *[3] * 8, "state"]


def test_the_display_is_alive_while_programs_are_made(in_place):
    class Watched(Display):
        def start(self, epochs, title):
            assert InPlace.made.calls == []
            self.started = True

        def close(self):
            self.closed = True

    class Breaks(Exception):
        pass

    def loss(outputs, targets):
        if display.started:
            raise Breaks
        return outputs

    display = Watched()
    display.started = False
    with pytest.raises(Breaks):
        tw.fit(classifier(), X, Y, loss=loss, **{**OPTIONS, "progress": display}, backend=in_place)
    assert InPlace.made.calls == ["prepare"]
    assert display.closed


def test_each_epoch_asks_once_for_whoever_looks(in_place, tmp_path):
    seen = []
    tw.fit(
        classifier(), X, Y, **{**OPTIONS, "epochs": 2}, backend=in_place, validation=0.25,
        callbacks=[seen.append, seen.append], checkpoint=tmp_path / "run.checkpoint",
    )  # fmt: skip
    epoch = [3, "evaluate", "state"]
    assert InPlace.made.calls == ["prepare", "load", *epoch, *epoch]
    assert not same_bits(seen[0].parameters, seen[2].parameters)


def test_best_weights_are_kept_while_training_goes_on(in_place):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 3, 40)
    kept = {}

    def note(epoch):
        kept[epoch.number] = {path: value.copy() for path, value in epoch.parameters.items()}

    run = tw.fit(
        classifier(rate=0.0), X, noise, **{**OPTIONS, "epochs": 100}, validation=(X, Y),
        early_stopping=3, callbacks=[note], backend=in_place,
    )  # fmt: skip
    assert run.best_epoch == len(kept) - 3
    assert same_bits(run.model.parameters, kept[run.best_epoch])


def test_a_checkpoint_of_one_backend_serves_another(in_place, tmp_path):
    path = tmp_path / "run.checkpoint"
    options = {**OPTIONS, "checkpoint": path, "checkpoint_every_updates": 1}
    apart = {**options, "checkpoint": tmp_path / "whole.checkpoint"}
    whole = tw.fit(classifier(), X, Y, **apart, backend="interpreter")

    class Cut(Exception):
        pass

    class CutAfter(Display):
        def update(self, progress):
            if progress.step >= 6:
                raise Cut

    with pytest.raises(Cut):
        tw.fit(classifier(), X, Y, **{**options, "progress": CutAfter()}, backend=in_place)
    again = tw.fit(classifier(), X, Y, **options, resume=True, backend=in_place)
    assert same_bits(again.model.parameters, whole.model.parameters)
    assert same_bits(again.history, whole.history)


def test_a_step_that_fails_is_undone_and_explained(in_place):
    x, y = line()
    messages = []
    for backend in ("interpreter", in_place):
        with pytest.raises(NonFiniteError) as caught:
            tw.fit(tw.Linear(1), x, y * 1e20, optimizer=SGD(1e3), epochs=50, batch_size=16,
                   progress=False, backend=backend)  # fmt: skip
        run = caught.value.run
        assert all(np.isfinite(value).all() for value in run.model.parameters.values())
        assert len(run.history.rows) == run.timing.updates // 4
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_state_must_be_loaded_first():
    executor: Executor = InterpreterExecutor(make_job())
    with pytest.raises(RuntimeError, match="load"):
        executor.state()


# ---------------------------------------------------------------------- sums and batches


@pytest.mark.parametrize("weights", [None, np.linspace(0, 1, 40, dtype="float32")])
def test_sums_have_the_same_bits_however_a_run_is_cut(weights):
    job = make_job(weights=weights)
    losses = np.random.default_rng(0).random(11).tolist()
    whole = gathered(job, 0, losses, Sums())
    assert (whole.steps, len(whole.epochs)) == (11, 2)
    for cut in range(12):
        first = gathered(job, 0, losses[:cut], Sums())
        second = gathered(job, cut, losses[cut:], first.sums, failed=True)
        assert (*first.epochs, *second.epochs) == whole.epochs
        assert second.sums == whole.sums
        assert second.failed


def test_an_epochs_loss_is_the_mean_over_its_rows():
    job = make_job()
    stretch = gathered(job, 0, [1.0, 2.0, 3.0, 10.0], Sums())
    assert stretch == Stretch(4, (Sums(12 * 6.0 + 4 * 10.0, 40.0),), Sums())
    assert stretch.epochs[0].mean == (12 * 6 + 4 * 10) / 40
    assert Sums().mean == 0.0


def test_weights_of_batches_are_their_rows_or_the_rows_weights():
    job = make_job()
    assert job.lengths == (12, 4)
    assert job.weights(range(4, 8)) == [12.0, 12.0, 12.0, 4.0]
    assert job.weights(range(5, 7)) == [12.0, 12.0]
    assert make_job(rows=36).lengths == (12,)
    weights = np.arange(40, dtype="float32")
    weighted = make_job(weights=weights, shuffle=False)
    assert weighted.weights(range(3, 4)) == [36.0 + 37 + 38 + 39]


def test_batches_follow_the_order_of_their_epoch():
    job = make_job()
    order = permutation(key_from_seed(3, SHUFFLE, 1), 40)
    np.testing.assert_array_equal(job.places(4), order[:12])
    np.testing.assert_array_equal(job.places(7), order[36:])
    np.testing.assert_array_equal(job.batch(7).x, X[order[36:]])
    np.testing.assert_array_equal(make_job(shuffle=False).places(5), np.arange(12, 24))


def test_many_sums_at_once_have_the_bits_of_one_after_the_other():
    job = make_job()
    losses = np.random.default_rng(1).random(303) * 10.0 ** np.arange(-150, 153)
    losses[8:16] = [-0.0] * 4 + [1e308] * 4
    one_by_one = Sums()
    epochs = []
    for step, loss in enumerate(losses.tolist()):
        one_by_one = one_by_one.plus([loss], job.weights(range(step, step + 1)))
        if step % 4 == 3:
            epochs.append(one_by_one)
            one_by_one = Sums()
    whole = gathered(job, 0, losses, Sums())
    assert repr(whole.epochs) == repr(tuple(epochs))
    assert whole.sums == one_by_one
    first = gathered(job, 0, losses[:130].tolist(), Sums())
    second = gathered(job, 130, losses[130:], first.sums)
    assert repr((*first.epochs, *second.epochs)) == repr(whole.epochs)
