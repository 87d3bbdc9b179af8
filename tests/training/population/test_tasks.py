"""Members trained by an executor's tasks: the same bits, whoever trains them; clear ends."""

import concurrent.futures
import multiprocessing
import os
import pickle
import signal
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from tests.training.problems import blobs, same_bits

import thalweg as tw
from thalweg.errors import FileError, SettingError, ThalwegError
from thalweg.training.arguments import Arguments
from thalweg.training.history import Display
from thalweg.training.population.member import MemberRun, Passed
from thalweg.training.population.tasks import (
    TaskCrew,
    Work,
    WorkerError,
    run_members,
    train_members,
    workers_of,
)
from thalweg.training.programs import Programs

X, Y = blobs(rows=60)
NET = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Dropout(0.2), tw.Linear(3))
OPTIONS = {"batch_size": 10, "epochs": 3, "validation": 0.25, "progress": False}


def plain(x, scope):
    """A network that is a function."""
    return scope.apply("line", tw.Linear(3), x)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool


class Here(Executor):
    """Runs tasks at once, in this thread, up to a number; what it does then is told."""

    def __init__(self, count=1000, then=None, workers=2):
        self._max_workers = workers
        self.count, self.then, self.tasks = count, then, []

    def submit(self, function, /, *arguments):
        self.tasks.append(arguments)
        future = Future()
        if len(self.tasks) <= self.count:
            future.set_result(function(*pickle.loads(pickle.dumps(arguments))))
        elif isinstance(self.then, BaseException):
            future.set_exception(self.then)
        elif self.then is not None:
            self.then(future)
        return future


def fit(backend, **options):
    return tw.fit(options.pop("network", NET), X, Y, backend=backend, **{**OPTIONS, **options})


def assert_same(first, second):
    assert len(first.runs) == len(second.runs)
    for one, other in zip(first.runs, second.runs, strict=True):
        assert same_bits(one.model.parameters, other.model.parameters)
        assert repr(one.history.rows) == repr(other.history.rows)
        assert (one.stop_reason, one.best_epoch) == (other.stop_reason, other.best_epoch)
        assert one.model.network is other.model.network


def test_processes_give_the_same_bits_as_threads(backend, processes):
    """Networks of two structures, a failure, ends of their own: everything comes back."""
    rates = np.array([0.01, 0.1, 1e30, 0.02, 0.05])
    deeper = tw.Sequential(tw.Linear(4), tw.BatchNorm1d(), tw.Linear(3))
    options = {
        "members": 5,
        "network": tw.PerMember([NET, deeper, deeper, plain, NET]),
        "optimizer": tw.SGD(rates),
        "epochs": [3, 1, 3, 2, 3],
        "early_stopping": 2,
    }
    here, there = fit(backend, **options), fit(backend, executor=processes, **options)
    assert_same(here, there)
    assert list(there.failures) == list(here.failures) == [2]
    assert str(there.failures[2]) == str(here.failures[2])
    with pytest.warns(UserWarning, match="members 2 are NaN"):
        np.testing.assert_array_equal(here.predict(X), there.predict(X))


def test_errors_of_processes_are_those_of_threads(backend, processes):
    with pytest.raises(SettingError, match=r"member 2: batch_size = 1000 is beyond the 45"):
        fit(backend, members=3, batch_size=[10, 10, 1000], executor=processes)


def test_what_cannot_be_sent_is_said(backend, processes):
    def inner(x, scope):
        return plain(x, scope)

    for network in (inner, lambda x, scope: plain(x, scope)):
        with pytest.raises(SettingError, match=r"member 0: .*sent to another process.*top of a mo"):
            fit(backend, members=2, network=network, executor=processes)


