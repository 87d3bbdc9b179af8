"""Populations: the same work for everyone, the best threads, losses of what is timed."""

import json
from dataclasses import asdict

import pytest

from thalweg.bench.cases import Case
from thalweg.bench.fixed_work import few_of, work_of
from thalweg.bench.peers import Peer, Trained
from thalweg.bench.population_protocol import FixedWork, WorkLosses, measure_population
from thalweg.bench.populations import make_population, population_losses
from thalweg.bench.protocol import Entry
from thalweg.bench.results import DIFFERENT, FAILED, MEASURED
from thalweg.bench.worker import Worker
from thalweg.bench.workers import WorkerError

CASE = Case((3, 4, 2), 4, 40, members=2)
FULL, FEW = work_of(CASE), few_of(CASE)


class FakeTrainer:
    """Trains with the right losses and the time that a library would take.

    Args:
        making, step: seconds of a call, and of a step of all networks.
        wrong: number of epochs from which on losses are wrong.
        fails: operation at which it ends.
        late: seconds of an epoch of a variant that is compiled late; None for none.
    """

    def __init__(self, making, step, wrong=99, fails="", late=None):
        self.making, self.step, self.wrong, self.fails, self.late = making, step, wrong, fails, late
        self.problem = make_population(CASE)
        self.trained = []
        self.late_asked = 0

    def ask(self, operation, **fields):
        if operation == self.fails:
            raise WorkerError("RuntimeError: no compiler")
        if operation == "open":
            assert fields["batches"] == FEW.batches
            self.opened = {
                "variant": "plain", "import_seconds": 0.5,
                "epoch_seconds": self.making + self.step * FEW.steps,
                "first_seconds": 3.0 + self.making + self.step * FEW.steps,
            }  # fmt: skip
            return self.opened
        if operation == "open_late":
            self.late_asked += 1
            if self.late is not None and self.late < self.opened["epoch_seconds"]:
                self.opened |= {"variant": "late", "epoch_seconds": self.late}
            return self.opened
        if operation == "memory":
            return {"peak_bytes": 2**20}
        return self.train(**fields)

    def train(self, epochs, batches, calls=1):
        self.trained.append((epochs, batches, calls))
        losses = population_losses(self.problem, epochs, batches)
        losses = [loss + (epochs >= self.wrong) for loss in losses]
        seconds = calls * (self.making + self.step * epochs * batches)
        return {
            "losses": losses * calls, "seconds": seconds, "cpu_seconds": seconds,
            "process_seconds": seconds, "steps": calls * epochs * batches * CASE.members,
        }  # fmt: skip


def measured(most=1e9, **workers):
    """Rows by library and threads; a name such as ``b2`` is the library b with 2 threads."""
    entries = {Entry(name[:-1], int(name[-1])): worker for name, worker in workers.items()}
    protocol = FixedWork(rounds=3, most_seconds=most, least_seconds=0.0, steps=5)
    found = measure_population(CASE, list(entries), entries.__getitem__, protocol)
    return {f"{one.row.peer}{one.row.threads}": one.row for one in found}


def test_every_library_trains_the_same_work():
    workers = {
        "thalweg1": FakeTrainer(0.5, 0.001),
        "b1": FakeTrainer(0.0, 0.01),
        "c1": FakeTrainer(2, 0.1),
    }
    rows = measured(**workers)
    timed = [(FULL.epochs, FULL.batches, 1)] * 3
    for name, worker in workers.items():
        assert [call for call in worker.trained if call[0] == FULL.epochs] == timed
        assert rows[name].steps == FULL.steps == 400
        assert rows[name].note == ""
        assert rows[name].status == MEASURED
    assert len({tuple(worker.trained) for worker in workers.values()}) == 1


def test_the_whole_call_counts_and_making_is_told_apart():
    row = measured(thalweg1=FakeTrainer(0.5, 0.001))["thalweg1"]
    assert row.step_seconds == pytest.approx((0.5 + 0.4) / 400 / 2)
    assert row.steady_seconds == pytest.approx(0.001 / 2)
    assert row.start_seconds == pytest.approx(3.0 + 0.5)
    assert row.total_seconds(10) == pytest.approx(3.5 + 400 * 0.001)
    assert row.peak_bytes == 2**20


def test_a_slow_library_trains_fewer_steps_and_says_so():
    slow, slower = FakeTrainer(0.0, 0.125), FakeTrainer(0.0, 1.0)
    rows = measured(15.0, thalweg1=FakeTrainer(0.0, 0.001), b1=slow, c1=slower)
    assert rows["thalweg1"].steps == 400
    assert rows["thalweg1"].note == ""
    assert (rows["b1"].steps, slow.trained[-2]) == (120, (3, 40, 1))
    assert (rows["c1"].steps, slower.trained[-2]) == (15, (1, 15, 1))
    assert rows["b1"].step_seconds == pytest.approx(0.0625)
    assert rows["c1"].step_seconds == pytest.approx(0.5)
    assert rows["c1"].steady_seconds == 0.0
    assert rows["b1"].note == (
        "trained 120 of 400 steps of each network, since a call of all of them would take longer "
        "than 15 s"
    )


