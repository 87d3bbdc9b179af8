"""Resuming: bit for bit the run that was never stopped, from every step, in a new process too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, same_bits

import thalweg as tw
from thalweg.errors import FileError, SettingError
from thalweg.optim.optimizers import Adam, Momentum
from thalweg.optim.schedules import Cosine, WarmUp
from thalweg.training.history import Display

X, Y = blobs(rows=40)
OPTIONS = {
    "optimizer": Adam(WarmUp(Cosine(0.05), length=4)),
    "batch_size": 12,
    "epochs": 3,
    "validation": 0.25,
    "early_stopping": 5,
    "clip": 0.5,
    "seed": 3,
    "checkpoint_every_updates": 1,
    "progress": False,
}


class Cut(Exception):
    """Stands for a process that dies."""


class CutAfter(Display):
    """Raises after a number of updates, as a crash between two steps would."""

    def __init__(self, updates):
        self.updates = updates

    def update(self, progress):
        if progress.step >= self.updates:
            raise Cut


def fit(path, **options):
    return tw.fit(classifier(), X, Y, checkpoint=path, **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def runs():
    """Runs that were never stopped, by their backend."""
    return {}


@pytest.fixture
def whole(runs, backend, tmp_path):
    if backend not in runs:
        folder = tmp_path / "whole"
        folder.mkdir()
        runs[backend] = fit(folder / "run.checkpoint")
    return runs[backend]


def assert_same(run, whole):
    assert same_bits(run.model.parameters, whole.model.parameters)
    assert list(run.history) == list(whole.history)
    for name in whole.history:
        assert run.history[name].tobytes() == whole.history[name].tobytes()
    assert (run.best_epoch, run.stop_reason) == (whole.best_epoch, whole.stop_reason)


@pytest.mark.parametrize("updates", range(1, 9))
def test_a_run_goes_on_bit_for_bit_from_every_step(updates, whole, tmp_path):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Cut):
        fit(path, progress=CutAfter(updates))
    assert_same(fit(path, resume=True), whole)


def test_a_run_goes_on_in_a_new_process(whole, tmp_path, backend):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Cut):
        fit(path, progress=CutAfter(4))
    script = (
        "import sys, json\n"
        "from tests.training.test_resume import fit\n"
        "run = fit(sys.argv[1], resume=True, backend=sys.argv[2])\n"
        "print(json.dumps([value.tobytes().hex() for value in run.model.parameters.values()]))\n"
    )
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", script, str(path), backend], capture_output=True, text=True,
        cwd=root, check=True,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}", "PATH": ""},
    )  # fmt: skip
    expected = [value.tobytes().hex() for value in whole.model.parameters.values()]
    assert json.loads(result.stdout) == expected


def test_a_finished_run_resumed_is_the_same_run(whole, tmp_path):
    path = tmp_path / "run.checkpoint"
    fit(path)
    again = fit(path, resume=True)
    assert_same(again, whole)
    assert again.timing.updates == whole.timing.updates


def test_without_a_file_resume_begins_anew(whole, tmp_path):
    assert_same(fit(tmp_path / "new.checkpoint", resume=True), whole)


def test_early_stopping_goes_on_waiting(tmp_path):
    options = {"epochs": 60, "early_stopping": 2, "optimizer": Momentum(0.3), "clip": None}
    full = fit(tmp_path / "full.checkpoint", **options)
    assert full.stop_reason == "early stopping"
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Cut):
        fit(path, **options, progress=CutAfter(full.timing.updates - 1))
    assert_same(fit(path, resume=True, **options), full)


def test_another_run_is_refused_and_the_difference_named(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit(path)
    with pytest.raises(SettingError, match="belongs to another run: validation, seed, data differ"):
        fit(path, resume=True, seed=4)
    with pytest.raises(SettingError, match="optimizer, epochs, batch_size differ"):
        fit(path, resume=True, optimizer=Adam(0.1), batch_size=6)
    with pytest.raises(SettingError, match="data differ"):
        tw.fit(classifier(), X + 1, Y, checkpoint=path, resume=True, **OPTIONS)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"run\.checkpoint"):
        fit(path, resume=True)
    model = tmp_path / "model.safetensors"
    fit(tmp_path / "other.checkpoint").model.save(model)
    with pytest.raises(FileError, match="thalweg-model"):
        fit(model, resume=True)


def test_checkpoints_hold_history_and_best(tmp_path):
    path = tmp_path / "run.checkpoint"
    run = fit(path)
    assert np.isfinite(run.history["validation_loss"]).all()
    assert run.best_epoch == np.argmin(run.history["validation_loss"]) + 1


def steps_saved(monkeypatch, tmp_path, **options):
    import thalweg.training.preparing as module

    saved = []

    def note(path, marks, standing):
        saved.append(standing.state.step)

    monkeypatch.setattr(module, "save_checkpoint", note)
    fit(tmp_path / "run.checkpoint", **options)
    return saved


def test_checkpoints_are_written_every_so_many_updates(monkeypatch, tmp_path):
    options = {"checkpoint_every": 100, "checkpoint_every_updates": 4, "epochs": 4}
    assert steps_saved(monkeypatch, tmp_path, **options) == [4, 8, 12, 12]
    options = {**options, "checkpoint_every_updates": 5}
    assert steps_saved(monkeypatch, tmp_path, **options) == [5, 10, 12]


def test_functions_are_compared_by_what_they_compute(tmp_path):
    def times(factor):
        def network(x, scope):
            return scope.apply("out", tw.Linear(3), x * factor)

        return network

    path = tmp_path / "run.checkpoint"
    options = {**OPTIONS, "checkpoint": path}
    first = tw.fit(times(1.0), X, Y, **options)
    again = tw.fit(times(1.0), X, Y, **options, resume=True)
    assert same_bits(first.model.parameters, again.model.parameters)
    with pytest.raises(SettingError, match="program differs"):
        tw.fit(times(2.0), X, Y, **options, resume=True)


def test_a_loss_function_goes_with_checkpoints(tmp_path):
    def loss(outputs, targets):
        return tw.CrossEntropy().values(outputs, targets) * 2.0

    path = tmp_path / "run.checkpoint"
    whole = fit(tmp_path / "whole.checkpoint", loss=loss)
    with pytest.raises(Cut):
        fit(path, loss=loss, progress=CutAfter(5))
    assert_same(fit(path, loss=loss, resume=True), whole)


def test_a_run_at_a_constant_rate_can_be_made_longer(tmp_path):
    options = {"optimizer": Adam(0.02), "early_stopping": None}
    whole = fit(tmp_path / "whole.checkpoint", epochs=4, **options)
    path = tmp_path / "run.checkpoint"
    fit(path, epochs=2, **options)
    longer = fit(path, epochs=4, resume=True, **options)
    assert same_bits(longer.model.parameters, whole.model.parameters)
    fit(path, epochs=2)
    with pytest.raises(SettingError, match="epochs differs"):
        fit(path, epochs=4, resume=True)


def test_other_validation_rows_or_classes_are_refused(tmp_path):
    path = tmp_path / "run.checkpoint"
    own = (X[:9], Y[:9])
    fit(path, validation=own)
    with pytest.raises(SettingError, match="validation differs"):
        fit(path, validation=(X[:9] + 1, Y[:9]), resume=True)
    with pytest.raises(SettingError, match="classes differs"):
        tw.fit(classifier(), X, np.array(list("abc"))[Y], checkpoint=path, resume=True,
               **{**OPTIONS, "validation": (X[:9], np.array(list("abc"))[Y[:9]])})  # fmt: skip


def test_a_folder_that_is_not_there_is_said_before_training(tmp_path):
    epochs = []
    with pytest.raises(FileError, match="does not exist"):
        fit(tmp_path / "no" / "run.checkpoint", callbacks=[epochs.append])
    assert not epochs


def test_a_checkpoint_that_cannot_be_written_keeps_what_was_learned(monkeypatch, tmp_path):
    import thalweg.training.preparing as module

    def fail(path, marks, standing):
        raise FileError("no space left on the disk")

    monkeypatch.setattr(module, "save_checkpoint", fail)
    with pytest.raises(FileError, match="no space") as caught:
        fit(tmp_path / "run.checkpoint")
    assert caught.value.run.timing.updates == 1


def test_numbers_that_are_not_finite_survive_a_checkpoint(tmp_path):
    from thalweg.training.checkpoint import load_checkpoint, save_checkpoint
    from thalweg.training.history import History
    from thalweg.training.loop import Standing
    from thalweg.training.step import State
    from thalweg.training.stopping import Best

    state = State({"w": np.ones(2)}, {}, {}, 3)
    rows = [{"train_loss": np.inf, "validation_loss": np.nan}, {"train_loss": -np.inf}]
    best = Best(1, np.inf, state.parameters, {})
    save_checkpoint(tmp_path / "c", {}, Standing(state, History(rows), best, np.nan, 1.0, 2.0))
    found = load_checkpoint(tmp_path / "c", {}, state)
    assert str(found.history.rows) == str([{k: float(v) for k, v in row.items()} for row in rows])
    assert (found.best.value, str(found.loss_sum)) == (np.inf, "nan")


@tw.register("layer", "test_running_mean")
class RunningMean(tw.Layer):
    """Takes off the running mean of the batches, kept in Fortran order on purpose."""

    def forward(self, x, scope):
        mean = scope.state("mean", (2, x.shape[-1]))
        if scope.training:
            now = tw.stack([x.mean(axis=0), tw.square(x).mean(axis=0)], axis=1).T
            scope.update("mean", mean * 0.9 + now * 0.1)
        return x - mean[0] + 0.01 * (mean * mean).sum()


def test_states_of_layers_are_part_of_a_run(tmp_path):
    def train(path, **options):
        net = tw.Sequential(tw.Linear(8), RunningMean(), tw.ReLU(), tw.Linear(3))
        return tw.fit(net, X, Y, checkpoint=path, **{**OPTIONS, **options})

    whole = train(tmp_path / "whole.checkpoint")
    assert np.abs(whole.model.states["1.mean"]).sum() > 0
    path = tmp_path / "run.checkpoint"
    for updates in (2, 5):
        path.unlink(missing_ok=True)
        with pytest.raises(Cut):
            train(path, progress=CutAfter(updates))
        again = train(path, resume=True)
        assert_same(again, whole)
        assert same_bits(again.model.states, whole.model.states)
    whole.model.save(tmp_path / "m.safetensors")
    loaded = tw.load(tmp_path / "m.safetensors")
    assert loaded.outputs(X).tobytes() == whole.model.outputs(X).tobytes()