def test_pieces_go_back_and_forth_with_their_state(backend):
    class Rungs:
        """Each member to its second epoch, the even ones to the end, and a branch of the first."""

        def __init__(self, crew):
            given = Arguments(NET, X, Y, batch_size=10, epochs=5, validation=0.25, backend=backend,
                              early_stopping=4)  # fmt: skip
            self.crew, self.given, self.branch = crew, given, None
            self.members = [crew.member(given, number) for number in range(4)]
            self.waiting = [(one, 2) for one in self.members]

        def next(self):
            return self.waiting.pop(0) if self.waiting else None

        def done(self, one):
            if one.number == 0 and one.epochs == 2:
                self.branch = one.branch(self.given, 9)
                self.waiting.append((self.branch, None))
            if one.number % 2 == 0 and not one.reason:
                self.waiting.append((one, 4 if one.epochs == 2 else None))

    source = Rungs(TaskCrew(Here(workers=1)))
    assert source.crew.run(source) == ""
    whole = tw.fit(**vars(source.given), progress=False)
    assert [one.epochs for one in source.members] == [5, 2, 5, 2]
    for one in (source.members[0], source.members[2], source.branch):
        assert same_bits(one.result().model.parameters, whole.model.parameters)
        assert one.result().history.rows == whole.history.rows
    paused = MemberRun(source.given, Programs())
    paused.advance(2)
    found = source.members[1].result()
    assert same_bits(found.model.parameters, paused.result().model.parameters)
    assert found.stop_reason == "paused"


# What follows is the same for every backend: one is enough.


@pytest.fixture
def once(backend):
    if backend == "interpreter":
        pytest.skip("once is enough")


