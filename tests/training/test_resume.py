"""Resuming: bit for bit the run that was never stopped, from every step, in a new process too."""

import json
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
def whole(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("whole") / "run.checkpoint")


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


def test_a_run_goes_on_in_a_new_process(whole, tmp_path):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Cut):
        fit(path, progress=CutAfter(4))
    script = (
        "import sys, json\n"
        "from tests.training.test_resume import fit\n"
        "run = fit(sys.argv[1], resume=True)\n"
        "print(json.dumps([value.tobytes().hex() for value in run.model.parameters.values()]))\n"
    )
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, cwd=root,
        check=True, env={"PYTHONPATH": f"{root}:{root / 'src'}", "PATH": ""},
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
    with pytest.raises(SettingError, match="belongs to another run: seed, data differ"):
        fit(path, resume=True, seed=4)
    with pytest.raises(SettingError, match="optimizer, batch_size differ"):
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