def test_thalweg_trains_all_of_the_work_however_long_it_takes():
    row = measured(1.0, thalweg1=FakeTrainer(0.5, 1.0))["thalweg1"]
    assert (row.steps, row.note) == (400, "")


def test_short_works_are_repeated():
    worker = FakeTrainer(0.0, 0.001)
    protocol = FixedWork(rounds=1, least_seconds=1.2, steps=5)
    found = measure_population(CASE, [Entry("thalweg", 1)], lambda entry: worker, protocol)
    assert (FULL.epochs, FULL.batches, 3) in worker.trained
    assert found[0].row.step_seconds == pytest.approx(0.0005)


def test_others_go_on_with_the_best_number_of_threads():
    rejected = FakeTrainer(0.0, 0.02)
    rows = measured(
        thalweg1=FakeTrainer(0.0, 0.002), thalweg2=FakeTrainer(0.0, 0.001),
        b1=rejected, b2=FakeTrainer(0.0, 0.01), c1=FakeTrainer(0.0, 0.01),
        c2=FakeTrainer(0.0, 0.001, fails="open"),
    )  # fmt: skip
    assert list(rows) == ["thalweg1", "thalweg2", "b2", "c1", "c2"]
    assert rejected.trained == []
    assert rejected.late_asked == 0
    assert (rows["c2"].status, rows["c2"].reason) == (FAILED, "RuntimeError: no compiler")


def test_a_late_variant_is_taken_where_it_is_faster():
    rows = measured(b1=FakeTrainer(0.0, 0.01, late=0.1), c1=FakeTrainer(0.0, 0.01, late=0.2))
    assert rows["b1"].variant == "late"
    assert rows["c1"].variant == "plain"


def test_losses_of_what_is_timed_are_checked():
    rows = measured(thalweg1=FakeTrainer(0.0, 0.001), b1=FakeTrainer(0.0, 0.001, FULL.epochs))
    assert rows["thalweg1"].epoch_error < 1e-12
    assert rows["b1"].step_error < 1e-12
    assert rows["b1"].status == DIFFERENT
    assert "epochs" in rows["b1"].reason
    assert len(rows["b1"].rounds) == 3


def test_the_losses_expected_are_of_the_first_epochs():
    losses = WorkLosses(CASE)
    assert losses.of(FULL) == population_losses(make_population(CASE), 3, 40)
    assert losses.of(FULL) is losses.of(FULL)
    assert WorkLosses(Case((300, 300, 2), 40, 2, members=2)).epochs == 1


def test_a_failure_while_training_is_a_row_and_others_go_on():
    rows = measured(b1=FakeTrainer(0.0, 0.001, fails="train"), thalweg1=FakeTrainer(0.0, 0.001))
    assert rows["b1"].status == FAILED
    assert not rows["b1"].timed
    assert len(rows["thalweg1"].rounds) == 3


class Late(Peer):
    """A library with a variant that is compiled late, and faster."""

    name = title = "late"
    packages = ()
    member_variants = ("slow", "fast, compiled", "slower")
    late_variants = ("fast, compiled",)

    def __init__(self):
        self.opened = []

    def load(self, threads):
        pass

    def open(self, problem, variant, threads):
        self.opened.append(variant)
        seconds = {"slow": 2.0, "slower": 3.0, "fast, compiled": 1.0}[variant]

        class Session:
            def train(self, epochs, batches=None):
                assert batches == 4
                return Trained([0.5] * epochs * 2, epochs * seconds, 0.25)

        return Session()


def test_a_worker_tries_late_variants_when_asked():
    peer = Late()
    worker = Worker(peer, 1)
    case = json.loads(json.dumps(asdict(CASE)))
    answer = worker.answer({"operation": "open", "case": case, "batches": 4})
    assert answer["variant"] == "slow"
    assert answer["first_seconds"] >= 2.25
    assert peer.opened == ["slow", "slower"]
    answer = worker.answer({"operation": "open_late", "batches": 4})
    assert answer["variant"] == "fast, compiled"
    assert peer.opened == ["slow", "slower", "fast, compiled"]
    found = worker.answer({"operation": "train", "epochs": 2, "batches": 4, "calls": 3})
    assert found["seconds"] == 6.0
    assert found["steps"] == 3 * 2 * 4 * CASE.members
