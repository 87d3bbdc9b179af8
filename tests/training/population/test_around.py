"""What stands around the members of a population: callbacks, checkpoints, Ctrl-C, memory."""

import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.training.problems import blobs, same_bits

import thalweg as tw
from thalweg.errors import FileError, SettingError
from thalweg.training.population import shelf

ROOT = Path(__file__).resolve().parents[3]
X, Y = blobs(rows=60)
NET = tw.Sequential(tw.Linear(4), tw.BatchNorm1d(), tw.Tanh(), tw.Dropout(0.2), tw.Linear(3))


def assert_same(first, second):
    assert same_bits(first.model.parameters, second.model.parameters)
    assert same_bits(first.model.states, second.model.states)
    assert repr(first.history.rows) == repr(second.history.rows)
    assert first.stop_reason == second.stop_reason


# ------------------------------------------------------------------ callbacks, checkpoints


def test_callbacks_are_told_whose_epoch_it_is(backend):
    seen = []
    many = tw.fit(NET, X, Y, members=3, epochs=[1, 2, 3], batch_size=10, progress=False,
                  backend=backend, callbacks=[lambda epoch: seen.append((
                      epoch.member, epoch.number, epoch.values["train_loss"]))])  # fmt: skip
    expected = [
        (k, epoch + 1, loss)
        for k, run in enumerate(many.runs)
        for epoch, loss in enumerate(run.history["train_loss"])
    ]
    assert sorted(seen) == expected


def test_a_callback_ends_its_member_alone(backend):
    many = tw.fit(NET, X, Y, members=3, epochs=3, batch_size=10, progress=False, backend=backend,
                  callbacks=[lambda epoch: epoch.member == 1])  # fmt: skip
    assert [run.stop_reason for run in many.runs] == ["epochs", "callback", "epochs"]
    assert [len(run.history.rows) for run in many.runs] == [3, 1, 3]


def test_every_member_has_a_checkpoint_to_resume_from(backend, tmp_path):
    options = {"members": 3, "batch_size": 10, "progress": False, "backend": backend,
               "optimizer": tw.Adam(np.array([0.1, 0.01, 0.001]))}  # fmt: skip
    path = tmp_path / "run"
    whole = tw.fit(NET, X, Y, epochs=4, **options)
    tw.fit(NET, X, Y, epochs=2, checkpoint=path, **options)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.0", "run.1", "run.2"]
    (tmp_path / "run.1").unlink()
    seen = []
    again = tw.fit(NET, X, Y, epochs=4, checkpoint=path, resume=True, **options,
                   callbacks=[lambda epoch: seen.append((epoch.member, epoch.number))])  # fmt: skip
    for first, second in zip(whole.runs, again.runs, strict=True):
        assert_same(first, second)
    assert sorted(seen) == [(0, 3), (0, 4), (1, 1), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4)]


def test_a_checkpoint_of_another_member_is_refused(backend, tmp_path):
    options = {"members": 2, "batch_size": 10, "progress": False, "backend": backend, "epochs": 1}
    tw.fit(NET, X, Y, checkpoint=tmp_path / "run", **options)
    (tmp_path / "run.0").replace(tmp_path / "run.1")
    with pytest.raises(SettingError, match=r"member 1: .*seed"):
        tw.fit(NET, X, Y, checkpoint=tmp_path / "run", resume=True, **options)


def test_a_checkpoint_that_cannot_be_written_loses_no_other_member(backend, tmp_path):
    (tmp_path / "run.1").mkdir()
    with pytest.raises(FileError, match=r"member 1: ") as caught:
        tw.fit(NET, X, Y, members=3, batch_size=10, progress=False, backend=backend, epochs=1,
               threads=1, checkpoint=tmp_path / "run")  # fmt: skip
    run = caught.value.run
    alone = tw.fit(NET, X, Y, batch_size=10, progress=False, epochs=1, seed=0)
    assert same_bits(run.models[0].parameters, alone.model.parameters)
    assert run.runs[1] is None


# ------------------------------------------------------------------ Ctrl-C