@pytest.mark.usefixtures("once")
class TestTasks:
    def test_threads_of_an_executor_do_as_well(self):
        with ThreadPoolExecutor(3) as pool:
            assert_same(fit("native", members=7, executor=pool), fit("native", members=7))

    @pytest.mark.parametrize(("members", "workers", "sizes"), [
        (3, 2, [1, 1, 1]),
        (20, 2, [2] * 10),
        (21, 2, [2] * 10 + [1]),
        (9, 1, [2, 2, 2, 2, 1]),
    ])  # fmt: skip
    def test_there_are_a_few_tasks_for_each_worker(self, members, workers, sizes):
        executor = Here(workers=workers)
        many = fit("native", members=members, executor=executor, epochs=1)
        assert [len(works) for _, works in executor.tasks] == sizes
        assert all(run is not None for run in many.runs)

    def test_a_task_carries_the_data_once(self):
        executor = Here(workers=1)
        x = np.random.default_rng(0).normal(size=(5000, 20))
        y = np.arange(5000) % 2
        options = {"epochs": 1, "batch_size": 500, "progress": False}
        tw.fit(tw.Linear(2), x, y, members=12, executor=executor, optimizer=tw.Adam(
            np.geomspace(1e-3, 1e-1, 12)), **options)  # fmt: skip
        for task in executor.tasks:
            assert len(pickle.dumps(task)) < 1.01 * (x.nbytes + y.nbytes) + 10_000

    def test_members_of_a_run_share_their_programs_in_a_worker(self, monkeypatch):
        made = []
        once = Programs.once
        monkeypatch.setattr(
            Programs, "once", lambda self, key, make, *kept: once(
                self, key, lambda: made.append(key[0]) or make(), *kept
            ),
        )  # fmt: skip
        executor = Here(workers=1)
        fit("native", members=12, executor=executor, validation=None)
        assert len(executor.tasks) > 3
        assert made.count("step") == 1

    def test_a_list_of_arguments_is_trained(self):
        given = [Arguments(NET, X, Y, epochs=1, seed=k, batch_size=10) for k in range(3)]
        given.append(Arguments(NET, X, Y, batch_size=1000))
        order = []
        members = run_members(given, Here(), order.append)
        assert order == members
        for k in range(3):
            alone = tw.fit(NET, X, Y, epochs=1, seed=k, batch_size=10, progress=False)
            assert same_bits(members[k].result().model.parameters, alone.model.parameters)
        assert members[3].reason == "refused"
        with pytest.raises(SettingError, match=r"batch_size = 1000"):
            members[3].result()

    def test_progress_counts_networks(self):
        class Seen(Display):
            def __init__(self):
                self.counts, self.calls = [], []

            def start(self, epochs, title):
                self.calls.append("start")

            def update(self, progress):
                assert progress.unit == "network"
                self.counts.append((progress.epoch, progress.epochs))

            def finish(self, progress, reason):
                self.calls.append(f"finish {progress.epoch} {reason}")

            def close(self):
                self.calls.append("close")

        seen = Seen()
        fit("native", members=9, executor=Here(workers=1), progress=seen, epochs=1)
        assert seen.counts == sorted(seen.counts)
        assert seen.counts[-1] == (9, 9)
        assert seen.calls == ["start", "finish 9 epochs", "close"]

    @pytest.mark.parametrize(("then", "message"), [
        (BrokenProcessPool("a child ended"), r"members 6 to 7: a worker of the executor ended abr"),
        (lambda future: future.cancel(), r"members 6 to 7: the executor was shut down"),
    ])  # fmt: skip
    def test_a_worker_that_ends_loses_nothing_that_came_back(self, then, message):
        with pytest.raises(WorkerError, match=message) as caught:
            fit("native", members=16, executor=Here(3, then))
        found = caught.value.run
        assert [run is not None for run in found.runs] == [True] * 6 + [False] * 10
        alone = fit("native", members=6)
        assert same_bits(found.models[5].parameters, alone.models[5].parameters)

    def test_an_executor_that_is_shut_down_is_refused(self):
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        with pytest.raises(WorkerError, match=r"member 0: the executor was shut down"):
            fit("native", members=2, executor=pool)

    def test_other_errors_of_tasks_are_raised_as_they_are(self):
        error = LookupError("of the user's own")
        with pytest.raises(LookupError, match=r"of the user's own") as caught:
            fit("native", members=16, executor=Here(3, error))
        assert caught.value is error

    def test_ctrl_c_keeps_what_came_back(self):
        def interrupt(_):
            os.kill(os.getpid(), signal.SIGINT)

        former = signal.getsignal(signal.SIGINT)
        many = fit("native", members=16, executor=Here(3, interrupt))
        assert signal.getsignal(signal.SIGINT) is former
        assert many.stop_reason == "interrupted"
        assert [run is not None for run in many.runs] == [True] * 6 + [False] * 10

    def test_ctrl_c_waits_a_little_for_running_tasks(self):
        class Interrupting(Display):
            def update(self, progress):
                if progress.epoch and not self.sent:
                    self.sent = True
                    os.kill(os.getpid(), signal.SIGINT)

            sent = False

        with ThreadPoolExecutor(1) as pool:
            many = fit("native", members=80, executor=pool, progress=Interrupting(), epochs=1)
        done = sum(run is not None for run in many.runs)
        assert many.stop_reason == "interrupted"
        assert done % 20 == 0
        assert 20 <= done < 80

    def test_ctrl_c_in_a_worker_gives_back_what_is_there(self):
        def interrupt(epoch):
            if epoch.number == 2:
                os.kill(os.getpid(), signal.SIGINT)

        given = Arguments(NET, X, Y, epochs=100_000, batch_size=10, callbacks=[interrupt])
        works = [Work(number, given, Passed(), None) for number in range(3)]
        found = train_members("a run", works)
        assert found[0].reason == "interrupted"
        assert len(found[0].run.history.rows) >= 2
        assert found[1:] == [None, None]

    @pytest.mark.parametrize(("options", "message"), [
        ({"threads": 2}, r"threads = 2 is for members that this process trains"),
        ({"callbacks": [print]}, r"callbacks are called in the process that trains"),
        ({"executor": "processes"}, r"executor must be a concurrent.futures.Executor, got 'pro"),
        ({"executor": 2}, r"executor must be a concurrent.futures.Executor, got 2"),
        ({"executor": Here, "members": 0}, r"members = 0 is outside its range"),
    ])  # fmt: skip
    def test_what_does_not_go_with_an_executor_is_refused(self, options, message):
        with pytest.raises(SettingError, match=message):
            fit("native", **{"members": 2, "executor": Here(), **options})

    def test_workers_are_what_the_executor_says(self):
        class Unknown(Executor):
            pass

        assert workers_of(Here(workers=7)) == 7
        assert workers_of(Unknown()) == 32

    def test_errors_survive_the_way(self):
        for error in (FileError("file"), SettingError("setting"), WorkerError("worker")):
            back = pickle.loads(pickle.dumps(error))
            assert (type(back), str(back)) == (type(error), str(error))
            assert isinstance(back, ThalwegError)

    def test_dask_does_as_well(self):
        distributed = pytest.importorskip("distributed")
        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            executor = client.get_executor()
            assert isinstance(executor, concurrent.futures.Executor)
            many = fit("native", members=5, executor=executor)
        assert_same(many, fit("native", members=5))