def test_ctrl_c_keeps_the_members_that_are_done(backend):
    seen = set()

    def interrupt(epoch):
        seen.add((epoch.member, epoch.number))
        if {(0, 3), (1, 3)} <= seen and epoch.member == 2 and "sent" not in seen:
            seen.add("sent")
            os.kill(os.getpid(), signal.SIGINT)

    former, before = signal.getsignal(signal.SIGINT), threading.active_count()
    many = tw.fit(NET, X, Y, members=50, epochs=[3, 3, 100_000, 100_000, *[3] * 46], batch_size=10,
                  threads=2, progress=False, backend=backend, callbacks=[interrupt])  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is former
    assert threading.active_count() == before
    assert many.stop_reason == "interrupted"
    assert [run.stop_reason for run in many.runs[:2]] == ["epochs", "epochs"]
    assert many.runs[2].stop_reason == "interrupted"
    assert many.runs[-1] is None
    done = [k for k, run in enumerate(many.runs) if run is not None]
    assert "interrupted" not in {many.runs[k].stop_reason for k in done if k not in (2, 3)}
    assert many.best("train_loss").number in done
    assert np.isnan(many.scores("train_loss")[-1])
    assert many.ensemble().predict(X).shape == (60,)
    with pytest.raises(tw.ThalwegError, match=r"member 49 was not trained: Ctrl-C"):
        many[49]
    with pytest.raises(tw.ThalwegError, match=r"was not trained: Ctrl-C"):
        many.predict(X)


CHILD = """
import threading
import numpy as np
import thalweg as tw
from tests.training.problems import blobs, classifier
x, y = blobs()
def tell(epoch):
    if (epoch.member, epoch.number) == (0, 2):
        print("going", flush=True)
many = tw.fit(classifier(), x, y, members=40, epochs=1_000_000, progress=False, threads=2,
              callbacks=[tell])
print(many.stop_reason, sum(run is not None for run in many.runs), threading.active_count())
"""


def test_ctrl_c_from_outside_ends_at_once(backend):
    if backend == "interpreter":
        pytest.skip("once is enough")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": ""},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        first = child.stdout.readline()
        child.send_signal(signal.SIGINT)
        last = child.communicate(timeout=60)[0].splitlines()[-1:]
    assert first == "going\n"
    assert last[0] in {"interrupted 1 1", "interrupted 2 1"}


# ------------------------------------------------------------------ memory


def test_members_that_do_not_fit_in_memory_are_kept_in_a_file(backend, monkeypatch):
    options = {"members": 5, "epochs": 2, "batch_size": 10, "progress": False, "backend": backend}
    inside = tw.fit(NET, X, Y, **options)
    monkeypatch.setattr(shelf, "_free", lambda: 1000.0)
    with pytest.warns(UserWarning, match=r"5 networks of .* are kept in a temporary file in"):
        outside = tw.fit(NET, X, Y, **options)
    assert all(
        isinstance(array.base, np.memmap) or isinstance(array, np.memmap)
        for model in outside.models
        for array in model.parameters.values()
    )
    for first, second in zip(inside.runs, outside.runs, strict=True):
        assert_same(first, second)
    np.testing.assert_array_equal(inside.predict(X), outside.predict(X))


def test_where_the_disk_is_full_it_is_said(monkeypatch, backend):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shelf, "_free", lambda: 1000.0)
    monkeypatch.setattr(shelf.os, "posix_fallocate", full)
    options = {"members": 2, "epochs": 1, "batch_size": 10, "progress": False, "backend": backend}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FileError, match=r"temporary file of .*No space left") as caught:
            tw.fit(NET, X, Y, threads=1, **options)
    assert caught.value.run.models[0].predict(X).shape == (60,)


@pytest.mark.parametrize("varies", ["nothing", "seeds of the split", "rows", "networks"])
def test_members_share_one_copy_of_the_data(varies, backend):
    if backend == "interpreter":
        pytest.skip("once is enough")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 400)).astype("float32")
    y = rng.integers(0, 3, 3000)

    def train(members, threads):
        options = {
            "nothing": {},
            "seeds of the split": {"validation": 0.25},
            "rows": {"rows": np.arange(3000).reshape(members, -1), "batch_size": 125},
            "networks": {"network": tw.PerMember([tw.Linear(3) for _ in range(members)])},
        }[varies]
        given = {"network": tw.Linear(3), "epochs": 1, "batch_size": 750, **options}
        tw.fit(x=x, y=y, members=members, threads=threads, progress=False, **given)

    def copies(members, threads):
        """What training takes at most, in copies of x."""
        tracemalloc.start()
        train(members, threads)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / x.nbytes

    train(2, threads=2)
    assert copies(4, threads=2) < 3, "inputs are left where they are, but for two batches"
    few, many = (copies(members, threads=1) for members in (4, 12))
    assert many < few + 0.4


def test_the_data_of_a_list_are_converted_once(backend):
    class Counted(list):
        count = 0

        def __array__(self, dtype=None, copy=None):
            Counted.count += 1
            return np.array([list(row) for row in self], dtype)

    rows = Counted(X.tolist())
    many = tw.fit(NET, rows, Y, members=6, threads=3, epochs=1, progress=False, backend=backend)
    assert len(many.runs) == 6
    single = Counted.count
    tw.fit(NET, rows, Y, epochs=1, progress=False, backend=backend)
    assert single <= Counted.count - single, "six members read it as often as one network"
